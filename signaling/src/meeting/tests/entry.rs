use sluice_wire::signaling::{EndedReason, WaitingReason};

use super::*;

fn waiting_room() -> MeetingSettings {
    MeetingSettings { waiting_room: true, ..MeetingSettings::default() }
}

fn waits(actions: &[Action], number: u64, reason: WaitingReason) -> bool {
    actions.first() == Some(&Action::Tell(connection(number), DaemonMessage::Waiting { reason }))
}

#[test]
fn the_second_gets_the_roster_and_the_first_is_told() {
    let mut stage = Stage::plain();
    stage.enter(1);
    let actions = stage.enter(2);
    let [
        Action::Attach(to, by),
        Action::Send(two, DaemonMessage::Joined(joined)),
        Action::Broadcast(others, message),
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((*to, *by, *two, joined.participant_id), (id(2), connection(2), id(2), id(2)));
    assert_eq!(joined.roster.iter().map(|line| line.participant_id.get()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((joined.room.as_str(), joined.ticket.session.as_str()), ("23456789abcd", "s2"));
    assert_eq!((joined.resume_token.expose(), joined.resume_within_ms), ("token-2", 30_000));
    assert_eq!(others, &[id(1)]);
    let DaemonMessage::ParticipantJoined { participant } = message else { panic!("{message:?}") };
    assert_eq!((participant.participant_id, participant.role), (id(2), Role::Participant));
}

#[test]
fn who_waits_for_a_router_is_not_seen_yet() {
    let mut stage = Stage::plain();
    stage.join(1);
    let actions = stage.enter(2);
    assert_eq!(told(&actions).len(), 1, "{actions:?}");
    assert_eq!(stage.meeting.participants(), 1);
}

#[test]
fn a_full_meeting_takes_nobody_and_those_who_enter_count() {
    let mut stage = Stage::new(MeetingSettings { max_participants: 2, ..MeetingSettings::default() });
    stage.join(1);
    stage.enter(2);
    assert!(sent_away(&stage.join(3), 3, ErrorCode::MeetingFull));
    stage.say(2, ClientMessage::Leave);
    assert!(matches!(stage.join(4)[..], [Action::OpenSession(..)]));
}

#[test]
fn guests_wait_until_a_host_admits_them() {
    let mut stage = Stage::new(waiting_room());
    assert!(waits(&stage.join(1), 1, WaitingReason::WaitingRoom));
    let actions = stage.enter_as(2, granted(Role::Host));
    let (_, DaemonMessage::Joined(joined)) = told(&actions)[0] else { panic!("{actions:?}") };
    assert_eq!(joined.waiting.iter().map(|one| one.participant_id.get()).collect::<Vec<_>>(), [1]);
    let actions = stage.join(3);
    assert!(waits(&actions, 3, WaitingReason::WaitingRoom));
    assert!(matches!(&told(&actions)[..], [(to, DaemonMessage::WaitingJoined { waiting })]
        if to == &[2] && waiting.participant_id == id(3)));
    let actions = stage.say(2, ClientMessage::Admit { participant_id: id(3) });
    let left = DaemonMessage::WaitingLeft { participant_id: id(3) };
    assert_eq!(told(&actions), [(vec![2], &left)]);
    let inside = stage.open(&actions);
    assert!(matches!(told(&inside)[0], (ref to, DaemonMessage::Joined(_)) if to == &[3]));
    assert_eq!(refused(&stage.say(3, ClientMessage::AdmitAll)), Some(ErrorCode::NotAllowed));
    let again = stage.say(2, ClientMessage::Admit { participant_id: id(3) });
    assert_eq!(refused(&again), Some(ErrorCode::NoSuchParticipant));
    let actions = stage.say(2, ClientMessage::Deny { participant_id: id(1), ban: false });
    assert!(sent_away(&actions, 1, ErrorCode::Denied));
    assert_eq!((stage.meeting.waiting(), stage.meeting.participants()), (0, 2));
}

#[test]
fn all_who_wait_are_admitted_at_once_as_long_as_there_is_room() {
    let mut stage = Stage::new(MeetingSettings { max_participants: 3, ..waiting_room() });
    stage.enter_as(1, granted(Role::Host));
    (2..=4).for_each(|number| assert!(waits(&stage.join(number), number, WaitingReason::WaitingRoom)));
    assert!(sent_away(&stage.join(5), 5, ErrorCode::MeetingFull), "as many wait as may be inside");
    let actions = stage.say(1, ClientMessage::AdmitAll);
    let opened = actions.iter().filter(|action| matches!(action, Action::OpenSession(..))).count();
    assert_eq!((opened, stage.meeting.waiting()), (2, 1));
    assert!(
        matches!(actions.last(), Some(Action::Send(_, DaemonMessage::Error(error))) if error.code == ErrorCode::MeetingFull)
    );
}

#[test]
fn before_the_host_others_wait_or_not_as_it_is_set() {
    let mut stage = Stage::new(MeetingSettings { join_before_host: false, ..MeetingSettings::default() });
    assert!(waits(&stage.join(1), 1, WaitingReason::NoHost));
    assert_eq!(stage.say(1, ClientMessage::NewTicket).len(), 1, "nothing but a refusal");
    let actions = stage.enter_as(2, granted(Role::Host));
    stage.open(&actions);
    assert_eq!((stage.meeting.waiting(), stage.meeting.participants()), (0, 2));
}

#[test]
fn a_locked_meeting_is_open_to_its_host_only() {
    let mut stage = Stage::plain();
    stage.enter_as(1, granted(Role::Host));
    let actions = stage.say(1, ClientMessage::Lock { locked: true });
    assert!(matches!(told(&actions)[..], [(_, DaemonMessage::MeetingUpdate { meeting })] if meeting.locked));
    assert_eq!(stage.say(1, ClientMessage::Lock { locked: true }), [], "nothing changed, nothing told");
    assert!(sent_away(&stage.join(2), 2, ErrorCode::MeetingLocked));
    stage.enter_as(3, granted(Role::CoHost));
    stage.say(1, ClientMessage::Lock { locked: false });
    stage.enter(4);
}

#[test]
fn who_is_banned_does_not_come_in_again() {
    let known = |identity: &str| Grant { role: None, identity: Some(identity.to_owned()) };
    let mut stage = Stage::plain();
    stage.enter_as(1, granted(Role::Host));
    stage.enter_as(2, known("mallory"));
    stage.enter(3);
    let actions = stage.say(1, ClientMessage::Remove { participant_id: id(2), ban: true });
    assert!(sent_away(&actions, 2, ErrorCode::Removed));
    stage.say(1, ClientMessage::Remove { participant_id: id(3), ban: true });
    assert!(sent_away(&stage.join_as(4, "Someone else", known("mallory")), 4, ErrorCode::Banned));
    assert!(sent_away(&stage.join_as(5, " P3", Grant::default()), 5, ErrorCode::Banned), "a name is a name");
    assert_eq!(stage.join_as(6, "p3", known("trent")).len(), 1, "who is known is not its name");
    let mut other = Stage::plain();
    other.enter_as(1, granted(Role::Host));
    other.enter(2);
    other.say(1, ClientMessage::Remove { participant_id: id(2), ban: false });
    other.enter(2);
}

#[test]
fn too_many_joins_at_once_come_back_later_and_not_all_together() {
    let mut stage = Stage::new(MeetingSettings { max_participants: 1_000, ..MeetingSettings::default() });
    let _ = stage.handle(Event::NumbersReserved(1..2_000));
    let mut later = Vec::new();
    for number in 0..500 {
        if let [Action::Tell(_, DaemonMessage::Error(error)), Action::Close(..)] = &stage.join(number)[..] {
            assert_eq!(error.code, ErrorCode::RateLimited);
            later.push(error.retry_after_ms.unwrap());
        }
    }
    assert_eq!(later.len(), 100);
    later.sort_unstable();
    later.dedup();
    assert!(later.len() > 90 && later[0] < 300 && later[later.len() - 1] > 4_700, "{later:?}");
}

#[test]
fn the_end_comes_to_everybody_and_stays() {
    let mut stage = Stage::plain();
    stage.enter(1);
    stage.join(2);
    let actions = stage.handle(Event::End(EndedReason::EndedByHost));
    let ended = DaemonMessage::MeetingEnded { reason: EndedReason::EndedByHost };
    assert_eq!(told(&actions), [(vec![1], &ended)]);
    assert!(actions.contains(&Action::Close(connection(1), CloseKind::Normal)));
    assert!(sent_away(&actions, 2, ErrorCode::MeetingEnded));
    assert_eq!(actions.last(), Some(&Action::CloseRoom(CloseCode::Removed)));
    assert!(sent_away(&stage.join(3), 3, ErrorCode::MeetingEnded));
    assert_eq!(stage.handle(Event::End(EndedReason::EndedByHost)), []);
}

#[test]
fn numbers_come_from_the_reserved_block_only() {
    let mut stage = Stage::plain();
    for number in 0..u64::from(NUMBERS_PER_BLOCK) {
        assert!(!stage.meeting.needs_numbers());
        assert_eq!(stage.join(number).len(), 1);
    }
    assert!(stage.meeting.needs_numbers());
    assert!(sent_away(&stage.join(999), 999, ErrorCode::Internal));
}
