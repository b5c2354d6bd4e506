//! Runs conferences on virtual time, seed after seed, and prints the seed that fails.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use sluice_simulator::campaign;

/// Whole conferences (router shards, clients, a hostile network) on virtual time, with invariants checked at every step.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

#[expect(clippy::print_stdout, reason = "the result of a command goes to standard output")]
#[expect(clippy::disallowed_methods, reason = "the rate is measured in real time; nothing simulated sees it")]
fn main() -> ExitCode {
    let args = Args::parse();
    let bar = ProgressBar::new(args.seeds);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {msg}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let started = Instant::now();
    let rate = |virtual_ms: u64| virtual_ms as f64 / 1_000.0 / started.elapsed().as_secs_f64();
    let result = campaign::run(args.first, args.seeds, |total| {
        bar.inc(1);
        bar.set_message(format!("{:.0} virtual seconds per second", rate(total.virtual_ms)));
    });
    bar.finish_and_clear();
    match result {
        Ok(total) => {
            println!(
                "{} seeds without a violation: {} virtual seconds at {:.0} per second",
                args.seeds,
                total.virtual_ms / 1_000,
                rate(total.virtual_ms)
            );
            println!(
                "{} datagrams into routers, {} packets forwarded, {} frames intact, {} migrations, {} hostile datagrams dropped",
                total.datagrams_in, total.rtp_out, total.frames_intact, total.migrations, total.hostile_drops
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            println!("run it again with: --first {} --seeds 1", failure.seed);
            ExitCode::FAILURE
        }
    }
}
