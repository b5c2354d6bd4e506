use std::collections::BTreeSet;

use proptest::prelude::*;
use slotmap::KeyData;

use super::*;
use crate::core::fuzzing;
use crate::core::ids::TrackKey;

const RATE_HZ: u32 = 90_000;

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn source(track: u64, encoding: u8) -> EncodingRef {
    EncodingRef { track: TrackKey::from(KeyData::from_ffi(track)), encoding }
}

/// A frame of one packet.
fn packet(index: u64) -> Incoming {
    Incoming {
        index,
        timestamp: 90,
        arrival: at(0),
        capture: None,
        start: true,
        end: true,
        tl0_pic_idx: 0,
        vp8: None,
    }
}

fn starting_with(first: &Incoming) -> Rewriter {
    let mut rewriter = Rewriter::new(7);
    rewriter.switch(source(1, 0), first, RATE_HZ);
    rewriter
}

fn out(rewriter: &mut Rewriter, index: u64) -> Option<u64> {
    rewriter.rewrite(&packet(index)).map(|rewritten| rewritten.index)
}

/// Where the packet with this sequence number on the slot came from.
fn origin(rewriter: &Rewriter, sequence: u16) -> Option<(EncodingRef, u64)> {
    rewriter.source_of(sequence).map(|origin| (origin.encoding, origin.index))
}

#[test]
fn gaps_and_disorder_of_the_source_are_kept_and_nothing_is_sent_twice() {
    let mut rewriter = starting_with(&packet(1_000));
    let outs =
        [1_000, 1_001, 1_004, 1_003, 1_003, 1_004, 1_000, 1_002].map(|index| out(&mut rewriter, index));
    assert_eq!(outs, [Some(7), Some(8), Some(11), Some(10), None, None, None, Some(9)]);
}

#[test]
fn before_the_first_source_there_is_nothing() {
    let mut rewriter = Rewriter::new(7);
    assert_eq!(out(&mut rewriter, 0), None);
    rewriter.skip(&packet(5));
    assert_eq!(origin(&rewriter, 6), None);
    assert_eq!(rewriter.timestamp_at(at(5), RATE_HZ), None);
    rewriter.switch(source(1, 0), &packet(0), RATE_HZ);
    assert_eq!(origin(&rewriter, 6), None);
    assert_eq!(out(&mut rewriter, 0), Some(7));
    assert_eq!(origin(&rewriter, 7), Some((source(1, 0), 0)));
    assert_eq!(origin(&rewriter, 8), None);
}

#[test]
fn what_is_left_out_leaves_no_gap() {
    let mut rewriter = starting_with(&packet(0));
    assert_eq!(out(&mut rewriter, 0), Some(7));
    for index in [1, 2, 4, 6, 7, 8] {
        rewriter.skip(&packet(index));
        rewriter.skip(&packet(index));
    }
    assert_eq!(out(&mut rewriter, 9), Some(10), "3 and 5, of which nobody knows whose they were, wait");
    assert_eq!(out(&mut rewriter, 3), Some(8));
    assert_eq!(out(&mut rewriter, 4), None);
    let sources = [7, 8, 9, 10].map(|sequence| rewriter.source_of(sequence).map(|origin| origin.index));
    assert_eq!(sources, [0, 3, 5, 9].map(Some));
}

/// The parts of a frame that came before it was left out, the index behind it, and the gap that remains.
type LostPart<'a> = (&'a [(u64, (bool, bool))], u64, u64);

#[test]
fn a_lost_packet_of_a_frame_that_is_left_out_leaves_no_gap() {
    let (start, middle, end) = ((true, false), (false, false), (false, true));
    let part = |index, (start, end)| Incoming { start, end, ..packet(index) };
    let cases: [LostPart<'_>; 6] = [
        (&[(1, start), (5, end)], 6, 0),
        (&[(2, middle), (3, end)], 4, 0),
        (&[(1, start)], 3, 0),
        (&[(3, end)], 4, 1),
        (&[(1, start)], 4, 1),
        (&[(3, middle)], 6, 2),
    ];
    for (parts, next, gap) in cases {
        let mut rewriter = starting_with(&packet(0));
        assert_eq!(out(&mut rewriter, 0), Some(7));
        for (index, edges) in parts {
            rewriter.skip(&part(*index, *edges));
        }
        assert_eq!(out(&mut rewriter, next), Some(8 + gap), "{parts:?}");
    }
}

