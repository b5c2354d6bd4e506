//! How often which delay was seen, with forgetting.

/// How many delays are told apart; what is longer counts as the longest.
pub(super) const BUCKETS: usize = 200;
/// Weights below this are nothing: subnormal numbers are slow.
const NEGLIGIBLE: f32 = 1e-12;

/// A histogram in which a sample's weight fades with each that follows.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    weights: [f32; BUCKETS],
    total: f32,
    keep: f32,
}

impl Histogram {
    /// One that remembers about the last `memory` samples.
    pub(super) fn new(memory: u16) -> Self {
        Self { weights: [0.0; BUCKETS], total: 0.0, keep: 1.0 - 1.0 / f32::from(memory.max(2)) }
    }

    /// Counts a delay of `bucket`.
    pub(super) fn add(&mut self, bucket: usize) {
        for weight in &mut self.weights {
            *weight = if *weight < NEGLIGIBLE { 0.0 } else { *weight * self.keep };
        }
        self.weights[bucket.min(BUCKETS - 1)] += 1.0 - self.keep;
        self.total = self.weights.iter().sum();
    }

    /// The first bucket with so much of all at it or below.
    pub(super) fn quantile(&self, share: f32) -> usize {
        let mut below = 0.0;
        self.weights
            .iter()
            .position(|weight| {
                below += weight;
                below >= share * self.total
            })
            .unwrap_or(BUCKETS - 1)
    }

    /// The bucket, not below `from`, at which delay and lateness together cost least: a bucket of delay costs 1, and `price` is
    /// what it costs to be late always.
    pub(super) fn cheapest(&self, from: usize, price: f32) -> usize {
        let mut above: f32 = self.weights[from.min(BUCKETS)..].iter().sum();
        let mut best = (from, f32::INFINITY);
        for (bucket, weight) in self.weights.iter().enumerate().skip(from) {
            above -= weight;
            let cost = bucket as f32 + price * above.max(0.0) / self.total.max(f32::MIN_POSITIVE);
            if cost < best.1 {
                best = (bucket, cost);
            }
        }
        best.0
    }

    /// What was known as a delay of *n* buckets is one of *n* + `by`. What leaves an end stays at it.
    pub(super) fn shift(&mut self, by: isize) {
        let old = std::mem::replace(&mut self.weights, [0.0; BUCKETS]);
        for (bucket, weight) in old.into_iter().enumerate() {
            let moved = bucket.saturating_add_signed(by).min(BUCKETS - 1);
            self.weights[moved] += weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_follow_the_newest_samples() {
        let mut histogram = Histogram::new(100);
        (0..1_000).for_each(|sample| histogram.add(if sample % 10 == 0 { 40 } else { 3 }));
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.97)), (3, 40));
        (0..500).for_each(|_| histogram.add(3));
        assert_eq!(histogram.quantile(0.97), 3);
    }

    #[test]
    fn what_comes_late_too_often_is_waited_for() {
        let mut histogram = Histogram::new(1_000);
        (0..5_000).for_each(|sample| histogram.add(if sample % 50 == 0 { 30 } else { 2 }));
        assert_eq!(histogram.cheapest(2, 1_000.0), 2, "2 % late cost 20, waiting 28");
        assert_eq!(histogram.cheapest(2, 2_000.0), 30, "2 % late cost 40, waiting 28");
    }

    #[test]
    fn a_shift_loses_nothing() {
        let mut histogram = Histogram::new(10);
        (0..100).for_each(|_| histogram.add(3));
        histogram.shift(-7);
        assert_eq!(histogram.quantile(1.0), 0);
        histogram.shift(500);
        assert_eq!(histogram.quantile(0.01), BUCKETS - 1);
    }
}
