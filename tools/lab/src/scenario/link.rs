//! One direction of a network, as scenarios write it, and as `sluice-netsim` takes it.

use serde::{Deserialize, Serialize};
use sluice_netsim::config::{BurstLoss, JitterShape, LinkConfig, Step};

use crate::trace::Trace;

/// A bottleneck's queue, where nothing is said, is as in `sluice-netsim`; where `queue_bdp` is said without `rtt_ms`, this is the
/// round-trip time.
const DEFAULT_RTT_MS: f64 = 50.0;

/// One direction of a network. The default is perfect.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkPlan {
    /// One-way delay.
    pub delay_ms: f64,
    /// Spread of the delay.
    pub jitter_ms: f64,
    /// How it is distributed.
    pub jitter_shape: JitterShape,
    /// Probability that a packet is lost.
    pub loss: f64,
    /// Loss in bursts.
    pub burst: Option<Burst>,
    /// Rate of the bottleneck; none is no bottleneck.
    pub rate_bps: Option<u64>,
    /// Limit of its drop-tail queue as time.
    pub queue_ms: Option<f64>,
    /// As bytes.
    pub queue_bytes: Option<u64>,
    /// As a multiple of the product of the first rate and `rtt_ms`.
    pub queue_bdp: Option<f64>,
    /// The round-trip time that `queue_bdp` means.
    pub rtt_ms: Option<f64>,
    /// What changes over time, ascending. What is not named stays as it was.
    pub changes: Vec<Change>,
    /// A rate that wanders, in place of `rate_bps`.
    pub trace: Option<Trace>,
}

/// Loss in bursts, by the Gilbert-Elliott model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Share of packets that are lost.
    pub share: f64,
    /// Mean length of a burst.
    pub packets: f64,
}

/// A change of a link.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// When.
    pub at_s: f64,
    /// The new delay.
    pub delay_ms: Option<f64>,
    /// The new loss.
    pub loss: Option<f64>,
    /// The new loss in bursts.
    pub burst: Option<Burst>,
    /// The new rate.
    pub rate_bps: Option<u64>,
}

impl Burst {
    fn model(self) -> BurstLoss {
        let r = 1.0 / self.packets.max(1.0);
        // p / (p + r) is the share.
        BurstLoss {
            p: r * self.share / (1.0 - self.share).max(f64::EPSILON),
            r,
            loss_bad: 1.0,
            loss_good: 0.0,
        }
    }
}

impl LinkPlan {
    /// The link for a run of so many seconds. `seed` is for the trace alone.
    #[must_use]
    pub fn config(&self, seconds: f64, seed: u64) -> LinkConfig {
        let rates = self.trace.as_ref().map(|trace| trace.rates(seconds, seed)).unwrap_or_default();
        let rate_bps = rates.first().map(|(_, rate)| *rate).or(self.rate_bps);
        let bdp = rate_bps
            .zip(self.queue_bdp)
            .map(|(rate, times)| times * rate as f64 / 8.0 * self.rtt_ms.unwrap_or(DEFAULT_RTT_MS) / 1_000.0);
        let base = LinkConfig {
            delay_ms: self.delay_ms,
            jitter_ms: self.jitter_ms,
            jitter_shape: self.jitter_shape,
            loss: self.loss,
            burst: self.burst.map(Burst::model),
            rate_bps,
            queue_ms: self.queue_ms,
            queue_bytes: bdp.map(|bytes| bytes.ceil() as u64).or(self.queue_bytes),
            ..LinkConfig::default()
        };
        let mut schedule: Vec<Step> = Vec::new();
        let mut changes = self.changes.iter().peekable();
        let mut rates = rates.iter().skip(1).peekable();
        let mut link = base.clone();
        loop {
            let next_change_ms = changes.peek().map(|change| change.at_s * 1_000.0);
            let next_rate_ms = rates.peek().map(|(at_ms, _)| *at_ms);
            let Some(at_ms) = [next_change_ms, next_rate_ms].into_iter().flatten().reduce(f64::min) else {
                break;
            };
            if let Some((_, rate)) = rates.next_if(|(rate_at, _)| *rate_at <= at_ms) {
                link.rate_bps = Some(*rate);
            }
            while let Some(change) = changes.next_if(|change| change.at_s * 1_000.0 <= at_ms) {
                change.apply(&mut link);
            }
            schedule.push(Step { at_ms, link: link.clone() });
        }
        LinkConfig { schedule, ..base }
    }

    /// The same delay, and nothing else.
    #[must_use]
    pub fn without_faults(&self) -> Self {
        Self { delay_ms: self.delay_ms, ..Self::default() }
    }
}

impl Change {
    fn apply(&self, link: &mut LinkConfig) {
        link.delay_ms = self.delay_ms.unwrap_or(link.delay_ms);
        link.loss = self.loss.unwrap_or(link.loss);
        link.burst = self.burst.map(Burst::model).or(link.burst);
        link.rate_bps = self.rate_bps.or(link.rate_bps);
    }
}
