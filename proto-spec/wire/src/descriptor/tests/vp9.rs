//! VP9 descriptors by hand, against another implementation, and from any bytes.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use rtp::codecs::vp9::Vp9Packet;
use rtp::packetizer::Depacketizer;

use crate::descriptor::Descriptors;
use crate::descriptor::vp8::PictureId;
use crate::descriptor::vp9::Descriptor;
use crate::ext::FrameMarking;
use crate::payload_type::PayloadType;

const PLAIN: Descriptor = Descriptor {
    picture_id: None,
    inter_picture: false,
    starts_frame: false,
    ends_frame: false,
    starts_key_frame: false,
    temporal_id: 0,
    switching_up: false,
    spatial_id: 0,
    inter_layer: false,
    tl0_pic_idx: None,
    references: [0; 3],
    spatial_layers: None,
    len: 1,
};
/// The first byte of a key frame of profile 0, and of another frame.
const KEY: u8 = 0x82;
const INTER: u8 = 0x86;

#[track_caller]
fn reads(payload: &[u8], expected: Descriptor) {
    assert_eq!(Descriptor::parse(payload), Some(expected));
    for len in 0..=usize::from(expected.len) {
        assert_eq!(Descriptor::parse(&payload[..len]), None, "cut at {len}");
    }
}

#[test]
fn the_first_byte() {
    reads(&[0x00, KEY], PLAIN);
    reads(&[0x40, KEY], Descriptor { inter_picture: true, ..PLAIN });
    reads(&[0x08, INTER], Descriptor { starts_frame: true, ..PLAIN });
    reads(&[0x08, KEY], Descriptor { starts_frame: true, starts_key_frame: true, ..PLAIN });
    reads(&[0x04, KEY], Descriptor { ends_frame: true, ..PLAIN });
    reads(&[0x01, KEY], PLAIN);
}

#[test]
fn key_frames_of_all_profiles() {
    let starts = |data| Descriptor::parse(&[0x08, data]).unwrap().starts_key_frame;
    for key in [0x80, 0x83, 0x90, 0xA0, 0xB0, 0xB1] {
        assert!(starts(key), "{key:02x}");
    }
    // Inter frames, existing frames shown again, and no frame at all.
    for other in [0x84, 0x94, 0xA4, 0xB2, 0x88, 0x8C, 0xB4, 0x00, 0x40, 0xC0] {
        assert!(!starts(other), "{other:02x}");
    }
}

#[test]
fn layers_in_the_mode_that_is_not_flexible() {
    let expected = Descriptor {
        picture_id: Some(PictureId { value: 0x1234, is_long: true, at: 1 }),
        inter_picture: true,
        starts_frame: true,
        temporal_id: 5,
        switching_up: true,
        spatial_id: 2,
        inter_layer: true,
        tl0_pic_idx: Some(0xAB),
        len: 5,
        ..PLAIN
    };
    reads(&[0xE8, 0x92, 0x34, 0xB5, 0xAB, INTER], expected);
    let short = PictureId { value: 0x12, is_long: false, at: 1 };
    let layer = Descriptor { picture_id: Some(short), spatial_id: 7, tl0_pic_idx: Some(1), len: 4, ..PLAIN };
    reads(&[0xA0, 0x12, 0x0E, 1, INTER], layer);
}

#[test]
fn references_in_flexible_mode() {
    let flexible = Descriptor { inter_picture: true, temporal_id: 1, len: 3, ..PLAIN };
    reads(&[0x70, 0x20, 0x06, INTER], Descriptor { references: [3, 0, 0], ..flexible });
    let three = Descriptor { references: [1, 2, 127], len: 5, ..flexible };
    reads(&[0x70, 0x20, 0x03, 0x05, 0xFE, INTER], three);
    assert_eq!(Descriptor::parse(&[0x70, 0x20, 0x03, 0x05, 0xFF, 0x02, INTER]), None);
    // Without inter-picture references there are none to list.
    reads(&[0x30, 0x20, INTER], Descriptor { inter_picture: false, len: 2, ..flexible });
}

