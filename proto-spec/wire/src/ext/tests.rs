use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::rtp::tests::any_media_extensions;

fn elements(profile: u16, block: &[u8]) -> Vec<(u8, Vec<u8>)> {
    Extensions::from_block(profile, block).map(|extension| (extension.id, extension.data.to_vec())).collect()
}

#[test]
fn an_audio_block_in_bytes() {
    let extensions = MediaExtensions {
        audio_level: Some(AudioLevel { voice: true, level: 30 }),
        transport_sequence: Some(0x0102),
        capture_time: Some(CaptureTime(0x0102_0304_0506_0708)),
        ..MediaExtensions::default()
    };
    let mut block = [0xEE; 20];
    assert_eq!(extensions.write_block(&mut block), Ok(20));
    let expected = [0xBE, 0xDE, 0, 4, 0x10, 0x9E, 0x21, 1, 2, 0x47, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
    assert_eq!(block, expected);
}

#[test]
fn a_video_block_in_bytes() {
    let marking =
        FrameMarking { start: true, independent: true, temporal_id: 1, layer_id: 2, ..Default::default() };
    let extensions = MediaExtensions {
        transport_sequence: Some(0x0102),
        frame_marking: Some(FrameMarking { tl0_pic_idx: 3, ..marking }),
        capture_time: Some(CaptureTime(1)),
        ..MediaExtensions::default()
    };
    let mut block = [0xEE; 20];
    assert_eq!(extensions.write_block(&mut block), Ok(20));
    let expected = [0xBE, 0xDE, 0, 4, 0x21, 1, 2, 0x32, 0xA1, 2, 3, 0x47, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(block, expected);
}

#[test]
fn no_extensions_are_no_block() {
    let none = MediaExtensions::default();
    assert_eq!(none.block_len(), 0);
    assert_eq!(none.write_block(&mut []), Ok(0));
}

#[test]
fn frame_marking_in_its_shorter_forms() {
    let flags =
        FrameMarking { start: true, end: true, base_sync: true, temporal_id: 3, ..Default::default() };
    assert_eq!(FrameMarking::parse(&[0xCB]), Some(flags));
    assert_eq!(FrameMarking::parse(&[0xCB, 2]), Some(FrameMarking { layer_id: 2, ..flags }));
    assert_eq!(
        FrameMarking::parse(&[0xCB, 2, 9]),
        Some(FrameMarking { layer_id: 2, tl0_pic_idx: 9, ..flags })
    );
    assert_eq!(FrameMarking::parse(&[]), None);
    assert_eq!(FrameMarking::parse(&[0; 4]), None);
}

#[test]
fn decoders_start_at_the_base_of_an_independent_frame() {
    let entry = FrameMarking { start: true, independent: true, ..Default::default() };
    assert!(entry.is_entry());
    assert!(!FrameMarking { start: false, ..entry }.is_entry());
    assert!(!FrameMarking { independent: false, ..entry }.is_entry());
    assert!(!FrameMarking { layer_id: 1, ..entry }.is_entry());
}

#[test]
fn capture_time_in_its_longer_form() {
    let mut data = [0; 16];
    data[7] = 5;
    data[15] = 9;
    assert_eq!(CaptureTime::parse(&data), Some(CaptureTime(5)));
    assert_eq!(CaptureTime::parse(&data[..8]), Some(CaptureTime(5)));
    for len in (0..8).chain(9..16) {
        assert_eq!(CaptureTime::parse(&data[..len]), None);
    }
}

#[test]
fn padding_between_elements_is_skipped() {
    let expected = vec![(1, vec![0xAA]), (2, vec![0xBB, 0xCC])];
    assert_eq!(elements(ONE_BYTE_PROFILE, &[0, 0x10, 0xAA, 0, 0, 0x21, 0xBB, 0xCC, 0]), expected);
    assert_eq!(elements(TWO_BYTE_PROFILE, &[0, 1, 1, 0xAA, 0, 0, 2, 2, 0xBB, 0xCC, 0]), expected);
}

#[test]
fn the_low_bits_of_the_two_byte_profile_are_free() {
    assert_eq!(elements(TWO_BYTE_PROFILE | 0xF, &[7, 0]), [(7, vec![])]);
    assert!(elements(0x1010, &[7, 0]).is_empty());
}

#[test]
fn other_profiles_have_no_elements() {
    assert!(elements(0xC0DE, &[0x10, 0xAA, 0, 0]).is_empty());
}

#[test]
fn id_15_ends_a_one_byte_block() {
    assert_eq!(elements(ONE_BYTE_PROFILE, &[0x10, 0xAA, 0xF0, 0xBB, 0x20, 0xCC]), [(1, vec![0xAA])]);
}

#[test]
fn id_0_with_a_length_ends_a_one_byte_block() {
    assert_eq!(elements(ONE_BYTE_PROFILE, &[0x10, 0xAA, 0x01, 0xBB, 0x20, 0xCC]), [(1, vec![0xAA])]);
}

#[test]
fn an_element_of_a_wrong_length_is_not_taken() {
    let bytes =
        [0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0xBE, 0xDE, 0, 2, 0x20, 9, 0x11, 1, 2, 0x30, 0x80, 0];
    let packet = crate::rtp::RtpPacket::parse(&bytes).unwrap();
    let marking = FrameMarking { start: true, ..Default::default() };
    let expected = MediaExtensions { frame_marking: Some(marking), ..Default::default() };
    assert_eq!(MediaExtensions::read(&packet), expected);
}

proptest! {
    #[test]
    fn elements_round_trip(voice: bool, level in 0..128u8, marking: [u8; 3], time: u64) {
        let level = AudioLevel { voice, level };
        prop_assert_eq!(AudioLevel::parse(&level.to_bytes()), Some(level));
        prop_assert_eq!(FrameMarking::parse(&marking).unwrap().to_bytes(), marking);
        prop_assert_eq!(CaptureTime::parse(&CaptureTime(time).to_bytes()), Some(CaptureTime(time)));
    }

    #[test]
    fn a_block_is_as_long_as_it_says(extensions in any_media_extensions(), missing in 1..4usize) {
        let len = extensions.block_len();
        let mut block = vec![0xEE; len];
        prop_assert_eq!(extensions.write_block(&mut block), Ok(len));
        prop_assert_eq!(len % 4, 0);
        if len > 0 {
            prop_assert_eq!(usize::from(u16::from_be_bytes([block[2], block[3]])) * 4 + 4, len);
            prop_assert_eq!(extensions.write_block(&mut block[missing..]), Err(BufferTooSmall));
        }
    }

    #[test]
    fn any_block_is_walked(profile in prop::sample::select(vec![ONE_BYTE_PROFILE, TWO_BYTE_PROFILE]), block in vec(any::<u8>(), 0..80)) {
        let walked: usize = Extensions::from_block(profile, &block).map(|extension| extension.data.len() + 1).sum();
        prop_assert!(walked <= block.len());
    }
}
