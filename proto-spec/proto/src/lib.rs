//! The control stream between routers and signaling (protobuf, gRPC).
//!
//! `router_control.proto` says what each message means; [`v1`] is the code generated from it, and [`convert`] goes between its
//! tickets and those of `sluice-wire`.
#![forbid(unsafe_code)]

pub mod convert;
mod redact;

/// Generated from `router_control.proto`, package `sluice.control.v1`.
#[allow(
    missing_docs,
    unused_qualifications,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::use_self,
    reason = "generated code follows its generator's style"
)]
pub mod v1 {
    tonic::include_proto!("sluice.control.v1");
}

/// The largest message of the stream in either direction, in bytes: a `Register` that lists 20,000 sessions at about 50
/// bytes each, with room to spare. Both ends set it as their decoding limit.
pub const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
