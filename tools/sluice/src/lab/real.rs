//! `sluice lab real`: a scenario between real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use sluice_lab::campaign::Report;
use sluice_lab::judge::measure;
use sluice_lab::real::{self, Place};
use sluice_lab::record::Run;
use sluice_lab::scenario::Scenario;
use sluice_loadgen::report::ReportFile;
use sluice_loadgen::terminal::complain;
use tokio_util::sync::CancellationToken;

use crate::deployment::{Deployment, Plan};
use crate::stop;

const LOOPBACK_ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Runs a scenario between real sockets on this machine: signaling, a router, clients, and a proxy with the scenario's links in
/// between. Takes as long as the scenario. Exit code 1 if a promise is not kept.
///
/// Promises about those who are bad take a second run, without their faults.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The name of a scenario, or the path of a file (which ends in .toml).
    scenario: String,
    /// Of a scenario with variants, the one of this value; may be said several times.
    #[arg(long, value_name = "NAME=VALUE")]
    only: Vec<String>,
    /// Only so much of it, and the promises about that.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(3..=600))]
    seconds: Option<u64>,
    /// The seed of all that the network and the sources draw.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Threads of the router.
    #[arg(long, value_name = "N", default_value = "1")]
    shards: NonZero<usize>,
    /// Write everything to this file, sample by sample.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw it to this SVG file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = stop::on_request()?;
    let scenarios = super::chosen(&args.scenario, &args.only)?;
    let [scenario] = &scenarios[..] else {
        bail!("{} has {} variants: choose one with --only", args.scenario, scenarios.len());
    };
    let scenario =
        args.seconds.map_or_else(|| scenario.clone(), |seconds| scenario.shortened(seconds as f64));
    let json = args.json.as_deref().map(ReportFile::open).transpose()?;
    complain(&format!("{}: {:.0} s between real sockets", scenario.full_name(), scenario.seconds));
    let run = once(&scenario, &args, &stop).await?;
    let baseline = if scenario.needs_baseline() {
        complain("once more without faults, to compare");
        Some(once(&scenario.without_faults(), &args, &stop).await?)
    } else {
        None
    };
    let measured = measure(&scenario, &run, baseline.as_ref());
    let reports = [Report::new(&scenario, "real", vec![args.seed], &[measured], vec![run])];
    super::show(&reports, false);
    super::write(&reports, json, args.plot.as_deref())
}

/// Starts everything, runs the scenario, and ends everything.
async fn once(scenario: &Scenario, args: &Args, stop: &CancellationToken) -> anyhow::Result<Run> {
    let any_port = SocketAddr::from(LOOPBACK_ANY_PORT);
    let socket = UdpSocket::bind(any_port).context("no socket for the proxy")?;
    let deployment = Deployment::start(Plan {
        http: any_port,
        media: any_port,
        public_media: Some(socket.local_addr()?),
        shards: Some(args.shards),
        data: None,
    })
    .await?;
    let place = Place {
        server: format!("http://{}", deployment.http_authority()),
        router: deployment.media_socket().context("the router has no media socket")?,
        socket,
    };
    let result = tokio::select! {
        result = real::run(scenario, args.seed, place, stop.clone()) => result.map_err(anyhow::Error::from),
        failure = deployment.failed() => Err(failure.into()),
    };
    deployment.shutdown().await;
    result
}
