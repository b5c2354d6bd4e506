//! The connections to signaling: `proto-spec/proto/router_control.proto`.
//!
//! The router dials each daemon, and has a stream with each: whoever asks for a session is answered, and all are told of each that
//! ends, so that the one which takes a meeting over from another knows what is left of it. Media goes on while signaling is away: the sessions that ended meanwhile are simply not in the list with
//! which the router registers again.

mod backoff;
mod connection;
mod load;
mod messages;
#[cfg(test)]
mod tests;

pub(crate) use self::connection::{Connection, Identity};
