//! `sluice demo`: a small meeting of real media, held against its promises.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args as ClapArgs;
use sluice_loadgen::progress::Progress;
use sluice_loadgen::report::{Report, ReportFile, table};
use sluice_loadgen::scenario::Scenario;
use sluice_loadgen::swarm::{self, SwarmConfig};
use sluice_loadgen::terminal::{View, say};
use sluice_router::RouterSnapshot;
use sluice_router::core::DropReason;

use crate::deployment::{Deployment, Plan};
use crate::stop;

const LOOPBACK_ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
/// Joins begin at this rate: a small meeting comes in within a moment, but not at once.
const JOINS_PER_SECOND: u32 = 50;
/// What the router must never see where nobody is hostile. Others, such as a packet behind a goodbye, are part of life.
const NEVER: [DropReason; 6] = [
    DropReason::AuthenticationFailed,
    DropReason::Malformed,
    DropReason::MalformedControl,
    DropReason::Replayed,
    DropReason::WrongShard,
    DropReason::UndeclaredStream,
];

/// A meeting on this machine, with microphones, cameras and a shared screen from real clips; ends with a verdict.
///
/// Signaling, a router and the participants run in this process, on loopback, with real sockets and real encryption. Cameras come
/// in four sizes at once; everybody sees the others small, who speaks in high, and one of the others enlarged in turn. The exit
/// code is 0 only if every promise was kept: nothing lost, nothing corrupt, no frame that cannot be decoded, nothing that did not
/// authenticate.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// How long it is measured, once everybody sees everybody.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many people; each has a microphone and a camera in four sizes, and the first shares a screen.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=100))]
    participants: u32,
    /// Write the figures to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Threads of the router.
    #[arg(long, value_name = "N", default_value = "2")]
    shards: NonZero<usize>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = stop::on_request()?;
    let json = args.json.as_deref().map(ReportFile::open).transpose()?;
    let any_port = SocketAddr::from(LOOPBACK_ANY_PORT);
    let plan =
        Plan { http: any_port, media: any_port, public_media: None, shards: Some(args.shards), data: None };
    let deployment = Deployment::start(plan).await?;
    let http = deployment.http_authority();
    let media = deployment.media_address().map(|address| address.to_string()).unwrap_or_default();
    say(&format!(
        "signaling on {http}, media on UDP {media}, {} shard(s); {} people meet for {} s",
        args.shards, args.participants, args.seconds
    ));
    let config = SwarmConfig {
        duration: Duration::from_secs(args.seconds),
        joins_per_second: JOINS_PER_SECOND,
        participants: args.participants,
        publishers: args.participants,
        screen_share: true,
        ..SwarmConfig::of_scenario(&format!("http://{http}"), Scenario::Small)?
    };
    let progress = Arc::new(Progress::new());
    let view = View::show(Arc::clone(&progress), config.duration);
    let meeting = swarm::run(config, progress, stop);
    let result = tokio::select! {
        result = meeting => result.context("there was no meeting"),
        failure = deployment.failed() => Err(failure.into()),
    };
    view.close().await;
    let snapshot = deployment.shutdown().await;
    let mut report = result?;
    judge_router(&mut report, &snapshot);
    say(&table(&report));
    if let Some(file) = json {
        file.write(&report)?;
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Adds what only the router saw.
fn judge_router(report: &mut Report, snapshot: &RouterSnapshot) {
    for reason in NEVER {
        let dropped = snapshot.sum(|shard| shard.counters.dropped(reason));
        if dropped > 0 {
            report.ok = false;
            report.errors.push(format!("the router dropped {dropped} datagrams: {}", reason.name()));
        }
    }
    report.auth_failures += snapshot.sum(|shard| shard.counters.dropped(DropReason::AuthenticationFailed));
}

#[cfg(test)]
mod tests {
    use sluice_router::ShardSnapshot;

    use super::*;

    #[test]
    fn what_the_router_saw_counts() {
        let mut shard = ShardSnapshot::default();
        let snapshot =
            |shard| RouterSnapshot { shards: vec![ShardSnapshot::default(), shard], control: None };
        let mut report = Report { ok: true, auth_failures: 1, ..Report::default() };
        shard.counters.drop(DropReason::Closing);
        judge_router(&mut report, &snapshot(shard));
        assert!(report.ok && report.errors.is_empty(), "a packet behind a goodbye is part of life");
        shard.counters.drop(DropReason::AuthenticationFailed);
        judge_router(&mut report, &snapshot(shard));
        assert_eq!((report.ok, report.auth_failures), (false, 2));
        assert_eq!(report.errors, ["the router dropped 1 datagrams: authentication_failed"]);
    }
}
