//! How much arrives: the rate of what was acknowledged.

use std::time::Duration;

use sluice_wire::time::Time;

/// The window of the first sample, so that it is no accident.
const FIRST_WINDOW_US: i64 = 500_000;
/// The window of all others.
const WINDOW_US: i64 = 150_000;
/// How much a sample that differs by all of the estimate is doubted.
const UNCERTAINTY: f64 = 10.0;
/// The same for a lower sample while the sender had nothing to send: it says little about the path.
const UNCERTAINTY_IN_ALR: f64 = 20.0;
/// How fast the truth may wander, in (kbit/s)^2 per sample.
const DRIFT_VARIANCE: f64 = 5.0;
const FIRST_VARIANCE: f64 = 50.0;
/// The same when the rate is known to have jumped: samples count for almost all,
const JUMP_VARIANCE: f64 = 5_000.0;
/// for so many of them: the first ones are of packets from before it.
const JUMP_SAMPLES: u8 = 4;

/// A Bayesian estimate of the rate at which acknowledged packets arrived, libwebrtc's `BitrateEstimator`, over samples of 150 ms.
///
/// A receiver that claims to have received faster than was sent is believed up to the rate at which the same packets were sent,
/// by the sender's clock (as libwebrtc's "robust throughput estimator" does).
#[derive(Clone, Copy, Debug, Default)]
pub struct AcknowledgedBitrate {
    estimate_kbps: Option<f64>,
    variance: f64,
    /// Samples that are still to come of those after a jump.
    jump_samples: u8,
    previous_arrival_us: Option<i64>,
    /// Time that the window has run, by the receiver's clock.
    elapsed_us: i64,
    /// When the first packet of the window was sent, and when it arrived.
    first: (Time, i64),
    bytes: u64,
}

impl AcknowledgedBitrate {
    /// Takes a packet that was acknowledged. `arrival_us` is the receiver's clock, `is_alr` whether the sender is limited by
    /// what it has to send.
    pub fn on_packet(&mut self, arrival_us: i64, sent_at: Time, bytes: u64, is_alr: bool) {
        if let Some(sample_kbps) = self.sample(arrival_us, sent_at, bytes) {
            self.update(sample_kbps, is_alr);
        }
    }

    /// The sender's rate jumps, by a probe: what was measured before says little.
    pub const fn expect_jump(&mut self) {
        self.jump_samples = JUMP_SAMPLES;
    }

    /// The rate in bit/s; `None` before the first half second.
    #[must_use]
    pub fn bps(&self) -> Option<f64> {
        self.estimate_kbps.map(|kbps| kbps * 1_000.0)
    }

    /// Adds a packet to the window and gives the rate of the window that it closes.
    fn sample(&mut self, arrival_us: i64, sent_at: Time, bytes: u64) -> Option<f64> {
        let window = if self.estimate_kbps.is_some() { WINDOW_US } else { FIRST_WINDOW_US };
        let Some(previous) = self.previous_arrival_us else {
            self.previous_arrival_us = Some(arrival_us);
            self.open(sent_at, arrival_us, bytes);
            return None;
        };
        let step = arrival_us.saturating_sub(previous).max(0);
        self.previous_arrival_us = Some(previous.max(arrival_us));
        if step > window {
            // A silence longer than the window has no rate.
            self.elapsed_us = 0;
            self.open(sent_at, arrival_us, bytes);
            return None;
        }
        self.elapsed_us += step;
        if self.elapsed_us < window {
            self.bytes += bytes;
            return None;
        }
        let kbps = crate::rate_bps(self.bytes, Duration::from_micros(window.unsigned_abs())) / 1_000.0;
        let credible = self.credible(sent_at, arrival_us);
        self.elapsed_us -= window;
        self.open(sent_at, arrival_us, bytes);
        Some(kbps * credible)
    }

    fn open(&mut self, sent_at: Time, arrival_us: i64, bytes: u64) {
        self.first = (sent_at, arrival_us);
        self.bytes = bytes;
    }

