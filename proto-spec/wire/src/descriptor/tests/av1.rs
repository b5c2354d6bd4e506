//! AV1 dependency descriptors, bit by bit.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::descriptor::Descriptors;
use crate::descriptor::av1::{Descriptor, Indication, MAX_TARGETS, MAX_TEMPLATES, Structure, TargetLayers};
use crate::ext::FrameMarking;

/// Bytes of bits that are written as text, padded with zeros.
fn bits(text: &str) -> Vec<u8> {
    let bits: Vec<u8> =
        text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| byte - b'0').collect();
    bits.chunks(8)
        .map(|byte| (0..8).fold(0, |all, at| (all << 1) | byte.get(at).copied().unwrap_or(0)))
        .collect()
}

/// One spatial and three temporal layers, as the specification's example L1T3 has it: five templates from id 2 on, three
/// targets, one chain that protects all of them.
const L1T3: &str = "000010 00010
    00 01 01 00 11
    10 10 10  10 10 10  00 01 10  00 00 01  00 00 01
    0  1 0011 0  1 0001 0  1 0000 0  1 0010 1 0000 0
    01
    0000 0100 0010 0001 0011
    0";

/// Two spatial layers and one temporal one, with resolutions: a key picture, then a picture that refers to the last.
const L2T1: &str = "000000 00001
    00 10 00 11
    10 10  10 11  00 10  00 10
    0  1 0001 0  1 0000 0  1 0000 1 0001 0
    0
    1 0000000101000000 0000000010110100 0000001010000000 0000000101101000";

fn key(structure: &str, template: u8, number: u16) -> Vec<u8> {
    bits(&format!("11 {template:06b} {number:016b} 1 0 0 0 0 {structure}"))
}

fn frame(template: u8, number: u16) -> Vec<u8> {
    bits(&format!("11 {template:06b} {number:016b}"))
}

fn structure(text: &str) -> Structure {
    Descriptor::parse(&key(text, 2, 0), None).unwrap().1.unwrap()
}

#[test]
fn a_structure() {
    let (descriptor, structure) = Descriptor::parse(&key(L1T3, 2, 0x1234), None).unwrap();
    let layers = [0, 1, 2].map(|temporal_id| TargetLayers { spatial_id: 0, temporal_id });
    assert!(structure.unwrap().targets() == layers);
    assert!(descriptor.starts_frame && descriptor.ends_frame && descriptor.brings_structure);
    assert_eq!((descriptor.frame_number, descriptor.reach), (0x1234, 0));
    assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (0, 0));
    assert_eq!(descriptor.active_targets, Some(0b111));
    let indications = [0, 1, 2, 3].map(|target| descriptor.indication(target));
    assert_eq!(indications[..3], [Indication::Switch; 3]);
    assert_eq!(indications[3], Indication::NotPresent);
}

#[test]
fn a_structure_with_resolutions() {
    let structure = structure(L2T1);
    let layers = [0, 1].map(|spatial_id| TargetLayers { spatial_id, temporal_id: 0 });
    assert!(structure.targets() == layers);
    // What follows the resolutions is found.
    let active = L2T1.to_owned() + " 01";
    let data = bits(&format!("11 000001 {:016b} 1 1 0 0 0 {active}", 7));
    assert_eq!(Descriptor::parse(&data, None).unwrap().0.active_targets, Some(0b01));
}

#[test]
fn templates_that_came_before() {
    let known = structure(L1T3);
    let read = |data: &[u8]| Descriptor::parse(data, Some(&known)).map(|(descriptor, _)| descriptor);
    let third = read(&bits("10 000100 0000000000000010")).unwrap();
    assert_eq!((third.starts_frame, third.ends_frame, third.brings_structure), (true, false, false));
    assert_eq!((third.temporal_id, third.reach, third.active_targets), (1, 2, None));
    assert_eq!(
        [0, 1, 2].map(|target| third.indication(target)),
        [Indication::NotPresent, Indication::Discardable, Indication::Switch]
    );
    assert_eq!(read(&frame(6, 1)).map(|last| (last.temporal_id, last.reach)), Some((2, 3)));
    // Ids count from the offset, round the end.
    assert_eq!(read(&frame(1, 1)), None);
    assert_eq!(read(&frame(7, 1)), None);
    assert_eq!(Descriptor::parse(&frame(2, 1), None), None);
}

