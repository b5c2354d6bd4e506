//! Who is sent what of whom: speakers, voices, demand, budgets, screens, policies.

mod lab;

use lab::{Lab, camera, person, voice, want};
use sluice_client::media::Codec;
use sluice_client::session::{EncodingConfig, TrackConfig};
use sluice_router::core::{Command, Policy, Preset, Rights, SessionName};
use sluice_wire::control::{DemandStatus, ShownSlot, SlotStatus, Want, WantedSlot};
use sluice_wire::track::{TrackId, TrackKind, TrackNumber};

const CAMERA: TrackNumber = TrackNumber::CAMERA;
const MICROPHONE: TrackNumber = TrackNumber::MICROPHONE;
const SCREEN: TrackNumber = TrackNumber::SCREEN;
const SILENT: u8 = 127;
const LOUD: u8 = 25;

fn camera_of(number: u32) -> TrackId {
    person(number).track(CAMERA)
}

/// A video whose encodings take what the laboratory's pictures take.
fn video(number: TrackNumber, kind: TrackKind, heights: &[u16], temporal_layers: u8) -> TrackConfig {
    let encodings = heights.iter().zip(1..).map(|(height, size): (_, u32)| EncodingConfig {
        width: height * 16 / 9,
        height: *height,
        fps: 25,
        temporal_layers,
        max_bitrate_bps: 200_000 * size,
    });
    TrackConfig { number, kind, codec: Codec::Vp8, encodings: encodings.collect() }
}

/// People who publish a voice and a camera of three encodings; all are silent.
fn gallery(people: u32) -> Lab {
    let mut lab = Lab::new();
    for number in 1..=people {
        lab.join(number);
        let client = lab.client(number);
        client.level = SILENT;
        client.session.publish(&voice()).expect("a voice");
        let camera = video(CAMERA, TrackKind::Camera, &[180, 360, 720], 1);
        client.session.publish(&camera).expect("a camera");
    }
    lab
}

/// Makes one person talk and all others be silent.
fn only_talks(lab: &mut Lab, talkers: &[u32]) {
    for client in &mut lab.clients {
        client.level = if talkers.contains(&client.id.get()) { LOUD } else { SILENT };
    }
}

fn shown(lab: &mut Lab, receiver: u32, slot: u16) -> ShownSlot {
    lab.client(receiver).shown[&slot]
}

fn shown_people(lab: &mut Lab, receiver: u32, slots: u16) -> Vec<u32> {
    let shown = &lab.client(receiver).shown;
    (0..slots).map(|slot| shown[&slot].track.map_or(0, |track| track.participant().get())).collect()
}

/// Temporal layers that a publisher is told are wanted of each encoding of a track.
fn demanded(lab: &mut Lab, publisher: u32, track: TrackNumber) -> Vec<u8> {
    let demand = &lab.client(publisher).demand;
    (0..4).map_while(|encoding| demand.get(&(track, encoding))).map(|demand| demand.temporal_layers).collect()
}

fn frames(lab: &Lab, receiver: u32) -> usize {
    lab.clients[receiver as usize - 1].frames.len()
}

#[test]
fn speaker_slots_follow_who_speaks_and_only_two_change() {
    let mut lab = gallery(6);
    lab.client(1).session.unpublish(CAMERA);
    let slots: Vec<WantedSlot> = (0..5).map(|n| want(n, Want::Speaker(n.into()))).collect();
    lab.client(1).session.want(&slots);
    only_talks(&mut lab, &[3]);
    lab.run(1_500);
    assert_eq!(shown(&mut lab, 1, 0).track, Some(camera_of(3)));
    for talker in [5, 2, 6] {
        let before = shown_people(&mut lab, 1, 5);
        only_talks(&mut lab, &[talker]);
        lab.run(1_500);
        let after = shown_people(&mut lab, 1, 5);
        assert_eq!(after[0], talker);
        assert!(after.contains(&before[0]), "who spoke before stays: {before:?} {after:?}");
        assert!(before.iter().zip(&after).filter(|(before, after)| before != after).count() <= 2);
        assert_eq!(shown(&mut lab, 1, 0).status, SlotStatus::Flowing);
    }
    assert_eq!(lab.shard.counters().speaker_changes, 4);
    assert_eq!(lab.client(1).session.stats().rtp_lost, 0);
    lab.assert_all_frames_are_intact();
    assert!(lab.client(1).frames.iter().all(|frame| frame.is_decodable));
}

