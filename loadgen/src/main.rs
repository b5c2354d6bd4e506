//! `sluice-loadgen`: see `loadgen/README.md`.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;
use sluice_loadgen::terminal::complain;

/// What cannot be run is no verdict on the server: it has a code of its own.
const EXIT_NO_RUN: u8 = 2;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(EXIT_NO_RUN)
        }
    }
}
