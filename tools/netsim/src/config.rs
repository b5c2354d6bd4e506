//! What one direction of a path does to packets, as plain data.
//!
//! The same struct is read from TOML and, through [`FromStr`](std::str::FromStr), from strings such as
//! `delay=50ms,jitter=10ms,loss=2%,rate=3mbit,queue=200ms` (grammar in [`parse`]).

pub mod parse;
mod validate;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use parse::ParseError;
pub use validate::{ConfigError, MAX_AT_MS, MAX_DELAY_MS, MAX_RATE_BPS, MAX_STEPS};

/// One direction of a path. The default is a perfect link: no delay, no loss, no limit.
///
/// Probabilities are fractions from 0 to 1 and are per packet. Times inside `down` and `schedule` count from the link's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Constant one-way delay, in milliseconds.
    pub delay_ms: f64,
    /// Spread of the delay, in milliseconds; its meaning depends on `jitter_shape`. A delay never becomes negative.
    pub jitter_ms: f64,
    /// How the jitter is distributed around `delay_ms`.
    pub jitter_shape: JitterShape,
    /// Jitter holds a packet back until the one before it has arrived, as a real queue does. On by default; when off, jitter
    /// larger than the distance of packets reorders them.
    pub preserve_order: bool,
    /// Probability that a packet is lost, independent of all others.
    pub loss: f64,
    /// Loss in bursts, on top of `loss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<BurstLoss>,
    /// Probability that a packet is held back by `reorder_extra_ms` while later ones pass it.
    pub reorder: f64,
    /// Extra delay of a packet that was chosen for reordering, in milliseconds.
    pub reorder_extra_ms: f64,
    /// Probability that a packet arrives twice.
    pub duplicate: f64,
    /// Bottleneck rate in bits per second; none means infinitely fast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<u64>,
    /// Drop-tail limit of the bottleneck's queue as waiting time, in milliseconds. Large values give bufferbloat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<f64>,
    /// Drop-tail limit of the bottleneck's queue in bytes, counting the packet that is being sent. With `queue_ms` also given,
    /// whichever is reached first; with neither, [`DEFAULT_QUEUE_MS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_bytes: Option<u64>,
    /// Probability that one bit of a packet is flipped. Off by default: on real paths the UDP checksum drops nearly all of them.
    pub corrupt: f64,
    /// Intervals in which nothing gets through, ascending and disjoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<DownInterval>,
    /// Changes over time, ascending. A step replaces everything but `down` and `schedule`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<Step>,
}

impl LinkConfig {
    /// The state that holds so many milliseconds after the link's start: this one, or that of the newest step.
    #[must_use]
    pub fn in_force_at(&self, ms: f64) -> &Self {
        let due = self.schedule.partition_point(|step| step.at_ms <= ms);
        due.checked_sub(1).and_then(|newest| self.schedule.get(newest)).map_or(self, |step| &step.link)
    }
}

/// Queue limit of a bottleneck for which none is given, in milliseconds: about what consumer access equipment buffers.
pub const DEFAULT_QUEUE_MS: f64 = 200.0;

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            delay_ms: 0.0,
            jitter_ms: 0.0,
            jitter_shape: JitterShape::Uniform,
            preserve_order: true,
            loss: 0.0,
            burst: None,
            reorder: 0.0,
            reorder_extra_ms: 0.0,
            duplicate: 0.0,
            rate_bps: None,
            queue_ms: None,
            queue_bytes: None,
            corrupt: 0.0,
            down: Vec::new(),
            schedule: Vec::new(),
        }
    }
}

/// The distribution of jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JitterShape {
    /// Evenly from `delay - jitter` to `delay + jitter`.
    #[default]
    Uniform,
    /// Bell-shaped with standard deviation `jitter`, cut off at 3.46 of them (a sum of four even draws).
    Normal,
}

/// The Gilbert-Elliott model of burst loss: a good and a bad state, each with its loss, changing at random per packet.
///
/// With the default losses (0 and 1) a burst is `1 / r` packets long on average and `p / (p + r)` of all packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BurstLoss {
    /// Probability per packet to go from the good to the bad state.
    pub p: f64,
    /// Probability per packet to go from the bad to the good state.
    pub r: f64,
    /// Loss probability in the bad state.
    #[serde(default = "certain")]
    pub loss_bad: f64,
    /// Loss probability in the good state.
    #[serde(default)]
    pub loss_good: f64,
}

const fn certain() -> f64 {
    1.0
}

/// A time in which the link is down: `from_ms` included, `to_ms` not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownInterval {
    /// Milliseconds from the link's start.
    pub from_ms: f64,
    /// Milliseconds from the link's start.
    pub to_ms: f64,
}

/// A scheduled change of a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When, in milliseconds from the link's start.
    pub at_ms: f64,
    /// The whole new state, not a difference. Its own `down` and `schedule` must be empty.
    pub link: LinkConfig,
}
