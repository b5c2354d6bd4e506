//! A daemon dies, and nothing that was acknowledged dies with it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_proto::v1::{Preset, SessionRef};
use sluice_signaling::bus::{Bus, LocalBus};
use sluice_signaling::clock::Clock;
use sluice_signaling::store::{Database, Durable, Lease, MarkKind, OwnershipStore as _, RecordStore as _};
use sluice_signaling::store::{SqlStore, StoreError};
use sluice_wire::time::Time;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::buses::Shared;
use crate::common::{Client, FakeRouter, ids};
use crate::daemons::{Daemon, Meeting, until};

/// What the others take to go on with the meetings of a daemon that died.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(3);

/// Whoever takes a meeting over says again what holds: the preset, and what so many sessions may do, which are returned.
async fn hears_terms(router: &mut FakeRouter, meeting: &str, sessions: usize) -> Vec<(u32, String)> {
    assert_eq!(router.preset_set().await, (meeting.to_owned(), Preset::Unspecified));
    let mut told = Vec::new();
    for _ in 0..sessions {
        let (participant, session, rights) = router.rights_set().await;
        assert!(!rights.receive_only, "{participant} may publish");
        told.push((participant, session));
    }
    told
}

fn name_of(joined: &Value) -> String {
    joined["ticket"]["session"].as_str().unwrap().to_owned()
}

async fn says(client: &mut Client, request: u64, mut message: Value) {
    message["request"] = json!(request);
    client.send(message).await;
    loop {
        let answer = client.next().await;
        assert_ne!(answer["type"], "error", "{answer}");
        if answer["type"] == "done" && answer["request"] == request {
            return;
        }
    }
}

/// Comes back and reads what it is told until `chat_history`, if it is to come.
async fn comes_back(daemon: &Daemon, meeting: &Meeting, joined: &Value, seq: u64) -> (Client, Value, Value) {
    let mut client = daemon.client().await;
    client.resume(&meeting.id, joined, seq).await;
    let resumed = client.expect("resumed").await;
    assert_eq!(resumed["participant_id"], joined["participant_id"]);
    let snapshot = client.expect("snapshot").await;
    assert_eq!(snapshot["seq"], seq + 1);
    assert_eq!(snapshot["session"], joined["ticket"]["session"], "the same media session");
    let history = client.expect("chat_history").await;
    (client, snapshot, history)
}

