//! Short scenarios against the real daemons: what is forwarded is decodable, complete, and no more than was selected. Not how fast.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sluice_loadgen::media::MediaSet;
use sluice_loadgen::progress::Progress;
use sluice_loadgen::report::{Report, Selective};
use sluice_loadgen::scenario::Scenario;
use sluice_loadgen::swarm::{self, SwarmConfig};
use tokio_util::sync::CancellationToken;

use support::{Deployment, Network, link};

/// Smaller pictures, so that a machine that is busy with other tests can play them.
const SMALL_SIMULCAST: &str = "camera-180p30,camera-360p30,camera-720p30";

fn config(deployment: &Deployment, scenario: Scenario, people: u32, seconds: u64) -> SwarmConfig {
    SwarmConfig {
        participants: people,
        publishers: people,
        duration: Duration::from_secs(seconds),
        media: MediaSet::embedded(SMALL_SIMULCAST).unwrap(),
        ..SwarmConfig::of_scenario(&deployment.config(2, 2).server, scenario).unwrap()
    }
}

/// Runs it and checks all that does not depend on how fast this machine is.
async fn run(config: SwarmConfig) -> Selective {
    let people = u64::from(config.participants);
    let report: Report =
        swarm::run(config, Arc::new(Progress::new()), CancellationToken::new()).await.unwrap();
    assert_eq!((report.participants_connected, report.sessions_lost), (people, 0), "{report:#?}");
    assert_eq!(report.subscriptions, report.subscriptions_flowing, "{report:#?}");
    assert_eq!((report.frames_corrupt, report.frames_unknown), (0, 0), "{report:#?}");
    assert_eq!((report.auth_failures, report.datagrams_dropped), (0, 0), "{report:#?}");
    let selective = report.selective.clone().unwrap();
    assert_eq!((selective.frames_undecodable, selective.sequence_gaps), (0, 0), "{report:#?}");
    assert_eq!(selective.frames_oversized, 0, "{report:#?}");
    assert_eq!(selective.receivers.len() as u64, people);
    let (least, most) = selective.ratios().unwrap();
    assert!(least >= 0.95 && most <= 1.05, "{report:#?}");
    selective
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_change_without_a_glitch() {
    let deployment = Deployment::start().await;
    let selective = run(config(&deployment, Scenario::Switches, 3, 5)).await;
    // Two slots of each of three, every 700 ms: some may be late on a busy machine.
    assert!(selective.layer_switches > 20 && selective.switch_ms.is_some(), "{selective:#?}");
    assert!(selective.first_frame_ms.is_some());
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delay_and_reordering_spoil_no_switch() {
    let network = Network {
        up: link("delay=10ms"),
        down: link("delay=10ms,reorder=2%,reorder_extra=10ms"),
        rebind_every: None,
    };
    let deployment = Deployment::at(Ipv4Addr::LOCALHOST.into(), Some(network)).await;
    let selective = run(config(&deployment, Scenario::Switches, 3, 4)).await;
    assert!(selective.layer_switches > 15, "{selective:#?}");
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_follows_its_speakers() {
    let deployment = Deployment::start().await;
    let selective = run(config(&deployment, Scenario::Gallery25, 6, 9)).await;
    assert!(selective.source_changes > 0 && selective.layer_switches > 0, "{selective:#?}");
    // Nobody asks for 720 lines but of the speaker.
    assert!(selective.uplink_saved_bits_per_second > 2_000_000, "{selective:#?}");
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_nine_costs_nine_pictures_and_three_voices() {
    let deployment = Deployment::start().await;
    let selective = run(config(&deployment, Scenario::Visible9, 12, 3)).await;
    let (egress, _) = selective.mean_rates();
    // Nine cameras of 450 kbit/s and three voices of 60, with their headers.
    assert!((3_800_000..5_300_000).contains(&egress), "{selective:#?}");
    deployment.stop().await;
}

fn has_ffmpeg() -> bool {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-hide_banner", "-h", "decoder=libvpx"]).stdout(Stdio::null()).stderr(Stdio::null());
    ffmpeg.status().is_ok_and(|status| status.success())
}

/// Lets a decoder that nobody here wrote look at a file. How many pictures it made of it.
fn decode(file: &Path) -> usize {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-hide_banner", "-nostdin", "-v", "warning", "-xerror", "-err_detect", "explode"]);
    ffmpeg.args(["-c:v", "libvpx", "-i"]).arg(file);
    ffmpeg.args(["-fps_mode", "passthrough", "-f", "framemd5", "-"]);
    let output = ffmpeg.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", file.display());
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute and ffmpeg: the full check runs it"]
async fn a_strange_decoder_accepts_a_hundred_layer_switches() {
    if !has_ffmpeg() {
        eprintln!(
            "\n!!! SKIPPED: there is no ffmpeg with libvpx here, so NO DECODER has looked at what receivers get\n"
        );
        return;
    }
    let deployment = Deployment::start().await;
    let directory = tempfile::tempdir().unwrap();
    let config = config(&deployment, Scenario::Switches, 4, 28);
    let selective = run(SwarmConfig { dump: Some(directory.path().to_owned()), ..config }).await;
    assert!(selective.layer_switches_fewest >= 100, "{selective:#?}");
    deployment.stop().await;
    let files: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    for file in files {
        let pictures = decode(&file);
        let frames =
            sluice_client::media::ivf::IvfReader::new(&std::fs::read(&file).unwrap()).unwrap().count();
        assert!(pictures == frames && frames > 28 * 29, "{}: {pictures} of {frames}", file.display());
    }
}