#[test]
fn a_switch_continues_numbers_and_time() {
    let first = Incoming {
        timestamp: 1_000,
        tl0_pic_idx: 255,
        vp8: Some(PictureNumbers { picture_id: 0x7FFF, tl0_pic_idx: 9 }),
        ..packet(500)
    };
    let mut rewriter = starting_with(&first);
    rewriter.rewrite(&first).unwrap();
    let next = Incoming {
        timestamp: 77,
        arrival: at(100),
        tl0_pic_idx: 4,
        vp8: Some(PictureNumbers { picture_id: 3, tl0_pic_idx: 200 }),
        ..packet(90_000)
    };
    rewriter.switch(source(2, 0), &next, RATE_HZ);
    let rewritten = rewriter.rewrite(&next).unwrap();
    assert_eq!((rewritten.index, rewritten.timestamp, rewritten.tl0_pic_idx), (8, 1_000 + 9_000, 0));
    let numbers = next.vp8.unwrap().lowered_by(rewritten.vp8_offset);
    assert_eq!((numbers.picture_id & 0x7FFF, numbers.tl0_pic_idx), (0, 10));
    assert_eq!(rewriter.rewrite(&packet(89_999)), None);
    assert_eq!(origin(&rewriter, 7), Some((source(1, 0), 500)));
    assert_eq!(origin(&rewriter, 8), Some((source(2, 0), 90_000)));
    assert_eq!(rewriter.source_of(8).unwrap().rewrite(&next), rewritten);
    let again = rewriter.source_of(7).unwrap().rewrite(&first);
    assert_eq!((again.index, again.timestamp, again.tl0_pic_idx), (7, 1_000, 255), "as before the switch");
    assert_eq!(again.vp8_offset, PictureNumbers::default());
}

#[test]
fn encodings_of_one_track_are_aligned_by_capture_and_tracks_by_arrival() {
    let captured = |millis| Some(CaptureTime(at(millis).to_ntp()));
    for (track, ticks) in [(1, 3_600), (2, 9_000)] {
        let first = Incoming { capture: captured(1_000), arrival: at(1_010), ..packet(0) };
        let next = Incoming { capture: captured(1_040), arrival: at(1_110), ..packet(0) };
        let mut rewriter = starting_with(&first);
        rewriter.rewrite(&first).unwrap();
        rewriter.switch(source(track, 1), &next, RATE_HZ);
        assert_eq!(rewriter.rewrite(&next).unwrap().timestamp, 90 + ticks);
    }
}

#[test]
fn two_sources_at_one_instant_do_not_share_a_timestamp() {
    let mut rewriter = starting_with(&packet(1));
    rewriter.rewrite(&packet(1)).unwrap();
    rewriter.switch(source(1, 1), &packet(1), RATE_HZ);
    assert_eq!(rewriter.rewrite(&packet(1)).unwrap().timestamp, 91);
}

#[test]
fn a_jumping_publisher_does_not_make_the_slot_jump() {
    let mut rewriter = starting_with(&packet(0));
    assert_eq!(out(&mut rewriter, 0), Some(7));
    let far = MAX_FORWARDED_GAP + 1;
    assert_eq!(out(&mut rewriter, far), Some(7 + far));
    assert_eq!(out(&mut rewriter, 1 << 20), Some(8 + far));
    assert_eq!(out(&mut rewriter, (1 << 20) - 1), None);
    assert_eq!(out(&mut rewriter, (1 << 20) + 1), Some(9 + far));
}

