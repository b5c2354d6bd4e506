use proptest::prelude::*;

use super::*;

/// A frame of a stream, and the positions of the frames that it refers to.
#[derive(Clone, Debug)]
struct Sent {
    marking: FrameMarking,
    needs: Vec<usize>,
}

/// (temporal id, refers to the latest frame of this layer, base sync, discardable), repeated.
type Pattern = &'static [(u8, u8, bool, bool)];

/// As the shipped clips have it.
const THREE: Pattern = &[(0, 0, false, false), (2, 0, true, true), (1, 0, true, false), (2, 1, false, true)];
/// As libwebrtc has it.
const FOUR: Pattern = &[
    (0, 0, false, false),
    (3, 0, true, true),
    (2, 0, true, false),
    (3, 2, false, true),
    (1, 0, true, false),
    (3, 1, false, true),
    (2, 1, false, false),
    (3, 2, false, true),
];

/// So many groups of a pattern behind one key frame, TL0PICIDX from 250 so that it wraps.
fn stream(pattern: Pattern, groups: usize) -> Vec<Sent> {
    let mut latest = [0_usize; 4];
    let mut tl0_pic_idx = 249_u8;
    let place = |position: usize| (position, pattern[position % pattern.len()]);
    let frame = |(position, (id, refers_to, base_sync, discardable)): (usize, (u8, u8, bool, bool))| {
        tl0_pic_idx = tl0_pic_idx.wrapping_add(u8::from(id == 0));
        let independent = position == 0;
        let needs = if independent { vec![] } else { vec![latest[usize::from(refers_to)], latest[0]] };
        if !discardable {
            latest[usize::from(id)] = position;
        }
        if id == 0 {
            latest = [position; 4];
        }
        let marking = FrameMarking {
            start: true,
            end: true,
            independent,
            discardable,
            base_sync,
            temporal_id: id,
            layer_id: 0,
            tl0_pic_idx,
        };
        Sent { marking, needs }
    };
    (0..groups * pattern.len()).map(place).map(frame).collect()
}

fn facts(marking: FrameMarking, follows_gap: bool) -> FrameFacts {
    FrameFacts { key: marking.independent, follows_gap, marking: Some(marking) }
}

/// What is said of the frames at these positions; what is not among them was left out on purpose, without gaps.
fn verdicts(sent: &[Sent], positions: impl IntoIterator<Item = usize>) -> Vec<bool> {
    let mut dependencies = Dependencies::default();
    positions.into_iter().map(|at| dependencies.judge(&facts(sent[at].marking, false))).collect()
}

#[test]
fn whole_layers_may_be_left_out() {
    for pattern in [THREE, FOUR] {
        let sent = stream(pattern, 20);
        for highest in 0..4 {
            let kept = (0..sent.len()).filter(|at| sent[*at].marking.temporal_id <= highest);
            assert!(verdicts(&sent, kept).iter().all(|is_decodable| *is_decodable), "up to {highest}");
        }
    }
}

#[test]
fn a_layer_below_must_not_be_left_out() {
    let sent = stream(THREE, 4);
    let kept: Vec<usize> = (0..sent.len()).filter(|at| sent[*at].marking.temporal_id != 1).collect();
    // Behind the key frame the second T2 gets the benefit of the doubt; a group later it is clear that there is no T1.
    let undecodable: Vec<usize> =
        kept.iter().zip(verdicts(&sent, kept.clone())).filter(|(_, ok)| !ok).map(|(at, _)| *at).collect();
    assert_eq!(undecodable, [7, 11, 15]);
}

#[test]
fn a_layer_comes_back_at_a_sync_frame_only() {
    let sent = stream(FOUR, 4);
    // The base layer alone in the second group, then from the third on what the test says.
    let with = |from: &[usize]| {
        let mut kept: Vec<usize> = (0..9).chain([16]).collect();
        kept.extend(from);
        verdicts(&sent, kept.clone())[kept.len() - from.len()..].to_vec()
    };
    assert_eq!(with(&[17, 18, 19, 20, 21, 22, 23]), [true; 7]);
    assert_eq!(with(&[20, 21]), [true, true]);
    assert_eq!(with(&[19]), [false], "T3 that refers to a T2 that was left out");
    assert_eq!(
        with(&[20, 22]),
        [true, false],
        "others have referred to T2 before: it has to be synchronised"
    );
    assert_eq!(with(&[18, 19]), [true, true]);
}

#[test]
fn a_missing_base_layer_frame_ends_it_until_the_next_key_frame() {
    let sent = stream(THREE, 4);
    let kept: Vec<usize> = (0..16).filter(|at| *at != 4).collect();
    let verdicts = verdicts(&sent, kept);
    assert_eq!(verdicts[..4], [true; 4]);
    assert!(verdicts[4..].iter().all(|is_decodable| !is_decodable));
    let mut dependencies = Dependencies::default();
    assert!(dependencies.needs_key_frame());
    assert!(!dependencies.judge(&facts(sent[1].marking, false)), "nothing has come before");
    assert!(dependencies.judge(&facts(sent[0].marking, true)));
    assert!(!dependencies.needs_key_frame());
    assert!(!dependencies.judge(&facts(sent[8].marking, true)));
    assert!(dependencies.needs_key_frame());
}