#[test]
fn the_speaker_himself_goes_on_seeing_whom_he_saw() {
    let mut lab = gallery(4);
    for number in 1..=4 {
        let slots: Vec<WantedSlot> = (0..4).map(|n| want(n, Want::Speaker(n.into()))).collect();
        lab.client(number).session.want(&slots);
    }
    only_talks(&mut lab, &[2]);
    lab.run(1_500);
    let before = shown_people(&mut lab, 4, 4);
    only_talks(&mut lab, &[4]);
    lab.run(1_500);
    assert_eq!(shown_people(&mut lab, 4, 4), before);
    assert_eq!(shown(&mut lab, 4, 3).status, SlotStatus::NotPublished, "there are three others");
    assert_eq!([1, 2, 3].map(|receiver| shown_people(&mut lab, receiver, 1)[0]), [4; 3]);
}

#[test]
fn the_three_loudest_of_ten_are_heard_and_nobody_hears_himself() {
    let mut lab = Lab::new();
    for number in 1..=10 {
        lab.join(number);
        lab.client(number).session.publish(&voice()).unwrap();
        let slots: Vec<WantedSlot> = (0..4).map(|n| want(n, Want::Voice(n.into()))).collect();
        lab.client(number).session.want(&slots);
        lab.client(number).level = 55;
    }
    let loud = |lab: &mut Lab, loud: &[(u32, u8)]| {
        for (number, level) in loud {
            lab.client(*number).level = *level;
        }
        lab.run(2_500);
    };
    loud(&mut lab, &[(7, 20), (8, 25), (9, 30), (10, 40)]);
    for receiver in 1..=10 {
        let mut heard = shown_people(&mut lab, receiver, 4);
        assert_eq!(heard.pop(), Some(0), "there is no fourth voice");
        heard.sort_unstable();
        let expected = match receiver {
            7 => [8, 9, 10],
            8 => [7, 9, 10],
            9 => [7, 8, 10],
            _ => [7, 8, 9],
        };
        assert_eq!(heard, expected, "what {receiver} hears");
    }
    let changes = lab.shard.counters().voice_changes;
    loud(&mut lab, &[(1, 26), (2, 27)]);
    assert_eq!(
        lab.shard.counters().voice_changes,
        changes + 1,
        "only the spare lane has one who is hardly louder"
    );
    loud(&mut lab, &[(1, 15)]);
    let mut heard = shown_people(&mut lab, 5, 3);
    heard.sort_unstable();
    assert_eq!(heard, [1, 7, 8]);
    let before = frames(&lab, 5);
    lab.run(1_000);
    assert_eq!(frames(&lab, 5) - before, 3 * 50);
    lab.assert_all_frames_are_intact();
}

#[test]
fn nobody_sends_what_nobody_watches() {
    let mut lab = gallery(2);
    lab.run(400);
    assert_eq!(demanded(&mut lab, 1, CAMERA), [0_u8; 0], "nobody had the time to say what he wants");
    lab.run(400);
    assert_eq!(demanded(&mut lab, 1, CAMERA), [0, 0, 0]);
    assert_eq!(demanded(&mut lab, 1, MICROPHONE), [1], "who speaks must be known");
    let sent = lab.client(1).session.stats().frames_sent;
    lab.run(1_000);
    assert_eq!(lab.client(1).session.stats().frames_sent - sent, 50, "the voice alone");

    for (max_height, expected) in [(180, [1, 0, 0]), (720, [0, 0, 1]), (400, [0, 1, 0])] {
        let wish = WantedSlot { max_height, ..want(0, Want::Track(camera_of(1))) };
        lab.client(2).session.want(&[wish]);
        lab.run(100);
        let position = expected.iter().position(|layers| *layers == 1).unwrap();
        assert_eq!(demanded(&mut lab, 1, CAMERA)[position], 1, "more is told at once");
        lab.run(1_200);
        assert_eq!(demanded(&mut lab, 1, CAMERA), expected, "at most {max_height}");
        let slot = shown(&mut lab, 2, 0);
        assert_eq!((slot.status, usize::from(slot.encoding)), (SlotStatus::Flowing, position));
    }
    let paused = WantedSlot { paused: true, ..want(0, Want::Track(camera_of(1))) };
    lab.client(2).session.want(&[paused]);
    lab.run(100);
    let (sent, got) = (lab.shard.counters().rtp_out, frames(&lab, 2));
    lab.run(1_000);
    assert_eq!((lab.shard.counters().rtp_out, frames(&lab, 2)), (sent, got), "a paused slot costs nothing");
    assert_eq!(demanded(&mut lab, 1, CAMERA), [0, 0, 0]);
    lab.client(2).session.want(&[want(0, Want::Track(camera_of(1)))]);
    lab.run(500);
    assert!(lab.client(2).frames[got].frame.key, "it begins with a key frame");
    assert!(frames(&lab, 2) > got + 5);
    assert!(lab.client(2).frames.iter().all(|frame| frame.is_decodable));
}

