//! The rate by loss: how much of it is the path's own, and how much is ours?

#[cfg(test)]
mod tests;

use std::time::Duration;

use sluice_wire::time::Time;

/// Observations that are remembered: five seconds.
const OBSERVATIONS: usize = 20;
/// How long an observation lasts at least.
const OBSERVATION: Duration = Duration::from_millis(250);
/// The weight of an observation against that of the one after it.
const AGEING: f64 = 0.9;
/// The least loss that a path is taken to have of its own, so that one lost packet is no proof of congestion.
const MIN_INHERENT: f64 = 0.001;
/// The most at a high rate: while packets wait in a queue, where loss is likely its overflow, and while they do not.
const MAX_INHERENT_QUEUED: f64 = 0.05;
const MAX_INHERENT_UNQUEUED: f64 = 0.13;
/// A low rate may be lossier: the most is this divided by the rate in bit/s above what it is at a high rate.
const INHERENT_BALANCE_BPS: f64 = 100_000.0;
/// From this delay on packets wait in a queue that is not only the sender's own test of the path.
const QUEUED: Duration = Duration::from_millis(40);
/// Of rates that explain the losses as well, the higher one is taken: what a factor of e is worth, as a share of a packet's
/// log-likelihood. Less while packets wait in a queue. It must outweigh the noise of a few hundred packets.
const BIAS_QUEUED: f64 = 0.02;
const BIAS_UNQUEUED: f64 = 0.1;
/// Rates that are tried, as factors of the present one.
const CANDIDATES: [f64; 4] = [1.08, 1.0, 0.95, 0.85];
/// The greatest step up per observation, against what arrives.
const MAX_OVER_ACKNOWLEDGED: f64 = 1.2;

#[derive(Clone, Copy, Debug, Default)]
struct Observation {
    received: u32,
    lost: u32,
    bytes: u64,
    rate_bps: f64,
}

/// What is known besides the losses.
#[derive(Clone, Copy, Debug)]
pub struct LossInput {
    /// The rate by delay, in bit/s: the bound is never above it.
    pub delay_based_bps: f64,
    /// What arrives, in bit/s.
    pub acknowledged_bps: Option<f64>,
    /// How long packets wait in the queue of the path.
    pub queue_delay: Duration,
}

/// A bound on the rate by maximum likelihood, after the idea of libwebrtc's `LossBasedBweV2`.
///
/// A path of capacity *b* with a loss *p* of its own loses `p + (1 - p) * (s - b) / s` of what is sent at a rate *s* above *b*, and
/// *p* below. Of a few candidates for *b* the one is taken under which what was lost lately is most likely, with *p* estimated for
/// each, and bounded. Random loss is the same at every rate, so it lowers nothing; loss that grows with the rate does. It differs
/// from libwebrtc in estimating *p* by moments instead of by Newton's method, and in believing in more random loss
/// while no queue stands: 10 % without delay must not starve a sender.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossBound {
    observations: [Observation; OBSERVATIONS],
    count: u64,
    current: Observation,
    current_since: Option<Time>,
    /// The bound; `None` while nothing is lost.
    bound_bps: Option<f64>,
}

impl LossBound {
    /// Takes a packet that arrived. One that had been reported lost is taken back.
    pub fn on_received(&mut self, bytes: u64, was_lost: bool) {
        self.current.received += 1;
        if was_lost {
            self.current.lost = self.current.lost.saturating_sub(1);
        } else {
            self.current.bytes += bytes;
        }
    }

    /// Takes a packet that was lost.
    pub fn on_lost(&mut self, bytes: u64) {
        self.current.lost += 1;
        self.current.bytes += bytes;
    }

    /// Takes what is known after feedback, and gives the bound in bit/s: at most the rate by delay. `newest_sent_at` is when the
    /// newest packet of the feedback was sent: observations are as long as it took to send them.
    pub fn update(&mut self, newest_sent_at: Time, input: &LossInput) -> f64 {
        let since = *self.current_since.get_or_insert(newest_sent_at);
        let lasted = newest_sent_at.saturating_since(since);
        if lasted >= OBSERVATION && self.current.received + self.current.lost > 0 {
            let rate_bps = crate::rate_bps(self.current.bytes, lasted);
            self.observations[(self.count % OBSERVATIONS as u64) as usize] =
                Observation { rate_bps, ..self.current };
            self.count += 1;
            self.current = Observation::default();
            self.current_since = Some(newest_sent_at);
            self.estimate(input);
        }
        self.bound_bps.map_or(input.delay_based_bps, |bound| bound.min(input.delay_based_bps))
    }

