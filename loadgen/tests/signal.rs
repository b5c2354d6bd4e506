//! The signaling load against a real daemon, small.

use std::time::Duration;

use sluice_client::clock::Clock;
use sluice_loadgen::signal::{SignalConfig, run, table};
use sluice_signaling::{SignalingConfig, start};
use sluice_wire::signaling::Token;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_joins_and_hears_of_every_change() {
    let token = Token::new("router".to_owned());
    let daemon = start(SignalingConfig {
        http_listen: "127.0.0.1:0".parse().unwrap(),
        grpc_listen: "127.0.0.1:0".parse().unwrap(),
        router_token: Some(token.clone()),
        ..SignalingConfig::default()
    })
    .await
    .unwrap();
    let config = SignalConfig {
        server: format!("http://{}", daemon.http_address()),
        api_token: None,
        meetings: 4,
        participants: 20,
        joins_per_second: 200,
        changes_per_second: 40,
        duration: Duration::from_secs(1),
        router: Some((daemon.grpc_address().to_string(), token)),
        daemon: None,
        daemon_pid: Some(std::process::id()),
        clock: Clock::process(),
    };
    let report = run(config, CancellationToken::new()).await.unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!((report.joined, report.meetings), (20, 4));
    assert!(report.changes >= 20, "{report:?}");
    // Each change is told to the five of its meeting; the last may be under way when the time is over.
    assert!(report.events_delivered >= 5 * (report.changes - 20), "{report:?}");
    assert!(report.events_delivered <= 5 * report.changes, "{report:?}");
    assert!(
        report.join_us.is_some()
            && report.event_us.is_some()
            && report.daemon_bytes_per_participant.is_some()
    );
    assert!(table(&report).ends_with("OK: everybody joined and stayed"));
}