#[test]
fn a_wrapping_timestamp_stays_continuous() {
    let first = Incoming { timestamp: u32::MAX, ..packet(0) };
    let mut rewriter = starting_with(&first);
    assert_eq!(rewriter.rewrite(&first).unwrap().timestamp, u32::MAX);
    let second = Incoming { timestamp: 2_999, arrival: at(33), ..packet(1) };
    assert_eq!(rewriter.rewrite(&second).unwrap().timestamp, 2_999);
    assert_eq!(rewriter.timestamp_at(at(43), RATE_HZ), Some(2_999 + 900));
}

#[test]
fn the_history_is_made_when_it_is_needed_and_stays_small() {
    let mut rewriter = starting_with(&packet(0));
    for index in 0..5_000 {
        out(&mut rewriter, index);
    }
    assert!(rewriter.history.is_none(), "nothing was lost, left out or switched");
    assert_eq!(origin(&rewriter, 4_000 + 7), Some((source(1, 0), 4_000)));
    assert_eq!(origin(&rewriter, 3_000 + 7), None, "a second and more ago");
    rewriter.skip(&packet(5_000));
    assert!(rewriter.history.is_some());
    let bytes = size_of::<Rewriter>() + size_of::<History>();
    assert!(bytes <= 1_600, "{bytes} bytes");
}

#[test]
fn the_model_reaches_what_it_is_meant_to_reach() {
    // The shortest script that loses, holds, leaves out, repeats, switches and jumps without a complaint.
    fuzzing::rewriter(&[
        9, 0x63, 0, 150, 165, 231, 0, 0x51, 165, 0, 200, 0, 225, 0, 242, 0, 7, 249, 11, 0, 1,
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_life_of_a_slot_is_continuous(script in prop::collection::vec(any::<u8>(), 0..2_000)) {
        fuzzing::rewriter(&script);
    }

    #[test]
    fn a_life_with_few_breaks_reaches_the_bounds_of_memory(
        script in prop::collection::vec(prop_oneof![20 => 0..140_u8, 1 => any::<u8>()], 2_000..6_000),
    ) {
        fuzzing::rewriter(&script);
    }

    #[test]
    fn every_output_index_is_given_once(order in prop::collection::vec((0..60_u64, 0..3_u8), 0..300)) {
        let mut rewriter = starting_with(&packet(0));
        let mut given = BTreeSet::new();
        for (step, (ahead, kind)) in (0..).zip(order) {
            let incoming = packet(step + ahead);
            match kind {
                0 => rewriter.skip(&incoming),
                _ => if let Some(rewritten) = rewriter.rewrite(&incoming) {
                    prop_assert!(given.insert(rewritten.index));
                    let found = rewriter.source_of(rewritten.index as u16).unwrap();
                    prop_assert_eq!((found.encoding, found.index), (source(1, 0), incoming.index));
                    prop_assert_eq!(found.rewrite(&incoming), rewritten);
                },
            }
        }
    }
}

#[test]
fn what_is_late_and_yet_the_newest_is_what_the_next_source_goes_on_from() {
    let picture = |index: u64, picture_id: u16| Incoming {
        vp8: Some(PictureNumbers { picture_id, tl0_pic_idx: 0 }),
        timestamp: 90 * index as u32,
        ..packet(index)
    };
    let mut rewriter = starting_with(&picture(1_000, 5));
    let sent = |rewritten: Rewritten, incoming: &Incoming| {
        (rewritten.index, incoming.vp8.unwrap().lowered_by(rewritten.vp8_offset).picture_id)
    };
    let first = picture(1_000, 5);
    assert_eq!(rewriter.rewrite(&first).map(|rewritten| sent(rewritten, &first)), Some((7, 5)));
    rewriter.skip(&picture(1_002, 7));
    let late = picture(1_001, 6);
    assert_eq!(rewriter.rewrite(&late).map(|rewritten| sent(rewritten, &late)), Some((8, 6)));
    let other = picture(300, 90);
    rewriter.switch(source(2, 0), &other, RATE_HZ);
    assert_eq!(rewriter.rewrite(&other).map(|rewritten| sent(rewritten, &other)), Some((9, 7)));
}
