//! Application-limited region: the sender has less to send than it may.

use std::time::Duration;

use sluice_wire::time::Time;

/// The share of the estimate that counts as using it.
const USAGE: f64 = 0.65;
/// What of the budget must be left over to be limited by the application, and what may be left when it no longer is.
const START_RATIO: f64 = 0.80;
const STOP_RATIO: f64 = 0.50;
/// What the budget remembers.
const WINDOW: Duration = Duration::from_millis(500);

/// A leaky budget of what could have been sent, libwebrtc's `AlrDetector`.
///
/// In an SFU the sender is limited by its layers almost always. Then what arrives says nothing about what the path carries, and
/// the estimate neither grows nor is it used up: only probes find more.
#[derive(Clone, Copy, Debug)]
pub struct AlrDetector {
    bytes_left: f64,
    updated_at: Option<Time>,
    is_limited: bool,
}

impl Default for AlrDetector {
    fn default() -> Self {
        Self { bytes_left: 0.0, updated_at: None, is_limited: false }
    }
}

impl AlrDetector {
    /// Takes a packet that was sent under an estimate.
    pub fn on_sent(&mut self, now: Time, bytes: u64, estimate_bps: f64) {
        let per_second = estimate_bps * USAGE / 8.0;
        let most = per_second * WINDOW.as_secs_f64();
        let passed = self.updated_at.map_or(Duration::ZERO, |at| now.saturating_since(at));
        self.updated_at = Some(now);
        let left = self.bytes_left + per_second * passed.as_secs_f64() - bytes as f64;
        self.bytes_left = left.clamp(-most, most);
        let threshold = if self.is_limited { STOP_RATIO } else { START_RATIO };
        self.is_limited = self.bytes_left > threshold * most;
    }

    /// Whether the sender is limited by what it has to send.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.is_limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends at `share` of 1 Mbit/s for `millis`.
    fn send(alr: &mut AlrDetector, from: u64, millis: u64, share: f64) -> u64 {
        for at in (from..from + millis).step_by(10) {
            alr.on_sent(Time::ZERO + Duration::from_millis(at), (1_250.0 * share) as u64, 1e6);
        }
        from + millis
    }

    #[test]
    fn half_of_the_estimate_is_limited_and_most_of_it_is_not() {
        let mut alr = AlrDetector::default();
        let now = send(&mut alr, 0, 3_000, 0.9);
        assert!(!alr.is_limited());
        let now = send(&mut alr, now, 5_000, 0.4);
        assert!(alr.is_limited());
        send(&mut alr, now, 1_500, 0.9);
        assert!(!alr.is_limited());
    }

    #[test]
    fn a_pause_is_limited() {
        let mut alr = AlrDetector::default();
        let now = send(&mut alr, 0, 1_000, 1.0);
        alr.on_sent(Time::ZERO + Duration::from_millis(now + 2_000), 1_250, 1e6);
        assert!(alr.is_limited());
    }
}
