//! What a shard does for people who behave.

mod lab;

use lab::{Lab, camera, person, stranger, want};
use sluice_client::session::Event as ClientEvent;
use sluice_router::core::limits::{MAX_SESSIONS_PER_SHARD, PACING_INTERVAL};
use sluice_router::core::{Command, DropReason, EndReason, Event};
use sluice_wire::control::{
    AckEntry, AckStatus, CloseCode, OutMessage, PageHeader, SlotStatus, StateKind, Want, WantedSlot,
    write_message,
};
use sluice_wire::rtcp::CompoundWriter;
use sluice_wire::srtp::{Cryptex, OutboundSrtp};
use sluice_wire::track::TrackNumber;

const CAMERA: TrackNumber = TrackNumber::CAMERA;

fn ended(lab: &Lab) -> Vec<(u32, EndReason)> {
    lab.events
        .iter()
        .filter_map(|event| match event {
            Event::Ended { participant, reason, .. } => Some((participant.get(), *reason)),
            Event::Opened { .. } | Event::Refused { .. } => None,
        })
        .collect()
}

#[test]
fn a_track_may_be_wanted_before_it_is_published_and_flows_when_it_is() {
    let mut lab = Lab::new();
    lab.join(1);
    lab.join(2);
    lab.client(1).session.want(&[want(5, Want::Track(person(2).track(CAMERA)))]);
    lab.run(200);
    assert_eq!(lab.client(1).shown[&5].status, SlotStatus::NotPublished);
    lab.client(2).session.publish(&camera(&[180, 360])).unwrap();
    lab.run(600);
    let shown = lab.client(1).shown[&5];
    assert_eq!((shown.status, shown.height, shown.payload_type), (SlotStatus::Flowing, 360, 97));
    assert!(lab.frames_of(1, 2, CAMERA) > 10);
    lab.client(2).session.unpublish(CAMERA);
    lab.run(200);
    assert_eq!(lab.client(1).shown[&5].status, SlotStatus::NotPublished);
}

#[test]
fn a_slot_shows_the_best_encoding_of_at_most_the_wanted_height_and_switches_at_key_frames_only() {
    let mut lab = Lab::meeting(2);
    for (max_height, encoding) in [(200, 0), (0, 1), (100, 0), (5_000, 1)] {
        let wish = WantedSlot { max_height, ..want(0, Want::Track(person(2).track(CAMERA))) };
        lab.client(1).session.want(&[wish]);
        lab.client(1).frames.clear();
        lab.run(1_200);
        assert_eq!(lab.client(1).shown[&0].encoding, encoding, "at most {max_height}");
        let frames = &lab.client(1).frames;
        let of = |frame: &sluice_client::session::ReceivedFrame| {
            let head = if frame.frame.key { 10 } else { 3 };
            frame.frame.data[head]
        };
        assert_eq!(frames.last().map(of), Some(encoding));
        for pair in frames.windows(2) {
            assert!(of(&pair[0]) == of(&pair[1]) || pair[1].frame.key, "a switch without a key frame");
            assert!(pair[1].frame.timestamp.wrapping_sub(pair[0].frame.timestamp) < 90_000);
        }
        assert!(frames.iter().all(|frame| frame.is_decodable));
    }
    lab.assert_all_frames_are_intact();
}

#[test]
fn a_key_frame_that_does_not_come_is_asked_for_again_while_a_slot_changes_its_encoding() {
    let mut lab = Lab::meeting(2);
    for (max_height, encoding) in [(200, 0), (0, 1)] {
        let wish = WantedSlot { max_height, ..want(0, Want::Track(person(2).track(CAMERA))) };
        lab.client(1).session.want(&[wish]);
        for _ in 0..60 {
            lab.run(5);
            lab.client(2).wants_key_frame.clear();
        }
        lab.run(1_200);
        assert_eq!(lab.client(1).shown[&0].encoding, encoding, "at most {max_height}");
    }
}

