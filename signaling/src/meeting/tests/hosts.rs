use sluice_wire::signaling::{RecordAction, RecordingState};

use super::*;

fn with(number: u64, stage: &mut Stage, message: ClientMessage) -> Option<ErrorCode> {
    refused(&stage.say(number, message))
}

fn set_role(participant: u32, role: Role) -> ClientMessage {
    ClientMessage::SetRole { participant_id: id(participant), role }
}

/// A host, a co-host and two participants.
fn four() -> Stage {
    let mut stage = Stage::plain();
    stage.enter_as(1, granted(Role::Host));
    stage.enter_as(2, granted(Role::CoHost));
    stage.enter(3);
    stage.enter(4);
    stage
}

#[test]
fn there_is_one_host_whoever_shows_the_hosts_token() {
    let mut stage = Stage::plain();
    stage.enter(1);
    assert_eq!(stage.role(1), Role::Participant, "who comes first is no host");
    stage.enter_as(2, granted(Role::Host));
    stage.enter_as(3, granted(Role::Host));
    assert_eq!([stage.role(2), stage.role(3)], [Role::Host, Role::CoHost]);
}

#[test]
fn a_host_who_comes_back_takes_over_from_who_acted_for_it() {
    let mut stage = Stage::plain();
    stage.enter_as(1, granted(Role::Host));
    stage.enter(2);
    stage.say(1, ClientMessage::Leave);
    assert_eq!(stage.role(2), Role::Host);
    let actions = stage.enter_as(3, granted(Role::Host));
    assert_eq!([stage.role(2), stage.role(3)], [Role::CoHost, Role::Host]);
    let (_, DaemonMessage::Joined(joined)) = told(&actions)[0] else { panic!("{actions:?}") };
    assert_eq!(joined.roster, [stage.line(2), stage.line(3)]);
    let update = DaemonMessage::ParticipantUpdate { participant: stage.line(2) };
    assert!(told(&actions).contains(&(vec![2, 3], &update)));
}

#[test]
fn the_co_host_follows_the_host_and_then_whoever_was_there_longest() {
    let mut stage = Stage::plain();
    stage.enter_as(1, granted(Role::Host));
    stage.enter(2);
    stage.enter(3);
    stage.enter_as(4, granted(Role::CoHost));
    stage.say(1, ClientMessage::Leave);
    assert_eq!(stage.role(4), Role::Host);
    stage.drop_connection(2);
    stage.say(4, ClientMessage::Leave);
    assert_eq!([stage.role(2), stage.role(3)], [Role::Participant, Role::Host], "rather one who is there");
    stage.say(3, ClientMessage::Leave);
    assert_eq!(stage.role(2), Role::Host, "but one who may come back is better than none");
}

#[test]
fn a_host_who_is_away_stays_host_until_its_time_is_over() {
    let mut stage = four();
    stage.drop_connection(1);
    assert_eq!(stage.role(1), Role::Host);
    stage.wait(RESUME_TIMEOUT);
    assert_eq!(stage.role(2), Role::Host);
}

#[test]
fn a_meeting_may_wait_for_its_host_instead() {
    let settings = MeetingSettings {
        when_host_leaves: HostLeaves::Pause,
        recording: RecordingPolicy::WithConsent,
        ..MeetingSettings::default()
    };
    let mut stage = Stage::new(settings);
    stage.enter_as(1, granted(Role::Host));
    stage.enter(2);
    stage.say(1, ClientMessage::Record { action: RecordAction::Start });
    stage.say(2, ClientMessage::Share { active: true, take_over: false });
    stage.say(1, ClientMessage::Leave);
    let state = stage.state();
    assert_eq!((state.paused, state.sharer, state.recording), (true, None, RecordingState::Paused));
    assert_eq!(stage.role(2), Role::Participant);
    let share = ClientMessage::Share { active: true, take_over: false };
    for message in [share, ClientMessage::Video { on: true }] {
        assert_eq!(with(2, &mut stage, message), Some(ErrorCode::MeetingPaused));
    }
    let waits = stage.join(3);
    assert!(matches!(waits[0], Action::Tell(_, DaemonMessage::Waiting { .. })));
    let actions = stage.enter_as(4, granted(Role::Host));
    stage.open(&actions);
    assert_eq!((stage.state().paused, stage.meeting.waiting(), stage.meeting.participants()), (false, 0, 3));
    assert_eq!(stage.state().recording, RecordingState::Paused, "the host says when it goes on");
}

