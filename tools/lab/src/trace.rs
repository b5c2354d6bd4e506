//! Rates that wander, as those of radio links do: a documented, seeded process in place of recordings that nobody may pass on.
//!
//! Two things happen at once. A Markov chain goes from state to state (a cell's load, a wall, a neighbour's transfer): each lasts
//! for an exponentially distributed time, and the next is any other with equal chance. On top of its factor an Ornstein-Uhlenbeck
//! process of mean 0 wanders in the logarithm of the rate (fading): standard deviation `spread`, correlation time
//! `correlation_ms`. The rate is `mean_bps * factor * exp(x - spread^2 / 2)`, never below `least_bps`, new every `step_ms`. Now and
//! then it is `least_bps` for a while: a handover, or a scan for other access points.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sluice_netsim::config::MAX_STEPS;

/// A process that makes a rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// How often the rate changes.
    pub step_ms: f64,
    /// The rate in a state of factor 1, on average.
    pub mean_bps: f64,
    /// The lowest rate.
    pub least_bps: u64,
    /// The states; the first is the first.
    pub states: Vec<State>,
    /// Standard deviation of the logarithm of the rate within a state.
    pub spread: f64,
    /// For how long the rate remembers what it was.
    pub correlation_ms: f64,
    /// Mean time between outages; none unless said.
    #[serde(default)]
    pub outage_every_s: Option<f64>,
    /// How long an outage is.
    #[serde(default)]
    pub outage_ms: f64,
}

/// A state of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What the mean rate is multiplied with.
    pub factor: f64,
    /// How long it lasts on average.
    pub lasts_ms: f64,
}

impl Trace {
    /// Whether the parameters make sense.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let lengths = [self.step_ms, self.correlation_ms].into_iter();
        let lengths =
            lengths.chain(self.states.iter().map(|state| state.lasts_ms)).chain(self.outage_every_s);
        if self.states.is_empty() || self.states.iter().any(|state| state.factor <= 0.0) {
            return Err("it needs states, each with a factor above 0".to_owned());
        }
        if lengths.clone().any(|length| !length.is_finite() || length < 0.001) {
            return Err("all times have to be above 0".to_owned());
        }
        if self.mean_bps < 1_000.0 || self.least_bps < 1_000 || !(0.0..=3.0).contains(&self.spread) {
            return Err("mean_bps and least_bps have to be 1000 or more, spread within 0 and 3".to_owned());
        }
        Ok(())
    }

    /// The rates of a run: from when on, in ms, and how much, in bit/s. As many as a link's schedule may have at most.
    #[must_use]
    pub fn rates(&self, seconds: f64, seed: u64) -> Vec<(f64, u64)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut walk = Walk { state: 0, left_ms: 0.0, x: 0.0, outage_left_ms: 0.0 };
        walk.left_ms = self.dwell(0, &mut rng);
        let steps = ((seconds * 1_000.0 / self.step_ms).ceil() as usize).min(MAX_STEPS / 2);
        (0..steps).map(|step| (step as f64 * self.step_ms, self.step(&mut walk, &mut rng))).collect()
    }

    fn step(&self, walk: &mut Walk, rng: &mut ChaCha8Rng) -> u64 {
        walk.left_ms -= self.step_ms;
        while walk.left_ms <= 0.0 {
            let others = self.states.len().max(2) - 1;
            walk.state = (walk.state + 1 + rng.random_range(0..others)) % self.states.len();
            walk.left_ms += self.dwell(walk.state, rng);
        }
        let step = self.step_ms / self.correlation_ms;
        walk.x += -walk.x * step.min(1.0) + self.spread * (2.0 * step.min(0.5)).sqrt() * normal(rng);
        let chance: f64 = rng.random();
        if self.outage_every_s.is_some_and(|every| chance < self.step_ms / (every * 1_000.0)) {
            walk.outage_left_ms = self.outage_ms;
        }
        walk.outage_left_ms -= self.step_ms;
        if walk.outage_left_ms > -self.step_ms {
            return self.least_bps;
        }
        let factor = self.states[walk.state].factor;
        let rate = self.mean_bps * factor * (walk.x - self.spread * self.spread / 2.0).exp();
        (rate as u64).max(self.least_bps)
    }

    fn dwell(&self, state: usize, rng: &mut ChaCha8Rng) -> f64 {
        let draw: f64 = rng.random();
        // At least a step, so that the chain moves on however unlucky the draw.
        (-(1.0 - draw).ln() * self.states[state].lasts_ms).max(self.step_ms)
    }
}

struct Walk {
    state: usize,
    left_ms: f64,
    x: f64,
    outage_left_ms: f64,
}

/// A draw of a normal distribution, near enough: the sum of twelve even draws has variance 1.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let state = |factor, lasts_ms| State { factor, lasts_ms };
        Trace {
            step_ms: 100.0,
            mean_bps: 2e6,
            least_bps: 50_000,
            states: vec![state(1.0, 4_000.0), state(0.4, 1_500.0)],
            spread: 0.3,
            correlation_ms: 500.0,
            outage_every_s: Some(20.0),
            outage_ms: 300.0,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_rates_and_another_seed_others() {
        assert_eq!(trace().rates(60.0, 1), trace().rates(60.0, 1));
        assert_ne!(trace().rates(60.0, 1), trace().rates(60.0, 2));
        assert_eq!(trace().rates(60.0, 1).len(), 600);
    }

    #[test]
    fn the_mean_is_that_of_the_states() {
        let trace = Trace { outage_every_s: None, ..trace() };
        let rates = trace.rates(400.0, 7);
        let mean = rates.iter().map(|(_, rate)| *rate as f64).sum::<f64>() / rates.len() as f64;
        let expected = 2e6 * (4.0 + 0.4 * 1.5) / 5.5;
        assert!((mean / expected - 1.0).abs() < 0.15, "{mean} instead of {expected}");
        assert!(
            rates.iter().any(|(_, rate)| *rate < 900_000) && rates.iter().any(|(_, rate)| *rate > 2_000_000)
        );
    }

    #[test]
    fn outages_last_as_long_as_they_should() {
        let rates = Trace { spread: 0.0, ..trace() }.rates(400.0, 3);
        let lows: Vec<bool> = rates.iter().map(|(_, rate)| *rate == 50_000).collect();
        let begins = (1..lows.len()).filter(|step| lows[*step] && !lows[step - 1]).count();
        let low = lows.iter().filter(|low| **low).count();
        assert!((8..40).contains(&begins), "{begins} outages in 400 s");
        assert!((low as f64 / begins as f64 - 3.0).abs() < 0.5, "{low} steps in {begins} outages");
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(trace().check(), Ok(()));
        assert!(Trace { states: vec![], ..trace() }.check().is_err());
        assert!(Trace { step_ms: 0.0, ..trace() }.check().is_err());
        assert!(Trace { correlation_ms: f64::NAN, ..trace() }.check().is_err());
        assert!(Trace { least_bps: 0, ..trace() }.check().is_err());
    }
}
