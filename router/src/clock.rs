//! The only clock of the process.
//!
//! All shards, and every other shell in the same process, share one [`Clock`], so that their times compare.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluice_wire::time::Time;

/// A packet cannot have waited longer than this in the kernel; an older stamp means that the system's clock was stepped.
const MAX_KERNEL_WAIT: Duration = Duration::from_secs(1);

/// Reads time: anchored to the Unix epoch once, monotonic from there. Copies share the anchor.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: Time,
}

impl Clock {
    /// A clock that is anchored now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock of the process")]
    pub fn new() -> Self {
        Self { started: Instant::now(), started_at: Time::ZERO + since_epoch() }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.started_at + self.started.elapsed()
    }

    /// The time now, together with the system's own idea of it, against which the kernel stamps packets.
    #[must_use]
    pub fn read(&self) -> Reading {
        Reading { now: self.now(), system: since_epoch() }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The system's time of day. One before 1970 is wrong by decades; zero serves as well.
#[expect(clippy::disallowed_methods, reason = "the one clock of the process")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// One moment on two clocks: the process's, which never steps, and the system's, which may.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    now: Time,
    system: Duration,
}

impl Reading {
    /// The moment.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// An earlier moment that the kernel stamped with the system's clock (time since the Unix epoch). A stamp from the future,
    /// or one that is implausibly old, gives the moment of this reading.
    #[must_use]
    pub fn at_stamp(&self, stamp: Duration) -> Time {
        match self.system.checked_sub(stamp) {
            Some(waited) if waited <= MAX_KERNEL_WAIT => self.now - waited,
            _ => self.now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_as_far_back_as_the_system_says() {
        let reading = Reading { now: Time::from_nanos(5_000), system: Duration::from_secs(100) };
        assert_eq!(reading.at_stamp(Duration::from_secs(100) - Duration::from_nanos(700)).as_nanos(), 4_300);
    }

    #[test]
    fn a_stepped_system_clock_does_no_harm() {
        let reading = Reading { now: Time::from_nanos(5_000), system: Duration::from_secs(100) };
        assert_eq!(reading.at_stamp(Duration::from_secs(101)), reading.now());
        assert_eq!(reading.at_stamp(Duration::from_secs(10)), reading.now());
    }

    #[test]
    fn time_does_not_go_back() {
        let clock = Clock::new();
        let first = clock.now();
        assert!(clock.read().now() >= first);
    }
}
