use sluice_wire::signaling::LeftReason;

use super::*;

fn resume(stage: &mut Stage, number: u64, token_of: u64, can_replay: bool) -> Vec<Action> {
    stage.handle(Event::Resume {
        connection: connection(number),
        participant: id(1),
        token: token(connection(token_of)),
        seq: 5,
        can_replay,
    })
}

#[test]
fn who_comes_back_in_time_goes_on_and_nobody_notices() {
    let mut stage = Stage::plain();
    stage.enter(1);
    stage.enter(2);
    assert_eq!(stage.drop_connection(1), [], "nobody is told, and media goes on");
    assert_eq!(stage.meeting.next_timeout(), Some(stage.now + RESUME_TIMEOUT));
    assert_eq!(told(&stage.say(2, ClientMessage::Video { on: true }))[0].0, [1, 2], "kept for who is away");
    let resumed = Action::Tell(connection(9), DaemonMessage::Resumed { participant_id: id(1), after: 5 });
    let attach = Action::Attach(id(1), connection(9));
    assert_eq!(resume(&mut stage, 9, 1, true), [attach, resumed, Action::Replay(id(1), 5)]);
    assert_eq!(stage.meeting.next_timeout(), None);
    assert_eq!(stage.wait(RESUME_TIMEOUT), []);
    assert_eq!(told(&stage.say(9, ClientMessage::Video { on: true })).len(), 1, "the new connection speaks");
    assert_eq!(stage.say(1, ClientMessage::Video { on: false }), [], "and the old one no more");
}

#[test]
fn who_missed_too_much_is_told_how_things_stand() {
    let mut stage = Stage::plain();
    stage.enter(1);
    stage.enter(2);
    stage.say(1, ClientMessage::Pin { participant_id: Some(id(2)) });
    stage.drop_connection(1);
    let actions = resume(&mut stage, 9, 1, false);
    let [Action::Attach(..), Action::Tell(..), Action::Send(_, DaemonMessage::Snapshot(snapshot))] =
        &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(snapshot.roster, [stage.line(1), stage.line(2)]);
    assert_eq!((snapshot.pinned, snapshot.session.as_deref()), (Some(id(2)), Some("s1")));
}

#[test]
fn a_resume_takes_the_token_and_the_place_of_the_connection_before() {
    let mut stage = Stage::plain();
    stage.enter(1);
    stage.enter(2);
    let refused = [Action::RefuseResume(connection(9))];
    assert_eq!(resume(&mut stage, 9, 2, true), refused, "somebody else's token");
    let actions = resume(&mut stage, 9, 1, true);
    assert!(sent_away(&actions, 1, ErrorCode::Replaced), "the old connection was not known to be broken");
    assert_eq!(stage.drop_connection(1), []);
    assert_eq!(stage.meeting.next_timeout(), None, "its end is no news");
    let actions = stage.say(9, ClientMessage::Leave);
    assert!(actions.contains(&Action::Close(connection(9), CloseKind::Normal)));
    assert_eq!(resume(&mut stage, 10, 1, true), [Action::RefuseResume(connection(10))], "it has left");
}

#[test]
fn who_does_not_come_back_has_left() {
    let mut stage = Stage::plain();
    stage.enter(1);
    stage.enter(2);
    stage.drop_connection(1);
    assert_eq!(stage.wait(RESUME_TIMEOUT - Duration::from_nanos(1)), []);
    let actions = stage.wait(Duration::from_nanos(1));
    let left = DaemonMessage::ParticipantLeft { participant_id: id(1), reason: LeftReason::Disconnected };
    assert_eq!(told(&actions), [(vec![2], &left)]);
    assert!(matches!(actions[0], Action::CloseSession { .. }));
    assert_eq!(resume(&mut stage, 9, 1, true), [Action::RefuseResume(connection(9))]);
}

#[test]
fn who_was_closed_for_doing_wrong_does_not_resume() {
    let mut stage = Stage::plain();
    stage.enter(1);
    stage.enter(2);
    let actions = stage.handle(Event::Disconnected { connection: connection(1), may_resume: false });
    let left = DaemonMessage::ParticipantLeft { participant_id: id(1), reason: LeftReason::Disconnected };
    assert_eq!(told(&actions), [(vec![2], &left)]);
}
