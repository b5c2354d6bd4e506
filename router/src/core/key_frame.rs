//! One limiter of key frame requests per encoding, across all who ask.

use sluice_wire::time::Time;

use super::limits::KEY_FRAME_INTERVAL;

/// When an encoding's publisher may be asked for a key frame.
#[derive(Debug, Default)]
pub(crate) struct KeyFrameLimiter {
    last_request: Option<Time>,
    wanted: bool,
}

impl KeyFrameLimiter {
    /// Somebody needs a key frame.
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// A key frame came.
    pub(crate) const fn on_key_frame(&mut self) {
        self.wanted = false;
    }

    /// Whether to ask the publisher now. A `true` counts as asked.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let may = self.last_request.is_none_or(|last| now.saturating_since(last) >= KEY_FRAME_INTERVAL);
        if !self.wanted || !may {
            return false;
        }
        self.last_request = Some(now);
        self.wanted = false;
        true
    }

    /// Somebody waits, whether or not asking is allowed yet.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn many_wishes_are_one_request_per_interval() {
        let mut limiter = KeyFrameLimiter::default();
        let mut asked = Vec::new();
        for millis in 0..1_200 {
            limiter.want();
            if limiter.take(at(millis)) {
                asked.push(millis);
            }
        }
        assert_eq!(asked, [0, 500, 1_000]);
    }

    #[test]
    fn a_wish_waits_for_its_turn_unless_a_key_frame_comes_first() {
        let mut limiter = KeyFrameLimiter::default();
        limiter.want();
        assert!(limiter.take(at(0)));
        limiter.want();
        assert!(!limiter.take(at(100)));
        assert!(limiter.is_wanted());
        limiter.on_key_frame();
        assert!(!limiter.take(at(600)));
    }
}
