//! Connections that break, and what comes in their place.

use crate::common::{Daemon, WithSlowReader, config, no_password};
use serde_json::json;

#[tokio::test]
async fn a_broken_connection_is_resumed_and_nothing_was_missed() {
    let daemon = Daemon::start().await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (mut bob, joined) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
    ada.send(json!({"type": "chat", "to": "everyone", "text": "before"})).await;
    assert_eq!(bob.expect("chat_message").await["seq"], 2);
    ada.expect("chat_message").await;
    drop(bob);
    for text in ["one", "two"] {
        ada.send(json!({"type": "chat", "to": "everyone", "text": text})).await;
        ada.expect("chat_message").await;
    }
    let mut bob = daemon.client().await;
    bob.resume(&meeting.id, &joined, 2).await;
    let resumed = bob.expect("resumed").await;
    assert_eq!((&resumed["participant_id"], &resumed["after"]), (&json!(2), &json!(2)));
    for (seq, text) in [(3, "one"), (4, "two")] {
        let message = bob.expect("chat_message").await;
        assert_eq!((&message["seq"], &message["text"]), (&json!(seq), &json!(text)));
    }
    bob.send(json!({"type": "chat", "to": "everyone", "text": "back"})).await;
    assert_eq!(ada.expect("chat_message").await["from"], 2, "nobody else heard that it was away");
    assert_eq!(bob.expect("chat_message").await["seq"], 5);
    router.opened().await;
    router.opened().await;
    assert!(router.seen.try_recv().is_err(), "media was left alone");
    assert_eq!(daemon.counter("replayed_messages_total").await, 2);
}

#[tokio::test]
async fn who_missed_too_much_gets_a_snapshot() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (bob, joined) = daemon.inside(&meeting, "Bob").await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    drop(bob);
    for round in 0..70 {
        let mut other = daemon.client().await;
        other.join(&meeting.id, "Other").await;
        other.expect("joined").await;
        other.send(json!({"type": "leave"})).await;
        ada.expect("participant_joined").await;
        assert_eq!(ada.expect("participant_left").await["reason"], "left", "{round}");
    }
    let mut bob = daemon.client().await;
    bob.resume(&meeting.id, &joined, 1).await;
    bob.expect("resumed").await;
    let snapshot = bob.expect("snapshot").await;
    assert_eq!(snapshot["roster"].as_array().unwrap().len(), 2);
    assert_eq!(snapshot["session"], joined["ticket"]["session"]);
    assert!(snapshot["seq"].as_u64().unwrap() > 140);
}

#[tokio::test]
async fn a_token_of_nobody_is_refused_or_is_a_join_like_any_other() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (_ada, joined) = daemon.inside(&meeting, "Ada").await;
    let mut wrong = joined.clone();
    wrong["resume_token"] = json!("guess");
    for (id, joined) in [(meeting.id.as_str(), &wrong), ("zzzzzzzzzzzz", &joined), ("no id", &joined)] {
        let mut eve = daemon.client().await;
        eve.resume(id, joined, 1).await;
        eve.expect_fatal("resume_refused").await;
    }
    let mut bob = daemon.client().await;
    let resume = json!({"participant_id": 1, "token": "guess", "seq": 9});
    bob.send(json!({"type": "join", "version": 1, "meeting_id": meeting.id, "display_name": "Bob", "resume": resume})).await;
    assert_eq!(bob.expect("joined").await["participant_id"], 2);
}

#[tokio::test]
async fn a_second_connection_takes_the_place_of_the_first() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut first, joined) = daemon.inside(&meeting, "Ada").await;
    let mut second = daemon.client().await;
    second.resume(&meeting.id, &joined, 1).await;
    second.expect("resumed").await;
    first.expect_fatal("replaced").await;
    second.expect_nothing().await;
}

#[tokio::test]
async fn who_did_not_read_may_resume_and_who_did_wrong_may_not() {
    let WithSlowReader { daemon, meeting, mut ada, slow: _slow, joined, name, router: _router } =
        WithSlowReader::start(config()).await;
    while daemon.counter("broken_connections_total").await == 0 {
        for _ in 0..20 {
            let mut other = daemon.client().await;
            other.join(&meeting.id, &name).await;
            other.expect("joined").await;
            other.send(json!({"type": "leave"})).await;
            ada.expect("participant_joined").await;
            ada.expect("participant_left").await;
        }
    }
    let mut back = daemon.client().await;
    back.resume(&meeting.id, &joined, 1).await;
    back.expect("resumed").await;
    back.expect("snapshot").await;
    ada.expect_nothing().await;
    for _ in 0..10 {
        back.send_text("?").await;
        back.expect_error("bad_message", false).await;
    }
    back.send_text("?").await;
    back.expect_fatal("bad_message").await;
    assert_eq!(ada.expect("participant_left").await["reason"], "disconnected");
    let mut again = daemon.client().await;
    again.resume(&meeting.id, &joined, 1).await;
    again.expect_fatal("resume_refused").await;
}
