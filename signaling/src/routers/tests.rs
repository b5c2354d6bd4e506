use std::collections::BTreeMap;
use std::time::Duration;

use sluice_proto::v1::{
    self, Draining, EndReason, Heartbeat, Register, RouterMessage, SessionEnded, SessionOpened, SessionRef,
    SessionRefused, router_message::Kind as FromRouter, signaling_message::Kind as ToRouter,
};
use sluice_wire::signaling::MediaLostReason;
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::event::{Home, NoRouter, RegistryTiming, RouterEvent};
use super::placement::Wishes;
use super::records::{AttachmentId, RegisterError};
use super::registry::Registry;
use super::strangers::STRANGER_GRACE;
use crate::meeting::{CloseCode, MediaRights, MediaTerms, QualityPreset, RequestId};
use crate::test_ticket::ticket;

const HEARTBEAT: Duration = Duration::from_secs(1);
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
const NOW: Time = Time::from_nanos(1_000_000_000);
const A: AttachmentId = AttachmentId(1);
const B: AttachmentId = AttachmentId(2);
const RIGHTS: MediaRights = MediaRights { may_publish: true, may_share: true, may_take_screen: false };
const TERMS: MediaTerms = MediaTerms { rights: RIGHTS, preset: None };
const LATER: AttachmentId = AttachmentId(3);

fn registry() -> Registry {
    Registry::new(RegistryTiming { heartbeat_interval: HEARTBEAT, open_timeout: OPEN_TIMEOUT })
}

fn named(router: &str) -> Register {
    Register { router_id: router.to_owned(), shards: 1, ..Register::default() }
}

fn id(number: u32) -> ParticipantId {
    ParticipantId::new(number).unwrap()
}

fn session(hex_digit: char) -> String {
    hex_digit.to_string().repeat(16)
}

fn says(registry: &mut Registry, now: Time, who: AttachmentId, kind: FromRouter) {
    registry.message(now, who, RouterMessage { kind: Some(kind) });
}

fn messages(registry: &mut Registry) -> Vec<(AttachmentId, ToRouter)> {
    registry.output.messages.drain(..).filter_map(|(to, message)| Some((to, message.kind?))).collect()
}

fn events(registry: &mut Registry) -> Vec<RouterEvent> {
    registry.output.events.drain(..).collect()
}

/// A registry with routers a and b.
fn two() -> Registry {
    let mut registry = registry();
    registry.register(NOW, A, named("a")).unwrap();
    registry.register(NOW, B, named("b")).unwrap();
    messages(&mut registry);
    registry
}

