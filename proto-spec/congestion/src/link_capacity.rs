//! What the path carried when it was full.

/// The weight of a sample that an overuse gives.
const OVERUSE_WEIGHT: f64 = 0.05;
/// The weight of a probe's result.
const PROBE_WEIGHT: f64 = 0.5;
/// Bounds of the normalised variance; the lower is about 14 kbit/s at 500 kbit/s, the upper about 35.
const VARIANCE: (f64, f64) = (0.4, 2.5);

/// The mean and spread of what arrived at moments of overuse, libwebrtc's `LinkCapacityEstimator`. While the rate is near, growth
/// is slow; a rate beyond three deviations says that the path has changed.
#[derive(Clone, Copy, Debug)]
pub struct LinkCapacity {
    kbps: Option<f64>,
    variance: f64,
}

impl Default for LinkCapacity {
    fn default() -> Self {
        Self { kbps: None, variance: VARIANCE.0 }
    }
}

impl LinkCapacity {
    /// Takes what arrived when the path was overused, in bit/s.
    pub fn on_overuse(&mut self, acknowledged_bps: f64) {
        self.update(acknowledged_bps, OVERUSE_WEIGHT);
    }

    /// Takes the result of a probe, in bit/s.
    pub fn on_probe(&mut self, bps: f64) {
        self.update(bps, PROBE_WEIGHT);
    }

    /// The mean in bit/s, if there is one.
    #[must_use]
    pub fn bps(&self) -> Option<f64> {
        self.kbps.map(|kbps| kbps * 1_000.0)
    }

    /// Forgets the mean.
    pub fn reset(&mut self) {
        self.kbps = None;
    }

    /// Three deviations above the mean; infinite without one.
    #[must_use]
    pub fn upper_bps(&self) -> f64 {
        self.kbps.map_or(f64::INFINITY, |kbps| (kbps + 3.0 * self.deviation(kbps)) * 1_000.0)
    }

    /// Three deviations below the mean, 0 at least; 0 without one.
    #[must_use]
    pub fn lower_bps(&self) -> f64 {
        self.kbps.map_or(0.0, |kbps| (kbps - 3.0 * self.deviation(kbps)).max(0.0) * 1_000.0)
    }

    fn deviation(&self, kbps: f64) -> f64 {
        (self.variance * kbps).sqrt()
    }

    fn update(&mut self, sample_bps: f64, weight: f64) {
        let sample = sample_bps / 1_000.0;
        let kbps = self.kbps.map_or(sample, |kbps| (1.0 - weight) * kbps + weight * sample);
        let error = kbps - sample;
        let variance = (1.0 - weight) * self.variance + weight * error * error / kbps.max(1.0);
        self.kbps = Some(kbps);
        self.variance = variance.clamp(VARIANCE.0, VARIANCE.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_mean_with_a_spread() {
        let mut link = LinkCapacity::default();
        assert_eq!((link.bps(), link.lower_bps(), link.upper_bps()), (None, 0.0, f64::INFINITY));
        link.on_overuse(1e6);
        assert_eq!(link.bps(), Some(1e6));
        assert!((1.05e6..1.07e6).contains(&link.upper_bps()), "3 * sqrt(0.4 * 1000) = 60 kbit/s");
        link.on_overuse(2e6);
        assert!((link.bps().unwrap() - 1.05e6).abs() < 1.0);
        assert!(
            (link.lower_bps() - (1.05e6 - 3e3 * (2.5_f64 * 1_050.0).sqrt())).abs() < 1.0,
            "the greatest spread"
        );
        link.on_probe(3.05e6);
        assert!((link.bps().unwrap() - 2.05e6).abs() < 1.0);
        link.reset();
        assert_eq!(link.bps(), None);
    }
}