#[test]
fn the_frame_rate_that_is_wanted_chooses_temporal_layers() {
    let mut lab = Lab::new();
    lab.join(1);
    lab.join(2);
    lab.client(1).session.publish(&video(CAMERA, TrackKind::Camera, &[180, 360], 3)).unwrap();
    for (max_fps, layers) in [(0, 3), (13, 2), (7, 1), (1, 1), (25, 3)] {
        let wish = WantedSlot { max_fps, ..want(0, Want::Track(camera_of(1))) };
        lab.client(2).session.want(&[wish]);
        lab.run(1_500);
        assert_eq!(demanded(&mut lab, 1, CAMERA), [0, layers], "at most {max_fps} fps");
        assert_eq!(shown(&mut lab, 2, 0).status, SlotStatus::Flowing);
    }
}

#[test]
fn a_limit_lowers_what_is_less_important_and_is_forgotten_when_it_goes() {
    let mut lab = gallery(4);
    let slots = [
        want(0, Want::Track(camera_of(2))),
        WantedSlot { priority: 255, ..want(1, Want::Track(camera_of(3))) },
        want(2, Want::Track(person(2).track(MICROPHONE))),
    ];
    lab.client(1).session.want(&slots);
    lab.run(2_000);
    let sizes = |lab: &mut Lab| [shown(lab, 1, 0).height, shown(lab, 1, 1).height];
    let statuses = |lab: &mut Lab| [shown(lab, 1, 0).status, shown(lab, 1, 1).status];
    assert_eq!(sizes(&mut lab), [720, 720]);

    lab.client(1).session.set_receive_limit(950_000);
    lab.run(1_500);
    assert_eq!(sizes(&mut lab), [180, 720]);
    assert_eq!(statuses(&mut lab), [SlotStatus::NoBandwidth, SlotStatus::Flowing]);
    assert_eq!(demanded(&mut lab, 2, CAMERA), [1, 0, 0], "its sender makes no more");

    lab.client(1).session.set_receive_limit(0);
    lab.run(1_000);
    assert_eq!(statuses(&mut lab), [SlotStatus::NoBandwidth; 2]);
    assert_eq!(shown(&mut lab, 1, 2).status, SlotStatus::Flowing, "a voice is never left out");
    let before = frames(&lab, 1);
    lab.run(1_000);
    assert_eq!(frames(&lab, 1) - before, 50);

    lab.client(1).session.set_receive_limit(3_000_000);
    lab.run(1_000);
    assert_eq!(statuses(&mut lab), [SlotStatus::NoBandwidth; 2], "not so soon");
    lab.run(5_000);
    assert_eq!(sizes(&mut lab), [720, 720]);
    assert_eq!(statuses(&mut lab), [SlotStatus::Flowing; 2]);
    lab.client(1).session.set_receive_limit(u64::MAX);
    lab.run(1_000);
    let allocations = lab.shard.counters().allocations;
    lab.run(2_000);
    assert_eq!(lab.shard.counters().allocations, allocations, "without a limit there is nothing to share");
    lab.assert_all_frames_are_intact();
    assert!(lab.client(1).frames.iter().all(|frame| frame.is_decodable));
}

