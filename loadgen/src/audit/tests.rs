use sluice_client::driver::SentFrame;
use sluice_client::media::Codec;
use sluice_client::media::depacketize::AssembledFrame;
use sluice_client::media::packetize::FrameLayer;
use sluice_wire::control::SlotStatus;
use sluice_wire::track::TrackNumber;

use super::*;

fn at(millis: u64) -> Time {
    Time::from_nanos(1_700_000_000_000_000_000) + Duration::from_millis(millis)
}

fn track(participant: u32) -> TrackId {
    TrackId::from_bits((participant << 8) | 1).unwrap()
}

/// Two tracks of two encodings; picture n is captured at 33 n ms, in the pattern T0 T2 T1 T2, with key frames at 0 and 8. A frame of
/// encoding e has 100 (e + 1) bytes and one packet.
fn room(pictures: u64) -> Arc<Directory> {
    let directory: Directory = [1, 2].map(|participant| (track(participant), Arc::default())).into();
    for (id, ledger) in &directory {
        for picture in 0..pictures {
            for encoding in 0..2 {
                let (temporal_id, base_sync, discardable) =
                    [(0, false, false), (2, true, true), (1, true, false), (2, false, true)]
                        [picture as usize % 4];
                lock(ledger).record(&SentFrame {
                    track: TrackNumber::CAMERA,
                    encoding,
                    captured_at: at(picture * 33),
                    handed_at: at(picture * 33),
                    hash: hash(*id, picture, encoding),
                    packets: 1,
                    bytes: 100 * (usize::from(encoding) + 1),
                    key: picture % 8 == 0,
                    layer: FrameLayer { temporal_id, base_sync, discardable },
                });
            }
        }
    }
    Arc::new(directory)
}

fn hash(track: TrackId, picture: u64, encoding: u8) -> u64 {
    (u64::from(track.to_bits()) << 32) | (picture << 8) | u64::from(encoding)
}

fn frame(track: TrackId, picture: u64) -> ReceivedFrame {
    ReceivedFrame {
        slot: 0,
        track,
        codec: Codec::Vp8,
        frame: AssembledFrame { timestamp: 0, first_index: 0, data: vec![], key: false, follows_gap: false },
        is_decodable: true,
        temporal_id: 0,
        captured_at: Time::from_ntp(at(picture * 33).to_ntp()),
        received_at: at(picture * 33),
    }
}

/// The slot gets these pictures of an encoding of a track, each 5 ms behind its capture.
fn receive(audit: &mut SlotAudit, id: TrackId, encoding: u8, pictures: impl IntoIterator<Item = u64>) {
    for picture in pictures {
        audit.on_frame(at(picture * 33 + 5), &frame(id, picture), hash(id, picture, encoding));
    }
}

#[test]
fn what_refers_to_something_that_did_not_come_cannot_be_decoded() {
    let undecodable = |pictures: &[u64]| {
        let mut audit = SlotAudit::new(room(16), None);
        receive(&mut audit, track(1), 0, pictures.iter().copied());
        assert_eq!((audit.intact, audit.corrupt), (pictures.len() as u64, 0));
        audit.undecodable
    };
    assert_eq!(undecodable(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), 0);
    assert_eq!(undecodable(&[0, 2, 4, 6, 8, 10]), 0, "without T2");
    assert_eq!(undecodable(&[0, 1, 3]), 1, "T2 without the T1 before it");
    assert_eq!(undecodable(&[0, 1, 2, 5, 6, 8, 9]), 2, "a base layer frame is missing until the key frame");
    assert_eq!(undecodable(&[4, 5, 8]), 2, "no key frame at the beginning");
}

#[test]
fn the_clients_own_verdict_counts_too() {
    let mut audit = SlotAudit::new(room(4), None);
    let doubtful = ReceivedFrame { is_decodable: false, ..frame(track(1), 0) };
    audit.on_frame(at(0), &doubtful, hash(track(1), 0, 0));
    assert_eq!((audit.intact, audit.undecodable), (1, 1));
}

#[test]
fn a_switch_needs_a_key_frame_of_its_own() {
    let mut audit = SlotAudit::new(room(20), None);
    receive(&mut audit, track(1), 0, 0..8);
    receive(&mut audit, track(1), 1, 8..12);
    assert_eq!((audit.undecodable, audit.switches, audit.source_changes), (0, 1, 0));
    receive(&mut audit, track(1), 0, 12..13);
    assert_eq!((audit.undecodable, audit.switches), (1, 2));
    receive(&mut audit, track(2), 0, 16..18);
    assert_eq!((audit.undecodable, audit.source_changes), (1, 1));
}

#[test]
fn strangers_and_repeats_are_noticed() {
    let mut audit = SlotAudit::new(room(8), None);
    receive(&mut audit, track(1), 0, [0, 1, 1, 0]);
    receive(&mut audit, track(3), 0, [2]);
    audit.on_frame(at(99), &frame(track(1), 2), 12_345);
    let nowhere = ReceivedFrame { captured_at: None, ..frame(track(1), 3) };
    audit.on_frame(at(99), &nowhere, hash(track(1), 3, 0));
    assert_eq!((audit.intact, audit.corrupt, audit.unknown), (2, 3, 2));
}

