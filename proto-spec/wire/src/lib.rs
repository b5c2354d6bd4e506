//! Wire formats of Sluice: everything that both ends of a wire must agree on.
//!
//! Pure functions and small values. No sockets, no clock, no threads, no unsafe code. Parsers are views over bytes: they do
//! not allocate and they are total, so any input gives a value or a typed error. The prose is in `proto-spec/spec`.
#![forbid(unsafe_code)]

pub mod classify;
pub mod control;
pub mod descriptor;
pub mod ext;
pub mod feedback;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod payload_type;
pub mod reception;
pub mod repair;
pub mod rtcp;
pub mod rtp;
pub mod signaling;
pub mod srtp;
pub mod ssrc;
pub mod state_sync;
pub mod ticket;
pub mod time;
pub mod track;