#[test]
fn a_slot_that_turns_to_another_person_goes_on_without_a_gap() {
    let mut lab = Lab::meeting(3);
    for sender in [2, 3, 2, 3] {
        lab.client(1).session.want(&[want(0, Want::Track(person(sender).track(CAMERA)))]);
        let before = lab.frames_of(1, sender, CAMERA);
        lab.run(1_100);
        assert!(lab.frames_of(1, sender, CAMERA) > before + 10, "{sender}");
    }
    assert_eq!(lab.client(1).session.stats().rtp_lost, 0);
    lab.assert_all_frames_are_intact();
}

#[test]
fn what_cannot_be_shown_says_why() {
    let mut lab = Lab::meeting(2);
    let paused = WantedSlot { paused: true, ..want(3, Want::Track(person(2).track(CAMERA))) };
    lab.client(1).session.want(&[
        want(0, Want::Track(person(1).track(CAMERA))),
        want(1, Want::Speaker(1)),
        want(2, Want::Voice(3)),
        paused,
        want(4, Want::Track(person(9).track(CAMERA))),
        want(5, Want::Nothing),
    ]);
    lab.run(300);
    let expected = [
        SlotStatus::NotAllowed,
        SlotStatus::NotPublished,
        SlotStatus::NotPublished,
        SlotStatus::Paused,
        SlotStatus::NotPublished,
        SlotStatus::NotPublished,
    ];
    for (slot, status) in expected.into_iter().enumerate() {
        assert_eq!(lab.client(1).shown[&(slot as u16)].status, status, "slot {slot}");
    }
    let before = lab.client(1).frames.len();
    lab.run(500);
    assert_eq!(lab.client(1).frames.len(), before, "nothing flows for slots that show nothing");
}

#[test]
fn a_muted_track_is_said_to_be_muted() {
    let mut lab = Lab::meeting(2);
    lab.client(2).session.set_muted(CAMERA, true);
    lab.run(200);
    let camera_slot = 1;
    assert_eq!(lab.client(1).shown[&camera_slot].status, SlotStatus::Muted);
    lab.client(2).session.set_muted(CAMERA, false);
    lab.run(200);
    assert_eq!(lab.client(1).shown[&camera_slot].status, SlotStatus::Flowing);
    lab.assert_meeting_goes_on(&[1, 2]);
}

#[test]
fn a_slot_beyond_the_block_is_refused_and_changes_nothing() {
    let mut lab = Lab::meeting(2);
    let limit = lab.client(1).session.slot_limit();
    lab.client(1).session.want(&[want(limit, Want::Track(person(2).track(CAMERA)))]);
    lab.run(200);
    let refusal = ClientEvent::Refused { state: StateKind::Wanted, status: AckStatus::LimitExceeded };
    assert_eq!(lab.client(1).events.iter().filter(|event| **event == refusal).count(), 1);
    lab.assert_meeting_goes_on(&[1, 2]);
}

/// Bytes that a session is sent in two seconds whose client answers the router's pages with `answer`.
fn bytes_sent_to_who_answers(answer: Option<AckStatus>) -> usize {
    let mut lab = Lab::new();
    let ticket = lab.open(1).expect("a ticket");
    let (master, block) = (&ticket.uplink.master, ticket.uplink.ssrcs);
    let mut srtp = OutboundSrtp::new(ticket.suite, master, block, Cryptex::Required).expect("keys");
    let mut say = |lab: &mut Lab, message: OutMessage<'_>| {
        let (mut plain, mut sealed) = ([0; 200], [0; 300]);
        let mut compound = CompoundWriter::new(&mut plain);
        compound.receiver_report(block.control(), &[]).expect("room");
        write_message(&mut compound, block.control(), &message).expect("room");
        let len = compound.finish();
        let len = srtp.seal_rtcp(&plain[..len], &mut sealed).expect("room");
        lab.inject(stranger(), &sealed[..len]);
        lab.run(100);
    };
    let header = PageHeader { version: 1, page: 0, pages: 1 };
    say(&mut lab, OutMessage::Wanted(header, &[want(0, Want::Nothing)]));
    let entry = |version, status| AckEntry { kind: StateKind::Shown, page: 0, status, version };
    let acks: Vec<AckEntry> =
        (1..=3).filter_map(|version| answer.map(|status| entry(version, status))).collect();
    say(&mut lab, OutMessage::Ack(&acks));
    for token in 0..20 {
        say(&mut lab, OutMessage::Ping(token));
    }
    lab.astray[&stranger()]
}