#[test]
fn a_steady_limit_leaves_layers_alone() {
    let mut lab = gallery(4);
    let slots: Vec<_> = (2..=4).zip(0..).map(|(who, slot)| want(slot, Want::Track(camera_of(who)))).collect();
    lab.client(1).session.want(&slots);
    lab.client(1).session.set_receive_limit(1_100_000);
    lab.run(8_000);
    let (switches, limits) = (lab.shard.counters().layer_switches, [1_060_000, 1_140_000]);
    for round in 0..20 {
        lab.client(1).session.set_receive_limit(limits[round % 2]);
        lab.run(500);
    }
    assert_eq!(lab.shard.counters().layer_switches, switches);
}

#[test]
fn one_screen_at_a_time() {
    let mut lab = Lab::new();
    for number in 1..=3 {
        let rights = Rights { may_take_screen: number == 3, ..Rights::default() };
        lab.join_with(number, rights);
    }
    let screen = video(SCREEN, TrackKind::Screen, &[1_080], 1);
    let sound = TrackConfig { number: TrackNumber::SCREEN_AUDIO, kind: TrackKind::ScreenAudio, ..voice() };
    let status = |lab: &mut Lab, who, track| lab.client(who).demand[&(track, 0)].status;
    lab.client(1).session.publish(&screen).unwrap();
    lab.client(1).session.publish(&sound).unwrap();
    lab.run(700);
    assert_eq!(status(&mut lab, 1, SCREEN), DemandStatus::Granted);
    assert_eq!(status(&mut lab, 1, TrackNumber::SCREEN_AUDIO), DemandStatus::Granted);
    lab.client(2).session.publish(&screen).unwrap();
    lab.run(700);
    assert_eq!(status(&mut lab, 2, SCREEN), DemandStatus::OtherShares);
    assert_eq!(lab.shard.gauges().tracks, 2);

    lab.client(3).session.publish(&screen).unwrap();
    lab.run(700);
    assert_eq!(status(&mut lab, 3, SCREEN), DemandStatus::Granted);
    assert_eq!(status(&mut lab, 1, SCREEN), DemandStatus::TakenOver);
    assert_eq!(status(&mut lab, 1, TrackNumber::SCREEN_AUDIO), DemandStatus::TakenOver);
    assert_eq!(status(&mut lab, 2, SCREEN), DemandStatus::OtherShares);
    assert_eq!(lab.shard.gauges().tracks, 1);

    lab.client(3).session.unpublish(SCREEN);
    lab.run(700);
    assert_eq!(status(&mut lab, 2, SCREEN), DemandStatus::Granted, "it waited for this");
    assert_eq!(status(&mut lab, 1, SCREEN), DemandStatus::TakenOver);
    lab.client(2).session.unpublish(SCREEN);
    lab.client(1).session.unpublish(SCREEN);
    lab.run(700);
    assert_eq!(lab.shard.gauges().tracks, 0);
    lab.client(1).session.publish(&screen).unwrap();
    lab.run(700);
    assert_eq!(status(&mut lab, 1, SCREEN), DemandStatus::Granted);
    let counters = lab.shard.counters();
    assert_eq!((counters.screen_refusals, counters.screen_takeovers), (1, 1));
}

#[test]
fn an_attendee_publishes_nothing() {
    let mut lab = gallery(1);
    lab.join_with(2, Rights { may_publish: false, ..Rights::default() });
    lab.client(2).session.publish(&voice()).unwrap();
    lab.client(2).session.publish(&camera(&[180, 360])).unwrap();
    lab.client(2).session.want(&[want(0, Want::Track(camera_of(1)))]);
    lab.client(1).session.want(&[want(0, Want::Track(camera_of(2)))]);
    lab.run(1_000);
    for track in [(MICROPHONE, 0), (CAMERA, 0), (CAMERA, 1)] {
        assert_eq!(lab.client(2).demand[&track].status, DemandStatus::NotAllowed);
        assert_eq!(lab.client(2).demand[&track].temporal_layers, 0);
    }
    assert_eq!(shown(&mut lab, 1, 0).status, SlotStatus::NotPublished);
    assert_eq!(shown(&mut lab, 2, 0).status, SlotStatus::Flowing);
    assert_eq!((lab.shard.gauges().tracks, lab.shard.counters().publish_refusals), (2, 2));
}

fn set_rights(lab: &mut Lab, number: u32, session: &str, rights: Rights) {
    let session = SessionName(u64::from_str_radix(session, 16).expect("16 digits"));
    let (room, participant) = ("lab".into(), person(number));
    lab.shard.handle_command(lab.now, Command::SetRights { room, participant, session, rights });
}

