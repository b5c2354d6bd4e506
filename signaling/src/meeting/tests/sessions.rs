use sluice_wire::signaling::{LeftReason, MediaLostReason, QualityPreset};

use super::*;

fn lost(session: &str) -> Event {
    Event::SessionLost { participant: id(1), session: session.into(), reason: MediaLostReason::Idle }
}

fn asks(actions: &[Action]) -> RequestId {
    let [Action::OpenSession(request, ..)] = actions else { panic!("{actions:?}") };
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

/// The terms of the only session that is asked for.
fn terms(actions: &[Action]) -> MediaTerms {
    let [Action::OpenSession(_, _, terms)] = actions else { panic!("{actions:?}") };
    *terms
}

/// What the router is told, of all that is done.
fn router_is_told(actions: Vec<Action>) -> Vec<Action> {
    let is_told = |action: &Action| matches!(action, Action::SetRights { .. } | Action::SetPreset(_));
    actions.into_iter().filter(is_told).collect()
}

const HOST: MediaRights = MediaRights { may_publish: true, may_share: true, may_take_screen: true };
const GUEST: MediaRights = MediaRights { may_publish: true, may_share: true, may_take_screen: false };
const WATCHER: MediaRights = MediaRights { may_publish: false, may_share: false, may_take_screen: false };

fn set_rights(number: u32, rights: MediaRights) -> Action {
    Action::SetRights { participant: id(number), session: format!("s{number}"), rights }
}

#[test]
fn a_session_is_opened_with_what_the_role_allows() {
    let preset = Some(QualityPreset::Webinar);
    let kind = MeetingKind::Webinar;
    let mut stage = Stage::new(MeetingSettings { kind, preset, ..MeetingSettings::default() });
    let mut join = |number, grant| terms(&stage.join_as(number, "x", grant));
    assert_eq!(join(1, granted(Role::Host)), MediaTerms { rights: HOST, preset });
    assert_eq!(join(2, granted(Role::CoHost)), MediaTerms { rights: HOST, preset });
    assert_eq!(join(3, granted(Role::Panelist)), MediaTerms { rights: GUEST, preset });
    assert_eq!(join(4, Grant::default()), MediaTerms { rights: WATCHER, preset });
    let share = SharePolicy::Hosts;
    let mut stage = Stage::new(MeetingSettings { share, ..MeetingSettings::default() });
    let rights = terms(&stage.join(1)).rights;
    assert_eq!(rights, MediaRights { may_share: false, ..GUEST });
}

#[test]
fn who_is_promoted_or_demoted_may_do_so_at_the_router_too() {
    let kind = MeetingKind::Webinar;
    let mut stage = Stage::new(MeetingSettings { kind, ..MeetingSettings::default() });
    stage.enter_as(1, granted(Role::Host));
    stage.enter(2);
    let mut give = |participant: u32, role| {
        let set_role = ClientMessage::SetRole { participant_id: id(participant), role };
        router_is_told(stage.say(1, set_role))
    };
    assert_eq!(give(2, Role::Panelist), [set_rights(2, GUEST)]);
    assert_eq!(give(2, Role::CoHost), [set_rights(2, HOST)]);
    assert_eq!(give(2, Role::Attendee), [set_rights(2, WATCHER)]);
    assert_eq!(give(2, Role::Attendee), [], "nothing has changed");
    give(2, Role::Panelist);
    let successor = router_is_told(stage.say(1, ClientMessage::Leave));
    assert_eq!(successor, [set_rights(2, HOST)], "who follows the host too");
}

#[test]
fn a_role_that_changes_while_the_session_is_opened_counts_when_it_is_open() {
    let kind = MeetingKind::Webinar;
    let mut stage = Stage::new(MeetingSettings { kind, ..MeetingSettings::default() });
    stage.enter_as(1, granted(Role::Host));
    stage.enter(2);
    stage.handle(Event::SessionLost {
        participant: id(2),
        session: "s2".into(),
        reason: MediaLostReason::Idle,
    });
    let asked = stage.say(2, ClientMessage::NewTicket);
    assert_eq!(terms(&asked).rights, WATCHER);
    let promoted = ClientMessage::SetRole { participant_id: id(2), role: Role::Panelist };
    assert_eq!(router_is_told(stage.say(1, promoted)), [], "there is no session");
    assert_eq!(router_is_told(stage.open(&asked)), [set_rights(2, GUEST)]);
}

#[test]
fn who_may_share_is_a_setting_that_the_router_hears_of() {
    let mut stage = Stage::plain();
    stage.enter_as(1, granted(Role::Host));
    stage.enter(2);
    let settings = |share| Box::new(MeetingSettings { share, ..MeetingSettings::default() });
    let hosts = stage.handle(Event::SettingsChanged(settings(SharePolicy::Hosts)));
    assert_eq!(router_is_told(hosts), [set_rights(2, MediaRights { may_share: false, ..GUEST })]);
    let everyone = stage.handle(Event::SettingsChanged(settings(SharePolicy::Everyone)));
    assert_eq!(router_is_told(everyone), [set_rights(2, GUEST)]);
}

#[test]
fn a_preset_is_chosen_by_hosts_and_stands_until_the_setting_changes() {
    let mut stage = Stage::plain();
    stage.enter_as(1, granted(Role::Host));
    stage.enter(2);
    let (audio, gallery) = (Some(QualityPreset::AudioOnly), Some(QualityPreset::LargeGallery));
    let set = |preset| ClientMessage::SetPreset { preset };
    assert_eq!(refused(&stage.say(2, set(audio))), Some(ErrorCode::NotAllowed));
    let actions = stage.say(1, set(audio));
    let update = DaemonMessage::MeetingUpdate { meeting: stage.state() };
    assert_eq!(actions, [Action::SetPreset(audio), Action::Broadcast(vec![id(1), id(2)], update)]);
    assert_eq!(stage.state().preset, audio);
    assert_eq!(stage.say(1, set(audio)), []);
    assert_eq!(terms(&stage.join(3)).preset, audio, "a room that is made anew has it at once");

    let other = MeetingSettings { waiting_room: true, ..MeetingSettings::default() };
    assert_eq!(router_is_told(stage.handle(Event::SettingsChanged(Box::new(other.clone())))), []);
    assert_eq!(stage.state().preset, audio, "it was about something else");
    let changed = MeetingSettings { preset: gallery, ..other };
    let told = router_is_told(stage.handle(Event::SettingsChanged(Box::new(changed))));
    assert_eq!((told, stage.state().preset), (vec![Action::SetPreset(gallery)], gallery));
    assert_eq!(router_is_told(stage.say(1, set(None))), [Action::SetPreset(None)]);
    assert_eq!(stage.state().preset, None);
}

#[test]
fn who_takes_a_meeting_over_tells_the_router_what_holds_now() {
    let mut stage = Stage::plain();
    stage.enter_as(1, granted(Role::Host));
    stage.enter(2);
    let preset = Some(QualityPreset::AudioOnly);
    stage.say(1, ClientMessage::SetPreset { preset });
    let seats = stage.meeting.changed_seats().into_iter();
    let sitters =
        seats.map(|(participant, seat)| Sitter { participant, joined_at: stage.now, seat }).collect();
    let standing = Some(stage.meeting.standing());
    let remains = Remains { standing, sitters, ..Remains::default() };
    let settings = MeetingSettings::default();
    stage.meeting = Meeting::restore("23456789abcd".parse().unwrap(), settings, TIMING, stage.now, remains);
    assert_eq!(
        stage.handle(Event::SessionsAdopted),
        [Action::SetPreset(preset), set_rights(1, HOST), set_rights(2, GUEST)]
    );
}
