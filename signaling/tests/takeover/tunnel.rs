//! Any daemon takes any participant.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use sluice_signaling::bus::LocalBus;
use sluice_signaling::clock::Clock;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::buses::Shared;
use crate::common::{Client, ids};
use crate::daemons::{Daemon, until};

async fn two(directory: &tempfile::TempDir) -> (Daemon, Daemon) {
    let bus = Shared(LocalBus::new(Clock::new()));
    let database = directory.path().join("meetings.sqlite").to_str().unwrap().to_owned();
    let first = Daemon::start(Arc::new(bus.clone()), &database).await;
    let second = Daemon::start(Arc::new(bus), &database).await;
    (first, second)
}

#[tokio::test]
async fn people_meet_whichever_daemon_they_come_to() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = two(&directory).await;
    let mut router = first.router(vec![]).await;
    let meeting = second.create(json!({"password": "secret"})).await;
    let (mut ada, _) = meeting.host(&first, "Ada").await;
    let mut bob = second.client().await;
    bob.join_with(&meeting.id, "secret").await;
    let joined = bob.expect("joined").await;
    assert_eq!(ids(&joined["roster"]), [1, 2]);
    assert_eq!(ada.expect("participant_joined").await["participant"]["participant_id"], 2);
    assert_eq!((router.opened().await.participant, router.opened().await.participant), (1, 2));
    for (from, text) in [(&mut ada, "here"), (&mut bob, "there")] {
        from.send(json!({"type": "chat", "to": "everyone", "text": text})).await;
    }
    let mut heard = [ada.next().await, ada.next().await].map(|message| message["text"].clone());
    heard.sort_by_key(ToString::to_string);
    assert_eq!(heard, ["here", "there"]);
    assert_eq!((first.counter("tunnels_total").await, second.counter("tunnels_total").await), (0, 1));
    assert_eq!(second.counter("password_hashes_total").await, 2, "made and checked where it was shown");
    assert_eq!(first.counter("password_hashes_total").await, 0);

    // Wrong ones are turned away at the edge, and refusals of the owner come through.
    let mut eve = second.client().await;
    eve.join_with(&meeting.id, "wrong").await;
    eve.expect_fatal("join_refused").await;
    ada.send(json!({"type": "lock", "locked": true, "request": 1})).await;
    while ada.next().await["type"] != "done" {}
    let mut eve = second.client().await;
    eve.join_with(&meeting.id, "secret").await;
    eve.expect_fatal("meeting_locked").await;
}

#[tokio::test]
async fn one_resumes_at_any_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = two(&directory).await;
    let mut router = first.router(vec![]).await;
    let meeting = first.create(json!({})).await;
    let (mut ada, _) = meeting.inside(&first, "Ada").await;
    let (bob, joined) = meeting.inside(&first, "Bob").await;
    ada.expect("participant_joined").await;
    drop(bob);
    ada.send(json!({"type": "chat", "to": "everyone", "text": "missed"})).await;
    ada.expect("chat_message").await;
    for daemon in [&second, &first, &second] {
        let mut bob = daemon.client().await;
        bob.resume(&meeting.id, &joined, 1).await;
        bob.expect("resumed").await;
        let message = bob.expect("chat_message").await;
        assert_eq!((&message["seq"], &message["text"]), (&json!(2), &json!("missed")));
    }
    ada.expect_nothing().await;
    let mut eve = second.client().await;
    let mut guess = joined.clone();
    guess["resume_token"] = json!("guess");
    eve.resume(&meeting.id, &guess, 1).await;
    eve.expect_fatal("resume_refused").await;
    router.opened().await;
    router.opened().await;
    assert!(router.seen.try_recv().is_err(), "media was left alone");
}

#[tokio::test]
async fn rest_calls_reach_a_meeting_whichever_daemon_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = two(&directory).await;
    let _router = first.router(vec![]).await;
    let meeting = first.create(json!({})).await;
    let (mut ada, _) = meeting.host(&first, "Ada").await;
    let changed = second.call(Method::PATCH, &meeting.path(), json!({"settings": {"chat": "off"}})).await;
    assert_eq!(changed.0, 200, "{changed:?}");
    assert_eq!(ada.expect("meeting_update").await["meeting"]["chat"], "off");
    assert_eq!(
        second.get(&format!("{}/attendance", meeting.path())).await["attendance"][0]["display_name"],
        "Ada"
    );
    assert_eq!(second.call(Method::DELETE, &meeting.path(), json!({})).await.0, 204);
    ada.expect("meeting_ended").await;
    ada.expect_close(CloseCode::Normal).await;
}

/// Whoever says that it is a daemon, and is none, is a client like any other, with its own address.
#[tokio::test]
async fn nobody_vouches_but_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let (first, _second) = two(&directory).await;
    let _router = first.router(vec![]).await;
    let meeting = first.create(json!({"password": "secret"})).await;
    let forwarded = json!({"address": "192.0.2.1", "vouched": {"meeting": meeting.id, "display_name": "Eve", "role": "host"}});
    for (token, code) in [("guess", Some("join_refused")), (crate::common::ROUTER_TOKEN, None)] {
        let mut request = format!("ws://{}/api/v1/ws", first.http).into_client_request().unwrap();
        request.headers_mut().insert("x-sluice-cluster-token", token.parse().unwrap());
        request.headers_mut().insert("x-sluice-forwarded", forwarded.to_string().parse().unwrap());
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let mut client = Client { socket };
        client.join(&meeting.id, "Mallory").await;
        match code {
            Some(code) => client.expect_fatal(code).await,
            None => assert_eq!(client.expect("joined").await["roster"][0]["display_name"], "Eve"),
        }
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = two(&directory).await;
    let _router = first.router(vec![]).await;
    until("attached", async || first.get("/readyz").await["routers"] == 1).await;
    assert_eq!(first.get("/readyz").await["status"], "ok");
    let alone = second.get("/readyz").await;
    assert_eq!(alone, json!({"status": "degraded", "store": "ok", "bus": "ok", "routers": 0}));
}