#[test]
fn scalability_structures() {
    let layers = |spatial_layers, len| Descriptor { spatial_layers: Some(spatial_layers), len, ..PLAIN };
    reads(&[0x02, 0x40, KEY], layers(3, 2));
    reads(&[0x02, 0x30, 1, 64, 0, 180, 2, 128, 1, 104, KEY], layers(2, 10));
    // Groups: one picture without references, one with three.
    reads(&[0x02, 0x08, 2, 0x10, 0x2C, 1, 2, 3, KEY], layers(1, 8));
    reads(&[0x02, 0x08, 0, KEY], layers(1, 3));
    let mut long = vec![0x02, 0xF8];
    long.extend([7; 32]);
    long.push(255);
    long.extend([0x0C, 1, 2, 3].repeat(255));
    let len = long.len() as u16;
    long.push(KEY);
    assert_eq!(Descriptor::parse(&long), Some(layers(8, len)));
    assert_eq!(Descriptor::parse(&long[..long.len() - 1]), None);
}

/// A packet of the mode that is not flexible, which is a whole frame.
fn packet(picture_id: u8, [temporal_id, up, spatial_id]: [u8; 3], inter: bool) -> [u8; 5] {
    let first = if inter { 0xEC } else { 0xAC };
    let data = if inter { INTER } else { KEY };
    [first, picture_id, (temporal_id << 5) | (up << 4) | (spatial_id << 1), 9, data]
}

#[test]
fn in_the_words_of_frame_marking() {
    let mut descriptors = Descriptors::default();
    let mut marking = |payload: &[u8]| descriptors.marking(PayloadType::Vp9, payload, false).unwrap();
    let whole = FrameMarking { start: true, end: true, tl0_pic_idx: 9, ..Default::default() };
    assert_eq!(marking(&packet(1, [0, 0, 0], false)), FrameMarking { independent: true, ..whole });
    assert_eq!(
        marking(&packet(1, [0, 0, 1], false)),
        FrameMarking { independent: true, layer_id: 1, ..whole }
    );
    assert_eq!(marking(&packet(2, [0, 0, 0], true)), whole);
    assert_eq!(marking(&packet(3, [2, 0, 1], true)), FrameMarking { temporal_id: 2, layer_id: 1, ..whole });
    // Intra, but no key frame: no decoder starts here.
    let intra = [0xAC, 4, 0, 9, INTER];
    assert_eq!(marking(&intra), whole);
    assert_eq!(marking(&[0x44, KEY]), FrameMarking { start: false, tl0_pic_idx: 0, ..whole });
}

#[test]
fn who_may_move_up() {
    let mut descriptors = Descriptors::default();
    let mut syncs = |packets: &[(u8, [u8; 3])]| {
        let mut base_sync = |&(id, layer)| {
            descriptors.marking(PayloadType::Vp9, &packet(id, layer, true), false).unwrap().base_sync
        };
        packets.iter().map(&mut base_sync).collect::<Vec<bool>>()
    };
    // The first picture behind a base that says so, in all its spatial layers; not those behind it.
    let run =
        [(1, [0, 1, 0]), (1, [0, 1, 1]), (2, [2, 0, 0]), (2, [2, 0, 1]), (3, [1, 1, 0]), (4, [2, 0, 0])];
    assert_eq!(syncs(&run), [false, false, true, true, false, false]);
    // A base that does not say so, or not in all its layers.
    assert_eq!(syncs(&[(5, [0, 0, 0]), (6, [1, 1, 0])]), [false, false]);
    assert_eq!(syncs(&[(7, [0, 0, 0]), (7, [0, 1, 1]), (8, [1, 1, 0])]), [false; 3]);
    // A picture between them was lost; a base behind another one; one that comes late.
    assert_eq!(syncs(&[(9, [0, 1, 0]), (11, [2, 0, 0])]), [false, false]);
    assert_eq!(syncs(&[(12, [0, 0, 0]), (13, [0, 1, 0]), (14, [1, 0, 0])]), [false, false, true]);
    assert_eq!(syncs(&[(12, [0, 1, 0]), (14, [1, 0, 0]), (15, [1, 0, 0])]), [false, true, false]);
    // Numbers begin anew.
    assert_eq!(syncs(&[(70, [0, 1, 0]), (127, [0, 1, 0]), (0, [1, 0, 0])]), [false, false, true]);
}

