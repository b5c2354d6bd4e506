//! How long to wait for packets: a target from how much later than the fastest one they come.
//!
//! The delay of a packet is relative: its arrival minus its media time, minus the least such difference of the last 4 s. Of these
//! delays there are two histograms with forgetting, as in NetEq (libwebrtc, `modules/audio_coding/neteq`: `DelayManager`,
//! `UnderrunOptimizer`, `ReorderOptimizer`). The target is the highest of
//!
//! 1. over the long memory, the 97th percentile; and from there on as much more as is worth its price: a percent of packets that
//!    come too late costs as much as [`DelayConfig::late_percent_worth`] of delay;
//! 2. over the short memory, the 95th percentile: it grows within a few packets when a path gets worse;
//! 3. the highest of the last peaks, where peaks are a habit.
//!
//! It shrinks at most by [`SHRINK_PER_SECOND`] and never exceeds its maximum. When the fastest packet becomes a faster or slower one,
//! all delays are re-counted from that, so that the instant at which things are played does not move.

mod base;
mod histogram;
mod peaks;

use std::time::Duration;

use sluice_wire::time::Time;

use super::{duration_of, duration_us, micros};
use base::BaseTransit;
use histogram::{BUCKETS, Histogram};
use peaks::Peaks;

/// The share of packets that is waited for whatever it costs.
const QUANTILE: f32 = 0.97;
/// The same for the short memory: two late packets of it are chance, three are a trend.
const FAST_QUANTILE: f32 = 0.95;
/// Fewer samples than these do not say that less than the first target suffices.
const FEW_SAMPLES: u32 = 25;
/// How fast the target shrinks: a path that got better may get worse again, and each change is a change of speed.
pub const SHRINK_PER_SECOND: Duration = Duration::from_millis(20);
/// A transit time that differs by more than this from the least is no delay: a clock was set, or a timestamp jumped.
const CLOCK_JUMP_US: i64 = 5_000_000;
/// Time between two packets that counts at most for changes at a rate.
const MAX_STEP_US: i64 = 1_000_000;

/// What a [`DelayEstimator`] aims at.
#[derive(Clone, Copy, Debug)]
pub struct DelayConfig {
    /// The width of a histogram's bucket; the longest delay that is known as such is 200 of them.
    pub bucket: Duration,
    /// Packets of the long memory.
    pub memory: u16,
    /// Packets of the short one.
    pub fast_memory: u16,
    /// How much delay a percent of late packets is worth.
    pub late_percent_worth: Duration,
    /// The target before anything is known.
    pub first: Duration,
    /// What it aims at is never less.
    pub min: Duration,
    /// Never more.
    pub max: Duration,
    /// How much the target grows per second at most; [`Duration::MAX`] for at once.
    pub growth_per_second: Duration,
}

/// Watches the arrivals of a stream. A few kilobytes, all in place.
#[derive(Clone, Debug)]
pub struct DelayEstimator {
    config: DelayConfig,
    base: BaseTransit,
    /// The base that the histograms refer to.
    reference_us: Option<i64>,
    /// What of its changes was less than a bucket.
    unshifted_us: i64,
    slow: Histogram,
    fast: Histogram,
    peaks: Peaks,
    samples: u32,
    target_us: i64,
    last_us: i64,
}

impl DelayEstimator {
    /// An estimator that knows nothing yet.
    #[must_use]
    pub fn new(config: DelayConfig) -> Self {
        let config = DelayConfig { max: config.max.max(config.min), ..config };
        Self {
            base: BaseTransit::default(),
            reference_us: None,
            unshifted_us: 0,
            slow: Histogram::new(config.memory),
            fast: Histogram::new(config.fast_memory),
            peaks: Peaks::default(),
            samples: 0,
            target_us: duration_us(config.first.max(config.min)),
            last_us: 0,
            config,
        }
    }