#[test]
fn who_goes_on_stage_is_seen_without_asking_again_and_who_leaves_it_is_not() {
    let attendee = Rights { may_publish: false, ..Rights::default() };
    let mut lab = gallery(1);
    lab.join_with(2, attendee);
    lab.client(2).session.publish(&voice()).unwrap();
    lab.client(2).session.publish(&camera(&[180, 360])).unwrap();
    lab.client(1).session.want(&[want(0, Want::Track(camera_of(2)))]);
    lab.run(1_000);
    let name = lab.client(2).ticket.session.clone();
    let status = |lab: &mut Lab| {
        let demand = [(MICROPHONE, 0), (CAMERA, 0)].map(|track| lab.client(2).demand[&track].status);
        (demand, shown(lab, 1, 0).status)
    };
    let off_stage = ([DemandStatus::NotAllowed; 2], SlotStatus::NotPublished);
    let on_stage = ([DemandStatus::Granted; 2], SlotStatus::Flowing);
    assert_eq!(status(&mut lab), off_stage);
    set_rights(&mut lab, 2, "0123456789abcdef", Rights::default());
    lab.run(1_000);
    assert_eq!(status(&mut lab), off_stage, "another session was meant");
    set_rights(&mut lab, 2, &name, Rights::default());
    lab.run(1_000);
    assert_eq!(status(&mut lab), on_stage);
    set_rights(&mut lab, 2, &name, attendee);
    lab.run(1_000);
    assert_eq!(status(&mut lab), off_stage);
    assert_eq!(lab.shard.gauges().tracks, 2, "those of the other");
    set_rights(&mut lab, 2, &name, Rights::default());
    lab.run(1_000);
    assert_eq!(status(&mut lab), on_stage);
    lab.assert_all_frames_are_intact();
}

#[test]
fn where_only_hosts_share_others_neither_share_nor_keep_their_turn() {
    let screen = video(SCREEN, TrackKind::Screen, &[1_080], 1);
    let mut lab = gallery(3);
    for number in 1..=3 {
        lab.client(number).session.publish(&screen).unwrap();
        lab.run(300);
    }
    lab.run(700);
    let names: Vec<String> = lab.clients.iter().map(|client| client.ticket.session.clone()).collect();
    let status = |lab: &mut Lab| [1, 2, 3].map(|who| lab.client(who).demand[&(SCREEN, 0)].status);
    let (granted, waits, not_allowed) =
        (DemandStatus::Granted, DemandStatus::OtherShares, DemandStatus::NotAllowed);
    assert_eq!(status(&mut lab), [granted, waits, waits]);
    let watches = Rights { may_share: false, ..Rights::default() };
    set_rights(&mut lab, 2, &names[1], watches);
    lab.run(700);
    assert_eq!(status(&mut lab), [granted, not_allowed, waits]);
    set_rights(&mut lab, 1, &names[0], watches);
    lab.run(700);
    assert_eq!(status(&mut lab), [not_allowed, not_allowed, granted], "the turn goes to who may");
    assert_eq!(lab.client(1).demand[&(CAMERA, 0)].status, granted, "it is about screens alone");
    set_rights(&mut lab, 2, &names[1], Rights { may_take_screen: true, ..Rights::default() });
    lab.run(700);
    assert_eq!(
        status(&mut lab),
        [not_allowed, granted, DemandStatus::TakenOver],
        "it was listed all the time"
    );
}

fn set_policy(lab: &mut Lab, policy: Policy) {
    let command = Command::SetPolicy { room: "lab".into(), policy };
    lab.shard.handle_command(lab.now, command);
}