/// Asks for a session; to whom the question went, and its id.
fn ask(registry: &mut Registry, room: &str, participant: u32) -> (AttachmentId, u64) {
    let request = RequestId(u64::from(participant));
    registry.open_session(NOW, room, id(participant), request, TERMS, &Wishes::default()).unwrap();
    let sent = messages(registry);
    let [(to, ToRouter::OpenSession(open))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((open.room.as_str(), open.participant), (room, participant));
    (*to, open.request_id)
}

fn opened(request_id: u64, session: &str) -> FromRouter {
    FromRouter::SessionOpened(SessionOpened { request_id, ticket: Some((&ticket(session)).into()) })
}

fn open(registry: &mut Registry, room: &str, participant: u32, session: &str) -> AttachmentId {
    let (to, request_id) = ask(registry, room, participant);
    says(registry, NOW, to, opened(request_id, session));
    let told = events(registry);
    assert!(
        matches!(&told[..], [RouterEvent::Opened { ticket, .. }] if ticket.session == session),
        "{told:?}"
    );
    to
}

fn lost(room: &str, participant: u32, session: &str, reason: MediaLostReason) -> RouterEvent {
    RouterEvent::Lost {
        room: room.to_owned(),
        participant: id(participant),
        session: session.to_owned(),
        reason,
    }
}

#[test]
fn a_room_stays_where_it_is_and_the_next_goes_elsewhere() {
    let mut registry = two();
    let first = open(&mut registry, "room1", 1, &session('1'));
    assert_eq!(open(&mut registry, "room1", 2, &session('2')), first);
    assert_ne!(open(&mut registry, "room2", 3, &session('3')), first);
    assert_eq!(registry.sessions(), 3);
}

#[test]
fn load_decides_and_what_was_asked_since_counts() {
    let mut registry = two();
    let cpu = |cpu_permille| FromRouter::Heartbeat(Heartbeat { cpu_permille, ..Heartbeat::default() });
    says(&mut registry, NOW, A, cpu(500));
    says(&mut registry, NOW, B, cpu(490));
    let placed: Vec<_> = (1..=8).map(|n| ask(&mut registry, &format!("room{n}"), n).0).collect();
    assert_eq!(placed, [B, B, B, A, B, A, B, A], "b until what it was asked makes up for the difference");
}

#[test]
fn a_draining_router_keeps_its_rooms_and_gets_no_new_ones() {
    let mut registry = two();
    assert_eq!(open(&mut registry, "room1", 1, &session('1')), A);
    says(&mut registry, NOW, A, FromRouter::Draining(Draining {}));
    assert_eq!(open(&mut registry, "room1", 2, &session('2')), A);
    assert_eq!(open(&mut registry, "room2", 3, &session('3')), B);
    assert_eq!(open(&mut registry, "room3", 4, &session('4')), B);
    says(&mut registry, NOW, B, FromRouter::Draining(Draining {}));
    assert_eq!(
        registry.open_session(NOW, "room4", id(5), RequestId(5), TERMS, &Wishes::default()),
        Err(NoRouter)
    );
}

#[test]
fn an_empty_room_may_go_elsewhere() {
    let mut registry = two();
    assert_eq!(open(&mut registry, "room1", 1, &session('1')), A);
    registry.close_session("room1", id(1), session('1'), CloseCode::Left);
    let sent = messages(&mut registry);
    assert!(
        matches!(&sent[..], [(A, ToRouter::CloseSession(close))] if close.session == session('1')),
        "{sent:?}"
    );
    says(&mut registry, NOW, A, FromRouter::Draining(Draining {}));
    assert_eq!(open(&mut registry, "room1", 2, &session('2')), B);
}

#[test]
fn refusals_and_lateness_are_told_once() {
    let mut registry = two();
    let refused = |n| RouterEvent::Refused { room: "room1".to_owned(), request: RequestId(n) };
    let (to, request_id) = ask(&mut registry, "room1", 1);
    says(
        &mut registry,
        NOW,
        to,
        FromRouter::SessionRefused(SessionRefused { request_id, ..Default::default() }),
    );
    assert_eq!(events(&mut registry), [refused(1)]);
    says(
        &mut registry,
        NOW,
        to,
        FromRouter::SessionRefused(SessionRefused { request_id, ..Default::default() }),
    );
    assert_eq!(events(&mut registry), []);

    let (to, request_id) = ask(&mut registry, "room1", 2);
    says(&mut registry, NOW + OPEN_TIMEOUT, A, FromRouter::Heartbeat(Heartbeat::default()));
    says(&mut registry, NOW + OPEN_TIMEOUT, B, FromRouter::Heartbeat(Heartbeat::default()));
    registry.expire(NOW + OPEN_TIMEOUT);
    registry.expire(NOW + OPEN_TIMEOUT);
    assert_eq!(events(&mut registry), [refused(2)]);
    says(&mut registry, NOW, to, opened(request_id, &session('2')));
    assert_eq!(events(&mut registry), []);
    let sent = messages(&mut registry);
    assert!(
        matches!(&sent[..], [(_, ToRouter::CloseSession(close))] if close.session == session('2')),
        "{sent:?}"
    );
    assert_eq!(registry.sessions(), 0);
}

#[test]
fn an_answer_counts_only_from_the_router_that_was_asked_and_only_if_it_is_one() {
    let mut registry = two();
    let (to, request_id) = ask(&mut registry, "room1", 1);
    let other = if to == A { B } else { A };
    says(&mut registry, NOW, other, opened(request_id, &session('1')));
    assert_eq!(events(&mut registry), []);
    let ticket = Some(v1::Ticket { session: session('1'), ..Default::default() });
    says(&mut registry, NOW, to, FromRouter::SessionOpened(SessionOpened { request_id, ticket }));
    assert_eq!(
        events(&mut registry),
        [RouterEvent::Refused { room: "room1".to_owned(), request: RequestId(1) }]
    );
    assert!(matches!(&messages(&mut registry)[..], [(_, ToRouter::CloseSession(_))]));
}

#[test]
fn ends_are_told_with_their_reason_and_only_of_known_sessions() {
    let mut registry = two();
    for (reason, expected) in [
        (EndReason::ClosedByClient, Some(MediaLostReason::Closed)),
        (EndReason::Idle, Some(MediaLostReason::Idle)),
        (EndReason::Unclaimed, Some(MediaLostReason::Unclaimed)),
        (EndReason::Shutdown, Some(MediaLostReason::RouterGone)),
        (EndReason::Replaced, None),
    ] {
        let name = session('1');
        let to = open(&mut registry, "room1", 1, &name);
        let ended = |session: String| SessionEnded {
            room: "room1".to_owned(),
            participant: 1,
            session,
            reason: reason.into(),
        };
        says(&mut registry, NOW, to, FromRouter::SessionEnded(ended(session('2'))));
        let other = if to == A { B } else { A };
        says(&mut registry, NOW, other, FromRouter::SessionEnded(ended(name.clone())));
        assert_eq!(events(&mut registry), []);
        says(&mut registry, NOW, to, FromRouter::SessionEnded(ended(name.clone())));
        let expected: Vec<_> = expected.map(|reason| lost("room1", 1, &name, reason)).into_iter().collect();
        assert_eq!(events(&mut registry), expected);
        assert_eq!(registry.sessions(), 0);
    }
}

#[test]
fn three_missed_heartbeats_end_a_router_and_its_sessions() {
    let mut registry = two();
    assert_eq!(open(&mut registry, "room1", 1, &session('1')), A);
    let (to, _) = ask(&mut registry, "room1", 2);
    assert_eq!(to, A);
    says(&mut registry, NOW + HEARTBEAT, B, FromRouter::Heartbeat(Heartbeat::default()));
    registry.expire(NOW + HEARTBEAT * 3 - Duration::from_nanos(1));
    assert_eq!(events(&mut registry), []);
    registry.expire(NOW + HEARTBEAT * 3);
    let refused = RouterEvent::Refused { room: "room1".to_owned(), request: RequestId(2) };
    let gone = lost("room1", 1, &session('1'), MediaLostReason::RouterGone);
    assert_eq!(events(&mut registry), [refused, gone]);
    assert_eq!(registry.output.detached, [A]);
    assert_eq!(open(&mut registry, "room1", 1, &session('3')), B);
}

#[test]
fn a_broken_stream_costs_nothing_if_the_router_comes_back_with_its_sessions() {
    let mut registry = two();
    assert_eq!(open(&mut registry, "room1", 1, &session('1')), A);
    open(&mut registry, "room1", 2, &session('2'));
    registry.detach(A);
    assert_eq!(
        registry.open_session(NOW, "room1", id(3), RequestId(3), TERMS, &Wishes::default()),
        Err(NoRouter)
    );
    assert_eq!(events(&mut registry), []);
    let has = |room: &str, participant, session| SessionRef { room: room.to_owned(), participant, session };
    let sessions = vec![has("room1", 1, session('1')), has("room9", 9, session('9'))];
    registry.register(NOW, LATER, Register { sessions, ..named("a") }).unwrap();
    let sent = messages(&mut registry);
    assert!(matches!(&sent[..], [(LATER, ToRouter::Registered(_))]), "{sent:?}");
    let gone = lost("room1", 2, &session('2'), MediaLostReason::RouterGone);
    assert_eq!(events(&mut registry), [gone]);
    assert_eq!(open(&mut registry, "room1", 3, &session('3')), LATER);
}

#[test]
fn a_name_belongs_to_its_latest_process() {
    let mut registry = registry();
    registry.register(NOW, A, Register { epoch: 5, ..named("a") }).unwrap();
    let stale = registry.register(NOW, B, Register { epoch: 4, ..named("a") });
    assert_eq!(stale, Err(RegisterError::Stale));
    registry.register(NOW, LATER, Register { epoch: 6, ..named("a") }).unwrap();
    assert_eq!(registry.output.detached, [A]);
    assert_eq!(registry.attached(), 1);
}

#[test]
fn closing_a_room_forgets_its_sessions() {
    let mut registry = two();
    let to = open(&mut registry, "room1", 1, &session('1'));
    registry.close_room("room1", CloseCode::Removed);
    let sent = messages(&mut registry);
    assert!(
        matches!(&sent[..], [(who, ToRouter::CloseRoom(close))] if *who == to && close.code == 1),
        "{sent:?}"
    );
    assert_eq!(registry.sessions(), 0);
    registry.expire(NOW + HEARTBEAT * 3);
    assert_eq!(events(&mut registry), []);
}

/// A registry that has just started, and a router that has sessions from before.
fn restarted(sessions: &[(&str, u32, char)]) -> Registry {
    let mut registry = registry();
    registry.register(NOW, A, Register { sessions: refs(sessions), ..named("a") }).unwrap();
    registry.register(NOW, B, named("b")).unwrap();
    messages(&mut registry);
    registry
}

fn refs(sessions: &[(&str, u32, char)]) -> Vec<SessionRef> {
    let refs = sessions.iter().map(|&(room, participant, digit)| SessionRef {
        room: room.to_owned(),
        participant,
        session: session(digit),
    });
    refs.collect()
}

fn seats(sessions: &[(u32, char)]) -> BTreeMap<ParticipantId, String> {
    sessions.iter().map(|&(number, digit)| (id(number), session(digit))).collect()
}

fn home(router: &str, epoch: u64) -> Home {
    Home { router: router.to_owned(), epoch }
}

fn closed(registry: &mut Registry) -> Vec<(String, u32)> {
    let closed = messages(registry).into_iter().map(|(to, message)| match message {
        ToRouter::CloseSession(close) if to == A => (close.room, close.participant),
        other => panic!("{other:?}"),
    });
    closed.collect()
}

#[test]
fn what_a_dead_daemon_had_is_gone_on_with_under_the_names_that_the_router_says() {
    let mut registry = restarted(&[("room1", 1, '1'), ("room1", 2, '2'), ("room2", 3, '3')]);
    assert_eq!((registry.sessions(), registry.rooms_with_strangers().len()), (0, 2));
    let home = home("a", named("a").epoch);
    let adopted = registry.adopt(NOW, "room1", &home, &seats(&[(1, '1'), (2, '9'), (4, '4')]));
    assert_eq!(adopted, seats(&[(1, '1'), (2, '2'), (4, '4')]));
    assert_eq!((registry.sessions(), registry.rooms_with_strangers()), (3, vec!["room2".to_owned()]));
    assert_eq!(registry.home("room1"), Some(home.clone()));
    assert_eq!(open(&mut registry, "room1", 5, &session('5')), A, "loaded or not");
    // What the router has not when it comes again is lost, and only that.
    let again = refs(&[("room1", 1, '1'), ("room1", 2, '2'), ("room1", 5, '5'), ("room2", 3, '3')]);
    registry.register(NOW, LATER, Register { sessions: again, ..named("a") }).unwrap();
    assert_eq!(events(&mut registry), [lost("room1", 4, &session('4'), MediaLostReason::RouterGone)]);
}

/// The daemon that owned the meeting was told as well, and had died by then.
#[test]
fn what_ended_unheard_is_not_gone_on_with() {
    let mut registry = two();
    let end = |room: &str, name| {
        let (room, session) = (room.to_owned(), session(name));
        let reason = EndReason::Idle.into();
        FromRouter::SessionEnded(SessionEnded { room, participant: 1, session, reason })
    };
    says(&mut registry, NOW, A, end("r", '1'));
    says(&mut registry, NOW, A, end("other", '2'));
    let had = seats(&[(1, '1'), (2, '2')]);
    assert_eq!(registry.adopt(NOW, "r", &home("a", 0), &had), seats(&[(2, '2')]));
    assert!(events(&mut registry).is_empty(), "whoever adopts is answered");
    // Names are given once, so that it may be forgotten.
    registry.expire(NOW + Duration::from_secs(10));
    assert!(registry.ended.is_empty());
    let mut registry = two();
    (0..20_000).for_each(|n| says(&mut registry, NOW, A, end(&n.to_string(), '3')));
    assert_eq!(registry.ended.len(), 16_384);
}

#[test]
fn a_room_waits_for_its_router_and_not_for_ever() {
    let mut registry = registry();
    let home = home("a", named("a").epoch);
    for room in ["room1", "room2"] {
        assert_eq!(registry.adopt(NOW, room, &home, &seats(&[(1, '1')])), seats(&[(1, '1')]));
    }
    registry.register(NOW, B, named("b")).unwrap();
    messages(&mut registry);
    let joins = registry.open_session(NOW, "room1", id(2), RequestId(1), TERMS, &Wishes::default());
    assert_eq!(joins, Err(NoRouter), "elsewhere it would be alone");
    registry.expire(NOW + Duration::from_secs(10));
    assert_eq!(events(&mut registry), []);
    let brings = Register { sessions: refs(&[("room1", 1, '1')]), ..named("a") };
    registry.register(NOW + Duration::from_secs(10), A, brings).unwrap();
    assert_eq!(events(&mut registry), [lost("room2", 1, &session('1'), MediaLostReason::RouterGone)]);

    let mut registry = self::registry();
    registry.adopt(NOW, "room1", &home, &seats(&[(1, '1')]));
    registry.expire(NOW + Duration::from_secs(20));
    assert_eq!(events(&mut registry), [lost("room1", 1, &session('1'), MediaLostReason::RouterGone)]);
}

#[test]
fn a_router_that_was_started_anew_has_nothing_to_go_on_with() {
    let mut registry = restarted(&[]);
    let old = home("a", named("a").epoch + 1);
    assert_eq!(registry.adopt(NOW, "room1", &old, &seats(&[(1, '1')])), seats(&[]));
    assert_eq!((registry.sessions(), registry.home("room1")), (0, None));
}

#[test]
fn nothing_is_closed_that_may_be_anothers() {
    let mut registry = restarted(&[("room1", 1, '1'), ("room2", 2, '2')]);
    // Another daemon's meeting has moved to another router.
    let moved = Register { epoch: 9, sessions: refs(&[("room1", 1, '7')]), ..named("b") };
    registry.register(NOW, LATER, moved).unwrap();
    assert_eq!(closed_by_anybody(&mut registry), 0);
    let before = NOW + STRANGER_GRACE - Duration::from_nanos(1);
    assert_eq!(registry.rooms_with_overdue(before), [""; 0]);
    assert_eq!(registry.rooms_with_overdue(NOW + STRANGER_GRACE), ["room1", "room2"]);
    registry.forget_strangers("room1");
    registry.close_strangers("room2");
    assert_eq!(closed(&mut registry), [("room2".to_owned(), 2)]);
    assert_eq!((registry.home("room1"), registry.home("room2")), (None, None));
}

fn closed_by_anybody(registry: &mut Registry) -> usize {
    let closes = messages(registry);
    closes.iter().filter(|(_, message)| matches!(message, ToRouter::CloseSession(_))).count()
}

#[test]
fn strangers_go_with_their_router_and_their_successor() {
    let mut registry = restarted(&[("room2", 2, '2'), ("room3", 3, '3'), ("room4", 4, '4')]);
    let ended = SessionEnded {
        room: "room2".to_owned(),
        participant: 2,
        session: session('2'),
        reason: EndReason::Idle.into(),
    };
    says(&mut registry, NOW, A, FromRouter::SessionEnded(ended));
    assert_eq!(open(&mut registry, "room3", 3, &session('5')), A);
    assert_eq!(registry.rooms_with_strangers(), ["room4"]);
    says(&mut registry, NOW + HEARTBEAT * 2, B, FromRouter::Heartbeat(Heartbeat::default()));
    registry.expire(NOW + HEARTBEAT * 3);
    assert_eq!(registry.rooms_with_strangers(), [""; 0]);
    assert_eq!(events(&mut registry), [lost("room3", 3, &session('5'), MediaLostReason::RouterGone)]);
    assert_eq!(open(&mut registry, "room4", 4, &session('6')), B);
}

#[test]
fn the_grace_begins_once_and_a_meeting_is_at_one_router() {
    let mut registry = restarted(&[("room1", 1, '1')]);
    registry.detach(A);
    let later = NOW + Duration::from_secs(20);
    let again = Register { sessions: refs(&[("room1", 1, '1')]), ..named("a") };
    registry.register(later, LATER, again).unwrap();
    assert_eq!(registry.rooms_with_overdue(NOW + STRANGER_GRACE), ["room1"]);
    messages(&mut registry);
    assert_eq!(open(&mut registry, "room1", 2, &session('2')), LATER);
    let other = Register { epoch: 1, sessions: refs(&[("room1", 7, '7')]), ..named("b") };
    registry.register(later, AttachmentId(4), other).unwrap();
    let sent = messages(&mut registry);
    let close = sent.iter().find_map(|(to, message)| match message {
        ToRouter::CloseSession(close) if *to == AttachmentId(4) => Some(close.participant),
        _ => None,
    });
    assert_eq!(close, Some(7), "the meeting is this daemon's, and at a");
}

#[test]
fn regions_and_residency_decide() {
    let mut registry = registry();
    registry.register(NOW, A, Register { region: "eu".to_owned(), ..named("a") }).unwrap();
    registry.register(NOW, B, Register { region: "us".to_owned(), ..named("b") }).unwrap();
    messages(&mut registry);
    let mut placed = |room: &str, region: Option<&str>, only: Option<&str>| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let wishes = Wishes { region: own(region), data_residency: own(only) };
        registry.open_session(NOW, room, id(1), RequestId(1), TERMS, &wishes).ok()?;
        messages(&mut registry).first().map(|(to, _)| *to)
    };
    assert_eq!(placed("room1", Some("us"), None), Some(B));
    assert_eq!(placed("room2", Some("us"), None), Some(B));
    assert_eq!(placed("room3", Some("us"), Some("eu")), Some(A));
    assert_eq!(placed("room4", None, Some("mars")), None);
}