/// The fields of the other implementation that ours has as well; `data` is what it leaves.
fn oracle(payload: &[u8]) -> Option<Descriptor> {
    let mut packet = Vp9Packet::default();
    let data = packet.depacketize(&Bytes::copy_from_slice(payload)).ok()?;
    let first = *data.first()?;
    let mut references = [0; 3];
    references[..packet.pdiff.len()].copy_from_slice(&packet.pdiff);
    let is_key = first >> 6 == 2 && (if first & 0x30 == 0x30 { first & 0x06 } else { first & 0x0C }) == 0;
    Some(Descriptor {
        picture_id: packet.i.then(|| PictureId {
            value: packet.picture_id,
            is_long: payload[1] & 0x80 != 0,
            at: 1,
        }),
        inter_picture: packet.p,
        starts_frame: packet.b,
        ends_frame: packet.e,
        starts_key_frame: packet.b && is_key,
        temporal_id: packet.tid,
        switching_up: packet.u,
        spatial_id: packet.sid,
        inter_layer: packet.d,
        tl0_pic_idx: (packet.l && !packet.f).then_some(packet.tl0picidx),
        references,
        spatial_layers: packet.v.then_some(packet.ns + 1),
        len: (payload.len() - data.len()) as u16,
    })
}

proptest! {
    #[test]
    fn as_another_implementation_reads_it(first: u8, rest in vec(any::<u8>(), 0..12)) {
        // Structures come below: reserved bits are more than the other implementation bears.
        let payload = [&[first & !0x02][..], &rest].concat();
        let ours = Descriptor::parse(&payload);
        // It has five spatial layers and two references at most.
        if ours.is_some_and(|ours| ours.spatial_id > 4 || ours.references[2] > 0) {
            return Ok(());
        }
        let theirs = oracle(&payload);
        // A third reference of 0 is one to it, which it refuses.
        prop_assert!(ours == theirs || (theirs.is_none() && payload[0] & 0x50 == 0x50), "{ours:?} {theirs:?}");
    }

    #[test]
    fn structures_as_another_implementation_reads_them(
        layers in 0..5u8, sizes: bool, pictures in vec((any::<u8>(), any::<[u8; 3]>()), 0..20), groups: bool, data: u8,
    ) {
        let mut payload = vec![0x02, (layers << 5) | (u8::from(sizes) << 4) | (u8::from(groups) << 3)];
        payload.extend(vec![1; if sizes { 4 * (usize::from(layers) + 1) } else { 0 }]);
        if groups {
            payload.push(pictures.len() as u8);
            for (head, references) in pictures {
                payload.push(head);
                payload.extend(&references[..usize::from((head >> 2) & 3)]);
            }
        }
        for len in 0..payload.len() {
            prop_assert_eq!(Descriptor::parse(&payload[..len]), oracle(&payload[..len]));
        }
        payload.push(data);
        prop_assert!(Descriptor::parse(&payload).is_some());
        prop_assert_eq!(Descriptor::parse(&payload), oracle(&payload));
    }

    #[test]
    fn any_bytes_are_descriptors_or_none(payload in vec(any::<u8>(), 0..40)) {
        for len in 0..=payload.len() {
            crate::fuzzing::descriptor(&payload[..len], false);
            crate::fuzzing::descriptor_stream(&payload[..len]);
        }
    }
}
