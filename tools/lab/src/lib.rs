//! A laboratory of bad networks.
//!
//! A [`scenario`] is a data file: who meets whom over which networks, what happens to these networks, and what is promised all
//! the same. A runner lets it happen and gives a [`record::Run`]: what was sent, received, shown and heard, every 100 ms and per
//! receiver. [`judge`] holds the runs of several seeds against the promises; [`show`] makes a table, JSON and plots of that.
//!
//! [`virtual_time`] is the runner on virtual time: a router core, sans-IO clients and `sluice-netsim` in one thread, where all
//! follows from the seed. [`real`] is the runner between real sockets.
#![forbid(unsafe_code)]

pub mod campaign;
pub mod cubic;
pub mod judge;
pub mod layout;
pub mod media;
pub mod publisher;
pub mod real;
pub mod record;
pub mod scenario;
pub mod show;
mod tap;
pub mod trace;
pub mod transfers;
pub mod virtual_time;

use std::time::Duration;

/// How often everything is sampled.
pub const SAMPLE: Duration = Duration::from_millis(100);

/// [`SAMPLE`] in seconds.
pub const SAMPLE_SECONDS: f64 = 0.1;
