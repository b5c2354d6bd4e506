//! What every store does.

use serde_json::json;
use sluice_signaling::meeting::MeetingSettings;
use sluice_signaling::secrets::{PasswordHash, TokenHash};
use sluice_signaling::store::*;
use sluice_wire::signaling::{MeetingId, MeetingName, Token};
use sluice_wire::time::Time;
use sluice_wire::track::MAX_PARTICIPANT_ID;

const ID: &str = "23456789abcd";

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn id(text: &str) -> MeetingId {
    text.parse().unwrap()
}

fn meeting(text: &str) -> NewMeeting {
    NewMeeting {
        id: id(text),
        account: Some("acme".to_owned()),
        name: MeetingName::try_from("Retro".to_owned()).unwrap(),
        settings: MeetingSettings { max_participants: 7, region: Some("eu".into()), ..Default::default() },
        password_hash: Some(PasswordHash::from_stored("$argon2id$x".to_owned())),
        host_token_hash: TokenHash::of(&Token::new("host".to_owned())),
        schedule: Some(Schedule {
            starts_local: "2026-11-20T09:00:00".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            starts_at: at(1_795_161_600_000),
        }),
        duration_minutes: Some(45),
        created_at: at(1),
    }
}

async fn owned(store: &SqlStore, text: &str, daemon: &str) -> Lease {
    store.create(&meeting(text)).await.unwrap();
    claimed(store, text, daemon, None).await.unwrap()
}

async fn claimed(store: &SqlStore, text: &str, daemon: &str, dead_fence: Option<u64>) -> Option<Lease> {
    match store.claim(&id(text), daemon, dead_fence).await.unwrap() {
        Claim::Granted(lease) => Some(lease),
        Claim::Taken(_) => None,
    }
}

fn joined(participant: u32, millis: u64) -> Durable {
    Durable::Joined {
        participant,
        identity: None,
        display_name: format!("p{participant}"),
        role: "participant".to_owned(),
        at: at(millis),
    }
}

fn mark(kind: MarkKind, millis: u64) -> Durable {
    Durable::Mark { kind, actor: "participant:1".to_owned(), at: at(millis) }
}

pub(crate) async fn what_is_kept_is_found(store: &SqlStore) {
    let kept = meeting(ID);
    store.create(&kept).await.unwrap();
    let found = store.find(&kept.id).await.unwrap().unwrap();
    assert_eq!((&found.id, &found.name, &found.account), (&kept.id, &kept.name, &kept.account));
    assert_eq!((&found.settings, &found.schedule), (&kept.settings, &kept.schedule));
    assert_eq!((found.duration_minutes, found.created_at, found.version), (Some(45), at(1), 1));
    assert_eq!((found.state(), found.started_at, found.ended_at), (MeetingState::Waiting, None, None));
    assert_eq!(found.password_hash.unwrap().as_str(), "$argon2id$x");
    assert!(found.host_token_hash.is_of(&Token::new("host".to_owned())));
    assert!(store.find(&id("zzzzzzzzzzzz")).await.unwrap().is_none());

    let plain = NewMeeting {
        id: id("bcdefghjkmnp"),
        account: None,
        password_hash: None,
        schedule: None,
        duration_minutes: None,
        ..meeting(ID)
    };
    store.create(&plain).await.unwrap();
    let found = store.find(&plain.id).await.unwrap().unwrap();
    assert!(found.account.is_none() && found.password_hash.is_none() && found.schedule.is_none());
    assert_eq!(found.duration_minutes, None);
    store.ping().await.unwrap();
}

pub(crate) async fn an_id_is_taken_once(store: &SqlStore) {
    store.create(&meeting(ID)).await.unwrap();
    assert!(matches!(store.create(&meeting(ID)).await, Err(StoreError::IdTaken)));
}