#[test]
fn a_page_is_repeated_until_it_is_acknowledged_or_refused() {
    let settled = bytes_sent_to_who_answers(Some(AckStatus::Applied));
    assert_eq!(bytes_sent_to_who_answers(Some(AckStatus::Malformed)), settled);
    assert!(bytes_sent_to_who_answers(None) > settled);
}

#[test]
fn a_close_that_nobody_answers_is_sent_three_times() {
    let mut lab = Lab::new();
    lab.join(1);
    lab.run(300);
    lab.client(1).is_dead = true;
    let before = lab.shard.counters().rtcp_out;
    lab.shard.handle_command(lab.now, Command::CloseRoom { room: "lab".into(), code: CloseCode::Removed });
    lab.run(1_000);
    assert_eq!(lab.shard.counters().rtcp_out - before, 3);
    assert_eq!(lab.shard.gauges().sessions, 0);
}

#[test]
fn however_many_ask_a_publisher_is_asked_for_a_key_frame_twice_a_second() {
    let mut lab = Lab::new();
    for number in 1..=20 {
        lab.join(number);
    }
    lab.publish_voice_and_camera(1);
    lab.run(500);
    let before = lab.shard.counters().key_frame_requests_out;
    lab.want_everything();
    lab.run(2_000);
    let asked = lab.shard.counters().key_frame_requests_out - before;
    assert!((1..=4).contains(&asked), "{asked} requests in 2 s for one encoding");
    for number in 2..=20 {
        assert!(lab.frames_of(number, 1, CAMERA) > 20, "{number}");
    }
}

#[test]
fn leaving_in_good_order_ends_the_session_at_once() {
    let mut lab = Lab::meeting(3);
    let now = lab.now;
    lab.client(3).session.close(now);
    lab.run(500);
    assert_eq!(ended(&lab), [(3, EndReason::ClosedByClient)]);
    assert!(lab.client(3).session.is_closed());
    assert_eq!(lab.shard.gauges().sessions, 2);
    lab.assert_meeting_goes_on(&[1, 2]);
}

#[test]
fn signaling_ends_a_session_a_room_and_everything() {
    let mut lab = Lab::meeting(4);
    let close = Command::Close {
        room: "lab".into(),
        participant: person(4),
        session: None,
        code: CloseCode::Removed,
    };
    lab.shard.handle_command(lab.now, close);
    lab.run(500);
    assert!(lab.client(4).events.contains(&ClientEvent::Closed(CloseCode::Removed)));
    lab.assert_meeting_goes_on(&[1, 2, 3]);
    let close = Command::CloseRoom { room: "lab".into(), code: CloseCode::Normal };
    lab.shard.handle_command(lab.now, close);
    lab.run(500);
    assert_eq!(ended(&lab).len(), 4);
    let gauges = lab.shard.gauges();
    assert_eq!((gauges.sessions, gauges.rooms, gauges.tracks, gauges.waiting_packets), (0, 0, 0, 0));
    assert_eq!(lab.shard.poll_timeout(), None);
    lab.shard.handle_command(lab.now, Command::Shutdown);
    assert_eq!(lab.open(9).unwrap_err(), "the router is shutting down");
}

#[test]
fn a_second_session_of_a_participant_replaces_the_first() {
    let mut lab = Lab::meeting(2);
    lab.join(1);
    lab.run(300);
    assert_eq!(ended(&lab), [(1, EndReason::Replaced)]);
    assert!(lab.clients[0].events.contains(&ClientEvent::Closed(CloseCode::Replaced)));
    assert_eq!(lab.shard.gauges().sessions, 2);
}

