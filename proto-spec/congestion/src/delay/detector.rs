//! Overuse, normal use, underuse.

use sluice_wire::time::Time;

use super::{AdaptiveThreshold, GroupDelta, Trendline};

/// What the slope is multiplied with, besides the number of groups: the field's gain.
const GAIN: f64 = 4.0;
/// The number of groups beyond which a slope gains no more weight.
const MAX_GROUPS: u64 = 60;
/// How long the slope must be beyond the threshold.
const OVERUSE_MS: f64 = 10.0;

/// How the path is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Usage {
    /// The queue neither grows nor shrinks.
    #[default]
    Normal,
    /// The queue grows.
    Over,
    /// The queue shrinks.
    Under,
}

/// Holds the trend of the delay against the threshold: libwebrtc's `TrendlineEstimator::Detect`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OveruseDetector {
    trendline: Trendline,
    threshold: AdaptiveThreshold,
    usage: Usage,
    previous_slope: f64,
    /// Since when the slope was beyond the threshold, in ms of sending time.
    over_ms: Option<f64>,
    over_count: u32,
}

impl OveruseDetector {
    /// Takes the distance of two groups; `now` is when feedback came.
    pub fn on_delta(&mut self, now: Time, delta: &GroupDelta) {
        let send_ms = delta.send.as_secs_f64() * 1_000.0;
        let slope = self.trendline.update(send_ms, delta.arrival_us as f64 / 1_000.0);
        if self.trendline.count() < 2 {
            return;
        }
        let trend_ms = self.trendline.count().min(MAX_GROUPS) as f64 * slope * GAIN;
        self.judge(trend_ms, slope, send_ms);
        self.previous_slope = slope;
        self.threshold.update(now, trend_ms);
    }

    /// How the path is used.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    fn judge(&mut self, trend_ms: f64, slope: f64, send_ms: f64) {
        if trend_ms <= self.threshold.millis() {
            let is_under = trend_ms < -self.threshold.millis();
            self.usage = if is_under { Usage::Under } else { Usage::Normal };
            self.over_ms = None;
            self.over_count = 0;
            return;
        }
        // The slope crossed the threshold somewhere between the two groups.
        let over_ms = self.over_ms.map_or(send_ms / 2.0, |over_ms| over_ms + send_ms);
        self.over_ms = Some(over_ms);
        self.over_count += 1;
        if over_ms > OVERUSE_MS && self.over_count > 1 && slope >= self.previous_slope {
            self.usage = Usage::Over;
            self.over_ms = Some(0.0);
            self.over_count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Groups 10 ms apart that arrive so much later each; gives after how many the usage first was `sought`.
    fn groups_until(detector: &mut OveruseDetector, arrival_us: i64, sought: Usage) -> Option<u64> {
        let delta = GroupDelta { send: Duration::from_millis(10), arrival_us };
        (0..300).find(|group| {
            detector.on_delta(Time::ZERO + Duration::from_millis(group * 10), &delta);
            detector.usage() == sought
        })
    }

    #[test]
    fn a_queue_that_grows_is_overuse_and_one_that_shrinks_underuse() {
        let mut detector = OveruseDetector::default();
        assert_eq!(groups_until(&mut detector, 10_000, Usage::Over), None);
        assert_eq!(detector.usage(), Usage::Normal);
        assert!(groups_until(&mut detector, 11_000, Usage::Over).unwrap() < 15);
        assert!(groups_until(&mut detector, 9_000, Usage::Under).unwrap() < 60);
        assert!(groups_until(&mut detector, 10_000, Usage::Normal).unwrap() < 40);
    }

    #[test]
    fn jitter_is_normal() {
        let mut detector = OveruseDetector::default();
        for group in 0..1_000u64 {
            let arrival_us = if group % 2 == 0 { 14_000 } else { 6_000 };
            let delta = GroupDelta { send: Duration::from_millis(10), arrival_us };
            detector.on_delta(Time::ZERO + Duration::from_millis(group * 10), &delta);
            assert_ne!(detector.usage(), Usage::Over, "{group}");
        }
    }
}
