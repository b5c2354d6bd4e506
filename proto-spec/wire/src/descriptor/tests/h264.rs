//! NAL units alone, together and in fragments.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::descriptor::Descriptors;
use crate::ext::FrameMarking;
use crate::payload_type::PayloadType;

fn marking(payload: &[u8]) -> Option<FrameMarking> {
    Descriptors::default().marking(PayloadType::H264, payload, false)
}

const REST: FrameMarking = FrameMarking {
    start: false,
    end: false,
    independent: false,
    discardable: false,
    base_sync: false,
    temporal_id: 0,
    layer_id: 0,
    tl0_pic_idx: 0,
};
const START: FrameMarking = FrameMarking { start: true, ..REST };
const ENTRY: FrameMarking = FrameMarking { independent: true, ..START };

#[test]
fn single_units() {
    assert_eq!(marking(&[0x65, 0x88]), Some(ENTRY));
    assert_eq!(marking(&[0x65, 0x40]), Some(FrameMarking { start: false, ..ENTRY }));
    assert_eq!(marking(&[0x41, 0x9A]), Some(START));
    assert_eq!(marking(&[0x41, 0x1A]), Some(REST));
    // Nothing refers to it.
    assert_eq!(marking(&[0x01, 0x9A]), Some(FrameMarking { discardable: true, ..START }));
    assert_eq!(marking(&[0x67]), Some(ENTRY));
    for kind in [6, 8, 9] {
        assert_eq!(marking(&[kind]), Some(START));
    }
    assert_eq!(marking(&[0x0A]), Some(REST));
    for cut in [&[][..], &[0x65], &[0x41]] {
        assert_eq!(marking(cut), None);
    }
    let last = Descriptors::default().marking(PayloadType::H264, &[0x41, 0x1A], true);
    assert_eq!(last, Some(FrameMarking { end: true, ..REST }));
}

#[test]
fn fragments() {
    assert_eq!(marking(&[0x7C, 0x85, 0x88]), Some(ENTRY));
    assert_eq!(marking(&[0x7C, 0x05, 0xFF]), Some(FrameMarking { start: false, ..ENTRY }));
    assert_eq!(marking(&[0x5C, 0x81, 0x9A]), Some(START));
    assert_eq!(marking(&[0x5C, 0x81, 0x1A]), Some(REST));
    assert_eq!(marking(&[0x1C, 0x41, 0x9A]), Some(FrameMarking { discardable: true, ..REST }));
    assert_eq!(marking(&[0x7C]), None);
    assert_eq!(marking(&[0x7C, 0x85]), None);
}

#[test]
fn aggregates() {
    assert_eq!(marking(&[0x78, 0, 1, 0x67, 0, 1, 0x68]), Some(ENTRY));
    assert_eq!(marking(&[0x78, 0, 1, 0x09, 0, 2, 0x65, 0x88]), Some(ENTRY));
    assert_eq!(marking(&[0x38, 0, 2, 0x01, 0x88, 0, 2, 0x41, 0x10]), Some(START));
    assert_eq!(marking(&[0x38, 0, 2, 0x41, 0x88, 0, 2, 0x01, 0x10]), Some(START));
    assert_eq!(marking(&[0x38, 0, 2, 0x01, 0x88]), Some(FrameMarking { discardable: true, ..START }));
    for malformed in [&[0x78][..], &[0x78, 0], &[0x78, 0, 0], &[0x78, 0, 2, 0x67], &[0x78, 0, 1, 0x67, 0]] {
        assert_eq!(marking(malformed), None);
    }
}

proptest! {
    #[test]
    fn any_bytes_say_something_or_nothing(payload in vec(any::<u8>(), 0..24), kind in 0..32u8) {
        let mut payload = payload;
        payload.insert(0, kind);
        for len in 0..=payload.len() {
            crate::fuzzing::descriptor(&payload[..len], true);
        }
    }
}
