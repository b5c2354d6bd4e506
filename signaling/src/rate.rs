//! A rate limiter: the generic cell rate algorithm (ITU-T I.371), which needs one time and no timer.

use std::time::Duration;

use sluice_wire::time::Time;

/// How much is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Per second, in the long run.
    pub per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
}

impl Rate {
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }
}

/// What is left of a [`Rate`].
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    rate: Rate,
    /// When all that was taken will have been paid for.
    paid_at: Time,
}

impl Limiter {
    /// A limiter with its whole burst.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, paid_at: Time::ZERO }
    }

    /// Takes one, if one is left.
    pub fn take(&mut self, now: Time) -> bool {
        let interval = self.rate.interval();
        let paid_at = self.paid_at.max(now) + interval;
        let allowed = paid_at.saturating_since(now) <= interval * self.rate.burst;
        if allowed {
            self.paid_at = paid_at;
        }
        allowed
    }

    /// Whether the whole burst is there.
    #[must_use]
    pub fn is_full(&self, now: Time) -> bool {
        self.paid_at <= now
    }
}

/// Where the `index`-th of many who are to come back has its place within `range`, in milliseconds. Whichever run of indices is
/// taken, their places are spread evenly (multiples of the golden ratio), which chance would not do as well.
#[must_use]
pub fn spread_millis(index: u64, range: Duration) -> u64 {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let place = u128::from(index.wrapping_mul(GOLDEN)) * range.as_millis();
    u64::try_from(place >> 64).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut limiter = Limiter::new(Rate { per_second: 10, burst: 3 });
        let mut now = Time::from_nanos(5_000_000_000);
        let taken = |limiter: &mut Limiter, now| (0..10).filter(|_| limiter.take(now)).count();
        assert_eq!(taken(&mut limiter, now), 3);
        assert!(!limiter.is_full(now));
        now += Duration::from_millis(99);
        assert_eq!(taken(&mut limiter, now), 0);
        now += Duration::from_millis(1);
        assert_eq!(taken(&mut limiter, now), 1);
        now += Duration::from_secs(60);
        assert!(limiter.is_full(now));
        assert_eq!(taken(&mut limiter, now), 3);
    }

    #[test]
    fn those_who_come_back_are_spread_evenly() {
        let range = Duration::from_secs(10);
        for first in [0, 1_000_000] {
            let mut places: Vec<u64> =
                (first..first + 1_000).map(|index| spread_millis(index, range)).collect();
            places.sort_unstable();
            assert!(places[999] < 10_000);
            let widest = places.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(widest.is_some_and(|gap| gap < 30), "{widest:?} ms without anybody");
        }
    }
}
