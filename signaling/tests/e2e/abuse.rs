//! Clients that err, and clients that mean harm: they are answered as the table has it, and the others notice nothing.

use std::time::Duration;

use crate::common::{Daemon, WithSlowReader, config, forgetful, no_password};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn the_first_message_is_a_join_of_this_version() {
    let daemon = Daemon::start().await;
    for (first, code) in [
        ("not JSON".to_owned(), "bad_message"),
        (r#"{"type":"dance"}"#.to_owned(), "bad_message"),
        (r#"{"type":"leave"}"#.to_owned(), "join_expected"),
        (r#"{"type":"join","version":7,"who":"knows"}"#.to_owned(), "unsupported_version"),
        (r#"{"type":"join","versions":[7,8],"who":"knows"}"#.to_owned(), "unsupported_version"),
        (r#"{"type":"join","version":1,"meeting_id":"x","display_name":""}"#.to_owned(), "bad_message"),
        (" ".repeat(65_537), "too_large"),
    ] {
        let mut client = daemon.client().await;
        client.send_text(&first).await;
        client.expect_fatal(code).await;
    }
}

#[tokio::test]
async fn who_does_not_join_in_time_is_closed() {
    let mut config = config();
    config.timing.join_timeout_ms = 50;
    let daemon = Daemon::with(config).await;
    daemon.client().await.expect_fatal("join_expected").await;
}

#[tokio::test]
async fn inside_mistakes_are_answered_and_ten_are_enough() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
    bob.join(&meeting.id, "Bob").await;
    bob.expect_error("already_joined", false).await;
    for _ in 0..10 {
        bob.send_text("?").await;
        bob.expect_error("bad_message", false).await;
    }
    bob.expect_nothing().await;
    ada.expect_nothing().await;
    bob.send_text("?").await;
    bob.expect_fatal("bad_message").await;
    assert_eq!(ada.expect("participant_left").await["reason"], "disconnected");
}

#[tokio::test]
async fn a_flood_is_stopped() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
    for token in 0..200 {
        use futures_util::SinkExt as _;
        let ping = json!({"type": "ping", "token": token}).to_string();
        if bob.socket.send(Message::text(ping)).await.is_err() {
            break;
        }
    }
    let last = loop {
        let message = bob.next().await;
        if message["fatal"] == true {
            break message;
        }
        assert!(message["type"] == "pong" || message["code"] == "rate_limited", "{message}");
    };
    assert_eq!(last["code"], "rate_limited");
    assert_eq!(ada.expect("participant_left").await["reason"], "disconnected");
}

#[tokio::test]
async fn who_does_not_read_is_dropped_and_the_others_go_on() {
    let WithSlowReader { daemon, meeting, mut ada, slow: _slow, name, router: _router, .. } =
        WithSlowReader::start(forgetful()).await;
    let mut rounds = 0;
    loop {
        rounds += 1;
        assert!(rounds < 5_000, "the slow one is still inside");
        let (mut other, joined) = daemon.inside(&meeting, &name).await;
        other.send(json!({"type": "leave"})).await;
        let other = joined["participant_id"].as_u64().unwrap();
        // Until the other's leave, whatever comes before it.
        let mut slow_left = false;
        while {
            let message = ada.next().await;
            slow_left |= left(&message, 2);
            !left(&message, other)
        } {}
        if slow_left {
            break;
        }
    }
    assert_eq!(daemon.counter("broken_connections_total").await, 1);
}

fn left(message: &Value, participant: u64) -> bool {
    message["type"] == "participant_left" && message["participant_id"] == participant
}

#[tokio::test]
async fn garbage_on_the_port_disturbs_nobody() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    for garbage in [&[0u8; 100][..], &[255; 40_000], b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"] {
        let mut socket = TcpStream::connect(daemon.handle.http_address()).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        drop(socket);
    }
    // A WebSocket whose frames are noise.
    let mut socket = TcpStream::connect(daemon.handle.http_address()).await.unwrap();
    let upgrade = "GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    socket.write_all(&[0xFF; 200]).await.unwrap();
    let mut answer = Vec::new();
    timeout(crate::common::PATIENCE, socket.read_to_end(&mut answer)).await.expect("closed in time").ok();
    ada.expect_nothing().await;
    let (_bob, _) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
}

#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let mut config = config();
    config.limits.max_connections_per_address = 3;
    let daemon = Daemon::with(config).await;
    let (first, _second, _third) = (daemon.client().await, daemon.client().await, daemon.client().await);
    let url = format!("ws://{}/api/v1/ws", daemon.handle.http_address());
    assert!(tokio_tungstenite::connect_async(&url).await.is_err());
    drop(first);
    let again = async {
        while tokio_tungstenite::connect_async(&url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(crate::common::PATIENCE, again).await.expect("room again");
}

#[tokio::test]
async fn an_address_has_its_share_of_requests() {
    let mut config = config();
    config.limits.requests_per_second_per_address = 1;
    config.limits.request_burst_per_address = 2;
    let daemon = Daemon::with(config).await;
    let meeting = daemon.create(no_password()).await;
    daemon.create(no_password()).await;
    let response = daemon.http.post(daemon.url("/api/v1/meetings")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "rate_limited");
    let mut client = daemon.client().await;
    client.join(&meeting.id, "Ada").await;
    client.expect_fatal("rate_limited").await;
}

#[tokio::test]
async fn rest_errors_are_as_the_table_has_them() {
    let daemon = Daemon::start().await;
    let meetings = daemon.url("/api/v1/meetings");
    let post = |body: String| daemon.http.post(&meetings).header(CONTENT_TYPE, "application/json").body(body);
    let cases = [
        (post("{".to_owned()), 400, "bad_request"),
        (post(r#"{"max_participants": 0}"#.to_owned()), 400, "bad_request"),
        (post(r#"{"max_participants": 1001}"#.to_owned()), 400, "bad_request"),
        (post(json!({"name": "x".repeat(129)}).to_string()), 400, "bad_request"),
        (post(json!({"password": ""}).to_string()), 400, "bad_request"),
        (post(" ".repeat(16 * 1024 + 1)), 413, "too_large"),
        (daemon.http.post(&meetings).body("{}"), 415, "unsupported_media_type"),
        (daemon.http.put(&meetings), 405, "method_not_allowed"),
        (daemon.http.get(daemon.url("/nowhere")), 404, "not_found"),
        (daemon.http.get(daemon.url("/api/v1/ws")), 400, "bad_request"),
        (daemon.http.delete(format!("{meetings}/zzzzzzzzzzzz")), 401, "unauthorized"),
    ];
    for (request, status, code) in cases {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{code}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], code);
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    }
    let made = daemon.http.post(&meetings).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED, "an empty body will do");
    assert_eq!(made.json::<Value>().await.unwrap()["max_participants"], 100);
}

#[tokio::test]
async fn an_api_token_guards_the_making_of_meetings() {
    let mut config = config();
    config.api_token = Some(sluice_wire::signaling::Token::new("api-secret".to_owned()));
    config.join_url = Some("wss://meet.example/api/v1/ws".to_owned());
    let daemon = Daemon::with(config).await;
    let post = || daemon.http.post(daemon.url("/api/v1/meetings"));
    assert_eq!(post().send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(post().bearer_auth("guess").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let made = post().bearer_auth("api-secret").send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    assert_eq!(made.json::<Value>().await.unwrap()["join_url"], "wss://meet.example/api/v1/ws");
}

#[tokio::test]
async fn operators_see_how_it_goes() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    ada.send_text("?").await;
    ada.expect_error("bad_message", false).await;
    let get = async |path: &str| {
        let response = daemon.http.get(daemon.url(path)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    };
    assert_eq!(get("/healthz").await, "ok");
    assert_eq!(get("/readyz").await, r#"{"status":"ok","store":"ok","bus":"ok","routers":1}"#);
    let metrics = get("/metrics").await;
    for line in [
        "sluice_signaling_participants 1",
        "sluice_signaling_routers 1",
        "sluice_signaling_sessions 1",
        "sluice_signaling_live_meetings 1",
        "sluice_signaling_meetings_created_total 1",
        "sluice_signaling_errors_total{code=\"bad_message\"} 1",
    ] {
        assert!(metrics.lines().any(|actual| actual == line), "{line} in\n{metrics}");
    }
}
