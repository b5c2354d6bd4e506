//! The daemon from end to end: real sockets, a router that says yes, and clients.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod abuse;
mod common;
mod frames;
mod hostile;
mod hosts;
mod media;
mod meeting;
mod resume;