fn set_rights(room: &str, participant: u32, session: String, rights: v1::Rights) -> ToRouter {
    let (room, rights) = (room.to_owned(), Some(rights));
    ToRouter::SetRights(v1::SetRights { room, participant, session, rights })
}

fn set_policy(room: &str, preset: v1::Preset) -> ToRouter {
    let policy = v1::RoomPolicy { preset: preset.into(), ..v1::RoomPolicy::default() };
    ToRouter::SetPolicy(v1::SetPolicy { room: room.to_owned(), policy: Some(policy) })
}

#[test]
fn a_session_is_asked_for_on_its_terms() {
    let mut registry = two();
    let rights = MediaRights { may_publish: false, may_share: false, may_take_screen: true };
    for preset in [None, Some(QualityPreset::LargeGallery)] {
        let terms = MediaTerms { rights, preset };
        registry.open_session(NOW, "room1", id(1), RequestId(1), terms, &Wishes::default()).unwrap();
        let sent = messages(&mut registry);
        let [(_, ToRouter::OpenSession(open))] = &sent[..] else { panic!("{sent:?}") };
        let told = v1::Rights { receive_only: true, may_take_screen: true, no_screen: true };
        assert_eq!(open.rights, Some(told));
        let expected = preset.map_or(v1::Preset::Unspecified, |_| v1::Preset::LargeGallery);
        assert_eq!(open.policy.unwrap().preset(), expected);
    }
}

