mod decodable;

use std::time::Duration;

use sluice_wire::ext::FrameMarking;
use sluice_wire::time::Time;

use super::*;
use crate::core::ids::TrackKey;

/// Ticks between pictures.
const PICTURE_TICKS: u32 = 3_000;

/// A frame of one packet.
fn frame(temporal_id: u8, layer_id: u8) -> FrameMarking {
    FrameMarking { start: true, end: true, temporal_id, layer_id, ..FrameMarking::default() }
}

fn key(layer_id: u8) -> FrameMarking {
    FrameMarking { independent: true, ..frame(0, layer_id) }
}

fn sync(temporal_id: u8) -> FrameMarking {
    FrameMarking { base_sync: true, ..frame(temporal_id, 0) }
}

fn layers(encoding: u8, spatial: u8, temporal: u8) -> Layers {
    Layers { encoding, spatial, temporal }
}

/// A slot that shows `layers` since a while.
fn showing(layers: Layers) -> Selection {
    let mut selection = Selection::new(TrackKey::default(), layers);
    selection.admit(layers.encoding, key(0), 0);
    selection
}

const SKIP: Admission = Admission::Skip;
const ENDS: Admission = Admission::Forward { ends_picture: true };
const GOES_ON: Admission = Admission::Forward { ends_picture: false };

#[test]
fn an_empty_slot_begins_at_the_first_packet_of_an_independent_frame_of_the_target() {
    let mut selection = Selection::new(TrackKey::default(), layers(1, 0, 2));
    assert!(selection.is_waiting());
    assert_eq!(selection.admit(0, key(0), 0), Admission::Ignore);
    assert_eq!(selection.admit(1, frame(0, 0), 0), Admission::Ignore);
    assert_eq!(selection.admit(1, FrameMarking { start: false, ..key(0) }, 0), Admission::Ignore);
    assert_eq!(selection.admit(1, key(0), 0), Admission::Switch { leaves: None, ends_picture: true });
    assert!(!selection.is_waiting());
    assert_eq!(selection.current(), Some(layers(1, 0, 2)));
}

#[test]
fn the_old_encoding_flows_until_the_new_one_begins() {
    let mut selection = showing(layers(0, 0, 2));
    selection.retarget(layers(2, 0, 1), false);
    assert!(selection.is_waiting());
    assert_eq!(selection.admit(2, frame(0, 0), 1), Admission::Ignore);
    assert_eq!(selection.admit(0, frame(2, 0), 1), ENDS);
    assert_eq!(
        selection.admit(2, key(0), 2),
        Admission::Switch { leaves: Some(layers(0, 0, 2)), ends_picture: true }
    );
    assert_eq!(selection.admit(0, key(0), 2), Admission::Ignore);
    assert_eq!(selection.admit(2, frame(1, 0), 3), ENDS);
    assert_eq!(selection.admit(2, frame(2, 0), 4), SKIP);
}

#[test]
fn a_budget_that_shrank_sheds_temporal_layers_while_a_lower_encoding_is_waited_for() {
    let mut selection = showing(layers(1, 0, 2));
    selection.retarget(layers(0, 0, 2), true);
    // The frame under way is completed.
    assert_eq!(selection.admit(1, FrameMarking { start: false, ..frame(2, 0) }, 1), ENDS);
    assert_eq!(selection.admit(1, frame(0, 0), 2), ENDS);
    assert_eq!(selection.admit(1, sync(1), 3), SKIP);
    // Called off: the layers come back by the rules.
    selection.retarget(layers(1, 0, 2), false);
    assert_eq!(selection.admit(1, frame(1, 0), 4), SKIP);
    assert_eq!(selection.admit(1, sync(1), 5), ENDS);
}

#[test]
fn temporal_layers_end_with_the_next_frame() {
    let mut selection = showing(layers(0, 0, 2));
    selection.retarget(layers(0, 0, 0), false);
    let rest = FrameMarking { start: false, ..frame(2, 0) };
    assert_eq!(selection.admit(0, rest, 5), ENDS);
    assert_eq!(selection.admit(0, frame(1, 0), 6), SKIP);
    assert_eq!(selection.current(), Some(layers(0, 0, 0)));
    // A late packet of a frame that flowed.
    assert_eq!(selection.admit(0, rest, 5), ENDS);
    assert_eq!(selection.admit(0, frame(0, 0), 7), ENDS);
}

#[test]
fn temporal_layers_begin_one_by_one_at_frames_that_need_the_base_only() {
    let mut selection = showing(layers(0, 0, 0));
    selection.retarget(layers(0, 0, 2), false);
    assert_eq!(selection.admit(0, sync(2), 1), SKIP, "it may need layer 1 soon");
    assert_eq!(selection.admit(0, frame(1, 0), 2), SKIP);
    assert_eq!(selection.admit(0, FrameMarking { start: false, ..sync(1) }, 3), SKIP, "its start is lost");
    assert_eq!(selection.admit(0, sync(1), 4), ENDS);
    assert_eq!(selection.admit(0, frame(2, 0), 5), SKIP);
    assert_eq!(selection.admit(0, sync(2), 6), ENDS);
    assert_eq!(selection.current(), Some(layers(0, 0, 2)));
}

