//! The rate by delay: additive and multiplicative increase, multiplicative decrease.

#[cfg(test)]
mod tests;

use std::time::Duration;

use sluice_wire::time::Time;

use crate::delay::Usage;
use crate::link_capacity::LinkCapacity;

/// What is left of what arrived when the path is overused.
pub const BETA: f64 = 0.85;
/// What is taken off besides, so that a low rate drains the queue too; none from rates that are as low.
const DECREASE_EXTRA_BPS: f64 = 5_000.0;
/// Growth per second far from the link's capacity.
const ALPHA_PER_SECOND: f64 = 1.08;
/// The least growth per second far from the link's capacity.
const MIN_INCREASE_BPS: f64 = 1_000.0;
/// The least growth per second near it.
const MIN_NEAR_INCREASE_BPS: f64 = 4_000.0;
/// No rate grows beyond so many times what arrives, and [`HEADROOM_BPS`]: what was not tried is not known. It is also what bounds
/// a receiver that lies, for what arrives is never more than what was sent.
pub const MAX_OVER_ACKNOWLEDGED: f64 = 1.5;
/// See [`MAX_OVER_ACKNOWLEDGED`].
pub const HEADROOM_BPS: f64 = 10_000.0;
/// How long the detector takes to see an overuse, besides the round trip.
const DETECTION: Duration = Duration::from_millis(100);
/// Packets by which the rate grows in a response time near the link's capacity. libwebrtc has half a packet, with which flows that
/// start unequal are unequal after a minute still.
const NEAR_PACKETS: f64 = 4.0;
/// Video's frame interval and a full packet, in the estimate of how large packets are.
const FRAMES_PER_SECOND: f64 = 30.0;
const PACKET_BITS: f64 = 1_200.0 * 8.0;
/// The most of loss that is believed to be the path's own when the rate is decreased: it keeps even that a decrease.
const MAX_LOSS: f64 = 0.13;
/// Between two decreases there is a round trip within these bounds, so that the first one can show its effect.
const DECREASE_GAP: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// Unless less than this share of the rate arrives.
const COLLAPSE: f64 = 0.5;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Hold,
    Increase,
}

/// What the controller knows at one moment.
#[derive(Clone, Copy, Debug)]
pub struct AimdInput {
    /// How the path is used.
    pub usage: Usage,
    /// What arrives, in bit/s; `None` before the first half second.
    pub acknowledged_bps: Option<f64>,
    /// The share of packets lost lately. What is lost at random was sent as well: the decrease is of what was sent.
    pub loss: f64,
    /// The round-trip time.
    pub rtt: Duration,
    /// Whether the sender is limited by what it has to send: then the rate does not grow.
    pub is_alr: bool,
}

/// The rate controller, libwebrtc's `AimdRateControl`. Rates are in bit/s.
#[derive(Clone, Copy, Debug)]
pub struct Aimd {
    rate: f64,
    bounds: (f64, f64),
    /// What arrived at last, or the start rate.
    acknowledged: f64,
    phase: Phase,
    link: LinkCapacity,
    changed_at: Option<Time>,
    decreased_at: Option<Time>,
}

impl Aimd {
    /// Starts at a rate within bounds.
    #[must_use]
    pub fn new(start_bps: f64, min_bps: f64, max_bps: f64) -> Self {
        let max_bps = max_bps.max(min_bps);
        let rate = start_bps.clamp(min_bps, max_bps);
        Self {
            rate,
            bounds: (min_bps, max_bps),
            acknowledged: rate,
            phase: Phase::Hold,
            link: LinkCapacity::default(),
            changed_at: None,
            decreased_at: None,
        }
    }

    /// The rate in bit/s.
    #[must_use]
    pub const fn rate_bps(&self) -> f64 {
        self.rate
    }

    /// When it was last decreased for an overuse.
    #[must_use]
    pub const fn decreased_at(&self) -> Option<Time> {
        self.decreased_at
    }

