//! Many scenarios, many seeds, all cores.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::judge::{Measured, Verdict, judge, measure};
use crate::record::Run;
use crate::scenario::Scenario;
use crate::virtual_time::{self, RunError};

/// A scenario with its runs and the verdicts on them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// Its variant.
    pub variant: BTreeMap<String, String>,
    /// What it is.
    pub about: String,
    /// `virtual` or `real`.
    pub runner: &'static str,
    /// How long a run is.
    pub seconds: f64,
    /// The length of a sample.
    pub sample_seconds: f64,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Whether all promises were kept.
    pub met: bool,
    /// How it stands with each.
    pub verdicts: Vec<Verdict>,
    /// The run of the first seed, or all of them if that was asked for.
    pub runs: Vec<Run>,
}

impl Report {
    /// A report on the runs of a scenario by `runner`.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        runner: &'static str,
        seeds: Vec<u64>,
        measured: &[Vec<Measured>],
        runs: Vec<Run>,
    ) -> Self {
        let verdicts = judge(scenario, measured);
        let value = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self {
            scenario: scenario.name.clone(),
            variant: scenario.variant.iter().map(|(name, of)| (name.clone(), value(of))).collect(),
            about: scenario.about.clone(),
            runner,
            seconds: scenario.seconds,
            sample_seconds: crate::SAMPLE_SECONDS,
            seeds,
            met: verdicts.iter().all(|verdict| verdict.met),
            verdicts,
            runs,
        }
    }

    /// Name and variant.
    #[must_use]
    pub fn full_name(&self) -> String {
        let variant: Vec<String> =
            self.variant.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {}", self.scenario, variant.join(" ")).trim_end().to_owned()
    }
}

/// How a campaign is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first seed.
    pub first_seed: u64,
    /// How many.
    pub seeds: u64,
    /// Runs at a time.
    pub threads: NonZero<usize>,
    /// Keep every run, in place of the first of each scenario.
    pub keep_runs: bool,
}

/// What one seed gave.
struct Done {
    measured: Vec<Measured>,
    run: Option<Run>,
}

/// Runs every scenario with every seed on virtual time. `progress` is told how many runs of how many are over; it is called from
/// several threads.
///
/// # Errors
/// The first [`RunError`], in order of scenario and seed.
pub fn run(
    scenarios: &[Scenario],
    plan: Plan,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Vec<Report>, RunError> {
    let seeds: Vec<u64> = (0..plan.seeds).map(|number| plan.first_seed.wrapping_add(number)).collect();
    let jobs: Vec<(&Scenario, u64, bool)> = scenarios
        .iter()
        .flat_map(|scenario| seeds.iter().map(move |seed| (scenario, *seed)))
        .map(|(scenario, seed)| (scenario, seed, plan.keep_runs || seed == plan.first_seed))
        .collect();
    let (next, over) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Vec<Mutex<Option<Result<Done, RunError>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.get().min(jobs.len()) {
            scope.spawn(|| {
                while let Some((number, (scenario, seed, keep))) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|number| Some((number, jobs.get(number)?)))
                {
                    let done = one(scenario, *seed, *keep);
                    *results[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
                    progress(over.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
                }
            });
        }
    });
    let mut results =
        results.into_iter().filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner));
    scenarios
        .iter()
        .map(|scenario| {
            let done = results.by_ref().take(seeds.len()).collect::<Result<Vec<_>, _>>()?;
            let (measured, runs): (Vec<_>, Vec<_>) =
                done.into_iter().map(|done| (done.measured, done.run)).unzip();
            Ok(Report::new(
                scenario,
                "virtual",
                seeds.clone(),
                &measured,
                runs.into_iter().flatten().collect(),
            ))
        })
        .collect()
}

/// Runs one seed. A panic anywhere is a failure like any other.
fn one(scenario: &Scenario, seed: u64, keep: bool) -> Result<Done, RunError> {
    let both = || {
        let run = virtual_time::run(scenario, seed)?;
        let baseline = scenario
            .needs_baseline()
            .then(|| virtual_time::run(&scenario.without_faults(), seed))
            .transpose()?;
        Ok((run, baseline))
    };
    let (run, baseline) = catch_unwind(AssertUnwindSafe(both)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(RunError { scenario: scenario.full_name(), seed, what: format!("panic: {text}") })
    })?;
    let measured = measure(scenario, &run, baseline.as_ref());
    Ok(Done { measured, run: keep.then_some(run) })
}
