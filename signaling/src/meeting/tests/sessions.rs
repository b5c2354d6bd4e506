use sluice_wire::signaling::{LeftReason, MediaLostReason};

use super::*;

fn lost(session: &str) -> Event {
    Event::SessionLost { participant: id(1), session: session.into(), reason: MediaLostReason::Idle }
}

fn asks(actions: &[Action]) -> RequestId {
    let [Action::OpenSession(request, _)] = actions else { panic!("{actions:?}") };
    *request
}

#[test]
fn leaving_ends_the_session_and_tells_the_others() {
    let mut stage = Stage::plain();
    stage.enter(1);
    stage.enter(2);
    let closed = Action::CloseSession { participant: id(2), session: "s2".into(), code: CloseCode::Left };
    let left = DaemonMessage::ParticipantLeft { participant_id: id(2), reason: LeftReason::Left };
    assert_eq!(
        stage.say(2, ClientMessage::Leave),
        [
            closed,
            Action::Forget(id(2)),
            Action::Broadcast(vec![id(1)], left),
            Action::Close(connection(2), CloseKind::Normal)
        ]
    );
    assert_eq!(stage.drop_connection(2), []);
}

#[test]
fn without_a_router_a_join_fails_and_a_ticket_may_be_asked_for_again() {
    let mut stage = Stage::plain();
    let request = asks(&stage.join(1));
    assert!(sent_away(&stage.handle(Event::SessionRefused(request)), 1, ErrorCode::NoRouter));
    assert!(stage.meeting.is_idle());
    stage.enter(2);
    let request = asks(&stage.say(2, ClientMessage::NewTicket));
    assert_eq!(refused(&stage.handle(Event::SessionRefused(request))), Some(ErrorCode::NoRouter));
    asks(&stage.say(2, ClientMessage::NewTicket));
}

#[test]
fn a_lost_session_is_told_once_and_renewed() {
    let mut stage = Stage::plain();
    stage.enter(1);
    let told_lost = Action::Send(id(1), DaemonMessage::MediaLost { reason: MediaLostReason::Idle });
    assert_eq!(stage.handle(lost("s1")), [told_lost]);
    assert_eq!(stage.handle(lost("s1")), []);
    let request = asks(&stage.say(1, ClientMessage::NewTicket));
    assert_eq!(stage.say(1, ClientMessage::NewTicket), [], "one is under way");
    let actions = stage.handle(Event::SessionOpened(request, Box::new(ticket("again"))));
    let renewed = DaemonMessage::Ticket { ticket: Box::new(ticket("again")) };
    assert_eq!(actions, [Action::Send(id(1), renewed)]);
    assert_eq!(stage.meeting.next_timeout(), None);
    assert_eq!(stage.handle(lost("s1")), [], "the end of the old session is no news");
}

#[test]
fn who_stays_without_media_is_removed() {
    let mut stage = Stage::plain();
    stage.enter(1);
    stage.enter(2);
    stage.handle(lost("s1"));
    assert_eq!(stage.meeting.next_timeout(), Some(stage.now + MEDIA_TIMEOUT));
    assert_eq!(stage.wait(Duration::ZERO), []);
    let actions = stage.wait(MEDIA_TIMEOUT);
    let left = DaemonMessage::ParticipantLeft { participant_id: id(1), reason: LeftReason::MediaTimeout };
    assert_eq!(told(&actions), [(vec![2], &left)]);
    assert!(sent_away(&actions, 1, ErrorCode::MediaTimeout));
}

#[test]
fn the_session_of_somebody_who_left_is_closed_when_it_comes() {
    let mut stage = Stage::plain();
    let request = asks(&stage.join(1));
    assert_eq!(stage.drop_connection(1), [], "nobody resumes who was not inside");
    assert!(!stage.meeting.is_idle(), "the answer is awaited");
    let closed = Action::CloseSession { participant: id(1), session: "s".into(), code: CloseCode::Left };
    assert_eq!(stage.handle(Event::SessionOpened(request, Box::new(ticket("s")))), [closed]);
    assert!(stage.meeting.is_idle());
}
