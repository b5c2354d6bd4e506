//! `sluice lab`: bad networks, and what is promised all the same.

mod real;

use std::io::{IsTerminal as _, stderr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Args as ClapArgs, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sluice_lab::campaign::{self, Plan, Report};
use sluice_lab::scenario::{self, Scenario};
use sluice_lab::show::{listing, plot, report_table, summary_table};
use sluice_loadgen::report::ReportFile;
use sluice_loadgen::terminal::{complain, say};

/// How often there is a line about how far it is, where nobody sees a bar.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// What ends the name of a scenario file.
const FILE_ENDING: &str = ".toml";

/// Runs scenarios of bad networks and holds what happens against promises.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// Say which scenarios there are.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    Real(real::Args),
}

/// Runs scenarios on virtual time: everything follows from the seed. Exit code 1 if a promise is not kept.
#[derive(Debug, ClapArgs)]
struct RunArgs {
    /// The name of a scenario, or the path of a file (which ends in .toml).
    #[arg(required_unless_present = "all")]
    scenario: Option<String>,
    /// Run all scenarios and sum them up in one table.
    #[arg(long, conflicts_with = "scenario")]
    all: bool,
    /// Of a scenario with variants, only those of this value; may be said several times.
    #[arg(long, value_name = "NAME=VALUE")]
    only: Vec<String>,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Runs at a time [default: one per core].
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// Write everything to this file: the verdicts, and the first run of each scenario sample by sample.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// With --json: every run, not the first alone.
    #[arg(long, requires = "json")]
    every_run: bool,
    /// Draw the first run to this SVG file; needs a single scenario or variant.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the speed is measured in real time; nothing simulated sees it"
)]
fn now() -> Instant {
    Instant::now()
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        None if args.list => {
            say(&listing(&scenario::all()?));
            say("sluice lab run SCENARIO runs one of them, sluice lab run --all all of them");
            Ok(ExitCode::SUCCESS)
        }
        None => bail!("say --list, or run and the name of a scenario (--help says more)"),
        Some(Command::Run(args)) => run_virtually(&args),
        Some(Command::Real(args)) => crate::on_runtime(real::run(args)),
    }
}

fn run_virtually(args: &RunArgs) -> anyhow::Result<ExitCode> {
    ensure!(args.seed.checked_add(args.seeds).is_some(), "there are no seeds above {}", u64::MAX);
    let scenarios = match &args.scenario {
        Some(name) => chosen(name, &args.only)?,
        None => scenario::all()?,
    };
    if args.plot.is_some() && scenarios.len() != 1 {
        bail!("a plot is of one run: choose one of {} variants with --only", scenarios.len());
    }
    let json = args.json.as_deref().map(ReportFile::open).transpose()?;
    let threads =
        args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
    let plan = Plan { first_seed: args.seed, seeds: args.seeds, threads, keep_runs: args.every_run };
    let started = now();
    let reports = with_progress(&scenarios, plan)?;
    show(&reports, args.all || reports.len() > 1);
    let simulated = scenarios.iter().map(|scenario| scenario.seconds).sum::<f64>() * args.seeds as f64;
    let elapsed = started.elapsed().as_secs_f64();
    complain(&format!(
        "{simulated:.0} s of meetings in {elapsed:.1} s: {:.0} times real time",
        simulated / elapsed
    ));
    write(&reports, json, args.plot.as_deref())
}

/// Writes what is to be written; the exit code says whether all promises were kept.
fn write(reports: &[Report], json: Option<ReportFile>, picture: Option<&Path>) -> anyhow::Result<ExitCode> {
    if let Some(file) = json {
        file.write(&reports)?;
    }
    if let (Some(path), Some(report)) = (picture, reports.first()) {
        let svg = plot(report)?;
        std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if reports.iter().all(|report| report.met) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The variants of a scenario that were asked for.
fn chosen(name: &str, only: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let mut scenarios = if name.ends_with(FILE_ENDING) {
        scenario::load(Path::new(name))?
    } else {
        let names = || scenario::names().collect::<Vec<_>>().join(", ");
        scenario::find(name)
            .with_context(|| format!("there is no scenario {name}; there are: {}", names()))??
    };
    for choice in only {
        let (key, value) =
            choice.split_once('=').with_context(|| format!("--only {choice} is not NAME=VALUE"))?;
        let is_it = |scenario: &Scenario| {
            scenario.variant.get(key).is_some_and(|of| {
                let text = of.as_str().map_or_else(|| of.to_string(), str::to_owned);
                text == value || text.parse::<f64>().is_ok_and(|of| value.parse() == Ok(of))
            })
        };
        scenarios.retain(is_it);
        ensure!(!scenarios.is_empty(), "{name} has no variant with {choice}");
    }
    Ok(scenarios)
}

fn with_progress(scenarios: &[Scenario], plan: Plan) -> anyhow::Result<Vec<Report>> {
    let bar = ProgressBar::new(scenarios.len() as u64 * plan.seeds);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left")?);
    let reported = Mutex::new(now());
    let reports = campaign::run(scenarios, plan, |over, of| {
        bar.set_position(over as u64);
        if let Ok(mut reported) = reported.try_lock()
            && !stderr().is_terminal()
            && reported.elapsed() >= REPORT_INTERVAL
        {
            *reported = now();
            complain(&format!("{over}/{of} runs"));
        }
    });
    bar.finish_and_clear();
    Ok(reports?)
}

/// A few reports in full, many summed up.
fn show(reports: &[Report], sum_up: bool) {
    match reports {
        [report] => say(&report_table(report)),
        reports if !sum_up => reports.iter().for_each(|report| say(&report_table(report))),
        _ => say(&summary_table(reports)),
    }
}
