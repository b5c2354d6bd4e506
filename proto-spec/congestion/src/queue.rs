//! How long packets wait in the bottleneck's queue, as far as one-way delays tell.

use std::time::Duration;

use sluice_wire::time::Time;

/// How long the least delay is believed to be that of an empty queue: at least once, at most twice that. Clocks drift apart by a
/// few milliseconds in that time, and a queue that never empties for longer is somebody else's.
const BASE_PERIOD: Duration = Duration::from_secs(15);
/// The weight of a packet in the smoothed delay.
const WEIGHT: f64 = 0.1;

/// The one-way delay above the least one that was seen lately. Only the difference has a meaning: the clocks are not the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueDelay {
    /// The least of this period and of the one before.
    least: Option<(i64, i64)>,
    period_until: Time,
    smoothed_us: f64,
}

impl QueueDelay {
    /// Takes a packet that was acknowledged, by each end's clock in microseconds.
    pub fn on_packet(&mut self, now: Time, sent_us: i64, arrival_us: i64) {
        let delay = arrival_us.saturating_sub(sent_us);
        let (current, before) = self.least.unwrap_or((delay, delay));
        let (current, before) =
            if now >= self.period_until { (delay, current) } else { (current.min(delay), before) };
        if now >= self.period_until {
            self.period_until = now + BASE_PERIOD;
        }
        self.least = Some((current, before));
        let waited = delay.saturating_sub(current.min(before)) as f64;
        self.smoothed_us += WEIGHT * (waited - self.smoothed_us);
    }

    /// The smoothed delay in the queue.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.smoothed_us as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_the_least_is_queue() {
        let mut queue = QueueDelay::default();
        let mut now = Time::ZERO;
        let mut run = |queue: &mut QueueDelay, count: i64, delay: i64| {
            for _ in 0..count {
                now += Duration::from_millis(10);
                let sent = (now.as_nanos() / 1_000) as i64;
                queue.on_packet(now, sent, sent + delay - 7_000_000_000);
            }
        };
        run(&mut queue, 100, 30_000);
        assert_eq!(queue.get(), Duration::ZERO);
        run(&mut queue, 100, 80_000);
        assert!(queue.get().abs_diff(Duration::from_millis(50)) < Duration::from_millis(1));
        // A route that became longer is a base after two periods.
        run(&mut queue, 3_100, 80_000);
        assert!(queue.get() < Duration::from_millis(1), "{:?}", queue.get());
    }

    #[test]
    fn any_clock_will_do() {
        let mut queue = QueueDelay::default();
        for (sent, arrival) in [(0, i64::MAX), (i64::MAX, i64::MIN), (i64::MIN, 0), (-1, i64::MIN)] {
            queue.on_packet(Time::MAX, sent, arrival);
        }
        assert!(queue.smoothed_us.is_finite());
    }
}
