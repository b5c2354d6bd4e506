use sluice_wire::signaling::{Counts, Left, LeftReason};

use super::*;

fn webinar() -> MeetingSettings {
    MeetingSettings { kind: MeetingKind::Webinar, ..MeetingSettings::default() }
}

/// Host 1, panelist 2, attendees 3 and 4.
fn four() -> Stage {
    let mut stage = Stage::new(webinar());
    stage.enter_as(1, granted(Role::Host));
    stage.enter_as(2, granted(Role::Panelist));
    stage.enter(3);
    stage.enter(4);
    stage
}

#[test]
fn a_large_meeting_is_told_ten_times_a_second() {
    let mut stage = Stage::plain();
    for number in 1..LARGE_MEETING_PARTICIPANTS as u64 {
        stage.enter(number);
    }
    let large = LARGE_MEETING_PARTICIPANTS as u32;
    assert_eq!(told(&stage.enter(u64::from(large))).len(), 1, "joined");
    stage.enter(u64::from(large) + 1);
    stage.say(1, ClientMessage::Video { on: true });
    stage.say(1, ClientMessage::Video { on: false });
    stage.say(2, ClientMessage::Leave);
    assert_eq!(stage.meeting.next_timeout(), Some(stage.now + ROSTER_INTERVAL));
    assert_eq!(stage.wait(ROSTER_INTERVAL / 2), []);
    let actions = stage.wait(ROSTER_INTERVAL / 2);
    let [(to, DaemonMessage::RosterDelta { set, left })] = &told(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(to.len(), stage.meeting.participants());
    assert_eq!(set, &[stage.line(1), stage.line(large), stage.line(large + 1)]);
    assert_eq!(left, &[Left { participant_id: id(2), reason: LeftReason::Left }]);
    stage.enter(u64::from(large) + 2);
    stage.say(3, ClientMessage::Leave);
    stage.say(4, ClientMessage::Leave);
    assert!(stage.meeting.participants() < LARGE_MEETING_PARTICIPANTS);
    let actions = stage.say(5, ClientMessage::Video { on: true });
    assert_eq!(told(&actions), [], "what is gathered is told first, though the meeting is small again");
    stage.wait(ROSTER_INTERVAL);
    assert_eq!(told(&stage.say(5, ClientMessage::Video { on: false })).len(), 1, "and then at once");
}

#[test]
fn attendees_see_the_stage_and_how_many_they_are() {
    let mut stage = four();
    let actions = stage.enter(5);
    let (_, DaemonMessage::Joined(joined)) = told(&actions)[0] else { panic!("{actions:?}") };
    assert_eq!(joined.roster, [stage.line(1), stage.line(2), stage.line(5)]);
    assert_eq!(joined.counts, Some(Counts { attendees: 3, on_stage: 2 }));
    assert!(joined.roster[2].muted);
    let came = DaemonMessage::ParticipantJoined { participant: stage.line(5) };
    assert_eq!(told(&actions)[1..], [(vec![1, 2], &came)], "those on stage see everybody");
    let counts = DaemonMessage::Counts(Counts { attendees: 3, on_stage: 2 });
    assert_eq!(told(&stage.wait(Duration::from_secs(1))), [(vec![3, 4, 5], &counts)]);
    let actions = stage.say(3, ClientMessage::Hand { participant_id: None, raised: true });
    assert_eq!(told(&actions)[0].0, [1, 2, 3]);
    for message in [
        ClientMessage::Mute { participant_id: None, muted: false },
        ClientMessage::Video { on: true },
        ClientMessage::Share { active: true, take_over: false },
    ] {
        assert_eq!(refused(&stage.say(3, message)), Some(ErrorCode::NotAllowed));
    }
    let pin = ClientMessage::Pin { participant_id: Some(id(4)) };
    assert_eq!(
        refused(&stage.say(3, pin)),
        Some(ErrorCode::NoSuchParticipant),
        "whom one does not see is not there"
    );
}

#[test]
fn who_comes_on_stage_is_seen_and_sees() {
    let mut stage = four();
    let set = |role| ClientMessage::SetRole { participant_id: id(3), role };
    let actions = stage.say(1, set(Role::Panelist));
    let update = DaemonMessage::ParticipantUpdate { participant: stage.line(3) };
    assert_eq!(told(&actions)[0], (vec![1, 2, 3, 4], &update));
    let (to, DaemonMessage::Snapshot(snapshot)) = &told(&actions)[1] else { panic!("{actions:?}") };
    assert_eq!((to.as_slice(), snapshot.roster.len(), snapshot.counts), (&[3][..], 4, None));
    stage.say(3, ClientMessage::Video { on: true });
    let actions = stage.say(1, set(Role::Attendee));
    let update = DaemonMessage::ParticipantUpdate { participant: stage.line(3) };
    let left = DaemonMessage::ParticipantLeft { participant_id: id(3), reason: LeftReason::OffStage };
    assert_eq!(told(&actions)[..2], [(vec![1, 2, 3], &update), (vec![4], &left)]);
    assert!(!stage.line(3).video && stage.line(3).muted);
}

#[test]
fn a_successor_comes_from_the_stage() {
    let mut stage = four();
    stage.say(1, ClientMessage::Leave);
    assert_eq!(stage.role(2), Role::Host);
    stage.say(2, ClientMessage::Leave);
    assert_eq!([stage.role(3), stage.role(4)], [Role::Attendee; 2], "rather nobody");
}
