//! Joining, leaving and ending, as clients see it.

use crate::common::router::Mood;
use crate::common::{Daemon, Seen, config, forgetful, ids, no_password};
use serde_json::json;
use sluice_wire::ticket::Ticket;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn two_meet_and_one_leaves() {
    let daemon = Daemon::with(forgetful()).await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(json!({"name": "Retro"})).await;
    assert_eq!(meeting.join_url, format!("ws://{}/api/v1/ws", daemon.handle.http_address()));

    let (mut ada, joined) = daemon.inside(&meeting, "Ada").await;
    let opened = router.opened().await;
    assert_eq!(joined["meeting_id"], meeting.id);
    assert_eq!(joined["room"], meeting.id);
    assert_eq!((&joined["version"], &joined["participant_id"]), (&json!(1), &json!(1)));
    assert_eq!(
        joined["roster"],
        json!([{"participant_id": 1, "display_name": "Ada", "role": "participant"}])
    );
    let ticket: Ticket = serde_json::from_value(joined["ticket"].clone()).unwrap();
    assert_eq!(
        (opened.room.as_str(), opened.participant, &opened.session),
        (meeting.id.as_str(), 1, &ticket.session)
    );

    let (mut bob, joined) = daemon.inside(&meeting, "Bob").await;
    assert_eq!(ids(&joined["roster"]), [1, 2]);
    let came = ada.expect("participant_joined").await;
    let line = json!({"participant_id": 2, "display_name": "Bob", "role": "participant"});
    assert_eq!(came["participant"], line);
    let bobs = router.opened().await;

    bob.send(json!({"type": "leave"})).await;
    bob.expect_close(CloseCode::Normal).await;
    let went = ada.expect("participant_left").await;
    assert_eq!((&went["participant_id"], &went["reason"]), (&json!(2), &json!("left")));
    assert_eq!(router.closed().await, bobs);

    let (bob, joined) = daemon.inside(&meeting, "Bob").await;
    assert_eq!(joined["participant_id"], 3, "numbers are never given twice");
    ada.expect("participant_joined").await;
    drop(bob);
    let went = ada.expect("participant_left").await;
    assert_eq!((&went["participant_id"], &went["reason"]), (&json!(3), &json!("disconnected")));
    ada.expect_nothing().await;
}

#[tokio::test]
async fn an_unknown_meeting_and_a_wrong_password_look_the_same() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(json!({"password": "right"})).await;
    let mut answers = Vec::new();
    let mut hashes = daemon.counter("password_hashes_total").await;
    for (id, password) in [
        ("zzzzzzzzzzzz", "right"),
        ("no id at all", "right"),
        (meeting.id.as_str(), "wrong"),
        (meeting.id.as_str(), ""),
    ] {
        let mut client = daemon.client().await;
        if password.is_empty() {
            client.join(id, "x").await;
        } else {
            client.join_with(id, password).await;
        }
        answers.push(client.expect("error").await);
        client.expect_close(CloseCode::Policy).await;
        hashes += 1;
        assert_eq!(daemon.counter("password_hashes_total").await, hashes, "the same work for {id}");
    }
    assert_eq!((&answers[0]["code"], &answers[0]["fatal"]), (&json!("join_refused"), &json!(true)));
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    let mut client = daemon.client().await;
    client.join_with(&meeting.id, "right").await;
    client.expect("joined").await;
}

#[tokio::test]
async fn a_full_meeting_refuses_until_somebody_leaves() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(json!({"max_participants": 1})).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let mut bob = daemon.client().await;
    bob.join(&meeting.id, "Bob").await;
    bob.expect_fatal("meeting_full").await;
    ada.send(json!({"type": "leave"})).await;
    ada.expect_close(CloseCode::Normal).await;
    daemon.inside(&meeting, "Bob").await;
}

#[tokio::test]
async fn the_host_ends_it_for_everybody() {
    let daemon = Daemon::start().await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let other = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
    assert_eq!(daemon.end(&meeting.id, &other.host_token).await, 401);
    assert_eq!(daemon.end("zzzzzzzzzzzz", &other.host_token).await, 401);
    ada.expect_nothing().await;
    assert_eq!(daemon.end(&meeting.id, &meeting.host_token).await, 204);
    for client in [&mut ada, &mut bob] {
        assert_eq!(client.expect("meeting_ended").await["reason"], "ended_by_host");
        client.expect_close(CloseCode::Normal).await;
    }
    router.opened().await;
    router.opened().await;
    let told = router.next().await;
    assert!(matches!(&told, Seen::RoomClosed(room) if *room == meeting.id), "{told:?}");
    let mut late = daemon.client().await;
    late.join(&meeting.id, "Eve").await;
    late.expect_fatal("meeting_ended").await;
    assert_eq!(daemon.end(&meeting.id, &meeting.host_token).await, 204);
}

#[tokio::test]
async fn without_a_router_nobody_gets_in() {
    let mut config = config();
    config.timing.open_timeout_ms = 100;
    let daemon = Daemon::with(config).await;
    let meeting = daemon.create(no_password()).await;
    let refused = async || {
        let mut ada = daemon.client().await;
        ada.join(&meeting.id, "Ada").await;
        ada.expect_fatal("no_router").await;
    };
    refused().await;
    let mut router = daemon.router("a").await;
    router.set(Mood::Refuses);
    refused().await;
    router.opened().await;
    router.set(Mood::Ignores);
    refused().await;
    router.opened().await;
    router.set(Mood::Opens);
    let (_ada, joined) = daemon.inside(&meeting, "Ada").await;
    assert_eq!(ids(&joined["roster"]).len(), 1, "those who were refused are not inside");
}

#[tokio::test]
async fn meetings_and_numbers_outlive_the_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config();
    config.database = directory.path().join("meetings.sqlite").to_str().unwrap().to_owned();
    let first = Daemon::with(config.clone()).await;
    let router = first.router("a").await;
    let meeting = first.create(json!({"password": "right"})).await;
    let ended = first.create(no_password()).await;
    assert_eq!(first.end(&ended.id, &ended.host_token).await, 204);
    let mut ada = first.client().await;
    ada.join_with(&meeting.id, "right").await;
    let before = ada.expect("joined").await["participant_id"].as_u64().unwrap();
    tokio::join!(first.handle.shutdown(), async {
        let away = ada.expect("going_away").await;
        assert!(away["retry_after_ms"].as_u64().unwrap() < 10_000);
        ada.expect_close(CloseCode::Away).await;
    });
    drop(router);

    let second = Daemon::with(config).await;
    let _router = second.router("a").await;
    let mut wrong = second.client().await;
    wrong.join_with(&meeting.id, "wrong").await;
    wrong.expect_fatal("join_refused").await;
    let mut ada = second.client().await;
    ada.join_with(&meeting.id, "right").await;
    let after = ada.expect("joined").await["participant_id"].as_u64().unwrap();
    assert!(after > before, "{after} was given before");
    let mut late = second.client().await;
    late.join(&ended.id, "Eve").await;
    late.expect_fatal("meeting_ended").await;
    assert_eq!(second.end(&meeting.id, &meeting.host_token).await, 204);
    ada.expect("meeting_ended").await;
}
