//! Media sessions that come and go, and routers that do.

use crate::common::router::{Mood, dial, registration};
use crate::common::{Daemon, FakeRouter, config, no_password};
use serde_json::json;
use sluice_proto::v1::{
    EndReason, Register, RegistrationRefusalCode, SessionRef, signaling_message::Kind as ToRouter,
};

#[tokio::test]
async fn a_new_ticket_is_a_new_session_of_the_same_participant() {
    let daemon = Daemon::start().await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, joined) = daemon.inside(&meeting, "Ada").await;
    router.opened().await;
    ada.send(json!({"type": "new_ticket"})).await;
    let ticket = ada.expect("ticket").await;
    let opened = router.opened().await;
    assert_eq!(opened.participant, 1);
    assert_eq!(ticket["ticket"]["session"], opened.session);
    assert_ne!(ticket["ticket"]["session"], joined["ticket"]["session"]);
}

#[tokio::test]
async fn a_session_that_ends_is_told_to_its_owner_alone() {
    let daemon = Daemon::start().await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
    let (adas, _bobs) = (router.opened().await, router.opened().await);
    router.end(&adas, EndReason::Idle).await;
    assert_eq!(ada.expect("media_lost").await["reason"], "idle");
    bob.expect_nothing().await;
    router.set(Mood::Refuses);
    ada.send(json!({"type": "new_ticket"})).await;
    ada.expect_error("no_router", false).await;
    router.set(Mood::Opens);
    ada.send(json!({"type": "new_ticket"})).await;
    ada.expect("ticket").await;
}

#[tokio::test]
async fn who_asks_for_no_ticket_is_removed() {
    let mut config = config();
    config.timing.media_timeout_ms = 50;
    let daemon = Daemon::with(config).await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
    let adas = router.opened().await;
    router.end(&adas, EndReason::Unclaimed).await;
    assert_eq!(ada.expect("media_lost").await["reason"], "unclaimed");
    ada.expect_fatal("media_timeout").await;
    assert_eq!(bob.expect("participant_left").await["reason"], "media_timeout");
}

#[tokio::test]
async fn a_dead_router_costs_its_sessions_and_another_takes_the_room() {
    let daemon = Daemon::start().await;
    let router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
    drop(router);
    for client in [&mut ada, &mut bob] {
        assert_eq!(client.expect("media_lost").await["reason"], "router_gone");
    }
    ada.send(json!({"type": "new_ticket"})).await;
    ada.expect_error("no_router", false).await;
    let mut standby = daemon.router("b").await;
    for client in [&mut ada, &mut bob] {
        client.send(json!({"type": "new_ticket"})).await;
        let ticket = client.expect("ticket").await;
        assert_eq!(ticket["ticket"]["session"], standby.opened().await.session);
    }
}

#[tokio::test]
async fn a_router_that_dials_again_keeps_what_both_sides_know() {
    let daemon = Daemon::start().await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    ada.expect("participant_joined").await;
    let (adas, bobs) = (router.opened().await, router.opened().await);
    drop(router);
    let stranger = SessionRef { room: "zzzzzzzzzzzz".to_owned(), participant: 9, session: "f".repeat(16) };
    let has = vec![adas.clone(), stranger.clone()];
    let mut router = FakeRouter::attach(daemon.handle.grpc_address(), "a", 1, has).await;
    assert_eq!(router.closed().await, stranger);
    assert_eq!(bob.expect("media_lost").await["reason"], "router_gone");
    ada.expect_nothing().await;
    router.end(&bobs, EndReason::Idle).await;
    bob.expect_nothing().await;
    router.end(&adas, EndReason::Idle).await;
    ada.expect("media_lost").await;
}

#[tokio::test]
async fn who_has_gone_before_the_answer_leaves_no_session() {
    let daemon = Daemon::start().await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    router.set(Mood::Ignores);
    let mut ada = daemon.client().await;
    ada.join(&meeting.id, "Ada").await;
    router.opened().await;
    router.set(Mood::Opens);
    let (mut bob, joined) = daemon.inside(&meeting, "Bob").await;
    assert_eq!(joined["participant_id"], 2);
    router.opened().await;
    drop(ada);
    bob.expect_nothing().await;
    bob.send(json!({"type": "leave"})).await;
    assert_eq!(router.closed().await.participant, 2);
}

#[tokio::test]
async fn only_routers_that_may_and_can_are_taken_in() {
    let daemon = Daemon::start().await;
    let good = || registration("a", 1, vec![]);
    let cases = [
        (Register { token: "wrong".to_owned(), ..good() }, RegistrationRefusalCode::Unauthorized),
        (Register { token: String::new(), ..good() }, RegistrationRefusalCode::Unauthorized),
        (
            Register { protocol_version_min: 2, protocol_version_max: 3, ..good() },
            RegistrationRefusalCode::UnsupportedVersion,
        ),
        (Register { router_id: String::new(), ..good() }, RegistrationRefusalCode::Invalid),
        (Register { router_id: "x".repeat(65), ..good() }, RegistrationRefusalCode::Invalid),
    ];
    for (register, expected) in cases {
        let (first, _sender, mut inbound) = dial(daemon.handle.grpc_address(), register).await;
        let Some(ToRouter::RegistrationRefused(refused)) = first else { panic!("{first:?}") };
        assert_eq!(refused.code(), expected);
        assert!(inbound.message().await.unwrap().is_none(), "the stream ends behind a refusal");
    }
    assert_eq!(daemon.handle.routers_attached(), 0);
    let _router = daemon.router("a").await;
    daemon.routers(1).await;
}