async fn a_death_costs_nothing(bus: Arc<dyn Bus>, database: &str) {
    let mut first = Daemon::start(Arc::clone(&bus), database).await;
    let second = Daemon::start(bus, database).await;
    let mut router = first.router(vec![]).await;
    let mut standby = second.router(vec![]).await;
    let settings = json!({"recording": "with_consent"});
    let meeting = first.create(json!({"settings": settings})).await;
    let (mut ada, adas) = meeting.host(&first, "Ada").await;
    let (mut bob, bobs) = meeting.inside(&second, "Bob").await;
    let (cay, cays) = meeting.inside(&first, "Cay").await;
    for (request, message) in (1..).zip([
        json!({"type": "lock", "locked": true}),
        json!({"type": "record", "action": "start"}),
        json!({"type": "chat", "to": "everyone", "text": "for all"}),
        json!({"type": "chat", "to": {"participant": 2}, "text": "for Bob"}),
        json!({"type": "chat", "to": "hosts", "text": "for hosts"}),
        json!({"type": "record", "action": "pause"}),
        json!({"type": "set_role", "participant_id": 2, "role": "co_host"}),
    ]) {
        says(&mut ada, request, message).await;
    }
    says(&mut bob, 1, json!({"type": "hand", "raised": true})).await;
    // Roster state is written within half a second.
    tokio::time::sleep(Duration::from_millis(700)).await;
    drop(cay);
    for _ in 0..3 {
        router.opened().await;
    }
    assert_eq!(router.rights_set().await.0, 2, "co-hosts may take the screen");

    first.kill();
    let clock = Clock::new();
    let died_at = clock.now();
    // Who came by way of the other daemon is told when to come back.
    let mut last = 0;
    let retry_after_ms = loop {
        let message = bob.next().await;
        if message["type"] == "going_away" {
            break message["retry_after_ms"].as_u64().unwrap();
        }
        last = message["seq"].as_u64().unwrap_or(last);
    };
    assert!(retry_after_ms < 2_000);
    bob.expect_close(CloseCode::Restart).await;

    let (mut bob, snapshot, history) = comes_back(&second, &meeting, &bobs, last).await;
    let took = clock.now().saturating_since(died_at);
    assert!(took < TAKEOVER_LIMIT, "{took:?}");
    assert_eq!(ids(&snapshot["roster"]), [1, 2, 3]);
    let standing = &snapshot["meeting"];
    assert_eq!((&standing["locked"], &standing["recording"]), (&json!(true), &json!("paused")), "{standing}");
    let bob_now = &snapshot["roster"][1];
    assert_eq!((&bob_now["role"], &bob_now["hand"]), (&json!("co_host"), &json!(1)), "{bob_now}");
    let texts = |history: &Value| {
        let messages = history["messages"].as_array().unwrap().clone();
        messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&history), ["for all", "for Bob", "for hosts"], "a host now");
    // What is written before everybody is back is missed by nobody.
    says(&mut bob, 2, json!({"type": "chat", "to": "everyone", "text": "meanwhile"})).await;
    let (_cay, _, history) = comes_back(&second, &meeting, &cays, 1).await;
    assert_eq!(texts(&history), ["for all", "meanwhile"]);
    let (mut ada, _, _) = comes_back(&second, &meeting, &adas, 40).await;

    // It goes on: numbers behind those of before, marks in their order, and no two hosts.
    says(&mut ada, 10, json!({"type": "record", "action": "start"})).await;
    bob.send(json!({"type": "chat", "to": "everyone", "text": "on"})).await;
    let message = loop {
        let message = ada.next().await;
        if message["type"] == "chat_message" {
            break message;
        }
    };
    assert_eq!(message["message_id"], 5);
    let marks = second.get(&format!("{}/recordings", meeting.path())).await;
    let kinds: Vec<_> = marks["marks"].as_array().unwrap().iter().map(|mark| mark["kind"].clone()).collect();
    assert_eq!(kinds, ["started", "paused", "resumed"]);
    let stays = second.get(&format!("{}/attendance", meeting.path())).await;
    let stays = stays["attendance"].as_array().unwrap();
    assert!(stays.len() == 3 && stays.iter().all(|stay| stay.get("left_at").is_none()), "{stays:?}");
    assert_eq!(second.counter("taken_over_total").await, 1);

    // Media was left alone, and is this daemon's to end.
    let all: Vec<_> = [(1, &adas), (2, &bobs), (3, &cays)].map(|(id, joined)| (id, name_of(joined))).into();
    assert_eq!(hears_terms(&mut standby, &meeting.id, 3).await, all);
    assert!(router.seen.try_recv().is_err() && standby.seen.try_recv().is_err());
    ada.send(json!({"type": "leave"})).await;
    let closed = standby.closed().await;
    assert_eq!((closed.participant, &json!(closed.session)), (1, &adas["ticket"]["session"]));
}

#[tokio::test]
async fn a_death_costs_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("meetings.sqlite");
    a_death_costs_nothing(Arc::new(Shared(LocalBus::new(Clock::new()))), database.to_str().unwrap()).await;
}

#[tokio::test]
async fn a_death_costs_nothing_that_was_acknowledged_on_servers() {
    let Some(bus) = crate::buses::redis("death").await else { return };
    let Some(scratch) = crate::backends::postgres("death").await else { return };
    a_death_costs_nothing(Arc::new(bus), scratch.url()).await;
    scratch.drop().await;
}

