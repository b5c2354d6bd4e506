//! `sluice netem`, alone and between people and a router.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::dev::Dev;
use crate::process::{Sluice, address_after};

const LOSS: &str = "delay=5ms,loss=3%";

/// A port that was free a moment ago.
fn free_udp_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn it_carries_any_udp_and_ends_with_its_totals() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let upstream = server.local_addr().unwrap().to_string();
    let netem =
        Sluice::start(&["netem", "--listen", "127.0.0.1:0", "--upstream", &upstream, "--down", "loss=100%"]);
    let address = address_after(&netem.wait_for("netem is up"), "netem is up: ");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"there", address).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut buffer = [0; 16];
    let (size, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..size], b"there");
    server.send_to(b"lost", from).unwrap();
    netem.wait_for("lost 1 (100.0 %) | 0 rebinds");
    netem.interrupt();
    let (status, text) = netem.finish();
    assert!(status.success(), "{text}");
    assert!(text.contains("1 clients, 0 rebinds, 0 datagrams refused"), "{text}");
}

#[test]
fn people_behind_a_bad_network_meet_and_the_report_tells_the_truth() {
    let between = free_udp_port().to_string();
    let dev = Dev::start("127.0.0.1", &["--shards", "2", "--public-media", &between]);
    let upstream = dev.media.to_string();
    let arguments = ["netem", "--listen", &between, "--upstream", &upstream, "--up", LOSS, "--down", LOSS];
    let netem = Sluice::start(&[&arguments[..], &["--rebind-every", "700ms", "--seed", "3"]].concat());
    netem.wait_for("netem is up");

    let report = dev.visit(3, 30.0);
    assert!(report.ok, "{report:#?}");
    assert!(report.rtp_lost > 0 && report.rtp_received > report.rtp_lost, "{report:#?}");
    assert_eq!((report.frames_corrupt, report.auth_failures, report.participants_connected), (0, 0, 3));

    let strict = dev.visit(3, 0.0);
    assert!(!strict.ok && strict.rtp_lost > 0, "{strict:#?}");
    assert!(strict.errors.iter().any(|error| error.contains("lost")), "{:?}", strict.errors);

    netem.interrupt();
    let (status, text) = netem.finish();
    assert!(status.success(), "{text}");
    assert!(!text.contains(" 0 rebinds"), "each client has moved: {text}");
}
