//! One direction of a path: decides the fate of packets, never touches them.
//!
//! A packet passes the parts in this order, and each has its file:
//!
//! 1. timeline: scheduled changes; is the link down?
//! 2. rate: the bottleneck and its queue
//! 3. loss, then burst loss: behind the bottleneck, so that a lost packet has used its share of the rate, as on a radio link
//! 4. delay with jitter, then order preservation
//! 5. reordering, duplication, corruption

mod burst;
mod delay;
mod order;
mod plan;
mod rate;
mod timeline;

#[cfg(test)]
mod tests;

use std::time::Duration;

use sluice_wire::time::Time;

use crate::config::{ConfigError, LinkConfig};
use crate::counters::{Counters, DropReason};
use crate::draws::{Draws, PacketDraws};

use burst::BurstState;
use order::Order;
use plan::Plan;
use rate::Bottleneck;
use timeline::Timeline;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Dropped(DropReason),
    /// It arrives.
    Delivered(Arrival),
}

/// How a packet arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Time,
    /// When it arrives a second time; not before the first.
    pub duplicate_at: Option<Time>,
    /// The bit of the packet to flip, below 8 times its size; the duplicate stays intact.
    pub flip_bit: Option<usize>,
}

/// One direction of a path.
#[derive(Clone, Debug)]
pub struct Link {
    start: Time,
    timeline: Timeline,
    plan: Plan,
    draws: Draws,
    bottleneck: Bottleneck,
    burst: BurstState,
    order: Order,
    counters: Counters,
    latest: Time,
}

impl Link {
    /// A link whose timeline starts at [`Time::ZERO`], with a seed of its own.
    ///
    /// # Errors
    /// When the configuration is invalid, see [`LinkConfig::validate`].
    pub fn new(config: &LinkConfig, seed: u64) -> Result<Self, ConfigError> {
        Self::starting_at(Time::ZERO, config, seed)
    }

    /// A link whose `down` and `schedule` count from `start`.
    ///
    /// # Errors
    /// When the configuration is invalid, see [`LinkConfig::validate`].
    pub fn starting_at(start: Time, config: &LinkConfig, seed: u64) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            start,
            timeline: Timeline::new(start, config),
            plan: Plan::new(config),
            draws: Draws::new(seed),
            bottleneck: Bottleneck::default(),
            burst: BurstState::default(),
            order: Order::default(),
            counters: Counters::default(),
            latest: start,
        })
    }

    /// Replaces the configuration, `down` and `schedule` included (they still count from the start). What is under way keeps
    /// its fate; the queue, the burst state, the draws and the counters carry on.
    ///
    /// # Errors
    /// When the configuration is invalid; then nothing changes.
    pub fn set_config(&mut self, config: &LinkConfig) -> Result<(), ConfigError> {
        config.validate()?;
        self.timeline = Timeline::new(self.start, config);
        self.plan = Plan::new(config);
        Ok(())
    }

    /// Sends a packet of `size_bytes` and says what becomes of it. A `now` before that of an earlier call counts as that one.
    pub fn send(&mut self, now: Time, size_bytes: usize) -> Fate {
        let draws = self.begin(now, size_bytes);
        match self.pass(size_bytes, &draws) {
            Ok(departs) => Fate::Delivered(self.arrive(departs, size_bytes, &draws)),
            Err(reason) => self.drop_packet(reason),
        }
    }

    /// Counts a packet that whatever is behind the link has no room for. It takes its draws like any other.
    pub(crate) fn refuse(&mut self, now: Time, size_bytes: usize) -> Fate {
        self.begin(now, size_bytes);
        self.drop_packet(DropReason::Overflow)
    }

    /// How long a packet that came now would wait in the bottleneck's queue.
    #[must_use]
    pub fn queue_delay(&self, now: Time) -> Duration {
        self.bottleneck.wait(now)
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    fn begin(&mut self, now: Time, size_bytes: usize) -> PacketDraws {
        self.latest = self.latest.max(now);
        if let Some(plan) = self.timeline.advance(self.latest) {
            self.plan = plan;
        }
        self.counters.sent += 1;
        self.counters.sent_bytes = self.counters.sent_bytes.saturating_add(size_bytes as u64);
        self.draws.next_packet()
    }

    /// The time at which a packet leaves the bottleneck, unless it is dropped on the way.
    fn pass(&mut self, size_bytes: usize, draws: &PacketDraws) -> Result<Time, DropReason> {
        if self.timeline.is_down() {
            return Err(DropReason::Partition);
        }
        let departs = self.bottleneck.offer(self.latest, size_bytes, self.plan.rate.as_ref());
        let departs = departs.ok_or(DropReason::Queue)?;
        let in_burst = self.burst.loses(self.plan.burst.as_ref(), draws);
        if self.plan.loss.hits(draws.loss) {
            return Err(DropReason::Random);
        }
        if in_burst { Err(DropReason::Burst) } else { Ok(departs) }
    }

    fn arrive(&mut self, departs: Time, size_bytes: usize, draws: &PacketDraws) -> Arrival {
        let plan = &self.plan;
        let mut at = departs + plan.delay.sample(draws.jitter);
        if plan.preserve_order {
            at = self.order.in_order(at);
        }
        if plan.reorder.hits(draws.reorder) {
            at += plan.reorder_extra;
        }
        let duplicate = plan.duplicate.hits(draws.duplicate);
        let duplicate_at = duplicate.then(|| at.max(departs + plan.delay.sample(draws.duplicate_jitter)));
        let flip_bit =
            plan.corrupt.hits(draws.corrupt).then(|| pick_bit(draws.corrupt, size_bytes)).flatten();

        let counters = &mut self.counters;
        counters.delivered += 1;
        counters.delivered_bytes = counters.delivered_bytes.saturating_add(size_bytes as u64);
        counters.duplicated += u64::from(duplicate);
        counters.corrupted += u64::from(flip_bit.is_some());
        counters.reordered += self.order.overtaken(self.latest, at);
        Arrival { at, duplicate_at, flip_bit }
    }

    const fn drop_packet(&mut self, reason: DropReason) -> Fate {
        self.counters.count_drop(reason);
        Fate::Dropped(reason)
    }
}

/// A bit of a packet, from the half of the draw that decided nothing yet; `None` if the packet is empty.
fn pick_bit(draw: u64, size_bytes: usize) -> Option<usize> {
    let bits = size_bytes as u128 * 8;
    let bit = (u128::from(draw & 0xFFFF_FFFF) * bits) >> 32;
    if bits == 0 { None } else { usize::try_from(bit).ok() }
}