    /// The share of packets lost lately, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let (lost, all) = self.weighted().fold((0.0, 0.0), |(lost, all), (weight, seen)| {
            let packets = f64::from(seen.lost + seen.received);
            (lost + weight * f64::from(seen.lost), all + weight * packets)
        });
        if all > 0.0 { lost / all } else { 0.0 }
    }

    fn estimate(&mut self, input: &LossInput) {
        if self.weighted().all(|(_, seen)| seen.lost == 0) {
            self.bound_bps = None;
            return;
        }
        let present = self.bound_bps.unwrap_or(input.delay_based_bps).min(input.delay_based_bps);
        let tried = CANDIDATES.map(|factor| present * factor);
        let acknowledged = input.acknowledged_bps.unwrap_or(present);
        let most = (acknowledged * MAX_OVER_ACKNOWLEDGED).max(present);
        let mut best = (f64::NEG_INFINITY, present);
        for candidate in tried.into_iter().chain([acknowledged, input.delay_based_bps]) {
            let candidate = candidate.min(most).min(input.delay_based_bps);
            let likelihood = self.likelihood(candidate, input.queue_delay);
            if likelihood > best.0 {
                best = (likelihood, candidate);
            }
        }
        // At the rate by delay, loss bounds nothing, and goes on bounding nothing when that rate grows.
        self.bound_bps = (best.1 < input.delay_based_bps).then_some(best.1);
    }

    /// The log-likelihood of what was seen, if the path carries so much.
    fn likelihood(&self, capacity_bps: f64, queue_delay: Duration) -> f64 {
        let inherent = self.inherent(capacity_bps, queue_delay);
        let bias =
            if queue_delay >= QUEUED { BIAS_QUEUED } else { BIAS_UNQUEUED } * capacity_bps.max(1.0).ln();
        self.weighted()
            .map(|(weight, seen)| {
                let excess = excess(seen.rate_bps, capacity_bps);
                let loss = (inherent + (1.0 - inherent) * excess).clamp(1e-6, 1.0 - 1e-6);
                let (lost, received) = (f64::from(seen.lost), f64::from(seen.received));
                weight * (lost * loss.ln() + received * (1.0 - loss).ln() + (lost + received) * bias)
            })
            .sum()
    }

    /// The loss that is the path's own, if it carries so much: what was lost beyond the excess, of what was not in excess.
    fn inherent(&self, capacity_bps: f64, queue_delay: Duration) -> f64 {
        let (lost, all) = self.weighted().fold((0.0, 0.0), |(lost, all), (weight, seen)| {
            let packets = f64::from(seen.lost + seen.received);
            let excess = excess(seen.rate_bps, capacity_bps) * packets;
            (lost + weight * (f64::from(seen.lost) - excess), all + weight * (packets - excess))
        });
        let most = if queue_delay >= QUEUED { MAX_INHERENT_QUEUED } else { MAX_INHERENT_UNQUEUED };
        let most = (most + INHERENT_BALANCE_BPS / capacity_bps.max(1.0)).min(1.0);
        let inherent = if all > 0.0 { lost / all } else { 0.0 };
        inherent.clamp(MIN_INHERENT, most)
    }

    /// The observations, with their weights.
    fn weighted(&self) -> impl Iterator<Item = (f64, &Observation)> {
        let newest_first = (0..self.count.min(OBSERVATIONS as u64)).map(|age| {
            let at = ((self.count - 1 - age) % OBSERVATIONS as u64) as usize;
            &self.observations[at]
        });
        let weights = std::iter::successors(Some(1.0), |weight| Some(weight * AGEING));
        weights.zip(newest_first)
    }
}

/// The share of what is sent that a path cannot carry.
fn excess(rate_bps: f64, capacity_bps: f64) -> f64 {
    if rate_bps > capacity_bps { (rate_bps - capacity_bps) / rate_bps } else { 0.0 }
}
