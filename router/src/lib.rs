//! The media router: a sans-IO shard core, its sockets and its daemon.
//!
//! [`start`] runs a whole router inside of any tokio program; the daemon `sluice-router` is little more. Those who need the
//! core alone, on virtual time, use [`core`].

pub mod clock;
pub mod config;
mod control;
pub mod core;
pub mod io;
mod metrics;
mod shell;

pub use self::config::RouterConfig;
pub use self::shell::{
    CommandError, ControlStatus, OpenError, ROUND_BOUNDS, RoundStats, RouterHandle, RouterSnapshot,
    ShardFailure, ShardSnapshot, StartError, start,
};
