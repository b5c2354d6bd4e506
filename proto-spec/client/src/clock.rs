//! The only clock of the client's shells.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluice_wire::time::Time;

/// Reads time: anchored to the Unix epoch once, monotonic from there. Copies share the anchor.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Instant,
    anchor_time: Time,
}

impl Clock {
    /// The clock that all participants of this process share, so that their times compare.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock of the client")]
    pub fn process() -> Self {
        static PROCESS: OnceLock<Clock> = OnceLock::new();
        *PROCESS.get_or_init(|| {
            let now = Instant::now();
            // A time of day before 1970 is wrong by decades; zero serves as well.
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            Self::anchored(now, Time::ZERO + since_epoch)
        })
    }

    /// The clock on which it was `time` at `instant`: for a process that has a clock already.
    #[must_use]
    pub const fn anchored(instant: Instant, time: Time) -> Self {
        Self { anchor: instant, anchor_time: time }
    }

    /// The time now.
    #[must_use]
    pub fn now(self) -> Time {
        self.anchor_time + self.anchor.elapsed()
    }

    /// The instant at which it is `time`, for timers. A time before the anchor gives the anchor.
    #[must_use]
    pub fn instant(self, time: Time) -> Instant {
        self.anchor + time.saturating_since(self.anchor_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_one_clock() {
        let (first, second) = (Clock::process(), Clock::process());
        assert_eq!((first.anchor, first.anchor_time), (second.anchor, second.anchor_time));
        assert!(first.now() <= second.now());
    }

    #[test]
    fn times_and_instants_are_the_same_clock() {
        let clock = Clock::process();
        let later = clock.anchor_time + Duration::from_millis(1_500);
        assert_eq!(clock.instant(later) - clock.anchor, Duration::from_millis(1_500));
        assert_eq!(clock.instant(Time::ZERO), clock.anchor);
    }
}
