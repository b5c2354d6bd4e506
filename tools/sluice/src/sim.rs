//! `sluice sim`: conferences on virtual time, seed after seed, until one fails.

use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressStyle};
use sluice_loadgen::terminal::{complain, say};
use sluice_simulator::campaign;
use sluice_simulator::outcome::Outcome;

/// How often there is a line about how far it is, where nobody sees a bar.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Whole conferences (router shards, clients, a hostile network) on virtual time, with invariants checked at every step.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first: u64,
}

#[expect(clippy::disallowed_methods, reason = "the rate is measured in real time; nothing simulated sees it")]
fn now() -> Instant {
    Instant::now()
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.first.checked_add(args.seeds).is_some(), "there are no seeds above {}", u64::MAX);
    let bar = ProgressBar::new(args.seeds);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {msg}, {eta} left")?);
    let started = now();
    let rate = |total: &Outcome| total.virtual_ms as f64 / 1_000.0 / started.elapsed().as_secs_f64();
    let (mut done, mut reported) = (0, started);
    let result = campaign::run(args.first, args.seeds, |total| {
        done += 1;
        bar.set_position(done);
        bar.set_message(format!("{:.0} virtual seconds per second", rate(total)));
        if !stderr().is_terminal() && reported.elapsed() >= REPORT_INTERVAL {
            reported = now();
            complain(&format!("{done}/{} seeds, {:.0} virtual seconds per second", args.seeds, rate(total)));
        }
    });
    bar.finish_and_clear();
    Ok(match result {
        Ok(total) => {
            say(&format!(
                "{} seeds without a violation: {} virtual seconds at {:.0} per second",
                args.seeds,
                total.virtual_ms / 1_000,
                rate(&total)
            ));
            say(&format!(
                "{} datagrams into routers, {} packets forwarded, {} frames intact, {} migrations, {} hostile datagrams dropped",
                total.datagrams_in, total.rtp_out, total.frames_intact, total.migrations, total.hostile_drops
            ));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(&format!("{failure}"));
            say(&format!("run it again with: sluice sim --first {} --seeds 1", failure.seed));
            ExitCode::FAILURE
        }
    })
}
