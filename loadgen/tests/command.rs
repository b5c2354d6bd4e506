//! The program itself: exit codes and files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output};

use sluice_loadgen::report::Report;
use tokio::task::spawn_blocking;

use support::{Deployment, Network, link};

async fn loadgen(server: &str, json: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-loadgen"));
    command.args(["run", "--server", server, "--participants", "3", "--publishers", "2", "--seconds", "1"]);
    command.arg("--json").arg(json).args(more);
    spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_run_ends_with_zero_a_table_and_a_file() {
    let deployment = Deployment::start().await;
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("load.json");
    let output = loadgen(&deployment.config(3, 2).server, &json, &[]).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.trim_end().ends_with("OK: every promise was kept"), "{printed}");
    let on_the_way = String::from_utf8(output.stderr).unwrap();
    assert!(on_the_way.lines().all(|line| line.contains("frames: ")), "no warnings: {on_the_way}");
    let report: Report = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert!(report.ok && report.participants == 3 && report.rtp_lost == 0);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_promise_ends_with_one() {
    let network = Network { up: link("rate=300kbit,queue=50ms"), ..Network::default() };
    let deployment = Deployment::at(Ipv4Addr::LOCALHOST.into(), Some(network)).await;
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("load.json");
    let output = loadgen(&deployment.config(3, 2).server, &json, &["--allow-loss", "1"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("NOT OK"));
    let report: Report = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert!(!report.ok && !report.errors.is_empty());
    deployment.stop().await;
}

#[tokio::test]
async fn what_cannot_run_ends_with_two() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("load.json");
    let output = loadgen("http://127.0.0.1:9", &json, &[]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("error: cannot create a meeting"));
    let output = loadgen("http://127.0.0.1:9", directory.path(), &[]).await;
    assert_eq!(output.status.code(), Some(2));
    let output = loadgen("http://127.0.0.1:9", &json, &["--publishers", "9"]).await;
    assert_eq!(output.status.code(), Some(2));
}