#[test]
fn a_frame_that_was_begun_without_is_not_joined_when_its_first_packet_comes_late() {
    let mut selection = showing(layers(0, 0, 0));
    selection.retarget(layers(0, 0, 1), false);
    assert_eq!(selection.admit(0, frame(0, 0), 1), ENDS);
    assert_eq!(selection.admit(0, FrameMarking { start: false, ..sync(1) }, 2), SKIP);
    assert_eq!(selection.admit(0, sync(1), 2), SKIP);
    assert_eq!(selection.admit(0, sync(1), 3), ENDS);
}

#[test]
fn an_independent_picture_brings_all_layers() {
    let mut selection = showing(layers(0, 0, 0));
    selection.retarget(layers(0, 2, 2), false);
    assert!(selection.is_waiting());
    assert_eq!(selection.admit(0, frame(0, 0), 1), ENDS);
    assert_eq!(selection.admit(0, frame(0, 1), 1), SKIP);
    assert_eq!(selection.admit(0, key(0), 2), GOES_ON);
    assert_eq!(selection.admit(0, key(1), 2), GOES_ON);
    assert_eq!(selection.admit(0, key(2), 2), ENDS);
    assert_eq!(selection.admit(0, frame(2, 0), 3), GOES_ON);
    assert!(!selection.is_waiting());
}

#[test]
fn the_marker_is_on_the_highest_spatial_layer_that_flows() {
    let mut selection = showing(layers(0, 1, 2));
    assert_eq!(selection.admit(0, frame(0, 0), 1), GOES_ON);
    assert_eq!(selection.admit(0, frame(0, 1), 1), ENDS);
    assert_eq!(selection.admit(0, frame(0, 2), 1), SKIP);
    selection.retarget(layers(0, 0, 2), false);
    assert_eq!(selection.admit(0, frame(0, 0), 2), ENDS);
    assert_eq!(selection.admit(0, frame(0, 1), 2), SKIP);
}

#[test]
fn a_spatial_layer_that_the_sender_begins_in_the_middle_is_taken_up_and_the_picture_ends_once() {
    let mut selection = showing(layers(0, 0, 2));
    selection.retarget(layers(0, 1, 2), false);
    // It is sent, but needs what came before.
    assert_eq!(selection.admit(0, frame(0, 0), 1), ENDS);
    assert_eq!(selection.admit(0, frame(0, 1), 1), SKIP);
    // Of a picture that was ended nothing more is sent.
    assert_eq!(selection.admit(0, frame(0, 0), 2), ENDS);
    assert_eq!(selection.admit(0, key(1), 2), SKIP);
    // It stops, so that the sender's own marker is on the layer below, and begins again.
    assert_eq!(selection.admit(0, frame(0, 0), 3), ENDS);
    assert_eq!(selection.admit(0, frame(0, 0), 4), GOES_ON);
    assert_eq!(selection.admit(0, key(1), 4), ENDS);
    assert_eq!(selection.admit(0, frame(0, 1), 5), ENDS);
}

#[test]
fn a_change_that_is_done_costs_no_more_thought() {
    let mut selection = showing(layers(0, 0, 2));
    selection.retarget(layers(0, 0, 0), false);
    for picture in 1..100 {
        selection.admit(0, frame(0, 0), picture * PICTURE_TICKS);
    }
    assert!(format!("{selection:?}").contains("is_settled: true"));
}

fn at(millis: u64) -> Time {
    Time::from_nanos(1_800_000_000_000_000_000) + Duration::from_millis(millis)
}

#[test]
fn rates_add_up_over_layers_and_are_forgotten_in_silence() {
    let mut rates = LayerRates::default();
    for packet in 0..400_u64 {
        let marking = frame((packet % 4 / 2) as u8, (packet % 2) as u8);
        rates.on_packet(marking, 125, at(packet * 10));
    }
    let now = at(4_000);
    let of = |spatial, temporal| rates.bitrate(layers(7, spatial, temporal), now);
    assert_eq!(of(0, 0), Some(25_000));
    assert_eq!(of(0, 1), Some(50_000));
    assert_eq!(of(1, 0), Some(50_000));
    assert_eq!(of(u8::MAX, u8::MAX), Some(100_000));
    assert_eq!(rates.bitrate(Layers::whole(0), at(6_000)), None);
}

#[test]
fn a_rate_is_not_known_before_a_second_has_passed() {
    let mut rates = LayerRates::default();
    for packet in 0..101 {
        assert_eq!(rates.bitrate(Layers::whole(0), at(packet * 10)), None);
        rates.on_packet(frame(0, 0), 125, at(packet * 10));
    }
    assert_eq!(rates.bitrate(Layers::whole(0), at(1_000)), Some(100_000));
}

#[test]
fn a_reordered_first_packet_of_a_picture_that_was_left_out_in_part_begins_no_layer() {
    let mut selection = Selection::new(TrackKey::default(), Layers { temporal: 1, ..Layers::whole(0) });
    assert!(matches!(selection.admit(0, key(0), 0), Admission::Switch { .. }));
    let sync = FrameMarking { base_sync: true, ..frame(2, 0) };
    assert_eq!(selection.admit(0, FrameMarking { start: false, ..sync }, 1), SKIP);
    selection.retarget(Layers { temporal: 2, ..Layers::whole(0) }, false);
    assert_eq!(selection.admit_late(0, FrameMarking { end: false, ..sync }, 1), SKIP);
    assert_eq!(selection.current().map(|layers| layers.temporal), Some(1));
    assert!(matches!(selection.admit(0, sync, 2), Admission::Forward { .. }));
    assert_eq!(selection.current().map(|layers| layers.temporal), Some(2));
    assert_eq!(selection.admit_late(1, key(0), 2), Admission::Ignore);
}
