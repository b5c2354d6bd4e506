//! Media sessions that come and go, and routers that do.

use crate::common::router::{Mood, dial, registration};
use crate::common::{Daemon, FakeRouter, config, no_password};
use serde_json::json;
use sluice_proto::v1::{
    EndReason, Preset, Register, RegistrationRefusalCode, Rights, SessionRef,
    signaling_message::Kind as ToRouter,
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

#[tokio::test]
async fn the_router_knows_what_each_may_do_and_hears_when_that_changes() {
    let daemon = Daemon::start().await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(json!({"settings": {"kind": "webinar", "preset": "webinar"}})).await;
    let (mut ada, _) = daemon.host(&meeting, "Ada").await;
    let (hers, asked) = router.asked().await;
    assert_eq!(asked.rights, Some(Rights { may_take_screen: true, ..Rights::default() }));
    assert_eq!(asked.policy.unwrap().preset(), Preset::Webinar);
    let (_bob, joined) = daemon.inside(&meeting, "Bob").await;
    let (his, asked) = router.asked().await;
    assert_eq!(asked.rights, Some(Rights { receive_only: true, no_screen: true, ..Rights::default() }));
    let bob = &joined["participant_id"];
    for (role, rights) in [
        ("panelist", Rights::default()),
        ("co_host", Rights { may_take_screen: true, ..Rights::default() }),
        ("attendee", Rights { receive_only: true, no_screen: true, ..Rights::default() }),
        ("panelist", Rights::default()),
    ] {
        ada.send(json!({"type": "set_role", "participant_id": bob, "role": role})).await;
        assert_eq!(router.rights_set().await, (his.participant, his.session.clone(), rights));
    }
    let hosts = json!({"settings": {"share": "hosts"}});
    daemon.change(&meeting, hosts).await;
    let watches = Rights { no_screen: true, ..Rights::default() };
    assert_eq!(router.rights_set().await, (his.participant, his.session.clone(), watches));
    // A router that lost its stream is told again, since what was said last may have got lost.
    drop(router);
    let mut router = FakeRouter::attach(daemon.handle.grpc_address(), "a", 1, vec![hers, his.clone()]).await;
    assert_eq!(router.rights_set().await, (his.participant, his.session, watches));
}

#[tokio::test]
async fn a_room_has_the_meetings_preset_whoever_changes_it_and_whatever_router_it_is_on() {
    let daemon = Daemon::start().await;
    let mut router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut ada, joined) = daemon.host(&meeting, "Ada").await;
    assert_eq!(joined["meeting"]["preset"], json!(null));
    let (session, asked) = router.asked().await;
    assert_eq!(asked.policy.unwrap().preset(), Preset::Unspecified, "the router's own");
    ada.send(json!({"type": "set_preset", "preset": "large_gallery", "request": 1})).await;
    assert_eq!(router.preset_set().await, (meeting.id.clone(), Preset::LargeGallery));
    assert_eq!(ada.expect("meeting_update").await["meeting"]["preset"], "large_gallery");
    ada.expect("done").await;
    // The room is forgotten with its last session, and made anew with the next.
    router.end(&session, EndReason::Idle).await;
    ada.expect("media_lost").await;
    ada.send(json!({"type": "new_ticket"})).await;
    ada.expect("ticket").await;
    assert_eq!(router.asked().await.1.policy.unwrap().preset(), Preset::LargeGallery);
    daemon.change(&meeting, json!({"settings": {"preset": "audio_only"}})).await;
    assert_eq!(router.preset_set().await, (meeting.id.clone(), Preset::AudioOnly));
    assert_eq!(ada.expect("meeting_update").await["meeting"]["preset"], "audio_only");
    // Another router takes the room.
    drop(router);
    ada.expect("media_lost").await;
    let mut standby = daemon.router("b").await;
    ada.send(json!({"type": "new_ticket"})).await;
    assert_eq!(standby.asked().await.1.policy.unwrap().preset(), Preset::AudioOnly);
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    bob.send(json!({"type": "set_preset"})).await;
    bob.expect_error("not_allowed", false).await;
    ada.expect("ticket").await;
    ada.expect("participant_joined").await;
    ada.send(json!({"type": "set_preset"})).await;
    standby.opened().await;
    assert_eq!(standby.preset_set().await, (meeting.id, Preset::Unspecified));
}
