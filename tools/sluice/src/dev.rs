//! `sluice dev`: a whole deployment in one process, for who writes a client or looks around.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use sluice_loadgen::terminal::say;

use crate::deployment::{Deployment, Plan};
use crate::stop;

/// Signaling and one router in this process, until Ctrl-C; prints how to join.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Where signaling listens (REST and WebSocket, TCP); port 0 takes any.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where media comes in (UDP); port 0 takes any.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5004")]
    media: SocketAddr,
    /// Where clients are told to send media, if it is not the address above: that of a `sluice netem` in between, or the one
    /// behind which a NAT hides this machine.
    #[arg(long, value_name = "ADDRESS")]
    public_media: Option<SocketAddr>,
    /// Threads of the router [default: one per core].
    #[arg(long)]
    shards: Option<NonZero<usize>>,
    /// Keep meetings in this directory; else they are gone at the end.
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = stop::on_request()?;
    let Args { listen, media, public_media, shards, data } = args;
    let kept = data.as_ref().map(|directory| format!("in {}", directory.display()));
    let plan = Plan { http: listen, media, public_media, shards, data };
    let deployment =
        Deployment::start(plan).await.context("cannot start (--listen and --media choose other ports)")?;
    say(&welcome(&deployment, kept.as_deref().unwrap_or("until this ends")));
    tokio::select! {
        () = stop.cancelled() => {}
        failure = deployment.failed() => {
            deployment.shutdown().await;
            bail!("the router is of no use any more: {failure}");
        }
    }
    say("ending");
    deployment.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn welcome(deployment: &Deployment, kept: &str) -> String {
    let http = deployment.http_authority();
    let socket = deployment.media_socket().map(|address| address.to_string()).unwrap_or_default();
    let public = match deployment.media_address() {
        Some(address) if address.to_string() != socket => format!(" (clients are told {address})"),
        _ => String::new(),
    };
    let shards = deployment.shards();
    format!(
        "sluice dev is up: signaling on {http}, media on UDP {socket}{public}, {shards} shard(s), meetings are kept {kept}.

Make a meeting:
  curl -X POST http://{http}/api/v1/meetings -H 'content-type: application/json' -d '{{\"name\": \"first light\"}}'

Join it, as proto-spec/spec/06-signaling.md says:
  ws://{http}/api/v1/ws

Fill one with people who check what they see:
  cargo run --release -p sluice-loadgen -- run --server http://{http} --participants 20 --publishers 5 --seconds 10

Ctrl-C ends it."
    )
}