#[test]
fn frames_that_differ_from_their_template() {
    let known = structure(L1T3);
    let read = |text: &str| Descriptor::parse(&bits(text), Some(&known)).map(|(descriptor, _)| descriptor);
    let custom =
        "11 000011 0000000000000010 0 1 1 1 1  101  11 00 01  01 0001 10 00000111 11 000000001111 00";
    let custom = read(custom).unwrap();
    assert_eq!((custom.active_targets, custom.reach), (Some(0b101), 16));
    let first = [Indication::Required, Indication::NotPresent, Indication::Discardable];
    assert_eq!([0, 1, 2].map(|target| custom.indication(target)), first);
    assert_eq!(read("11 000011 0000000000000010 0 0 0 1 0  00 000000").unwrap().reach, 0);
    assert_eq!(read("11 000011 0000000000000010 0 0 0 1 0  11 000").map(|cut| cut.reach), None);
    // The longest distance there is.
    assert_eq!(read("11 000011 0000000000000010 0 0 0 1 0  11 111111111111 00").unwrap().reach, 4_096);
}

#[test]
fn every_cut_is_refused() {
    for text in [L1T3, L2T1] {
        let data = key(text, 2, 0);
        for len in 0..data.len() {
            assert_eq!(Descriptor::parse(&data[..len], None), None, "cut at {len}");
        }
        assert!(Descriptor::parse(&data, None).is_some());
    }
}

#[test]
fn bounds_of_structures() {
    let read = |layers: &str| {
        Descriptor::parse(&key(&format!("000000 00000 {layers} {:0200}", 0), 0, 0), None).is_some()
    };
    let same = |count| "00".repeat(count - 1) + "11";
    assert!(read(&same(MAX_TEMPLATES)));
    assert!(!read(&same(MAX_TEMPLATES + 1)));
    assert!(read(&("01".repeat(7) + "11")));
    assert!(!read(&("01".repeat(8) + "11")));
    assert!(read(&("10".repeat(3) + "11")));
    assert!(!read(&("10".repeat(4) + "11")));
    let most = format!("000000 11111 11 {} 0 000000 {:0100}", "10".repeat(MAX_TARGETS), 0);
    let (descriptor, structure) = Descriptor::parse(&key(&most, 0, 0), None).unwrap();
    assert_eq!(
        (structure.unwrap().targets().len(), descriptor.active_targets),
        (MAX_TARGETS, Some(u32::MAX))
    );
    assert_eq!(descriptor.indication(31), Indication::Switch);
}

#[test]
fn numbers_of_chains_in_as_few_bits_as_they_take() {
    // Three targets: none to three chains. A chain for each target takes a number below the count, each template 4 bits.
    for (chains, of_targets) in [("00", ""), ("01", ""), ("10", "010"), ("11", "0 10 11")] {
        let count = ["00", "01", "10", "11"].iter().position(|code| *code == chains).unwrap();
        let text = format!("000000 00010 11 10 10 10 0 {chains} {of_targets} {} 0 110", "1111".repeat(count));
        let data = bits(&format!("11 000000 {:016b} 1 1 0 0 0 {text}", 7));
        let descriptor = Descriptor::parse(&data, None).map(|(descriptor, _)| descriptor.active_targets);
        assert_eq!(descriptor, Some(Some(0b110)), "{count} chains");
    }
}

fn markings(descriptors: &mut Descriptors, packets: &[Vec<u8>]) -> Vec<FrameMarking> {
    packets.iter().map(|data| descriptors.marking_of_dependency(data).unwrap()).collect()
}