    /// Other bounds hold from now on; what was learned stays. A higher minimum is approached as any other growth.
    pub fn set_bounds(&mut self, min: Duration, max: Duration) {
        self.config.min = min;
        self.config.max = max.max(min);
    }

    /// The stream goes on from another sender: its clock says nothing about the one before.
    pub fn restart_clock(&mut self) {
        self.base = BaseTransit::default();
        self.reference_us = None;
    }

    /// A packet of media time `media_us` (microseconds on the sender's clock) arrived.
    pub fn on_arrival(&mut self, now: Time, media_us: i64) {
        let now_us = micros(now);
        let transit_us = now_us.saturating_sub(media_us);
        if self
            .base
            .get()
            .is_some_and(|base| transit_us.saturating_sub(base).saturating_abs() > CLOCK_JUMP_US)
        {
            self.restart_clock();
        }
        self.base.on_packet(now_us, transit_us);
        let base_us = self.base.get().unwrap_or(transit_us);
        self.refer_to(base_us);
        let delay_us = transit_us.saturating_sub(base_us).max(0);
        let bucket = delay_us / self.bucket_us();
        let bucket = usize::try_from(bucket).unwrap_or(BUCKETS).min(BUCKETS - 1);
        self.slow.add(bucket);
        self.fast.add(bucket);
        self.samples = self.samples.saturating_add(1);
        let usual_us = self.usual_us();
        self.peaks.on_delay(now_us, delay_us, usual_us);
        let wanted_us = usual_us.max(self.peaks.height_us(now_us).unwrap_or(0));
        self.move_target(now_us, wanted_us);
    }

    /// How long a packet is to be held back, counted from when it would have come if it had been as fast as the fastest.
    #[must_use]
    pub fn target(&self) -> Duration {
        duration_of(self.target_us).min(self.config.max)
    }

    /// Arrival minus media time of the fastest packet of the last seconds, in microseconds; `None` before the first.
    #[must_use]
    pub fn base_us(&self) -> Option<i64> {
        self.base.get()
    }

    fn bucket_us(&self) -> i64 {
        duration_us(self.config.bucket).max(1)
    }

    /// What the histograms say: the upper end of a bucket.
    fn usual_us(&self) -> i64 {
        let price = self.config.late_percent_worth.as_secs_f32() * 100.0 / self.config.bucket.as_secs_f32();
        let slow = self.slow.cheapest(self.slow.quantile(QUANTILE), price);
        let bucket = slow.max(self.fast.quantile(FAST_QUANTILE));
        (bucket as i64 + 1) * self.bucket_us()
    }

    /// The fastest packet is another one than before: all delays are longer or shorter by the difference, and the time at which
    /// things are played stays where it is.
    fn refer_to(&mut self, base_us: i64) {
        let Some(before_us) = self.reference_us.replace(base_us) else { return };
        let longer_us = before_us.saturating_sub(base_us);
        if longer_us == 0 {
            return;
        }
        self.unshifted_us += longer_us;
        let buckets = self.unshifted_us / self.bucket_us();
        self.unshifted_us -= buckets * self.bucket_us();
        if buckets != 0 {
            let by = isize::try_from(buckets).unwrap_or(0);
            self.slow.shift(by);
            self.fast.shift(by);
        }
        self.peaks.shift(longer_us);
        // Where the maximum held it back the target did not cover the delays, and would become less than nothing.
        self.target_us = (self.target_us + longer_us).max(0);
    }