pub(crate) async fn an_end_is_an_end(store: &SqlStore) {
    store.create(&meeting(ID)).await.unwrap();
    for millis in [5, 9] {
        store.end(&id(ID), at(millis)).await.unwrap();
        let found = store.find(&id(ID)).await.unwrap().unwrap();
        assert_eq!((found.ended(), found.ended_at, found.version), (true, Some(at(5)), 2));
    }
}

pub(crate) async fn an_update_is_made_once_for_each_version(store: &SqlStore) {
    store.create(&meeting(ID)).await.unwrap();
    let update = MeetingUpdate {
        name: MeetingName::default(),
        settings: MeetingSettings { waiting_room: true, ..Default::default() },
        password_hash: None,
        schedule: None,
        duration_minutes: None,
    };
    store.update(&id(ID), 1, &update).await.unwrap();
    assert!(matches!(store.update(&id(ID), 1, &update).await, Err(StoreError::Conflict)));
    let found = store.find(&id(ID)).await.unwrap().unwrap();
    assert_eq!((found.version, &found.settings, found.schedule), (2, &update.settings, None));
    assert!(found.password_hash.is_none() && found.duration_minutes.is_none());
    store.end(&id(ID), at(5)).await.unwrap();
    assert!(matches!(store.update(&id(ID), 3, &update).await, Err(StoreError::Conflict)));
}

pub(crate) async fn lists_have_pages(store: &SqlStore) {
    // Two of the same millisecond: the id decides, and none is shown twice or left out.
    for (text, millis) in [("222222222222", 1), ("333333333333", 2), ("444444444444", 2), ("555555555555", 3)]
    {
        store.create(&NewMeeting { created_at: at(millis), ..meeting(text) }).await.unwrap();
    }
    let mut query = MeetingQuery { limit: 3, ..Default::default() };
    let first = store.list(&query).await.unwrap();
    let ids = |page: &MeetingPage| page.meetings.iter().map(|m| m.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&first), ["555555555555", "444444444444", "333333333333"]);
    query.after = first.next;
    let second = store.list(&query).await.unwrap();
    assert_eq!((ids(&second), second.next), (vec!["222222222222".to_owned()], None));
}

pub(crate) async fn lists_are_of_an_account_and_a_state(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    store.create(&NewMeeting { account: Some("other".into()), ..meeting("333333333333") }).await.unwrap();
    store.create(&NewMeeting { account: None, ..meeting("444444444444") }).await.unwrap();
    store.end(&id("333333333333"), at(9)).await.unwrap();
    store.commit(&lease, &[Durable::Started { at: at(4) }, Durable::Started { at: at(5) }]).await.unwrap();
    assert_eq!(store.find(&id(ID)).await.unwrap().unwrap().started_at, Some(at(4)));
    let listed = async |account: Option<&str>, state| {
        let query = MeetingQuery { account: account.map(str::to_owned), state, after: None, limit: 9 };
        let page = store.list(&query).await.unwrap();
        page.meetings.iter().map(|meeting| meeting.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None).await.len(), 3);
    assert_eq!(listed(Some("acme"), None).await, [ID]);
    assert_eq!(listed(None, Some(MeetingState::Started)).await, [ID]);
    assert_eq!(listed(None, Some(MeetingState::Waiting)).await, ["444444444444"]);
    assert_eq!(listed(None, Some(MeetingState::Ended)).await, ["333333333333"]);
    assert_eq!(listed(Some("acme"), Some(MeetingState::Ended)).await, [""; 0]);
}

pub(crate) async fn numbers_are_reserved_once(store: &SqlStore) {
    store.create(&meeting(ID)).await.unwrap();
    let meeting = id(ID);
    let blocks = futures_util::future::join_all((0..8).map(|_| store.reserve_numbers(&meeting, 64))).await;
    let mut starts: Vec<u32> = blocks.into_iter().map(|block| block.unwrap().start).collect();
    starts.sort_unstable();
    assert_eq!(starts, [1, 65, 129, 193, 257, 321, 385, 449]);
}

