//! Delay with jitter, in integers: a fate must not depend on a machine's floating point library.

use std::time::Duration;

use crate::config::JitterShape;

/// Standard deviation of a sum of four even draws of 16 bits: sqrt(4 * (2^32 - 1) / 12).
const SUM_OF_FOUR_DEVIATION: i128 = 37_837;
/// The mean of that sum: 4 * 65,535 / 2.
const SUM_OF_FOUR_MEAN: i128 = 131_070;

#[derive(Clone, Copy, Debug)]
pub(super) struct Delay {
    base_nanos: u64,
    jitter_nanos: u64,
    shape: JitterShape,
}

impl Delay {
    pub(super) const fn new(base_nanos: u64, jitter_nanos: u64, shape: JitterShape) -> Self {
        Self { base_nanos, jitter_nanos, shape }
    }

    pub(super) fn sample(&self, draw: u64) -> Duration {
        let jitter = i128::from(self.jitter_nanos);
        let offset = match self.shape {
            JitterShape::Uniform => ((i128::from(draw) * (2 * jitter + 1)) >> 64) - jitter,
            JitterShape::Normal => (sum_of_four(draw) - SUM_OF_FOUR_MEAN) * jitter / SUM_OF_FOUR_DEVIATION,
        };
        let nanos = (i128::from(self.base_nanos) + offset).max(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn sum_of_four(draw: u64) -> i128 {
    (0..4).map(|lane| i128::from((draw >> (16 * lane)) & 0xFFFF)).sum()
}