#[test]
fn what_was_selected_is_what_its_senders_sent_meanwhile() {
    let mut audit = SlotAudit::new(room(16), None);
    assert_eq!(audit.selected_bytes(), 0);
    receive(&mut audit, track(1), 0, 2..8);
    // From picture 2 on, although only six came: that is for the comparison to find.
    assert_eq!(audit.selected_bytes(), 14 * 152);
    receive(&mut audit, track(1), 1, 8..10);
    assert_eq!(audit.selected_bytes(), 6 * 152 + 8 * 252);
    receive(&mut audit, track(2), 0, 12..13);
    assert_eq!(audit.selected_bytes(), 6 * 152 + 4 * 252 + 4 * 152);
}

#[test]
fn a_picture_may_come_again_in_the_encoding_that_is_switched_to() {
    let mut audit = SlotAudit::new(room(16), None);
    receive(&mut audit, track(1), 0, 0..9);
    receive(&mut audit, track(1), 1, 8..10);
    assert_eq!((audit.intact, audit.corrupt, audit.undecodable, audit.switches), (11, 0, 0, 1));
    assert_eq!(audit.selected_bytes(), 9 * 152 + 8 * 252);
    receive(&mut audit, track(1), 1, 8..9);
    assert_eq!(audit.corrupt, 1, "not once more");
}

#[test]
fn a_key_frame_that_was_overtaken_begins_its_encoding_all_the_same() {
    let mut audit = SlotAudit::new(room(24), None);
    receive(&mut audit, track(1), 0, 0..10);
    receive(&mut audit, track(1), 1, 8..12);
    assert_eq!((audit.intact, audit.corrupt, audit.undecodable, audit.switches), (14, 0, 0, 1));
    assert_eq!(audit.selected_bytes(), 10 * 152 + (24 - 8) * 252);
    receive(&mut audit, track(1), 0, 9..10);
    assert_eq!(audit.corrupt, 1, "no key frame");
    receive(&mut audit, track(1), 1, 12..24);
    receive(&mut audit, track(1), 0, [0]);
    assert_eq!((audit.intact, audit.corrupt), (26, 2), "from too long ago");
}

#[test]
fn layers_that_the_router_leaves_out_are_not_selected() {
    let mut audit = SlotAudit::new(room(8), None);
    receive(&mut audit, track(1), 0, [0]);
    let shown = |temporal_layers| ShownSlot {
        slot: 0,
        status: SlotStatus::Flowing,
        payload_type: 97,
        track: Some(track(1)),
        width: 0,
        height: 0,
        fps: 0,
        encoding: 0,
        temporal_layers,
    };
    audit.on_shown(&shown(0));
    audit.on_shown(&shown(4));
    assert_eq!(audit.selected_bytes(), 8 * 152);
    let directory = Arc::clone(&audit.directory);
    audit.on_shown(&shown(1));
    for picture in 8..16 {
        let temporal_id = [0, 2, 1, 2][picture as usize % 4];
        lock(&directory[&track(1)]).record(&SentFrame {
            track: TrackNumber::CAMERA,
            encoding: 0,
            captured_at: at(picture * 33),
            handed_at: at(picture * 33),
            hash: 0,
            packets: 1,
            bytes: 100,
            key: false,
            layer: FrameLayer { temporal_id, base_sync: false, discardable: false },
        });
    }
    assert_eq!(audit.selected_bytes(), 8 * 152 + 2 * 152);
}

#[test]
fn switches_are_timed_from_asking_to_the_first_frame() {
    let mut audit = SlotAudit::new(room(20), Some(0));
    receive(&mut audit, track(1), 0, 0..6);
    audit.ask(at(200), 1);
    receive(&mut audit, track(1), 0, 7..8);
    receive(&mut audit, track(1), 1, 8..10);
    assert_eq!(audit.switch_times, [Duration::from_millis(8 * 33 + 5 - 200)]);
    audit.ask(at(340), 1);
    audit.ask(at(350), 0);
    assert_eq!(audit.overdue, 0, "asking for what flows is no switch");
    audit.ask(at(360), 1);
    assert_eq!((audit.overdue, audit.switch_times.len()), (1, 2));
    audit.ask(at(370), 0);
    audit.finish(at(870));
    assert_eq!((audit.overdue, audit.switch_times[2]), (2, Duration::from_millis(500)));
    audit.ask(at(880), 0);
    audit.finish(at(1_379));
    assert_eq!((audit.overdue, audit.switch_times.len()), (2, 3), "that may still have come");
    assert_eq!(audit.oversized, 0);
    receive(&mut audit, track(1), 1, 11..12);
    assert_eq!(audit.oversized, 1);
}
