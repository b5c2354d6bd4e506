//! Runs against the real daemons: what a healthy deployment gives, and that every kind of damage is noticed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use sluice_loadgen::media::MediaSet;
use sluice_loadgen::progress::{Phase, Progress};
use sluice_loadgen::report::Report;
use sluice_loadgen::swarm::{self, SwarmConfig, SwarmError};
use tokio_util::sync::CancellationToken;

use support::{Deployment, Network, link};

async fn run(config: SwarmConfig) -> Report {
    swarm::run(config, Arc::new(Progress::new()), CancellationToken::new()).await.unwrap()
}

fn assert_ok(report: &Report) {
    assert!(report.ok, "{report:#?}");
    assert_eq!(report.errors, [""; 0]);
    assert_eq!(
        (report.rtp_lost, report.frames_missing, report.frames_corrupt, report.auth_failures),
        (0, 0, 0, 0)
    );
    assert_eq!(report.rtp_received, report.rtp_expected);
    assert_eq!(report.frames_received_intact, report.frames_expected);
    assert_eq!(report.subscriptions, report.subscriptions_flowing);
    assert_eq!(report.participants, report.participants_connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_deployment_keeps_every_promise() {
    let deployment = Deployment::start().await;
    let progress = Arc::new(Progress::new());
    let config = SwarmConfig { rooms: 2, ..deployment.config(7, 4) };
    let report = swarm::run(config, Arc::clone(&progress), CancellationToken::new()).await.unwrap();
    assert_ok(&report);
    // Two rooms of 4 and 3, with 2 publishers each, of whom one shares a screen.
    assert_eq!((report.tracks_published, report.participants), (10, 7));
    let of_room = |people: u64| (people - 2) * 5 + 2 + 3;
    assert_eq!(report.subscriptions, of_room(4) + of_room(3));
    assert!(report.rtp_received > report.rtp_sent && report.frames_sent > 4 * 60);
    assert!(report.latency_us.unwrap().max > 0 && report.pacing_us.is_some());
    assert!(report.uplink_bps > 500_000 && report.downlink_bps > report.uplink_bps);
    assert!((1.5..10.0).contains(&report.duration_s), "{}", report.duration_s);
    let shown = progress.snapshot();
    assert_eq!(
        (shown.phase, shown.connected, shown.subscriptions_flowing),
        (Phase::Done, 7, report.subscriptions)
    );
    assert_eq!(shown.frames_intact, report.frames_received_intact);
    assert_eq!(shown.rtp_received, report.rtp_received);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulcast_and_h264_over_ipv6_are_counted_as_exactly() {
    let deployment = Deployment::at(Ipv6Addr::LOCALHOST.into(), None).await;
    let short = Duration::from_millis(700);
    for camera in ["camera-180p30,camera-360p30,camera-720p30", "camera-360p30.h264", "none"] {
        let media = MediaSet::embedded(camera).unwrap();
        assert_ok(&run(SwarmConfig { media, duration: short, ..deployment.config(3, 2) }).await);
    }
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delay_and_reordering_are_no_loss() {
    let network = Network {
        up: link("delay=20ms"),
        down: link("delay=20ms,reorder=2%,reorder_extra=10ms"),
        rebind_every: None,
    };
    let deployment = Deployment::at(Ipv4Addr::LOCALHOST.into(), Some(network)).await;
    let report = run(deployment.config(3, 2)).await;
    assert_ok(&report);
    assert!(report.latency_us.unwrap().p50 >= 40_000, "{:?}", report.latency_us);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_is_a_broken_promise_unless_it_is_allowed() {
    let network = Network { down: link("loss=3%"), ..Network::default() };
    let deployment = Deployment::at(Ipv4Addr::LOCALHOST.into(), Some(network)).await;
    let report = run(deployment.config(3, 2)).await;
    // Nearly all of it comes again.
    assert!(!report.ok && report.rtp_lost > 0 && report.frames_missing < report.rtp_lost, "{report:#?}");
    assert_eq!((report.frames_corrupt, report.frames_unknown), (0, 0));
    assert!(report.errors[0].contains("RTP packets were lost"), "{:?}", report.errors);
    let report = run(SwarmConfig { allow_loss_percent: 20.0, ..deployment.config(3, 2) }).await;
    assert!(report.ok && report.rtp_lost > 0, "{report:#?}");
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_packets_are_seen_and_never_become_frames() {
    let network = Network { down: link("corrupt=2%"), ..Network::default() };
    let deployment = Deployment::at(Ipv4Addr::LOCALHOST.into(), Some(network)).await;
    let report = run(SwarmConfig { allow_loss_percent: 100.0, ..deployment.config(3, 2) }).await;
    assert!(!report.ok && report.auth_failures > 0, "{report:#?}");
    assert_eq!((report.frames_corrupt, report.frames_unknown), (0, 0));
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_router_is_told_and_the_run_ends() {
    let deployment = Deployment::start().await;
    let progress = Arc::new(Progress::new());
    let config = SwarmConfig { duration: Duration::from_secs(2), ..deployment.config(3, 2) };
    let running = tokio::spawn(swarm::run(config, Arc::clone(&progress), CancellationToken::new()));
    while progress.snapshot().phase < Phase::Measuring {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    deployment.router.shutdown().await;
    let report = running.await.unwrap().unwrap();
    assert!(!report.ok && report.sessions_lost >= 3, "{report:#?}");
    assert!(
        report.errors.iter().any(|error| error.ends_with("media sessions were lost")),
        "{:?}",
        report.errors
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_reports_what_there_is() {
    let deployment = Deployment::start().await;
    let (progress, stop) = (Arc::new(Progress::new()), CancellationToken::new());
    let config = SwarmConfig { duration: Duration::from_secs(600), ..deployment.config(3, 2) };
    let running = tokio::spawn(swarm::run(config, Arc::clone(&progress), stop.clone()));
    while progress.snapshot().measured_ms < 300 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    let report = running.await.unwrap().unwrap();
    assert_ok(&report);
    assert!(report.duration_s < 300.0);
    // Before anything is measured there is nothing to be content with.
    let report = swarm::run(deployment.config(3, 2), Arc::new(Progress::new()), stop).await.unwrap();
    assert!(!report.ok && report.participants_connected == 0, "{report:#?}");
    deployment.stop().await;
}

#[tokio::test]
async fn nobody_there_is_an_error_and_no_report() {
    let config = SwarmConfig::one_room("http://127.0.0.1:9", 2, 1).unwrap();
    let failed = swarm::run(config, Arc::new(Progress::new()), CancellationToken::new()).await;
    assert!(matches!(failed, Err(SwarmError::CreateMeeting { .. })), "{failed:?}");
}