    fn move_target(&mut self, now_us: i64, wanted_us: i64) {
        let floor_us = if self.samples < FEW_SAMPLES { duration_us(self.config.first) } else { 0 };
        let bounds = (duration_us(self.config.min), duration_us(self.config.max));
        let wanted_us = wanted_us.max(floor_us).clamp(bounds.0, bounds.1);
        let step_us = now_us.saturating_sub(self.last_us).clamp(0, MAX_STEP_US);
        self.last_us = self.last_us.max(now_us);
        let share = |per_second: Duration| duration_us(per_second).saturating_mul(step_us) / 1_000_000;
        let growth = self.config.growth_per_second;
        let most_us = match growth {
            Duration::MAX => i64::MAX,
            _ => self.target_us.saturating_add(share(growth)),
        };
        let least_us = self.target_us.min(bounds.1).saturating_sub(share(SHRINK_PER_SECOND));
        self.target_us = wanted_us.clamp(least_us.min(most_us), most_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: DelayConfig = DelayConfig {
        bucket: Duration::from_millis(5),
        memory: 500,
        fast_memory: 50,
        late_percent_worth: Duration::from_millis(20),
        first: Duration::from_millis(60),
        min: Duration::from_millis(20),
        max: Duration::from_millis(200),
        growth_per_second: Duration::MAX,
    };

    /// Packets every 20 ms from number `from` on, with these transit times in milliseconds.
    fn run(estimator: &mut DelayEstimator, from: i64, delays_ms: impl IntoIterator<Item = i64>) -> i64 {
        let mut number = from;
        for delay_ms in delays_ms {
            let media_us = number * 20_000;
            estimator.on_arrival(time_at(media_us + delay_ms * 1_000), media_us + 77_000_000);
            number += 1;
        }
        number
    }

    fn time_at(micros: i64) -> Time {
        crate::playout::time_of(micros)
    }

    #[test]
    fn a_path_that_gets_worse_is_followed_at_once_and_one_that_gets_better_slowly() {
        let mut estimator = DelayEstimator::new(CONFIG);
        assert_eq!(estimator.target(), Duration::from_millis(60));
        let next = run(&mut estimator, 0, (0..500).map(|packet| 50 + packet % 2));
        assert_eq!(estimator.target(), Duration::from_millis(20));
        let next = run(&mut estimator, next, (0..8).map(|packet| 50 + (packet % 2) * 100));
        assert!(estimator.target() >= Duration::from_millis(100), "{:?}", estimator.target());
        let next = run(&mut estimator, next, (0..200).map(|_| 50));
        assert!(estimator.target() >= Duration::from_millis(30), "{:?}", estimator.target());
        run(&mut estimator, next, (0..2_000).map(|_| 50));
        assert_eq!(estimator.target(), Duration::from_millis(20));
    }

    #[test]
    fn a_longer_path_is_no_jitter_in_the_long_run() {
        let mut estimator = DelayEstimator::new(CONFIG);
        let next = run(&mut estimator, 0, (0..1_000).map(|_| 50));
        let played_at = estimator.base_us().unwrap() + duration_us(estimator.target());
        let next = run(&mut estimator, next, (0..150).map(|_| 110));
        let longer = estimator.base_us().unwrap() + duration_us(estimator.target()) - played_at;
        assert!((40_000..=65_000).contains(&longer), "{longer}");
        run(&mut estimator, next, (0..1_000).map(|_| 110));
        assert_eq!(estimator.target(), Duration::from_millis(20));
        assert_eq!(estimator.base_us().unwrap() + 20_000 - played_at, 60_000);
    }

    #[test]
    fn what_comes_late_every_few_seconds_is_waited_for_even_if_it_is_rare() {
        let target_ms = |every: i64| {
            let mut estimator = DelayEstimator::new(CONFIG);
            run(&mut estimator, 0, (0..3_000).map(|packet| if packet % every == 50 { 170 } else { 50 }));
            estimator.target().as_millis()
        };
        assert_eq!(target_ms(600), 20, "once in 12 s is chance");
        assert!((120..=125).contains(&target_ms(150)), "{}", target_ms(150));
    }

    #[test]
    fn a_clock_that_is_set_begins_anew() {
        let mut estimator = DelayEstimator::new(CONFIG);
        run(&mut estimator, 0, (0..500).map(|_| 50));
        run(&mut estimator, 500, (0..500).map(|_| 30_000));
        assert_eq!(estimator.target(), Duration::from_millis(20));
        assert_eq!(estimator.base_us(), Some(30_000_000 - 77_000_000));
    }
}