    /// Sets the rate, by a probe or for an outage.
    pub fn set_rate(&mut self, now: Time, bps: f64) {
        self.rate = bps.clamp(self.bounds.0, self.bounds.1);
        self.changed_at = Some(now);
    }

    /// Takes the result of a probe, which is a rate that the path carried.
    pub fn on_probe(&mut self, now: Time, bps: f64) {
        self.link.on_probe(bps);
        self.set_rate(now, bps);
    }

    /// Takes what is known after feedback, and gives the rate.
    pub fn update(&mut self, now: Time, input: &AimdInput) -> f64 {
        self.acknowledged = input.acknowledged_bps.unwrap_or(self.acknowledged);
        match input.usage {
            Usage::Over => {
                if self.may_decrease(now, input) {
                    self.decrease(now, input);
                }
            }
            // The queue drains; more would fill it again.
            Usage::Under => self.phase = Phase::Hold,
            Usage::Normal => {
                if self.phase == Phase::Hold {
                    self.phase = Phase::Increase;
                    self.changed_at = Some(now);
                }
                self.increase(now, input);
            }
        }
        self.rate
    }

    fn may_decrease(&self, now: Time, input: &AimdInput) -> bool {
        let gap = input.rtt.clamp(DECREASE_GAP.0, DECREASE_GAP.1);
        self.decreased_at.is_none_or(|at| now.saturating_since(at) >= gap)
            || input.acknowledged_bps.is_some_and(|acknowledged| acknowledged < COLLAPSE * self.rate)
    }

    fn decrease(&mut self, now: Time, input: &AimdInput) {
        self.phase = Phase::Hold;
        self.changed_at = Some(now);
        self.decreased_at = Some(now);
        let Some(acknowledged) = input.acknowledged_bps else {
            self.rate = (self.rate / 2.0).max(self.bounds.0);
            return;
        };
        let mut rate = acknowledged / (1.0 - input.loss.clamp(0.0, MAX_LOSS)) * BETA;
        if rate > DECREASE_EXTRA_BPS {
            rate -= DECREASE_EXTRA_BPS;
        }
        if rate > self.rate {
            // More arrives than the rate: the queue drains what was sent before.
            rate = self.link.bps().map_or(rate, |link| link * BETA);
        }
        if acknowledged < self.link.lower_bps() {
            self.link.reset();
        }
        self.link.on_overuse(acknowledged);
        self.rate = rate.min(self.rate).max(self.bounds.0);
    }

    fn increase(&mut self, now: Time, input: &AimdInput) {
        if self.acknowledged > self.link.upper_bps() {
            self.link.reset();
        }
        let passed = self.changed_at.map_or(Duration::ZERO, |at| now.saturating_since(at));
        self.changed_at = Some(now);
        let limit = (MAX_OVER_ACKNOWLEDGED * self.acknowledged + HEADROOM_BPS).min(self.bounds.1);
        if input.is_alr || self.rate >= limit {
            return;
        }
        let seconds = passed.as_secs_f64().min(1.0);
        let growth = if self.link.bps().is_some() {
            self.near_increase_bps(input.rtt) * seconds
        } else {
            let factor = ALPHA_PER_SECOND.powf(seconds) - 1.0;
            (self.rate * factor).max(MIN_INCREASE_BPS * seconds)
        };
        self.rate = (self.rate + growth).min(limit);
    }

    /// Growth per second near the link's capacity: [`NEAR_PACKETS`] per response time.
    fn near_increase_bps(&self, rtt: Duration) -> f64 {
        let frame_bits = self.rate / FRAMES_PER_SECOND;
        let packets = (frame_bits / PACKET_BITS).ceil().max(1.0);
        let response = (rtt + DETECTION).as_secs_f64();
        (NEAR_PACKETS * frame_bits / packets / response).max(MIN_NEAR_INCREASE_BPS)
    }
}