#[test]
fn roles_are_given_from_above() {
    let mut stage = four();
    assert_eq!(with(3, &mut stage, set_role(4, Role::CoHost)), Some(ErrorCode::NotAllowed));
    assert_eq!(with(2, &mut stage, set_role(3, Role::CoHost)), Some(ErrorCode::NotAllowed));
    assert_eq!(with(2, &mut stage, set_role(1, Role::Participant)), Some(ErrorCode::NotAllowed));
    assert_eq!(with(1, &mut stage, set_role(1, Role::Participant)), Some(ErrorCode::NotAllowed));
    assert_eq!(with(1, &mut stage, set_role(3, Role::Panelist)), Some(ErrorCode::NotAllowed));
    assert_eq!(with(1, &mut stage, set_role(9, Role::CoHost)), Some(ErrorCode::NoSuchParticipant));
    stage.say(1, set_role(3, Role::CoHost));
    stage.say(1, set_role(2, Role::Participant));
    assert_eq!([stage.role(2), stage.role(3)], [Role::Participant, Role::CoHost]);
    stage.say(1, set_role(4, Role::Host));
    assert_eq!([stage.role(1), stage.role(4)], [Role::CoHost, Role::Host], "it was handed over");
}

#[test]
fn hosts_mute_others_and_nobody_unmutes_them() {
    let mut stage = four();
    let mute = |whom: u32, muted| ClientMessage::Mute { participant_id: Some(id(whom)), muted };
    assert_eq!(with(3, &mut stage, mute(4, true)), Some(ErrorCode::NotAllowed));
    assert_eq!(with(2, &mut stage, mute(1, true)), Some(ErrorCode::NotAllowed), "not the host either");
    let actions = stage.say(2, mute(3, true));
    let update = DaemonMessage::ParticipantUpdate { participant: stage.line(3) };
    assert!(stage.line(3).muted);
    assert_eq!(told(&actions), [(vec![1, 2, 3, 4], &update)]);
    assert_eq!(with(1, &mut stage, mute(3, false)), Some(ErrorCode::NotAllowed));
    let asked = stage.say(1, ClientMessage::AskToUnmute { participant_id: id(3) });
    assert_eq!(told(&asked), [(vec![3], &DaemonMessage::UnmuteAsked { by: id(1) })]);
    stage.say(3, ClientMessage::Mute { participant_id: None, muted: false });
    assert!(!stage.line(3).muted);
    assert_eq!(with(4, &mut stage, ClientMessage::MuteAll), Some(ErrorCode::NotAllowed));
    stage.say(2, ClientMessage::MuteAll);
    assert_eq!([1, 2, 3, 4].map(|number| stage.line(number).muted), [false, false, true, true]);
    let mut quiet = Stage::new(MeetingSettings { mute_on_entry: true, ..MeetingSettings::default() });
    quiet.enter_as(1, granted(Role::Host));
    quiet.enter(2);
    assert_eq!([1, 2].map(|number| quiet.line(number).muted), [false, true]);
}

#[test]
fn nobody_puts_out_who_is_above() {
    let mut stage = four();
    let remove = |whom| ClientMessage::Remove { participant_id: id(whom), ban: false };
    for (actor, whom) in [(3, 4), (2, 1), (2, 2), (1, 1)] {
        assert_eq!(with(actor, &mut stage, remove(whom)), Some(ErrorCode::NotAllowed), "{actor} {whom}");
    }
    assert!(sent_away(&stage.say(2, remove(3)), 3, ErrorCode::Removed));
    assert!(sent_away(&stage.say(1, remove(2)), 2, ErrorCode::Removed));
    assert_eq!(stage.meeting.participants(), 2);
}

#[test]
fn what_hosts_do_is_written_down_and_so_is_who_came() {
    let mut stage = four();
    let said = Event::Said(connection(1), Box::new(ClientMessage::Lock { locked: true }.into()));
    let actions = stage.meeting.handle(stage.now, said);
    let note = Note::Audit { by: Some(id(1)), action: "meeting.lock", whom: None };
    assert_eq!(actions[0], Action::Record(note));
    let said = Event::Said(connection(3), Box::new(ClientMessage::Leave.into()));
    let actions = stage.meeting.handle(stage.now, said);
    assert!(actions.contains(&Action::Record(Note::Left { participant: id(3), reason: "left" })));
}

#[test]
fn only_the_host_ends_the_meeting() {
    let mut stage = four();
    assert_eq!(with(2, &mut stage, ClientMessage::EndMeeting), Some(ErrorCode::NotAllowed));
    assert_eq!(stage.say(1, ClientMessage::EndMeeting), [Action::EndMeeting]);
}

#[test]
fn a_numbered_command_is_answered_with_its_number() {
    let mut stage = four();
    let mut say = |number, message| {
        let request = Box::new(ClientRequest { request: Some(77), message });
        stage.handle(Event::Said(connection(number), request))
    };
    let actions = say(1, ClientMessage::Lock { locked: true });
    assert_eq!(actions.last(), Some(&Action::Send(id(1), DaemonMessage::Done { request: 77 })));
    let actions = say(3, ClientMessage::Lock { locked: false });
    let [Action::Send(_, DaemonMessage::Error(error))] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((error.request, error.code), (Some(77), ErrorCode::NotAllowed));
}
