//! The shell around the shards: threads, mailboxes, and who knows which room is where.
//!
//! * A worker (`worker.rs`) is a shard's thread: it owns the shard and its sockets, and shares nothing but a mailbox, an event
//!   queue and a snapshot.
//! * The switchboard (`switchboard.rs`) is the control side: it places rooms on shards (`directory.rs`), sends commands, and
//!   brings answers to those who asked.
//! * [`start`] puts all of it together and gives a [`RouterHandle`].

mod directory;
mod handle;
mod start;
mod stats;
mod switchboard;
#[cfg(test)]
mod tests;
mod thread;
mod worker;

pub(crate) use self::handle::Gallery;
pub use self::handle::RouterHandle;
pub use self::start::{StartError, start};
pub(crate) use self::stats::Published;
pub use self::stats::{ControlStatus, ROUND_BOUNDS, RoundStats, RouterSnapshot, ShardSnapshot};
pub use self::switchboard::{CommandError, OpenError};
pub(crate) use self::switchboard::{Listener, ListenerId, Notice, Origin, SessionRecord, Switchboard};
pub use self::thread::ShardFailure;
