//! Runs held against promises.
//!
//! Shares of counts are pooled over all seeds, per person; everything else is judged by the seed that has it worst. What could not be
//! measured, since nothing came, is not kept.

mod measures;

#[cfg(test)]
mod tests;

pub(crate) use measures::percentile;
use serde::Serialize;

use crate::record::Run;
use crate::scenario::{Aggregation, Measure, Promise, Scenario};

/// What one run says about one promise: by person, a numerator and a denominator. The latter is 1 where the measure is none of shares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured(Vec<(String, f64, f64)>);

/// How it stands with a promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The promise in words.
    pub promise: String,
    /// What was measured.
    pub measure: Measure,
    /// The figure that it was judged by; nothing if there was none.
    pub value: Option<f64>,
    /// Whose it is.
    pub who: Option<String>,
    /// The figure of each seed, of the person who had it worst.
    pub by_seed: Vec<Option<f64>>,
    /// Whether it was kept.
    pub met: bool,
}

/// What a run says about each promise of its scenario. `baseline` is the run without faults, if there is one.
#[must_use]
pub fn measure(scenario: &Scenario, run: &Run, baseline: Option<&Run>) -> Vec<Measured> {
    let of = |promise: &Promise| Measured(measures::measure(scenario, run, baseline, promise));
    scenario.promises.iter().map(of).collect()
}

/// The verdicts on what the runs of several seeds say, in order of promise.
#[must_use]
pub fn judge(scenario: &Scenario, runs: &[Vec<Measured>]) -> Vec<Verdict> {
    let promises = scenario.promises.iter().enumerate();
    promises
        .map(|(number, promise)| {
            let of_runs: Vec<&Measured> = runs.iter().filter_map(|run| run.get(number)).collect();
            verdict(promise, &of_runs)
        })
        .collect()
}

fn verdict(promise: &Promise, runs: &[&Measured]) -> Verdict {
    let values = |entries: &[(String, f64, f64)]| -> Vec<(String, Option<f64>)> {
        entries.iter().map(|(who, share, of)| (who.clone(), (*of > 0.0).then(|| share / of))).collect()
    };
    let by_seed: Vec<Option<(String, Option<f64>)>> =
        runs.iter().map(|run| worst(promise, values(&run.0))).collect();
    let judged = if promise.measure.aggregation() == Aggregation::Pooled {
        worst(promise, values(&pooled(runs)))
    } else {
        worst(promise, by_seed.iter().flatten().cloned().collect())
    };
    let (who, value) = judged.unzip();
    let value = value.flatten();
    Verdict {
        promise: promise.text(),
        measure: promise.measure,
        value,
        who,
        by_seed: by_seed.into_iter().map(|worst| worst.and_then(|(_, value)| value)).collect(),
        met: value.is_some_and(|value| promise.is_kept_by(value)),
    }
}

/// The sums of each person over all runs.
fn pooled(runs: &[&Measured]) -> Vec<(String, f64, f64)> {
    let mut sums: Vec<(String, f64, f64)> = Vec::new();
    for (who, share, of) in runs.iter().flat_map(|run| &run.0) {
        match sums.iter_mut().find(|(other, ..)| other == who) {
            Some(sum) => (sum.1, sum.2) = (sum.1 + share, sum.2 + of),
            None => sums.push((who.clone(), *share, *of)),
        }
    }
    sums
}

/// Who is furthest on the wrong side, or nearest to it; who has no figure is worse than anybody.
fn worst(promise: &Promise, values: Vec<(String, Option<f64>)>) -> Option<(String, Option<f64>)> {
    let distance = |value: f64| {
        let below = promise.at_least.map_or(f64::NEG_INFINITY, |bound| bound - value);
        let above = promise.at_most.map_or(f64::NEG_INFINITY, |bound| value - bound);
        below.max(above)
    };
    let badness = |value: &Option<f64>| value.map_or(f64::INFINITY, distance);
    values.into_iter().max_by(|(_, a), (_, b)| badness(a).total_cmp(&badness(b)))
}
