//! The bottleneck: a rate and a drop-tail queue, in exact arithmetic.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::time::Time;

/// Most packets in the queue, whatever its limit in bytes or time: bounds memory, and is more than any real buffer holds.
const MAX_QUEUE_PACKETS: usize = 65_536;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct RatePlan {
    pub(super) rate_bps: u64,
    pub(super) queue_nanos: Option<u64>,
    pub(super) queue_bytes: Option<u64>,
}

/// The queue of a bottleneck. A change of rate holds for packets that come after it: those in the queue have their fate.
#[derive(Clone, Debug, Default)]
pub(super) struct Bottleneck {
    /// When the last packet has been sent, in nanoseconds times `rate_bps`: the unit in which no packet leaves a remainder.
    busy_until: u128,
    rate_bps: u64,
    /// Packets not wholly sent: departure and size.
    waiting: VecDeque<(Time, u64)>,
    waiting_bytes: u64,
}

impl Bottleneck {
    /// When the packet has been sent; `None` if the queue is full. An idle bottleneck takes a packet of any size.
    pub(super) fn offer(&mut self, now: Time, size_bytes: usize, plan: Option<&RatePlan>) -> Option<Time> {
        self.forget_sent(now);
        let Some(plan) = plan else { return Some(now) };
        self.set_rate(plan.rate_bps);
        let size = size_bytes as u64;
        let rate = u128::from(plan.rate_bps);
        let now_scaled = u128::from(now.as_nanos()) * rate;
        let starts = self.busy_until.max(now_scaled);
        if !self.waiting.is_empty() && self.is_full(plan, starts - now_scaled, size) {
            return None;
        }
        self.busy_until = starts + u128::from(size) * 8 * NANOS_PER_SECOND;
        let departs = u64::try_from(self.busy_until.div_ceil(rate)).map_or(Time::MAX, Time::from_nanos);
        self.waiting.push_back((departs, size));
        self.waiting_bytes = self.waiting_bytes.saturating_add(size);
        Some(departs)
    }

    /// How long a packet would wait that came now.
    pub(super) fn wait(&self, now: Time) -> Duration {
        let busy_until = self.busy_until.checked_div(u128::from(self.rate_bps)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(busy_until).unwrap_or(u64::MAX).saturating_sub(now.as_nanos()))
    }

    fn is_full(&self, plan: &RatePlan, wait_scaled: u128, size: u64) -> bool {
        let limit_scaled = |nanos: u64| u128::from(nanos) * u128::from(plan.rate_bps);
        plan.queue_nanos.is_some_and(|nanos| wait_scaled > limit_scaled(nanos))
            || plan.queue_bytes.is_some_and(|limit| self.waiting_bytes.saturating_add(size) > limit)
            || self.waiting.len() >= MAX_QUEUE_PACKETS
    }

    fn forget_sent(&mut self, now: Time) {
        while let Some((_, size)) = self.waiting.pop_front_if(|(departs, _)| *departs <= now) {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
        }
    }

    fn set_rate(&mut self, rate_bps: u64) {
        if self.rate_bps != rate_bps {
            let busy_until_nanos = self.busy_until.checked_div(u128::from(self.rate_bps)).unwrap_or(0);
            self.busy_until = busy_until_nanos * u128::from(rate_bps);
            self.rate_bps = rate_bps;
        }
    }
}
