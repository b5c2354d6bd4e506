//! A configuration in the units that the parts work in.

use std::time::Duration;

use crate::config::{DEFAULT_QUEUE_MS, LinkConfig};
use crate::draws::Chance;

use super::burst::BurstPlan;
use super::delay::Delay;
use super::rate::RatePlan;

/// One state of a link, made from a valid configuration.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) delay: Delay,
    pub(super) preserve_order: bool,
    pub(super) loss: Chance,
    pub(super) burst: Option<BurstPlan>,
    pub(super) reorder: Chance,
    pub(super) reorder_extra: Duration,
    pub(super) duplicate: Chance,
    pub(super) corrupt: Chance,
    pub(super) rate: Option<RatePlan>,
}

impl Plan {
    pub(super) fn new(config: &LinkConfig) -> Self {
        Self {
            delay: Delay::new(nanos(config.delay_ms), nanos(config.jitter_ms), config.jitter_shape),
            preserve_order: config.preserve_order,
            loss: Chance::new(config.loss),
            burst: config.burst.as_ref().map(BurstPlan::new),
            reorder: Chance::new(config.reorder),
            reorder_extra: Duration::from_nanos(nanos(config.reorder_extra_ms)),
            duplicate: Chance::new(config.duplicate),
            corrupt: Chance::new(config.corrupt),
            rate: rate(config),
        }
    }
}

fn rate(config: &LinkConfig) -> Option<RatePlan> {
    let rate_bps = config.rate_bps?;
    let queue_ms = match (config.queue_ms, config.queue_bytes) {
        (None, None) => Some(DEFAULT_QUEUE_MS),
        (queue_ms, _) => queue_ms,
    };
    Some(RatePlan { rate_bps, queue_nanos: queue_ms.map(nanos), queue_bytes: config.queue_bytes })
}

/// Nanoseconds of a valid number of milliseconds.
pub(super) fn nanos(milliseconds: f64) -> u64 {
    (milliseconds * 1e6).round() as u64
}
