//! VP8 descriptors by hand, against another implementation, and from any bytes.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use rtp::codecs::vp8::Vp8Packet;
use rtp::packetizer::Depacketizer;

use crate::descriptor::Descriptors;
use crate::descriptor::vp8::{Descriptor, PictureId, Tl0PicIdx};
use crate::ext::FrameMarking;
use crate::payload_type::PayloadType;

const PLAIN: Descriptor = Descriptor {
    non_reference: false,
    starts_frame: false,
    starts_key_frame: false,
    picture_id: None,
    tl0_pic_idx: None,
    temporal_id: 0,
    layer_sync: false,
    len: 1,
};

#[track_caller]
fn reads(payload: &[u8], expected: Descriptor) {
    assert_eq!(Descriptor::parse(payload), Some(expected));
    for len in 0..=usize::from(expected.len) {
        assert_eq!(Descriptor::parse(&payload[..len]), None, "cut at {len}");
    }
}

#[test]
fn the_forms_of_the_standard() {
    let start = Descriptor { starts_frame: true, ..PLAIN };
    reads(&[0x00, 0x00], PLAIN);
    reads(&[0x10, 0x01], start);
    reads(&[0x10, 0x02], Descriptor { starts_key_frame: true, ..start });
    reads(&[0x20, 0x02], Descriptor { non_reference: true, ..PLAIN });
    // The start of the second partition is not that of a frame.
    reads(&[0x11, 0x02], PLAIN);
    reads(&[0x01, 0x02], PLAIN);
    // Reserved bits say nothing.
    reads(&[0x48, 0x02], PLAIN);
    reads(&[0x80, 0x0F, 0x02], Descriptor { len: 2, ..PLAIN });
}

#[test]
fn picture_ids_of_both_widths() {
    let short = PictureId { value: 0x7F, is_long: false, at: 2 };
    reads(&[0x80, 0x80, 0x7F, 0x01], Descriptor { picture_id: Some(short), len: 3, ..PLAIN });
    let long = PictureId { value: 0x1234, is_long: true, at: 2 };
    reads(&[0x80, 0x80, 0x92, 0x34, 0x01], Descriptor { picture_id: Some(long), len: 4, ..PLAIN });
    assert_eq!((short.mask(), long.mask()), (127, 32_767));
}

#[test]
fn everything_at_once() {
    let expected = Descriptor {
        starts_frame: true,
        starts_key_frame: true,
        picture_id: Some(PictureId { value: 0x7FFF, is_long: true, at: 2 }),
        tl0_pic_idx: Some(Tl0PicIdx { value: 0xAB, at: 4 }),
        temporal_id: 2,
        layer_sync: true,
        len: 6,
        ..PLAIN
    };
    reads(&[0x90, 0xF0, 0xFF, 0xFF, 0xAB, 0xBF, 0x10, 0x20], expected);
}

#[test]
fn layers_without_their_neighbours() {
    let index = Tl0PicIdx { value: 9, at: 2 };
    reads(&[0x80, 0x40, 9, 1], Descriptor { tl0_pic_idx: Some(index), len: 3, ..PLAIN });
    reads(&[0x80, 0x20, 0x5F, 1], Descriptor { temporal_id: 1, len: 3, ..PLAIN });
    // A key index alone: the layer's bits beside it say nothing.
    reads(&[0x80, 0x10, 0xFF, 1], Descriptor { len: 3, ..PLAIN });
}

