//! Freezes as the W3C's "Identifiers for WebRTC's Statistics API" defines them (`freezeCount`, `totalFreezesDuration`): a frame came
//! so late that the interval before it is at least three times the average of the last 30, and at least 150 ms above it.

use std::time::Duration;

use sluice_wire::time::Time;

/// Intervals that are averaged.
const AVERAGED: usize = 30;
/// A freeze is at least so many averages long.
const AVERAGES: u32 = 3;
/// And so much longer than an average.
const ABOVE_AVERAGE: Duration = Duration::from_millis(150);

/// The freezes of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreezeStats {
    /// How often it froze.
    pub count: u64,
    /// How long all of that was.
    pub frozen: Duration,
    /// How long the picture was watched: from first frames to last ones, without pauses.
    pub watched: Duration,
}

/// Watches the times at which frames can be shown.
#[derive(Clone, Debug, Default)]
pub struct FreezeDetector {
    last: Option<Time>,
    intervals: [Duration; AVERAGED],
    /// How many intervals there were; those before the last 30 are overwritten.
    seen: usize,
    stats: FreezeStats,
}

impl FreezeDetector {
    /// A frame can be shown. Returns whether the picture was frozen until now.
    pub fn on_frame(&mut self, at: Time) -> bool {
        let Some(last) = self.last.replace(at) else { return false };
        let interval = at.saturating_since(last);
        let is_freeze = self
            .average()
            .is_some_and(|average| interval >= (average * AVERAGES).max(average + ABOVE_AVERAGE));
        self.intervals[self.seen % AVERAGED] = interval;
        self.seen += 1;
        self.stats.watched += interval;
        if is_freeze {
            self.stats.count += 1;
            self.stats.frozen += interval;
        }
        is_freeze
    }

    /// Nothing is to come for a while, on purpose: what is until the next frame is no freeze.
    pub const fn pause(&mut self) {
        self.last = None;
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> FreezeStats {
        self.stats
    }

    /// Of the last intervals; `None` without any.
    fn average(&self) -> Option<Duration> {
        let count = self.seen.min(AVERAGED);
        let sum: Duration = self.intervals[..count].iter().sum();
        sum.checked_div(count as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames 40 ms apart, then one behind this interval.
    fn after(frames: u64, interval_ms: u64) -> (bool, FreezeStats) {
        let mut detector = FreezeDetector::default();
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        for frame in 0..frames {
            assert!(!detector.on_frame(at(frame * 40)));
        }
        let froze = detector.on_frame(at((frames - 1) * 40 + interval_ms));
        (froze, detector.stats())
    }

    #[test]
    fn the_limit_is_150_ms_above_a_short_average() {
        assert!(!after(100, 189).0);
        let (froze, stats) = after(100, 190);
        assert!(froze);
        let ms = Duration::from_millis;
        assert_eq!(stats, FreezeStats { count: 1, frozen: ms(190), watched: ms(99 * 40 + 190) });
    }

    #[test]
    fn the_limit_is_three_times_a_long_average() {
        let mut detector = FreezeDetector::default();
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        (0..40).for_each(|frame| assert!(!detector.on_frame(at(frame * 200))));
        assert!(!detector.clone().on_frame(at(39 * 200 + 599)));
        assert!(detector.on_frame(at(39 * 200 + 600)));
    }

    #[test]
    fn old_intervals_do_not_count() {
        let mut detector = FreezeDetector::default();
        let mut now = Time::ZERO;
        for interval in std::iter::repeat_n(1_000, 50).chain(std::iter::repeat_n(40, 30)) {
            now += Duration::from_millis(interval);
            assert!(!detector.on_frame(now));
        }
        assert!(detector.on_frame(now + Duration::from_millis(190)));
    }

    #[test]
    fn the_second_frame_and_one_behind_a_pause_are_no_freeze() {
        assert!(!after(1, 5_000).0);
        let mut detector = FreezeDetector::default();
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        (0..10).for_each(|frame| assert!(!detector.on_frame(at(frame * 40))));
        detector.pause();
        assert!(!detector.on_frame(at(9_000)));
        assert_eq!(detector.stats().watched, Duration::from_millis(360));
    }
}