#[test]
fn what_changes_is_said_to_the_rooms_router_and_what_is_over_is_not() {
    let mut registry = two();
    let to = open(&mut registry, "room1", 1, &session('1'));
    let attendee = MediaRights { may_publish: false, may_share: false, ..RIGHTS };
    registry.set_rights("room1", id(1), &session('1'), attendee);
    registry.set_preset("room1", Some(QualityPreset::AudioOnly));
    registry.set_rights("room1", id(1), &session('2'), attendee);
    registry.set_rights("room1", id(2), &session('1'), attendee);
    registry.set_rights("room2", id(1), &session('1'), attendee);
    registry.set_preset("room2", Some(QualityPreset::AudioOnly));
    let told = v1::Rights { receive_only: true, no_screen: true, ..v1::Rights::default() };
    let expected = [set_rights("room1", 1, session('1'), told), set_policy("room1", v1::Preset::AudioOnly)];
    assert_eq!(messages(&mut registry), expected.map(|message| (to, message)));
}

#[test]
fn a_router_that_is_back_hears_what_has_changed_and_nothing_else() {
    let mut registry = registry();
    registry.register(NOW, A, named("a")).unwrap();
    messages(&mut registry);
    for number in 1..=3 {
        open(&mut registry, "room1", number, &session(char::from_digit(number, 10).unwrap()));
    }
    open(&mut registry, "room2", 4, &session('4'));
    let attendee = MediaRights { may_publish: false, may_share: false, ..RIGHTS };
    // One before the stream breaks, which may have got lost, the others after that; one of them is open no more.
    registry.set_rights("room1", id(1), &session('1'), attendee);
    registry.detach(A);
    messages(&mut registry);
    registry.set_rights("room1", id(2), &session('2'), attendee);
    registry.set_rights("room1", id(3), &session('3'), attendee);
    registry.set_preset("room1", Some(QualityPreset::Webinar));
    registry.set_preset("room1", None);
    assert_eq!(messages(&mut registry), [], "nobody is there");
    let sessions =
        [("room1", 1, '1'), ("room1", 2, '2'), ("room2", 4, '4')].map(|(room, participant, digit)| {
            SessionRef { room: room.to_owned(), participant, session: session(digit) }
        });
    registry.register(NOW, LATER, Register { sessions: sessions.to_vec(), ..named("a") }).unwrap();
    let told = v1::Rights { receive_only: true, no_screen: true, ..v1::Rights::default() };
    let mut sent = messages(&mut registry).into_iter();
    assert!(matches!(sent.next(), Some((LATER, ToRouter::Registered(_)))));
    let expected = [
        set_policy("room1", v1::Preset::Unspecified),
        set_rights("room1", 1, session('1'), told),
        set_rights("room1", 2, session('2'), told),
    ];
    assert!(sent.eq(expected.map(|message| (LATER, message))));
    assert_eq!(events(&mut registry), [lost("room1", 3, &session('3'), MediaLostReason::RouterGone)]);
    // A new session of a participant brings its own rights: nothing of the old one's is said again.
    open(&mut registry, "room1", 1, &session('5'));
    registry.detach(LATER);
    messages(&mut registry);
    let again = [("room1", 1, '5')].map(|(room, participant, digit)| SessionRef {
        room: room.to_owned(),
        participant,
        session: session(digit),
    });
    registry.register(NOW, B, Register { sessions: again.to_vec(), ..named("a") }).unwrap();
    let sent: Vec<ToRouter> = messages(&mut registry).into_iter().map(|(_, message)| message).collect();
    assert!(matches!(sent[..], [ToRouter::Registered(_), ToRouter::SetPolicy(_)]), "{sent:?}");
}
