//! What counts as a slope: an adaptive threshold.

use std::time::Duration;

use sluice_wire::time::Time;

/// How fast it follows a slope beyond it, per ms.
const K_UP: f64 = 0.0087;
/// How fast it follows a slope within it, per ms. Faster down than up: it is sensitive again soon.
const K_DOWN: f64 = 0.039;
/// Slopes that are so far beyond it are spikes, which it does not follow.
const MAX_EXCESS_MS: f64 = 15.0;
/// The longest time that counts as passed between two updates.
const MAX_STEP: Duration = Duration::from_millis(100);
const START_MS: f64 = 12.5;
/// Never more sensitive than jitter, never deaf.
const BOUNDS_MS: (f64, f64) = (6.0, 600.0);

/// The threshold in ms against which the modified trend is held (Carlucci et al., "Congestion Control for Web Real-Time
/// Communication", ToN 2017): a fixed one starves beside a flow that fills the queue.
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveThreshold {
    millis: f64,
    updated_at: Option<Time>,
}

impl Default for AdaptiveThreshold {
    fn default() -> Self {
        Self { millis: START_MS, updated_at: None }
    }
}

impl AdaptiveThreshold {
    /// The threshold in ms.
    #[must_use]
    pub const fn millis(&self) -> f64 {
        self.millis
    }

    /// Follows the modified trend.
    pub fn update(&mut self, now: Time, trend_ms: f64) {
        let step = self.updated_at.map_or(Duration::ZERO, |at| now.saturating_since(at)).min(MAX_STEP);
        self.updated_at = Some(now);
        let excess = trend_ms.abs() - self.millis;
        if excess > MAX_EXCESS_MS {
            return;
        }
        let gain = if excess < 0.0 { K_DOWN } else { K_UP };
        let millis = self.millis + gain * excess * step.as_secs_f64() * 1_000.0;
        self.millis = millis.clamp(BOUNDS_MS.0, BOUNDS_MS.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(trend_ms: f64, steps: u64) -> f64 {
        let mut threshold = AdaptiveThreshold::default();
        for step in 0..steps {
            threshold.update(Time::ZERO + Duration::from_millis(step * 10), trend_ms);
        }
        threshold.millis()
    }

    #[test]
    fn it_sinks_fast_and_rises_slowly() {
        assert_eq!(after(0.0, 1), START_MS);
        assert!((after(0.0, 2) - 12.5 * (1.0 - 0.39)).abs() < 1e-9);
        assert!((after(20.0, 2) - (12.5 + 0.087 * 7.5)).abs() < 1e-9);
        assert!((after(20.0, 500) - 20.0).abs() < 0.1);
        assert_eq!(after(0.0, 500), BOUNDS_MS.0);
    }

    #[test]
    fn spikes_are_not_followed() {
        assert_eq!(after(28.0, 100), START_MS);
    }
}
