//! The media router: a sans-IO shard core, its sockets and its daemon.

pub mod clock;
pub mod core;
pub mod io;
