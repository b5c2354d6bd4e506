//! Whole conferences on virtual time from one seed, with invariants checked at every step.
//!
//! A [`conference::Conference`] is a router's shards, clients and a hostile network in one thread. Everything that happens
//! follows from the seed: the [`plan`] of what people and the network do, every packet's fate, every key. The [`watch`] stands
//! at the router's door and holds every datagram against the protocol's promises; the first broken one ends the run as a
//! [`Violation`], which the same seed brings back at any time.
#![forbid(unsafe_code)]

pub mod campaign;
pub mod conference;
pub mod hostile;
pub mod judge;
pub mod ledger;
pub mod outcome;
pub mod participant;
pub mod plan;
pub mod router;
pub mod source;
pub mod watch;

use sluice_wire::time::Time;

/// Virtual time begins here: an arbitrary moment, since NTP has no room for the time before 1900.
pub const START: Time = Time::from_nanos(1_800_000_000_000_000_000);

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after {:.3} virtual seconds: {what}", .at.saturating_since(START).as_secs_f64())]
pub struct Violation {
    /// When.
    pub at: Time,
    /// What.
    pub what: String,
}
