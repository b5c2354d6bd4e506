use proptest::prelude::*;

use super::*;

const LAYER: FrameLayer = FrameLayer { temporal_id: 0, base_sync: false, discardable: false };

fn payloads(fragments: Fragments<'_>) -> Vec<Vec<u8>> {
    fragments
        .map(|fragment| {
            let mut payload = Vec::new();
            fragment.append_to(&mut payload);
            assert_eq!(payload.len(), fragment.payload_bytes());
            payload
        })
        .collect()
}

fn access_unit(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&[0, 0, 0, 1][..], unit].concat()).collect()
}

#[test]
fn vp8_numbers_run_on_from_frame_to_frame() {
    let mut packetizer = Packetizer::new(Codec::Vp8, 3);
    let t2 = FrameLayer { temporal_id: 2, base_sync: true, discardable: true };
    let headers: Vec<Vec<u8>> = [LAYER, t2, LAYER]
        .into_iter()
        .flat_map(|layer| payloads(packetizer.packetize(&[9; 15], layer, 16).unwrap()))
        .map(|payload| payload[..6].to_vec())
        .collect();
    let expected = [
        [0x90, 0xE0, 0x80, 0x00, 0x00, 0x00],
        [0x80, 0xE0, 0x80, 0x00, 0x00, 0x00],
        [0xB0, 0xE0, 0x80, 0x01, 0x00, 0xA0],
        [0xA0, 0xE0, 0x80, 0x01, 0x00, 0xA0],
        [0x90, 0xE0, 0x80, 0x02, 0x01, 0x00],
        [0x80, 0xE0, 0x80, 0x02, 0x01, 0x00],
    ];
    assert_eq!(headers, expected);
}

#[test]
fn vp8_without_layers_has_a_picture_id_and_no_more() {
    let mut packetizer = Packetizer::new(Codec::Vp8, 1);
    packetizer.next_picture_id = 0x7FFF;
    let last = payloads(packetizer.packetize(b"x", LAYER, 100).unwrap());
    assert_eq!(last, [[0x90, 0x80, 0xFF, 0xFF, b'x']]);
    let wrapped = payloads(packetizer.packetize(b"x", LAYER, 100).unwrap());
    assert_eq!(wrapped, [[0x90, 0x80, 0x80, 0x00, b'x']]);
}

#[test]
fn parameter_sets_are_aggregated_and_the_slice_is_fragmented() {
    let slice: Vec<u8> = std::iter::once(0x65).chain(1..=30).collect();
    let frame = access_unit(&[&[0x67, 1, 2], &[0x68, 3], &slice]);
    let mut packetizer = Packetizer::new(Codec::H264, 1);
    let packets = payloads(packetizer.packetize(&frame, LAYER, 16).unwrap());
    assert_eq!(packets[0], [0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3]);
    assert_eq!(packets[1][..2], [0x7C, 0x85]);
    assert_eq!(packets[2][..2], [0x7C, 0x05]);
    assert_eq!(packets[3][..2], [0x7C, 0x45]);
    assert_eq!(packets[1..].iter().map(Vec::len).collect::<Vec<_>>(), [12, 12, 12]);
}

#[test]
fn units_that_fit_travel_whole() {
    let mut packetizer = Packetizer::new(Codec::H264, 1);
    let one = access_unit(&[&[0x06, 5], &[0x41, 7]]);
    assert_eq!(payloads(packetizer.packetize(&one, LAYER, 16).unwrap()), [[0x06, 5], [0x41, 7]]);
    let too_much = access_unit(&[&[0x67; 9], &[0x68; 9], &[0x65; 4]]);
    let packets = payloads(packetizer.packetize(&too_much, LAYER, 16).unwrap());
    assert_eq!(packets, [vec![0x67; 9], vec![0x68; 9], vec![0x65; 4]]);
}

#[test]
fn what_cannot_be_sent_is_refused_and_counts_nothing() {
    let mut opus = Packetizer::new(Codec::Opus, 1);
    assert_eq!(opus.packetize(&[], LAYER, 100).err(), Some(PacketizeError::Empty));
    assert_eq!(opus.packetize(&[1; 101], LAYER, 100).err(), Some(PacketizeError::OpusTooLarge(101)));
    assert_eq!(opus.packetize(&[1], LAYER, 15).err(), Some(PacketizeError::BudgetTooSmall(15)));
    let mut h264 = Packetizer::new(Codec::H264, 1);
    assert_eq!(h264.packetize(&[1, 2, 3], LAYER, 100).err(), Some(PacketizeError::NoNalUnit));
    let aggregate = access_unit(&[&[0x78, 1]]);
    assert_eq!(h264.packetize(&aggregate, LAYER, 100).err(), Some(PacketizeError::NoNalUnit));
    assert_eq!(h264.packetize(&access_unit(&[&[0x41, 1]]), LAYER, 100).unwrap().tl0_pic_idx(), 0);
}

proptest! {
    #[test]
    fn packets_are_few_equal_and_within_the_budget(
        codec in prop_oneof![Just(Codec::Vp8), Just(Codec::H264)],
        layers in 1..4_u8, len in 1..9_000_usize, budget in MIN_PAYLOAD_BYTES..1_300
    ) {
        let body: Vec<u8> = (0..len).map(|i| 1 + (i % 255) as u8).collect();
        let frame = if codec == Codec::H264 { [&[0, 0, 0, 1, 0x41][..], &body].concat() } else { body };
        let mut packetizer = Packetizer::new(codec, layers);
        let fragments: Vec<_> = packetizer.packetize(&frame, LAYER, budget).unwrap().collect();
        let sizes: Vec<usize> = fragments.iter().map(Fragment::payload_bytes).collect();
        prop_assert!(sizes.iter().all(|&size| size <= budget));
        let (last, equal) = sizes.split_last().unwrap();
        prop_assert!(equal.iter().all(|size| size == &sizes[0]) && *last <= sizes[0]);
        let content: usize = fragments.iter().map(|fragment| fragment.body.len()).sum();
        let room = budget - fragments[0].prefix.as_slice().len();
        prop_assert_eq!(sizes.len(), content.div_ceil(room), "no packet more than needed");
        let edges: Vec<_> = fragments.iter().map(|fragment| (fragment.first, fragment.last)).collect();
        let expected: Vec<_> = (0..sizes.len()).map(|i| (i == 0, i + 1 == sizes.len())).collect();
        prop_assert_eq!(edges, expected);
    }

    #[test]
    fn any_access_unit_is_split_within_the_budget(
        frame in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 2 => Just(1), 2 => any::<u8>()], 0..400),
        budget in MIN_PAYLOAD_BYTES..60
    ) {
        let mut packetizer = Packetizer::new(Codec::H264, 1);
        if let Ok(fragments) = packetizer.packetize(&frame, LAYER, budget) {
            let fragments: Vec<_> = fragments.collect();
            prop_assert!(fragments.iter().all(|fragment| (1..=budget).contains(&fragment.payload_bytes())));
            prop_assert_eq!(fragments.iter().filter(|fragment| fragment.last).count(), 1);
            prop_assert!(fragments.last().unwrap().last);
        }
    }
}
