//! Sluice in one binary: a development server, a demo that judges itself, a bad network, the simulator, and the laboratory.
//!
//! One command a file. `deployment` is what `dev` and `demo` share: signaling and a router in this process.

mod demo;
mod deployment;
mod dev;
mod lab;
mod netem;
mod sim;
mod stop;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;
use sluice_loadgen::terminal::complain;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A media router for conferences, and what one needs to try it.
#[derive(Debug, Parser)]
#[command(name = "sluice", version)]
enum Command {
    Dev(dev::Args),
    Demo(demo::Args),
    Netem(Box<netem::Args>),
    Sim(sim::Args),
    Lab(lab::Args),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .init();
    let result = match command {
        Command::Dev(args) => on_runtime(dev::run(args)),
        Command::Demo(args) => on_runtime(demo::run(args)),
        Command::Netem(args) => on_runtime(netem::run(*args)),
        Command::Sim(args) => sim::run(&args),
        Command::Lab(args) => lab::run(args),
    };
    result.unwrap_or_else(|error| {
        complain(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

fn on_runtime(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(command)
}
