//! The connection to signaling: `proto-spec/proto/router_control.proto`.
//!
//! The router dials. Media goes on while signaling is away: the sessions that ended meanwhile are simply not in the list with
//! which the router registers again.

mod backoff;
mod connection;
mod load;
mod messages;
#[cfg(test)]
mod tests;

pub(crate) use self::connection::{Connection, Identity};