#[test]
fn in_the_words_of_frame_marking() {
    let mut descriptors = Descriptors::default();
    let mut marking =
        |payload: &[u8], marker| descriptors.marking(PayloadType::Vp8, payload, marker).unwrap();
    let key = FrameMarking { start: true, independent: true, tl0_pic_idx: 5, ..Default::default() };
    assert_eq!(marking(&[0x90, 0xE0, 1, 5, 0x00, 0x10], false), key);
    // A layer that depends on the base alone; the base itself has no need to say so.
    let sync = FrameMarking { start: true, end: true, base_sync: true, temporal_id: 2, ..Default::default() };
    assert_eq!(marking(&[0x90, 0x20, 0xA0, 1], true), sync);
    assert_eq!(
        marking(&[0x90, 0x20, 0x20, 1], true),
        FrameMarking { base_sync: false, temporal_id: 0, ..sync }
    );
    let rest = FrameMarking { end: true, discardable: true, ..Default::default() };
    assert_eq!(marking(&[0x20, 0x02], true), rest);
    assert_eq!(descriptors.marking(PayloadType::Vp8, &[0x90, 0xE0], true), None);
    assert_eq!(descriptors.marking(PayloadType::Opus, &[0x90, 0x01, 0, 0], true), None);
}

#[test]
fn numbers_are_written_in_their_width() {
    let renumbered = |payload: &[u8]| {
        let mut copy = payload.to_vec();
        Descriptor::parse(payload).unwrap().renumber(&mut copy, 0x12B4, 0xCD);
        copy
    };
    assert_eq!(renumbered(&[0x80, 0xC0, 0xFF, 0xFF, 1, 9]), [0x80, 0xC0, 0x92, 0xB4, 0xCD, 9]);
    assert_eq!(renumbered(&[0x80, 0xC0, 0x01, 1, 9]), [0x80, 0xC0, 0x34, 0xCD, 9]);
    assert_eq!(renumbered(&[0x80, 0x40, 1, 9]), [0x80, 0x40, 0xCD, 9]);
    assert_eq!(renumbered(&[0x00, 9]), [0x00, 9]);
}

/// The fields of the other implementation that ours has as well.
fn oracle(payload: &[u8]) -> Option<Descriptor> {
    let mut packet = Vp8Packet::default();
    let data = packet.depacketize(&Bytes::copy_from_slice(payload)).ok()?;
    let starts_frame = packet.s == 1 && packet.pid == 0;
    let len = (payload.len() - data.len()) as u8;
    let tl0_at = 2 + packet.i + u8::from(packet.picture_id_is_long(payload));
    Some(Descriptor {
        non_reference: packet.n == 1,
        starts_frame,
        starts_key_frame: starts_frame && data[0] & 1 == 0,
        picture_id: (packet.i == 1).then(|| PictureId {
            value: packet.picture_id,
            is_long: packet.picture_id_is_long(payload),
            at: 2,
        }),
        tl0_pic_idx: (packet.l == 1).then_some(Tl0PicIdx { value: packet.tl0_pic_idx, at: tl0_at }),
        temporal_id: packet.tid,
        layer_sync: packet.y == 1,
        len,
    })
}

/// What the other implementation reads and does not tell.
trait Width {
    fn picture_id_is_long(&self, payload: &[u8]) -> bool;
}

impl Width for Vp8Packet {
    fn picture_id_is_long(&self, payload: &[u8]) -> bool {
        self.i == 1 && payload[2] & 0x80 != 0
    }
}

/// Payloads whose descriptors are as likely to be extended as not.
fn any_payload(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), vec(any::<u8>(), len)).prop_map(|(extended, mut bytes)| {
        if let Some(first) = bytes.first_mut() {
            *first = (*first & 0x7F) | (u8::from(extended) << 7);
        }
        bytes
    })
}

proptest! {
    #[test]
    fn as_another_implementation_reads_it(payload in any_payload(8..16)) {
        // Of shorter ones it refuses some that are well-formed, and panics on others.
        prop_assert_eq!(Descriptor::parse(&payload), oracle(&payload));
    }

    #[test]
    fn any_bytes_are_a_descriptor_or_none(payload in any_payload(0..12), marker: bool) {
        for len in 0..=payload.len() {
            crate::fuzzing::descriptor(&payload[..len], marker);
        }
    }
}
