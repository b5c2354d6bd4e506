use std::time::Duration;

use sluice_wire::signaling::{
    DaemonMessage, DisplayName, EndedReason, ErrorCode, ErrorMessage, LeftReason, MediaLostReason,
};
use sluice_wire::ssrc::SsrcBlock;
use sluice_wire::ticket::{Direction, MasterKey, Secret, Suite, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::*;

pub(super) const MEDIA_TIMEOUT: Duration = Duration::from_secs(30);
const NOW: Time = Time::from_nanos(1_000_000_000);

pub(super) fn ticket(session: &str) -> Ticket {
    let direction = |base| Direction {
        master: MasterKey { key: Secret::new(vec![1; 16]), salt: Secret::new(vec![2; 12]) },
        ssrcs: SsrcBlock::new(base, 64).unwrap(),
    };
    Ticket {
        protocol_version: 1,
        session: session.to_owned(),
        addresses: vec!["192.0.2.1:5004".parse().unwrap()],
        suite: Suite::default(),
        uplink: direction(64),
        downlink: direction(128),
        alternate: None,
    }
}

pub(super) fn meeting(max_participants: u32) -> Meeting {
    let timing = MeetingTiming { media_timeout: MEDIA_TIMEOUT };
    let mut meeting = Meeting::new("23456789abcd".parse().unwrap(), max_participants, timing);
    assert_eq!(meeting.handle(NOW, Event::NumbersReserved(1..1 + NUMBERS_PER_BLOCK)), []);
    meeting
}

pub(super) fn name(text: &str) -> DisplayName {
    DisplayName::try_from(text.to_owned()).unwrap()
}

fn id(number: u32) -> ParticipantId {
    ParticipantId::new(number).unwrap()
}

const ADA: ConnectionId = ConnectionId(10);
const BOB: ConnectionId = ConnectionId(11);
const EVE: ConnectionId = ConnectionId(12);

fn join(meeting: &mut Meeting, connection: ConnectionId) -> Vec<Action> {
    meeting.handle(NOW, Event::Join { connection, display_name: name("somebody") })
}

/// Joins and lets the router open the session; gives the actions behind that.
fn enter(meeting: &mut Meeting, connection: ConnectionId, session: &str) -> Vec<Action> {
    let actions = join(meeting, connection);
    let [Action::OpenSession(request, _)] = actions[..] else { panic!("{actions:?}") };
    meeting.handle(NOW, Event::SessionOpened(request, Box::new(ticket(session))))
}

fn fatal(connection: ConnectionId, code: ErrorCode) -> impl Fn(&[Action]) -> bool {
    move |actions| {
        let [Action::Send(to, DaemonMessage::Error(ErrorMessage { code: actual, fatal: true, .. })), close] =
            actions
        else {
            return false;
        };
        *to == connection && *actual == code && *close == Action::Close(connection, CloseKind::Fatal)
    }
}

#[test]
fn the_second_gets_the_roster_and_the_first_is_told() {
    let mut meeting = meeting(9);
    enter(&mut meeting, ADA, "a");
    let actions = enter(&mut meeting, BOB, "b");
    let [Action::Send(BOB, DaemonMessage::Joined(joined)), Action::Broadcast(others, message)] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(joined.participant_id, id(2));
    assert_eq!(joined.roster.iter().map(|p| p.participant_id.get()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((joined.room.as_str(), joined.ticket.session.as_str()), ("23456789abcd", "b"));
    assert_eq!(others, &[ADA]);
    assert!(
        matches!(message, DaemonMessage::ParticipantJoined { participant } if participant.participant_id == id(2))
    );
}

#[test]
fn who_waits_for_a_router_is_not_seen_yet() {
    let mut meeting = meeting(9);
    join(&mut meeting, ADA);
    let actions = enter(&mut meeting, BOB, "b");
    assert_eq!(actions.len(), 1, "{actions:?}");
    assert_eq!(meeting.participants(), 1);
}

#[test]
fn a_full_meeting_takes_nobody_and_those_who_wait_count() {
    let mut meeting = meeting(2);
    join(&mut meeting, ADA);
    enter(&mut meeting, BOB, "b");
    assert!(fatal(EVE, ErrorCode::MeetingFull)(&join(&mut meeting, EVE)));
    assert_eq!(meeting.handle(NOW, Event::Leave(BOB)).len(), 2);
    assert!(matches!(join(&mut meeting, EVE)[..], [Action::OpenSession(..)]));
}

#[test]
fn leaving_ends_the_session_and_tells_the_others() {
    let mut meeting = meeting(9);
    enter(&mut meeting, ADA, "a");
    enter(&mut meeting, BOB, "b");
    let left = |reason| DaemonMessage::ParticipantLeft { participant_id: id(2), reason };
    let closed = Action::CloseSession { participant: id(2), session: "b".into(), code: CloseCode::Left };
    assert_eq!(
        meeting.handle(NOW, Event::Leave(BOB)),
        [closed, Action::Broadcast(vec![ADA], left(LeftReason::Left)), Action::Close(BOB, CloseKind::Normal)]
    );
    assert_eq!(meeting.handle(NOW, Event::Disconnected(BOB)), []);
}

#[test]
fn without_a_router_a_join_fails_and_a_ticket_may_be_asked_for_again() {
    let mut meeting = meeting(9);
    let actions = join(&mut meeting, ADA);
    let [Action::OpenSession(request, _)] = actions[..] else { panic!("{actions:?}") };
    assert!(fatal(ADA, ErrorCode::NoRouter)(&meeting.handle(NOW, Event::SessionRefused(request))));
    assert!(meeting.is_idle());

    enter(&mut meeting, BOB, "b");
    let actions = meeting.handle(NOW, Event::NewTicket(BOB));
    let [Action::OpenSession(request, _)] = actions[..] else { panic!("{actions:?}") };
    let actions = meeting.handle(NOW, Event::SessionRefused(request));
    let [Action::Send(BOB, DaemonMessage::Error(error))] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((error.code, error.fatal), (ErrorCode::NoRouter, false));
    assert!(matches!(meeting.handle(NOW, Event::NewTicket(BOB))[..], [Action::OpenSession(..)]));
}

#[test]
fn a_lost_session_is_told_once_and_renewed() {
    let mut meeting = meeting(9);
    enter(&mut meeting, ADA, "a");
    let lost = Event::SessionLost { participant: id(1), session: "a".into(), reason: MediaLostReason::Idle };
    let told = Action::Send(ADA, DaemonMessage::MediaLost { reason: MediaLostReason::Idle });
    assert_eq!(meeting.handle(NOW, lost.clone()), [told]);
    assert_eq!(meeting.handle(NOW, lost), []);

    let actions = meeting.handle(NOW, Event::NewTicket(ADA));
    let [Action::OpenSession(request, _)] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(meeting.handle(NOW, Event::NewTicket(ADA)), [], "one is under way");
    let actions = meeting.handle(NOW, Event::SessionOpened(request, Box::new(ticket("a2"))));
    assert_eq!(actions, [Action::Send(ADA, DaemonMessage::Ticket { ticket: Box::new(ticket("a2")) })]);
    assert_eq!(meeting.next_timeout(), None);
    let stale = Event::SessionLost { participant: id(1), session: "a".into(), reason: MediaLostReason::Idle };
    assert_eq!(meeting.handle(NOW, stale), [], "the end of the old session is no news");
}

#[test]
fn who_stays_without_media_is_removed() {
    let mut meeting = meeting(9);
    enter(&mut meeting, ADA, "a");
    enter(&mut meeting, BOB, "b");
    let lost =
        Event::SessionLost { participant: id(1), session: "a".into(), reason: MediaLostReason::RouterGone };
    assert_eq!(meeting.handle(NOW, lost).len(), 1);
    assert_eq!(meeting.next_timeout(), Some(NOW + MEDIA_TIMEOUT));
    assert_eq!(meeting.handle(NOW, Event::TimedOut), []);
    let actions = meeting.handle(NOW + MEDIA_TIMEOUT, Event::TimedOut);
    let left = DaemonMessage::ParticipantLeft { participant_id: id(1), reason: LeftReason::MediaTimeout };
    assert_eq!(actions[0], Action::Broadcast(vec![BOB], left));
    assert!(fatal(ADA, ErrorCode::MediaTimeout)(&actions[1..]));
}

#[test]
fn the_session_of_somebody_who_left_is_closed_when_it_comes() {
    let mut meeting = meeting(9);
    let actions = join(&mut meeting, ADA);
    let [Action::OpenSession(request, _)] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(meeting.handle(NOW, Event::Disconnected(ADA)), []);
    assert!(!meeting.is_idle(), "the answer is awaited");
    let closed = Action::CloseSession { participant: id(1), session: "a".into(), code: CloseCode::Left };
    assert_eq!(meeting.handle(NOW, Event::SessionOpened(request, Box::new(ticket("a")))), [closed]);
    assert!(meeting.is_idle());
}

#[test]
fn the_end_comes_to_everybody_and_stays() {
    let mut meeting = meeting(9);
    enter(&mut meeting, ADA, "a");
    join(&mut meeting, BOB);
    let actions = meeting.handle(NOW, Event::End(EndedReason::EndedByHost));
    assert_eq!(
        actions[..2],
        [
            Action::Broadcast(vec![ADA], DaemonMessage::MeetingEnded { reason: EndedReason::EndedByHost }),
            Action::Close(ADA, CloseKind::Normal),
        ]
    );
    assert!(fatal(BOB, ErrorCode::MeetingEnded)(&actions[2..4]));
    assert_eq!(actions[4..], [Action::CloseRoom(CloseCode::Removed)]);
    assert!(fatal(EVE, ErrorCode::MeetingEnded)(&join(&mut meeting, EVE)));
    assert_eq!(meeting.handle(NOW, Event::End(EndedReason::EndedByHost)), []);
}

#[test]
fn numbers_come_from_the_reserved_block_only() {
    let mut meeting = meeting(u32::MAX);
    for number in 0..NUMBERS_PER_BLOCK {
        assert!(!meeting.needs_numbers());
        assert_eq!(join(&mut meeting, ConnectionId(u64::from(number))).len(), 1);
    }
    assert!(meeting.needs_numbers());
    let last = ConnectionId(u64::MAX);
    assert!(fatal(last, ErrorCode::Internal)(&join(&mut meeting, last)));
}