#[test]
fn a_policy_changes_what_is_sent_by_command() {
    let mut lab = gallery(4);
    let slots: Vec<_> = (2..=4)
        .zip(0..)
        .map(|(who, slot)| WantedSlot {
            priority: if who == 4 { 255 } else { 0 },
            ..want(slot, Want::Track(camera_of(who)))
        })
        .chain([want(9, Want::Voice(0))])
        .collect();
    lab.client(1).session.want(&slots);
    only_talks(&mut lab, &[3]);
    lab.run(2_000);
    let look = |lab: &mut Lab| [0, 1, 2].map(|slot| (shown(lab, 1, slot).status, shown(lab, 1, slot).height));
    assert_eq!(look(&mut lab), [(SlotStatus::Flowing, 720); 3]);
    set_policy(&mut lab, Policy::of(Preset::LargeGallery));
    lab.run(1_500);
    let (large, small) = ((SlotStatus::Flowing, 720), (SlotStatus::Limited, 180));
    assert_eq!(look(&mut lab), [small, large, large], "one speaks, one is pinned");
    only_talks(&mut lab, &[2]);
    lab.run(2_500);
    assert_eq!(look(&mut lab), [large, small, large]);
    set_policy(&mut lab, Policy::of(Preset::AudioOnly));
    lab.run(500);
    assert_eq!(look(&mut lab).map(|(status, _)| status), [SlotStatus::Limited; 3]);
    assert_eq!(shown(&mut lab, 1, 9).status, SlotStatus::Flowing);
    let before = frames(&lab, 1);
    lab.run(1_000);
    assert_eq!(frames(&lab, 1) - before, 50);
    set_policy(&mut lab, Policy { videos_per_receiver: 2, ..Policy::default() });
    lab.run(1_500);
    assert_eq!(look(&mut lab), [large, (SlotStatus::Limited, 0), large], "the pinned one, and who speaks");
    lab.assert_all_frames_are_intact();
}

#[test]
fn who_talks_while_muted_is_told_and_nobody_else() {
    let mut lab = gallery(2);
    lab.client(2).session.want(&[want(0, Want::Track(person(1).track(MICROPHONE))), want(1, Want::Voice(0))]);
    lab.client(1).session.set_muted(MICROPHONE, true);
    lab.run(500);
    assert!(lab.client(1).speakers.is_empty());
    let before = frames(&lab, 2);
    only_talks(&mut lab, &[1]);
    lab.run(2_000);
    let own = lab.client(1).speakers.clone();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].talking_while_muted && !own[0].talking && !own[0].dominant);
    assert_eq!(own[0].track, person(1).track(MICROPHONE));
    assert!(lab.client(2).speakers.is_empty());
    assert_eq!(frames(&lab, 2), before, "not a bit of it is forwarded");
    assert_eq!(shown(&mut lab, 2, 0).status, SlotStatus::Muted);
    lab.client(1).session.set_muted(MICROPHONE, false);
    lab.run(2_000);
    let told = lab.client(2).speakers.clone();
    assert!(
        told.len() == 1 && told[0].talking && told[0].dominant && !told[0].talking_while_muted,
        "{told:?}"
    );
    assert_eq!(lab.client(1).speakers, told);
}

#[test]
fn speakers_are_told_when_it_changes_and_to_who_comes_later() {
    let mut lab = gallery(3);
    only_talks(&mut lab, &[2]);
    lab.run(1_500);
    only_talks(&mut lab, &[3]);
    lab.run(2_000);
    let told: Vec<_> =
        lab.client(1).speakers.iter().map(|s| (s.track.participant().get(), s.talking)).collect();
    assert_eq!(told, [(3, true), (2, false)]);
    lab.join(4);
    lab.run(300);
    let late = lab.client(4).speakers.len();
    assert_eq!(late, 2);
    let now = lab.now;
    lab.client(3).session.close(now);
    lab.run(1_000);
    assert!(lab.client(1).speakers.iter().all(|speaker| speaker.track.participant() == person(2)));
}

#[test]
fn what_its_sender_does_not_send_gives_way_to_what_it_does() {
    let mut lab = Lab::new();
    lab.join(1);
    lab.join(2);
    // The laboratory makes three pictures, not four.
    lab.client(1).session.publish(&video(CAMERA, TrackKind::Camera, &[90, 180, 360, 720], 1)).unwrap();
    lab.client(2).session.want(&[want(0, Want::Track(camera_of(1)))]);
    lab.run(1_500);
    assert_eq!(shown(&mut lab, 2, 0).status, SlotStatus::WaitingForKeyFrame);
    lab.run(2_000);
    let slot = shown(&mut lab, 2, 0);
    assert_eq!((slot.status, slot.height), (SlotStatus::NotSent, 360));
    assert_eq!(demanded(&mut lab, 1, CAMERA), [0, 0, 1, 1], "it is wanted still");
}