pub(crate) async fn numbers_run_out_at_24_bits(store: &SqlStore) {
    store.create(&meeting(ID)).await.unwrap();
    let end = store.reserve_numbers(&id(ID), MAX_PARTICIPANT_ID).await.unwrap().end;
    assert_eq!(end, MAX_PARTICIPANT_ID + 1);
    assert!(matches!(store.reserve_numbers(&id(ID), 1).await, Err(StoreError::NoNumbers)));
    assert!(matches!(store.reserve_numbers(&id("zzzzzzzzzzzz"), 1).await, Err(StoreError::NoNumbers)));
}

pub(crate) async fn a_meeting_has_one_owner(store: &SqlStore) {
    assert_eq!(store.owner(&id(ID)).await.unwrap(), None);
    let lease = owned(store, ID, "a").await;
    assert_eq!((lease.fence, lease.daemon.as_str()), (1, "a"));
    let owner = Owner { daemon: Some("a".to_owned()), fence: 1 };
    assert_eq!(store.claim(&id(ID), "b", None).await.unwrap(), Claim::Taken(owner.clone()));
    assert_eq!(store.owner(&id(ID)).await.unwrap(), Some(owner));
    // Not the fence of who owns it now: the claimant took another daemon for dead.
    assert_eq!(claimed(store, ID, "b", Some(7)).await, None);
    assert_eq!(claimed(store, ID, "b", Some(1)).await.unwrap().fence, 2);
    assert_eq!(claimed(store, ID, "c", Some(1)).await, None);
    assert_eq!(store.owned_by("a", None).await.unwrap(), []);
    assert_eq!(store.owned_by("b", None).await.unwrap(), [(id(ID), 2)]);
    assert_eq!(store.owned_by("b", Some(&id(ID))).await.unwrap(), []);
}

pub(crate) async fn of_many_claimants_one_is_granted_it(store: &SqlStore) {
    let meeting = id(ID);
    owned(store, ID, "dead").await;
    let names: Vec<String> = (0..12).map(|n| format!("d{n}")).collect();
    let claims = names.iter().map(|name| store.claim(&meeting, name, Some(1)));
    let claims = futures_util::future::join_all(claims).await;
    let granted = claims.into_iter().filter(|claim| matches!(claim, Ok(Claim::Granted(_)))).count();
    assert_eq!(granted, 1);
}

pub(crate) async fn a_meeting_that_was_given_back_is_free(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    store.commit(&lease, &[Durable::Snapshot("{}".to_owned())]).await.unwrap();
    store.release(&lease).await.unwrap();
    assert!(matches!(store.commit(&lease, &[]).await, Err(StoreError::Fenced)));
    assert_eq!(store.owner(&id(ID)).await.unwrap().unwrap().daemon, None);
    let next = claimed(store, ID, "b", None).await.unwrap();
    assert!(next.fence > lease.fence);
    store.release(&lease).await.unwrap();
    assert_eq!(store.owner(&id(ID)).await.unwrap().unwrap().daemon.as_deref(), Some("b"));
    assert_eq!(store.snapshot(&id(ID)).await.unwrap().as_deref(), Some("{}"));
}

pub(crate) async fn an_owner_of_before_writes_nothing(store: &SqlStore) {
    let before = owned(store, ID, "a").await;
    let now = claimed(store, ID, "b", Some(before.fence)).await.unwrap();
    let writes = [joined(1, 1), mark(MarkKind::Started, 2), Durable::Snapshot("late".to_owned())];
    assert!(matches!(store.commit(&before, &writes).await, Err(StoreError::Fenced)));
    assert_eq!(store.attendance(&id(ID), 0, 9).await.unwrap(), []);
    assert_eq!(store.marks(&id(ID)).await.unwrap(), []);
    assert_eq!(store.snapshot(&id(ID)).await.unwrap(), None);
    store.commit(&now, &writes).await.unwrap();
    assert_eq!(store.marks(&id(ID)).await.unwrap().len(), 1);
    // The same daemon's claim of before is fenced off as well.
    let again = claimed(store, ID, "b", None).await.unwrap();
    assert!(matches!(store.commit(&now, &writes).await, Err(StoreError::Fenced)));
    store.commit(&again, &[]).await.unwrap();
}

