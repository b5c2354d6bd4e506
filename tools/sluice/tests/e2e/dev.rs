//! `sluice dev`, and people who come to it.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use sluice_loadgen::progress::Progress;
use sluice_loadgen::report::Report;
use sluice_loadgen::swarm::{self, SwarmConfig};
use tokio_util::sync::CancellationToken;

use crate::process::{Sluice, address_after, run};

/// A `sluice dev` that is up.
pub(crate) struct Dev {
    pub(crate) process: Sluice,
    pub(crate) http: SocketAddr,
    pub(crate) media: SocketAddr,
}

impl Dev {
    /// On ports of the system's choice, on the loopback address `ip`.
    pub(crate) fn start(ip: &str, more: &[&str]) -> Self {
        let any = format!("{ip}:0");
        let process = Sluice::start(&[&["dev", "--listen", &any, "--media", &any], more].concat());
        let line = process.wait_for("sluice dev is up");
        let (http, media) = (address_after(&line, "signaling on "), address_after(&line, "media on UDP "));
        process.wait_for("Ctrl-C ends it.");
        Self { process, http, media }
    }

    /// Sends in `participants`, of whom two publish, for two seconds.
    pub(crate) fn visit(&self, participants: u32, allow_loss_percent: f64) -> Report {
        let config = SwarmConfig {
            duration: Duration::from_secs(2),
            allow_loss_percent,
            ..SwarmConfig::one_room(&format!("http://{}", self.http), participants, 2).unwrap()
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(swarm::run(config, Arc::new(Progress::new()), CancellationToken::new())).unwrap()
    }
}

#[test]
fn a_swarm_loses_nothing_and_ctrl_c_ends_the_deployment() {
    let dev = Dev::start("127.0.0.1", &["--shards", "2"]);
    let report = dev.visit(5, 0.0);
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.rtp_lost, report.frames_missing, report.participants_connected), (0, 0, 5));
    assert_eq!(report.subscriptions_flowing, 2 * 5 - 2 + 3 * 5 - 3, "two tracks of one, three of the other");
    dev.process.interrupt();
    let (status, text) = dev.process.finish();
    assert!(status.success(), "{text}");
    assert_eq!(text, "ending", "nothing is worth a warning");
}

#[test]
fn ipv6_is_as_good() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return; // a machine without it
    }
    let dev = Dev::start("[::1]", &["--shards", "1"]);
    assert!(dev.http.is_ipv6() && dev.media.is_ipv6());
    let report = dev.visit(2, 0.0);
    assert!(report.ok, "{report:#?}");
}

#[test]
fn meetings_outlive_the_process_where_data_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new").join("data");
    let dev = Dev::start("127.0.0.1", &["--shards", "1", "--data", data.to_str().unwrap()]);
    dev.process.interrupt();
    assert!(dev.process.finish().0.success());
    assert!(std::fs::metadata(data.join("sluice.db")).unwrap().len() > 0);
    Dev::start("127.0.0.1", &["--shards", "1", "--data", data.to_str().unwrap()]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let (code, text) = run(&["dev", "--listen", &taken, "--media", "127.0.0.1:0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&taken) && text.contains("--listen"), "{text}");

    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let (code, text) = run(&["dev", "--listen", "127.0.0.1:0", "--media", &taken]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&taken) && text.contains("--media"), "{text}");

    let dev = Dev::start("127.0.0.1", &["--shards", "1"]);
    let (code, text) = run(&["dev", "--listen", "127.0.0.1:0", "--media", &dev.media.to_string()]);
    assert_eq!(code, Some(1), "a second router must not share the first one's port: {text}");
    assert!(text.contains(&dev.media.port().to_string()), "{text}");
}
