//! Feedback that does not come.

use std::time::Duration;

use sluice_wire::time::Time;

/// Round trips without feedback that make an outage.
const ROUND_TRIPS: u32 = 3;
/// What feedback takes beside the round trip: two intervals of the receiver, in case one message is lost.
const FEEDBACK_ALLOWANCE: Duration = Duration::from_millis(100);
/// No outage is shorter: a Wi-Fi scan or a late timer is none.
const MIN_TIMEOUT: Duration = Duration::from_millis(400);
const MAX_TIMEOUT: Duration = Duration::from_secs(3);

/// Watches for packets of which nothing is heard. Each time-out without a word is one more reason to send less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// When the first packet since the last feedback was sent, or the last time-out was.
    waiting_since: Option<Time>,
    is_out: bool,
}

impl Outage {
    /// A packet was sent.
    pub fn on_sent(&mut self, now: Time) {
        self.waiting_since.get_or_insert(now);
    }

    /// Feedback came, and acknowledged something that was not known.
    pub fn on_feedback(&mut self) {
        *self = Self::default();
    }

    /// Whether a time-out has passed since the last feedback.
    #[must_use]
    pub const fn is_out(&self) -> bool {
        self.is_out
    }

    /// When the next time-out is; `None` while nothing waits.
    #[must_use]
    pub fn deadline(&self, rtt: Duration) -> Option<Time> {
        let timeout = (rtt * ROUND_TRIPS + FEEDBACK_ALLOWANCE).clamp(MIN_TIMEOUT, MAX_TIMEOUT);
        self.waiting_since.map(|since| since + timeout)
    }

    /// Whether a time-out has passed; the next one then begins.
    pub fn on_timeout(&mut self, now: Time, rtt: Duration) -> bool {
        let is_due = self.deadline(rtt).is_some_and(|deadline| deadline <= now);
        if is_due {
            self.is_out = true;
            self.waiting_since = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(200);

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn silence_after_a_packet_is_an_outage_again_and_again() {
        let mut outage = Outage::default();
        assert_eq!(outage.deadline(RTT), None);
        outage.on_sent(at(100));
        outage.on_sent(at(600));
        assert_eq!(outage.deadline(RTT), Some(at(800)));
        assert!(!outage.on_timeout(at(799), RTT));
        assert!(outage.on_timeout(at(800), RTT) && outage.is_out());
        assert_eq!(outage.deadline(RTT), Some(at(1_500)));
        outage.on_feedback();
        assert_eq!((outage.is_out(), outage.deadline(RTT)), (false, None));
    }

    #[test]
    fn the_timeout_is_neither_hasty_nor_endless() {
        let mut outage = Outage::default();
        outage.on_sent(at(0));
        assert_eq!(outage.deadline(Duration::ZERO), Some(at(400)));
        assert_eq!(outage.deadline(Duration::from_secs(60)), Some(at(3_000)));
    }
}