pub(crate) async fn a_commit_is_whole_or_nothing(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    let message = |seq| Durable::Message(Message { seq, body: "{}".to_owned(), at: at(3) });
    store.commit(&lease, &[message(1)]).await.unwrap();
    let writes = [joined(1, 1), Durable::Snapshot("new".to_owned()), mark(MarkKind::Started, 2), message(1)];
    assert!(matches!(store.commit(&lease, &writes).await, Err(StoreError::IdTaken)));
    assert_eq!(store.attendance(&id(ID), 0, 9).await.unwrap(), []);
    assert_eq!(store.marks(&id(ID)).await.unwrap(), []);
    assert_eq!(store.snapshot(&id(ID)).await.unwrap(), None);
    store.commit(&lease, &[message(2)]).await.unwrap();
}

/// What was acknowledged before a meeting changed hands is there, and nothing after.
/// Several owners write at the same moment, where a store may write for all of them at once.
pub(crate) async fn commits_of_one_moment_are_each_whole_or_nothing(store: &SqlStore) {
    let good = owned(store, ID, "a").await;
    let stale = owned(store, "bcdefghjkmnp", "a").await;
    let current = claimed(store, "bcdefghjkmnp", "b", Some(stale.fence)).await.unwrap();
    let clashing = owned(store, "zzzzzzzzzzzz", "a").await;
    let message = |seq| Durable::Message(Message { seq, body: "{}".to_owned(), at: at(1) });
    store.commit(&clashing, &[message(1)]).await.unwrap();

    let clash = [joined(1, 5), message(1)];
    let (one, two) = ([joined(1, 5)], [joined(1, 5), joined(2, 5)]);
    let done = futures_util::join!(
        store.commit_once(&good, 1, &one),
        store.commit_once(&stale, 1, &one),
        store.commit_once(&clashing, 1, &clash),
        store.commit_once(&current, 1, &two),
    );
    assert!(done.0.is_ok() && done.3.is_ok(), "{done:?}");
    assert!(matches!(done.1, Err(StoreError::Fenced)), "{done:?}");
    assert!(matches!(done.2, Err(StoreError::IdTaken)), "{done:?}");
    let mut inside = Vec::new();
    for lease in [&good, &current, &clashing] {
        inside.push(store.attendance(&lease.meeting, 0, 10).await.unwrap().len());
    }
    assert_eq!(inside, [1, 2, 0]);
    // What was refused left no number behind either.
    store.commit_once(&clashing, 1, &one).await.unwrap();
    assert_eq!(store.attendance(&clashing.meeting, 0, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_numbered_commit_is_written_once(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    for number in [1, 1, 2, 1, 2] {
        store.commit_once(&lease, number, &[mark(MarkKind::Started, number)]).await.unwrap();
    }
    assert_eq!(store.marks(&id(ID)).await.unwrap().len(), 2);
    // The next owner counts anew, and the number of an owner before is worth nothing.
    let next = claimed(store, ID, "b", Some(lease.fence)).await.unwrap();
    for number in [1, 3] {
        let late = store.commit_once(&lease, number, &[mark(MarkKind::Stopped, 9)]).await;
        assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    }
    store.commit_once(&next, 1, &[mark(MarkKind::Stopped, 3)]).await.unwrap();
    assert_eq!(store.marks(&id(ID)).await.unwrap().len(), 3);
}

pub(crate) async fn seats_are_those_of_who_is_inside(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    let seat = |participant, seat: &str| Durable::Seat { participant, seat: seat.to_owned() };
    let left = Durable::Left { participant: 2, reason: "left".to_owned(), at: at(9) };
    let writes =
        [joined(1, 5), seat(1, "old"), joined(2, 6), seat(2, "x"), joined(3, 7), seat(1, "new"), left];
    store.commit(&lease, &writes).await.unwrap();
    // Nobody sits down who has left, or never came.
    store.commit(&lease, &[seat(2, "x"), seat(4, "x")]).await.unwrap();
    let expected = Seat { participant: 1, joined_at: at(5), seat: "new".to_owned() };
    assert_eq!(store.seats(&id(ID)).await.unwrap(), [expected]);
}

pub(crate) async fn what_a_dead_daemon_owned_is_claimed_in_bites(store: &SqlStore) {
    const MEETINGS: usize = 70;
    let name = |n: usize| format!("{:0>12}", n + 100).replace('0', "z").replace('1', "y");
    for n in 0..MEETINGS {
        owned(store, &name(n), "dead").await;
    }
    owned(store, ID, "other").await;
    assert_eq!(store.owners().await.unwrap(), ["dead", "other"]);
    let mut claimed = Vec::new();
    loop {
        let bite = store.claim_some("dead", "heir").await.unwrap();
        if bite.is_empty() {
            break;
        }
        assert!(bite.len() < MEETINGS && bite.iter().all(|lease| lease.daemon == "heir" && lease.fence == 2));
        claimed.extend(bite);
    }
    assert_eq!(claimed.len(), MEETINGS);
    store.commit_once(&claimed[0], 1, &[mark(MarkKind::Started, 1)]).await.unwrap();
    assert_eq!(store.owners().await.unwrap(), ["heir", "other"]);
}

pub(crate) async fn commits_race_a_claim_and_none_is_lost(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    let write = async {
        let mut acknowledged = 0;
        for n in 1..=200 {
            match store.commit(&lease, &[mark(MarkKind::Started, n)]).await {
                Ok(()) => acknowledged += 1,
                Err(StoreError::Fenced) => break,
                Err(error) => panic!("{error}"),
            }
        }
        acknowledged
    };
    let claim = async {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        claimed(store, ID, "b", Some(1)).await.unwrap();
        store.marks(&id(ID)).await.unwrap().len()
    };
    let (acknowledged, found) = tokio::join!(write, claim);
    assert_eq!(store.marks(&id(ID)).await.unwrap().len(), acknowledged);
    assert_eq!(found, acknowledged, "what the next owner found when it was granted the meeting");
}

pub(crate) async fn marks_are_numbered(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    let kinds = [MarkKind::Started, MarkKind::Paused, MarkKind::Resumed, MarkKind::Stopped];
    store.commit(&lease, &[mark(kinds[0], 10), mark(kinds[1], 11)]).await.unwrap();
    store.commit(&lease, &[mark(kinds[2], 12), mark(kinds[3], 13)]).await.unwrap();
    let marks = store.marks(&id(ID)).await.unwrap();
    let found: Vec<_> = marks.iter().map(|mark| (mark.seq, mark.kind, mark.at)).collect();
    let expected: Vec<_> = (0..4).map(|n| (n + 1, kinds[n as usize], at(10 + n))).collect();
    assert_eq!(found, expected);
    assert_eq!(marks[0].actor, "participant:1");
}

pub(crate) async fn stays_are_noted_once(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    let left = |participant, millis| Durable::Left { participant, reason: "left".into(), at: at(millis) };
    let known = Durable::Joined {
        participant: 3,
        identity: Some("user-3".to_owned()),
        display_name: "Eve".to_owned(),
        role: "host".to_owned(),
        at: at(7),
    };
    store.commit(&lease, &[joined(1, 1), joined(2, 2), joined(1, 5), known]).await.unwrap();
    store.commit(&lease, &[left(1, 8), left(1, 9)]).await.unwrap();
    let stays = store.attendance(&id(ID), 0, 9).await.unwrap();
    let found: Vec<_> = stays.iter().map(|stay| (stay.participant, stay.joined_at, stay.left_at)).collect();
    assert_eq!(found, [(1, at(1), Some(at(8))), (2, at(2), None), (3, at(7), None)]);
    assert_eq!(stays[0].left_reason.as_deref(), Some("left"));
    assert_eq!((stays[2].identity.as_deref(), stays[2].role.as_str()), (Some("user-3"), "host"));
    assert_eq!(store.attendance(&id(ID), 1, 1).await.unwrap(), stays[1..2]);
}

pub(crate) async fn messages_come_in_order(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    let message = |seq: u64| Message { seq, body: format!("{{\"n\":{seq}}}"), at: at(seq) };
    let writes: Vec<_> = [2, 1, 3].map(|seq| Durable::Message(message(seq))).into();
    store.commit(&lease, &writes).await.unwrap();
    assert_eq!(store.messages(&id(ID), 2).await.unwrap(), [message(2), message(3)]);
}

pub(crate) async fn the_audit_log_has_pages(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    let entry = |action: &str, meeting: Option<MeetingId>| AuditEntry {
        account: Some("acme".to_owned()),
        meeting,
        actor: "key:k1".to_owned(),
        action: action.to_owned(),
        detail: json!({"name": "Retro"}),
        at: at(4),
    };
    store.audit(&entry("meeting.create", Some(id(ID)))).await.unwrap();
    store.audit(&entry("key.create", None)).await.unwrap();
    store.commit(&lease, &[Durable::Audit(entry("participant.remove", Some(id(ID))))]).await.unwrap();
    let log = store.audit_log(&id(ID), 0, 9).await.unwrap();
    let entries: Vec<_> = log.iter().map(|record| record.entry.clone()).collect();
    assert_eq!(entries, [entry("meeting.create", Some(id(ID))), entry("participant.remove", Some(id(ID)))]);
    assert_eq!(store.audit_log(&id(ID), 0, 1).await.unwrap(), log[..1]);
    assert_eq!(store.audit_log(&id(ID), log[0].id, 9).await.unwrap(), log[1..]);
}

pub(crate) async fn api_keys_are_found_until_they_are_revoked(store: &SqlStore) {
    let key = |id: &str, account: &str| ApiKeyRecord {
        id: id.to_owned(),
        account: account.to_owned(),
        name: "backend".to_owned(),
        hash: TokenHash::of(&Token::new("secret".to_owned())),
        scopes: "meetings:read meetings:write".to_owned(),
        created_at: at(1),
        revoked_at: None,
    };
    store.add_api_key(&key("k1", "acme")).await.unwrap();
    store.add_api_key(&key("k2", "other")).await.unwrap();
    assert!(matches!(store.add_api_key(&key("k1", "acme")).await, Err(StoreError::IdTaken)));
    let found = store.api_key("k1").await.unwrap().unwrap();
    assert!(found.hash.is_of(&Token::new("secret".to_owned())));
    assert_eq!((found.account.as_str(), found.scopes.as_str()), ("acme", "meetings:read meetings:write"));
    assert!(store.api_key("k3").await.unwrap().is_none());
    assert_eq!(store.api_keys(None, "", 9).await.unwrap().len(), 2);
    assert_eq!(store.api_keys(Some("acme"), "", 9).await.unwrap().len(), 1);
    assert_eq!(store.api_keys(None, "k1", 9).await.unwrap()[0].id, "k2");
    for millis in [5, 6] {
        assert!(store.revoke_api_key("k1", at(millis)).await.unwrap());
    }
    assert!(!store.revoke_api_key("k3", at(5)).await.unwrap());
    assert_eq!(store.api_key("k1").await.unwrap().unwrap().revoked_at, Some(at(5)));
}

pub(crate) async fn signing_keys_are_noted_and_retired(store: &SqlStore) {
    let key = |kid: &str, millis| SigningKeyRecord {
        kid: kid.to_owned(),
        algorithm: "HS256".to_owned(),
        added_at: at(millis),
        retired_at: None,
    };
    for key in [key("2026-11", 2), key("2026-10", 1), key("2026-11", 9)] {
        store.add_signing_key(&key).await.unwrap();
    }
    assert_eq!(store.signing_keys().await.unwrap(), [key("2026-10", 1), key("2026-11", 2)]);
    for millis in [5, 6] {
        assert!(store.retire_signing_key("2026-10", at(millis)).await.unwrap());
    }
    assert!(!store.retire_signing_key("2026-09", at(5)).await.unwrap());
    assert_eq!(store.signing_keys().await.unwrap()[0].retired_at, Some(at(5)));
}

pub(crate) async fn two_daemons_agree(one: &SqlStore, other: &SqlStore) {
    one.create(&meeting(ID)).await.unwrap();
    assert!(other.find(&id(ID)).await.unwrap().is_some());
    let lease = claimed(one, ID, "one", None).await.unwrap();
    assert!(matches!(other.claim(&id(ID), "other", None).await.unwrap(), Claim::Taken(_)));
    one.commit(&lease, &[mark(MarkKind::Started, 1), joined(1, 1)]).await.unwrap();
    assert_eq!(other.marks(&id(ID)).await.unwrap().len(), 1);
    assert_eq!(other.attendance(&id(ID), 0, 9).await.unwrap().len(), 1);
    claimed(other, ID, "other", Some(lease.fence)).await.unwrap();
    assert!(matches!(one.commit(&lease, &[mark(MarkKind::Stopped, 2)]).await, Err(StoreError::Fenced)));
    other.end(&id(ID), at(9)).await.unwrap();
    assert!(one.find(&id(ID)).await.unwrap().unwrap().ended());
}

/// What waits when a store is closed is either written or refused, and found as it was answered.
pub(crate) async fn commits_while_it_closes(store: &SqlStore) -> Vec<(MeetingId, bool)> {
    let mut leases = Vec::new();
    for text in [ID, "bcdefghjkmnp", "zzzzzzzzzzzz"] {
        leases.push(owned(store, text, "a").await);
    }
    let writes = [joined(1, 5)];
    let commits = leases.iter().map(|lease| store.commit(lease, &writes));
    let (written, ()) = futures_util::join!(futures_util::future::join_all(commits), store.close());
    leases.into_iter().zip(written).map(|(lease, written)| (lease.meeting, written.is_ok())).collect()
}

pub(crate) async fn are_found_as_answered(store: &SqlStore, answered: &[(MeetingId, bool)]) {
    for (meeting, is_written) in answered {
        assert_eq!(!store.attendance(meeting, 0, 10).await.unwrap().is_empty(), *is_written);
    }
}

pub(crate) async fn before_the_restart(store: &SqlStore) {
    let lease = owned(store, ID, "a").await;
    assert_eq!(store.reserve_numbers(&id(ID), 64).await.unwrap(), 1..65);
    store.commit(&lease, &[mark(MarkKind::Started, 1), Durable::Snapshot("s".to_owned())]).await.unwrap();
}

pub(crate) async fn after_the_restart(store: &SqlStore) {
    assert_eq!(store.reserve_numbers(&id(ID), 64).await.unwrap(), 65..129);
    assert_eq!(store.marks(&id(ID)).await.unwrap().len(), 1);
    assert_eq!(store.snapshot(&id(ID)).await.unwrap().as_deref(), Some("s"));
    assert_eq!(store.owned_by("a", None).await.unwrap(), [(id(ID), 1)]);
}

pub(crate) async fn meetings_of_the_first_schema(store: &SqlStore) {
    let found = store.find(&id(ID)).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.settings.max_participants, found.version), ("Retro", 7, 1));
    assert_eq!((found.account, found.schedule, found.ended_at), (None, None, None));
    assert_eq!(store.reserve_numbers(&id(ID), 1).await.unwrap(), 65..66);
}