#[test]
fn an_unclaimed_ticket_is_void_after_thirty_seconds() {
    let mut lab = Lab::meeting(2);
    lab.open(7).unwrap();
    lab.run(29_500);
    assert_eq!(ended(&lab), []);
    lab.run(1_000);
    assert_eq!(ended(&lab), [(7, EndReason::Unclaimed)]);
}

#[test]
fn a_full_shard_refuses_and_goes_on() {
    let mut lab = Lab::meeting(2);
    for number in 3..=MAX_SESSIONS_PER_SHARD as u32 {
        lab.open(number).unwrap();
    }
    assert_eq!(lab.open(60_000).unwrap_err(), "the router is full");
    lab.assert_meeting_goes_on(&[1, 2]);
}

#[test]
fn media_of_a_track_that_was_not_declared_is_dropped_and_counted() {
    let mut lab = Lab::meeting(2);
    lab.client(1).session.unpublish(CAMERA);
    lab.client(1).session.publish(&camera(&[180])).unwrap();
    let now = lab.now;
    let picture = lab::picture(person(1), 0, 1, 500, true);
    // Media may overtake the state that declares it.
    lab::send(&mut lab.client(1).session, now, CAMERA, 0, &picture, true).unwrap();
    lab.run(100);
    assert!(lab.dropped(DropReason::UndeclaredStream) <= 2);
    lab.run(1_000);
    assert!(lab.frames_of(2, 1, CAMERA) > 0);
}

#[test]
fn both_ends_learn_the_round_trip_time_and_keep_reporting() {
    let mut lab = Lab::meeting(2);
    lab.run(4_000);
    for number in [1, 2] {
        let rtt = lab.client(number).session.rtt();
        assert!(rtt.is_some_and(|rtt| rtt.as_millis() < 10), "{rtt:?}");
    }
}

#[test]
fn a_quiet_session_is_kept_alive_by_both_ends() {
    let mut lab = Lab::new();
    lab.join(1);
    lab.run(30_000);
    assert_eq!(ended(&lab), []);
    assert!(!lab.client(1).events.contains(&ClientEvent::PathSuspect));
}

#[test]
fn a_large_frame_leaves_in_quanta_and_arrives_whole() {
    let mut lab = Lab::meeting(2);
    let (now, before) = (lab.now, lab.shard.counters().rtp_out);
    let large = lab::picture(person(1), 1, 0, 40_000, true);
    let packets = lab::send(&mut lab.client(1).session, now, CAMERA, 1, &large, true).unwrap() as u64;
    assert!(packets > 35);
    lab.settle();
    assert_eq!(lab.shard.counters().rtp_out - before, 10, "one quantum at once");
    assert_eq!(lab.shard.poll_timeout(), Some(now + PACING_INTERVAL));
    let frames = lab.frames_of(2, 1, CAMERA);
    for interval in 1..=4 {
        lab.now = now + PACING_INTERVAL * interval;
        lab.settle();
    }
    assert!(lab.shard.counters().rtp_out - before >= packets);
    assert_eq!(lab.frames_of(2, 1, CAMERA), frames + 1);
    assert_eq!(lab.shard.gauges().waiting_packets, 0);
    lab.assert_all_frames_are_intact();
}

#[test]
fn what_waits_of_a_track_that_vanishes_is_forgotten() {
    let mut lab = Lab::meeting(2);
    let now = lab.now;
    let large = lab::picture(person(1), 1, 0, 40_000, true);
    lab::send(&mut lab.client(1).session, now, CAMERA, 1, &large, true).unwrap();
    lab.settle();
    assert!(lab.shard.gauges().waiting_packets > 20);
    lab.client(1).session.unpublish(CAMERA);
    lab.settle();
    assert_eq!(lab.shard.gauges().waiting_packets, 0);
}