#[test]
fn in_the_words_of_frame_marking() {
    let whole = FrameMarking { start: true, end: true, ..Default::default() };
    let mut descriptors = Descriptors::default();
    assert_eq!(descriptors.marking_of_dependency(&frame(3, 1)), None);
    assert_eq!(descriptors.structure(), None);
    let run = [key(L1T3, 2, 10), frame(5, 11), frame(4, 12), frame(6, 13), frame(3, 14)];
    let expected = [
        FrameMarking { independent: true, ..whole },
        FrameMarking { temporal_id: 2, discardable: true, base_sync: true, ..whole },
        // It depends on the base alone too, but who looks at the picture before cannot know.
        FrameMarking { temporal_id: 1, ..whole },
        FrameMarking { temporal_id: 2, discardable: true, ..whole },
        whole,
    ];
    assert_eq!(markings(&mut descriptors, &run), expected);
    let layers = [key(L2T1, 0, 20), frame(2, 21), frame(1, 22), frame(3, 23)];
    let upper = FrameMarking { layer_id: 1, ..whole };
    let entry = FrameMarking { independent: true, ..whole };
    let expected = [entry, FrameMarking { independent: true, ..upper }, whole, upper];
    assert_eq!(markings(&mut descriptors, &layers), expected);
    // No references, but no templates either: no decoder starts here.
    let intra = bits("11 000001 0000000000011000 0 0 0 1 0 00");
    assert_eq!(descriptors.marking_of_dependency(&intra), Some(whole));
    assert!(descriptors.structure().is_some_and(|structure| structure.targets().len() == 2));
}

#[test]
fn who_may_move_up() {
    // Two spatial and two temporal layers; ids 0 to 3 are base, its second layer, and the same above.
    let l2t2 = "000000 00011
        01 10 01 11
        10 10 10 10  00 01 00 11  00 00 10 10  00 00 00 01
        0 0 0 0
        00
        0";
    let mut descriptors = Descriptors::default();
    let mut syncs = |packets: &[Vec<u8>]| {
        let markings = markings(&mut descriptors, packets);
        markings.iter().map(|marking| (marking.temporal_id, marking.base_sync)).collect::<Vec<_>>()
    };
    let (base, above) = ((0, false), (1, false));
    let run = [key(l2t2, 0, 0), frame(2, 1), frame(1, 2), frame(3, 3), frame(1, 4), frame(3, 5)];
    assert_eq!(syncs(&run), [base, base, (1, true), (1, true), above, above]);
    assert_eq!(syncs(&[frame(0, 6), frame(1, 7), frame(1, 7)]), [base, (1, true), (1, true)]);
    // A frame was lost between them; the second layer's base says nothing of moving up.
    assert_eq!(syncs(&[frame(0, 8), frame(1, 10)]), [base, above]);
    let silent = bits("11 000010 0000000000001100 0 0 1 0 0  00 00 11 11");
    assert_eq!(syncs(&[frame(0, 11), silent, frame(1, 13)]), [base, base, above]);
    // Numbers begin anew.
    assert_eq!(syncs(&[frame(0, 0x4000), frame(0, 0x8000), frame(0, 0xFFFF), frame(1, 0)])[3], (1, true));
    assert_eq!(syncs(&[key(l2t2, 0, 0xF000), frame(1, 0xF001)]), [base, (1, true)]);
}

proptest! {
    #[test]
    fn any_bytes_are_descriptors_or_none(bytes in vec(any::<u8>(), 0..200), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)) {
        let mut data = key(L1T3, 2, 0);
        for (index, byte) in changes {
            *index.get_mut(&mut data) = byte;
        }
        let head = |data: &[u8]| 0x80 | data.len().min(0x7F) as u8;
        let stream = [&[head(&data)], &data[..], &[head(&bytes)], &bytes].concat();
        crate::fuzzing::descriptor_stream(&stream);
        for len in 0..=bytes.len() {
            crate::fuzzing::descriptor_stream(&stream[..data.len() + 1 + len]);
            let _any = Descriptor::parse(&bytes[..len], None);
        }
    }
}
