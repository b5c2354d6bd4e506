//! Probes: short bursts above the estimate, which find out whether the path carries more.

mod controller;
mod estimator;

pub use controller::{ProbeContext, ProbeController};
pub use estimator::ProbeEstimator;

use std::num::NonZeroU8;
use std::time::Duration;

/// The fewest packets of a cluster: fewer say nothing about a rate.
pub const MIN_PROBE_PACKETS: u16 = 5;
/// How long the first clusters last at their rate: nothing is known, and speed is all.
pub const FIRST_PROBE_DURATION: Duration = Duration::from_millis(15);
/// How long all others last: longer than the interval of 30 frames a second, so that no cluster fits into a gap between the frames
/// of others and takes their share for its own.
pub const PROBE_DURATION: Duration = Duration::from_millis(40);

/// The name of a cluster, by which its packets are told apart. Names come again after 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeId(NonZeroU8);

impl ProbeId {
    /// The name as a number, 1 to 255.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    pub(crate) const fn from_u8(byte: u8) -> Option<Self> {
        match NonZeroU8::new(byte) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The one after it.
    fn next(id: Option<Self>) -> Self {
        Self(id.map_or(NonZeroU8::MIN, |id| id.0.checked_add(1).unwrap_or(NonZeroU8::MIN)))
    }
}

/// A cluster that the caller is to send: packets at this rate, back to back with nothing else, each marked with the name in
/// [`crate::PacketSent::probe`], until there are enough of them **and** enough bytes. What is due anyway may be part of it; the
/// rest is RTX of recent packets, or padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeCluster {
    /// The name.
    pub id: ProbeId,
    /// The rate at which to send it, in bit/s.
    pub rate_bps: u64,
    /// Packets at least.
    pub min_packets: u16,
    /// Bytes at least.
    pub min_bytes: u32,
}

impl ProbeCluster {
    fn new(id: ProbeId, rate_bps: f64, duration: Duration) -> Self {
        let min_bytes = (rate_bps * duration.as_secs_f64() / 8.0) as u32;
        Self { id, rate_bps: rate_bps as u64, min_packets: MIN_PROBE_PACKETS, min_bytes }
    }
}