    /// The share of the rate of arrival that was sent: 1 unless the window's packets took longer to send than to arrive.
    fn credible(&self, sent_at: Time, arrival_us: i64) -> f64 {
        let sent_us = sent_at.saturating_since(self.first.0).as_micros() as f64;
        let arrived_us = arrival_us.saturating_sub(self.first.1).max(0) as f64;
        if sent_us > arrived_us { arrived_us / sent_us } else { 1.0 }
    }

    fn update(&mut self, sample: f64, is_alr: bool) {
        let Some(estimate) = self.estimate_kbps else {
            self.estimate_kbps = Some(sample);
            self.variance = FIRST_VARIANCE;
            return;
        };
        if let Some(left) = self.jump_samples.checked_sub(1) {
            self.jump_samples = left;
            self.variance = JUMP_VARIANCE;
        }
        let scale = if is_alr && sample < estimate { UNCERTAINTY_IN_ALR } else { UNCERTAINTY };
        let uncertainty = scale * (estimate - sample).abs() / estimate.max(1.0);
        let (doubt, prior) = (uncertainty * uncertainty, self.variance + DRIFT_VARIANCE);
        self.estimate_kbps = Some((doubt * estimate + prior * sample) / (doubt + prior));
        self.variance = doubt * prior / (doubt + prior);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u64 = 1_250;

    /// Packets every `sent_every` ms by the sender's clock and every `arrives_every` us by the receiver's.
    fn run(
        estimator: &mut AcknowledgedBitrate,
        from: i64,
        count: i64,
        sent_every: u64,
        arrives_every: i64,
    ) -> i64 {
        for number in 0..count {
            let sent_at = Time::from_nanos((from as u64 * 1_000) + number as u64 * sent_every * 1_000_000);
            estimator.on_packet(from + number * arrives_every, sent_at, PACKET, false);
        }
        from + count * arrives_every
    }

    #[test]
    fn a_steady_rate_is_found() {
        let mut estimator = AcknowledgedBitrate::default();
        run(&mut estimator, 0, 49, 10, 10_000);
        assert_eq!(estimator.bps(), None, "not before half a second");
        run(&mut estimator, 490_000, 50, 10, 10_000);
        assert!((estimator.bps().unwrap() - 1e6).abs() < 2e4, "{:?}", estimator.bps());
    }

    #[test]
    fn a_drop_is_followed_within_a_second() {
        let mut estimator = AcknowledgedBitrate::default();
        let now = run(&mut estimator, 0, 200, 10, 10_000);
        run(&mut estimator, now, 25, 10, 40_000);
        assert!(estimator.bps().unwrap() < 5e5, "{:?}", estimator.bps());
    }

    #[test]
    fn a_jump_that_is_expected_is_followed_at_once() {
        let mut estimator = AcknowledgedBitrate::default();
        let now = run(&mut estimator, 0, 200, 10, 10_000);
        estimator.expect_jump();
        run(&mut estimator, now, 130, 3, 3_000);
        assert!(estimator.bps().unwrap() > 2.5e6, "{:?}", estimator.bps());
    }

    #[test]
    fn arrivals_that_were_made_up_are_worth_what_was_sent() {
        let mut estimator = AcknowledgedBitrate::default();
        run(&mut estimator, 0, 3_000, 10, 1_000);
        assert!(estimator.bps().unwrap() < 1.1e6, "{:?}", estimator.bps());
    }

    #[test]
    fn a_receivers_clock_may_do_anything() {
        let mut estimator = AcknowledgedBitrate::default();
        for arrival in [0, i64::MIN, i64::MAX, 5, -5, i64::MAX - 1, i64::MIN + 1] {
            estimator.on_packet(arrival, Time::ZERO, u64::from(u16::MAX), true);
        }
        assert!(estimator.bps().is_none_or(f64::is_finite));
    }
}