#[test]
fn lost_upper_layers_need_no_key_frame() {
    let sent = stream(THREE, 3);
    let mut dependencies = Dependencies::default();
    let mut judge = |at: usize, gap| dependencies.judge(&facts(sent[at].marking, gap));
    assert!(judge(0, false) && judge(1, false));
    assert!(!judge(3, true), "T1 is lost, on which the second T2 is built");
    assert!(
        judge(4, false) && judge(6, true) && judge(7, false),
        "the first T2 is lost, on which nothing is"
    );
    assert!(!dependencies.needs_key_frame());
}

#[test]
fn a_layer_whose_first_frame_is_lost_is_not_believed_to_need_nothing() {
    let sent = stream(THREE, 3);
    let unsynchronised = FrameMarking { base_sync: false, ..sent[6].marking };
    let mut dependencies = Dependencies::default();
    let mut judge = |marking, gap| dependencies.judge(&facts(marking, gap));
    assert!(judge(sent[0].marking, false) && judge(sent[4].marking, true));
    assert!(!judge(unsynchronised, false), "the T1 of the first group is lost");
}

#[test]
fn headers_that_contradict_the_payload_are_not_believed() {
    let sent = stream(THREE, 2);
    let mut dependencies = Dependencies::default();
    assert!(dependencies.judge(&facts(sent[0].marking, false)));
    assert!(!dependencies.judge(&FrameFacts { key: true, ..facts(sent[4].marking, false) }));
    assert!(dependencies.judge(&facts(sent[0].marking, false)));
    assert!(!dependencies.judge(&FrameFacts { key: false, ..facts(sent[0].marking, false) }));
    let upper = FrameMarking { temporal_id: 1, ..sent[0].marking };
    assert!(!dependencies.judge(&facts(upper, false)));
    assert!(dependencies.needs_key_frame());
}

#[test]
fn spatial_layers_grow_at_independent_or_sync_frames() {
    let sent = stream(THREE, 4);
    let with = |at: usize, layer_id| facts(FrameMarking { layer_id, ..sent[at].marking }, false);
    let mut dependencies = Dependencies::default();
    assert!(dependencies.judge(&with(0, 1)) && dependencies.judge(&with(4, 0)));
    assert!(!dependencies.judge(&with(8, 1)));
    let mut dependencies = Dependencies::default();
    assert!(dependencies.judge(&with(0, 0)) && dependencies.judge(&with(1, 2)));
}

#[test]
fn without_marking_every_gap_is_fatal() {
    let mut dependencies = Dependencies::default();
    let mut judge = |key, follows_gap| dependencies.judge(&FrameFacts { key, follows_gap, marking: None });
    assert_eq!([judge(false, false), judge(true, false), judge(false, false)], [false, true, true]);
    assert_eq!([judge(false, true), judge(false, false), judge(true, true)], [false, false, true]);
}

proptest! {
    #[test]
    fn what_is_called_decodable_is(four: bool, lost in proptest::collection::vec(0..100_u8, 160), percent in 0..60_u8) {
        let sent = stream(if four { FOUR } else { THREE }, if four { 20 } else { 40 });
        let mut dependencies = Dependencies::default();
        let mut is_good = vec![false; sent.len()];
        let mut follows_gap = false;
        for (at, frame) in sent.iter().enumerate() {
            if at > 0 && lost[at] < percent {
                follows_gap = true;
                continue;
            }
            is_good[at] = frame.needs.iter().all(|need| is_good[*need]);
            let verdict = dependencies.judge(&facts(frame.marking, std::mem::take(&mut follows_gap)));
            prop_assert!(!verdict || is_good[at], "frame {at}");
            // The base layer and sync frames are judged exactly.
            if frame.marking.temporal_id == 0 || frame.marking.base_sync {
                prop_assert_eq!(verdict, is_good[at], "frame {}", at);
            }
        }
    }

    #[test]
    fn what_a_careful_router_forwards_is_decodable(four: bool, wishes in proptest::collection::vec(0..4_u8, 160)) {
        let sent = stream(if four { FOUR } else { THREE }, if four { 20 } else { 40 });
        let mut dependencies = Dependencies::default();
        let mut flowing = 3;
        for (frame, wish) in sent.iter().zip(wishes) {
            let id = frame.marking.temporal_id;
            // Down at base layer frames, up one layer at a time at its sync frames.
            if id == 0 {
                flowing = flowing.min(wish);
            } else if id == flowing + 1 && frame.marking.base_sync && wish >= id {
                flowing = id;
            }
            if id <= flowing {
                prop_assert!(dependencies.judge(&facts(frame.marking, false)));
            }
        }
    }
}
