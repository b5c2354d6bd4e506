//! Pauses between attempts to reach signaling.

use std::time::Duration;

use rand::RngExt;

/// The first pause: signaling may just be restarting.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause: how long a router may go unnoticed after signaling is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Pauses that double, each shortened by up to a half at random, so that the routers of a restarted daemon come one by one.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&mut self, rng: &mut impl RngExt) -> Duration {
        let pause = self.next.mul_f64(rng.random_range(0.5..=1.0));
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        pause
    }

    /// It worked: the next pause is the first again.
    pub(super) const fn reset(&mut self) {
        self.next = FIRST_PAUSE;
    }

    /// It cannot work until somebody does something about it.
    pub(super) const fn slow_down(&mut self) {
        self.next = LONGEST_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    #[test]
    fn pauses_double_up_to_the_longest_and_vary() {
        let (mut backoff, mut rng) = (Backoff::new(), ChaCha20Rng::from_seed([1; 32]));
        let mut full = FIRST_PAUSE;
        for _ in 0..10 {
            let pause = backoff.pause(&mut rng);
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
            full = (full * 2).min(LONGEST_PAUSE);
        }
        assert_eq!(backoff.next, LONGEST_PAUSE);
        assert_ne!(backoff.pause(&mut rng), backoff.pause(&mut rng));
        backoff.reset();
        assert!(backoff.pause(&mut rng) <= FIRST_PAUSE);
        backoff.slow_down();
        assert!(backoff.pause(&mut rng) >= LONGEST_PAUSE / 2);
    }
}
