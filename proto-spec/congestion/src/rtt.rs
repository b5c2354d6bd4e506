//! The round-trip time, from feedback.

use std::time::Duration;

use sluice_wire::time::Time;

/// What is assumed until the first measurement, as libwebrtc does.
pub const DEFAULT_RTT: Duration = Duration::from_millis(200);
/// The longest that is believed: a longer one is a receiver's mistake or its lie.
pub const MAX_RTT: Duration = Duration::from_secs(5);

/// A smoothed round-trip time, RFC 6298 section 2 with its gain of an eighth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    smoothed: Option<Duration>,
}

impl Rtt {
    /// Takes a packet that was sent at `sent_at` and whose report came at `now` after the receiver held it for `hold`. A hold
    /// that is longer than all of that is not believed, and the sample is left out.
    pub fn on_report(&mut self, sent_at: Time, now: Time, hold: Duration) {
        let Some(sample) = now.saturating_since(sent_at).checked_sub(hold) else { return };
        let sample = sample.min(MAX_RTT);
        self.smoothed = Some(self.smoothed.map_or(sample, |smoothed| (smoothed * 7 + sample) / 8));
    }

    /// The smoothed time; [`DEFAULT_RTT`] before the first sample.
    #[must_use]
    pub fn get(&self) -> Duration {
        self.smoothed.unwrap_or(DEFAULT_RTT)
    }

    /// The smoothed time; `None` before the first sample.
    #[must_use]
    pub const fn measured(&self) -> Option<Duration> {
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_hold_is_no_part_of_it() {
        let mut rtt = Rtt::default();
        assert_eq!((rtt.get(), rtt.measured()), (DEFAULT_RTT, None));
        rtt.on_report(Time::ZERO, Time::ZERO + ms(70), ms(30));
        assert_eq!(rtt.measured(), Some(ms(40)));
        rtt.on_report(Time::ZERO, Time::ZERO + ms(80), ms(0));
        assert_eq!(rtt.get(), ms(45));
    }

    #[test]
    fn impossible_claims_are_left_out() {
        let mut rtt = Rtt::default();
        rtt.on_report(Time::ZERO, Time::ZERO + ms(70), ms(71));
        rtt.on_report(Time::ZERO + ms(9), Time::ZERO, ms(1));
        assert_eq!(rtt.measured(), None);
        rtt.on_report(Time::ZERO, Time::MAX, ms(0));
        assert_eq!(rtt.measured(), Some(MAX_RTT));
    }
}
