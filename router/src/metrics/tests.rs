use sluice_wire::ticket::Suite;
use sluice_wire::track::ParticipantId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::MetricsConfig;
use crate::core::DropReason;
use crate::io::SendDrop;
use crate::{RouterConfig, RouterHandle, start};

async fn router() -> RouterHandle {
    let metrics = MetricsConfig { listen: "127.0.0.1:0".parse().unwrap() };
    start(RouterConfig { metrics: Some(metrics), ..RouterConfig::loopback() }).await.unwrap()
}

async fn get(router: &RouterHandle, path: &str) -> String {
    let mut stream = TcpStream::connect(router.metrics_address().unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: router\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn every_reason_and_every_shard_is_shown() {
    let router = router().await;
    router.open_session("a", ParticipantId::new(1).unwrap(), Suite::AeadAes128Gcm).await.unwrap();
    let text = loop {
        let text = get(&router, "/metrics").await;
        if text.contains("sluice_router_sessions{shard=\"0\"} 1") {
            break text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("application/openmetrics-text"), "{text}");
    for reason in DropReason::ALL.map(DropReason::name) {
        let line = format!("sluice_router_dropped_total{{shard=\"0\",reason=\"{reason}\"}} 0");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    for reason in SendDrop::ALL.map(SendDrop::name) {
        assert!(
            text.contains(&format!("sluice_router_send_dropped_total{{shard=\"0\",reason=\"{reason}\"}} 0"))
        );
    }
    for line in [
        "sluice_router_sessions_opened_total{shard=\"0\"} 1",
        "sluice_router_cpu_seconds_total{shard=\"0\"}",
        "sluice_router_longest_round_seconds{shard=\"0\"}",
        "sluice_router_round_seconds_bucket{le=\"0.001\",shard=\"0\"}",
        "sluice_router_round_seconds_bucket{le=\"+Inf\",shard=\"0\"}",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    router.shutdown().await;
}

#[tokio::test]
async fn health_is_a_word_and_the_rest_is_not_found() {
    let router = router().await;
    let answer = get(&router, "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    assert!(get(&router, "/").await.starts_with("HTTP/1.1 404"));
    let address = router.metrics_address().unwrap();
    router.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let router = router().await;
    let mut stream = TcpStream::connect(router.metrics_address().unwrap()).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(100_000));
    // The router may close before everything is written.
    let written = stream.write_all(head.as_bytes()).await.is_ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await.is_ok();
    assert!(!written || !read || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    router.shutdown().await;
}