/// One daemon alone, started anew: it goes on where the process before it was, and its router finds it.
#[tokio::test]
async fn a_restart_is_a_death_and_a_birth() {
    for kills in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("meetings.sqlite");
        let database = database.to_str().unwrap();
        let alone = || Arc::new(LocalBus::new(Clock::new()));
        let mut before = Daemon::start(alone(), database).await;
        let router = before.router(vec![]).await;
        let meeting = before.create(json!({})).await;
        let (mut ada, adas) = meeting.inside(&before, "Ada").await;
        says(&mut ada, 1, json!({"type": "chat", "to": "everyone", "text": "before"})).await;
        let (_bob, bobs) = meeting.inside(&before, "Bob").await;
        if kills {
            before.kill()
        } else {
            before.stop().await
        }
        drop(router);

        let after = Daemon::start(alone(), database).await;
        until("taken over", async || after.counter("taken_over_total").await == 1).await;
        let session = |joined: &Value, participant| SessionRef {
            room: meeting.id.clone(),
            participant,
            session: joined["ticket"]["session"].as_str().unwrap().to_owned(),
        };
        let nobodys = SessionRef { participant: 9, session: "f".repeat(16), ..session(&adas, 9) };
        // Bob's has ended meanwhile.
        let mut router: FakeRouter = after.router(vec![session(&adas, 1), nobodys]).await;
        let (mut ada, _, history) = comes_back(&after, &meeting, &adas, 3).await;
        assert_eq!(history["messages"][0]["text"], "before");
        let mut bob = after.client().await;
        bob.resume(&meeting.id, &bobs, 1).await;
        bob.expect("resumed").await;
        assert_eq!(bob.expect("snapshot").await.get("session"), None);
        bob.send(json!({"type": "new_ticket"})).await;
        assert_eq!(hears_terms(&mut router, &meeting.id, 1).await, [(1, name_of(&adas))]);
        assert_eq!(router.opened().await.participant, 2);
        ada.expect_nothing().await;
    }
}

/// An owner that was stopped, and wakes up when others have gone on without it.
#[tokio::test]
async fn a_late_owner_writes_nothing_and_sends_its_people_away() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("meetings.sqlite");
    let database = database.to_str().unwrap();
    let bus = Shared(LocalBus::new(Clock::new()));
    let first = Daemon::start(Arc::new(bus), database).await;
    let mut router = first.router(vec![]).await;
    let meeting = first.create(json!({})).await;
    let (mut ada, _) = meeting.inside(&first, "Ada").await;
    router.opened().await;
    let store = SqlStore::open(&Database::from(database)).await.unwrap();
    let id = meeting.id.parse().unwrap();
    let owner = store.owner(&id).await.unwrap().unwrap();
    let late = Lease { meeting: id.clone(), daemon: owner.daemon.unwrap(), fence: owner.fence };
    store.claim(&id, "usurper", Some(late.fence)).await.unwrap();

    ada.send(json!({"type": "chat", "request": 1, "to": "everyone", "text": "late"})).await;
    ada.expect("going_away").await;
    ada.expect_close(CloseCode::Restart).await;
    assert_eq!(store.messages(&id, 10).await.unwrap(), []);
    assert_eq!(first.counter("lost_meetings_total").await, 1);
    assert!(router.seen.try_recv().is_err(), "its sessions are the other's");
    let mark = Durable::Mark { kind: MarkKind::Started, actor: "late".to_owned(), at: Time::ZERO };
    assert!(matches!(store.commit_once(&late, 1_000, &[mark]).await, Err(StoreError::Fenced)));
}

/// What nobody acknowledges in words is written soon all the same, and a late owner notices by that.
#[tokio::test]
async fn a_late_owner_notices_when_somebody_mutes() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("meetings.sqlite");
    let database = database.to_str().unwrap();
    let first = Daemon::start(Arc::new(Shared(LocalBus::new(Clock::new()))), database).await;
    let _router = first.router(vec![]).await;
    let meeting = first.create(json!({})).await;
    let (mut ada, _) = meeting.inside(&first, "Ada").await;
    let store = SqlStore::open(&Database::from(database)).await.unwrap();
    let id = meeting.id.parse().unwrap();
    let fence = store.owner(&id).await.unwrap().unwrap().fence;
    store.claim(&id, "usurper", Some(fence)).await.unwrap();
    ada.send(json!({"type": "mute", "muted": true})).await;
    ada.expect("participant_update").await;
    ada.expect("going_away").await;
    ada.expect_close(CloseCode::Restart).await;
}
