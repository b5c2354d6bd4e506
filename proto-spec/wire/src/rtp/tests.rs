mod malformed;
mod oracle;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::ext::{AudioLevel, CaptureTime, FrameMarking, MediaExtensions};

pub(crate) fn any_media_extensions() -> impl Strategy<Value = MediaExtensions> {
    let audio_level =
        any::<(bool, u8)>().prop_map(|(voice, level)| AudioLevel { voice, level: level & 0x7F });
    let frame_marking = any::<[u8; 3]>().prop_map(|bytes| FrameMarking::parse(&bytes).unwrap());
    (option::of(audio_level), any::<Option<u16>>(), option::of(frame_marking), any::<Option<u64>>()).prop_map(
        |(audio_level, transport_sequence, frame_marking, capture_time)| MediaExtensions {
            audio_level,
            transport_sequence,
            frame_marking,
            capture_time: capture_time.map(CaptureTime),
        },
    )
}

/// An RTP packet with everything that a header can have.
#[derive(Clone, Debug)]
struct Sample {
    marker: bool,
    payload_type: u8,
    sequence_number: u16,
    timestamp: u32,
    ssrc: u32,
    csrcs: Vec<u32>,
    extensions: MediaExtensions,
    payload: Vec<u8>,
}

impl Sample {
    fn header(&self) -> RtpHeader<'_> {
        RtpHeader {
            marker: self.marker,
            payload_type: self.payload_type,
            sequence_number: self.sequence_number,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            csrcs: &self.csrcs,
            extensions: &self.extensions,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let header = self.header();
        let mut bytes = vec![0xEE; header.len()];
        assert_eq!(header.write(&mut bytes), Ok(header.len()));
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let header = (any::<bool>(), 0..128u8, any::<u16>(), any::<u32>(), any::<u32>());
    (header, vec(any::<u32>(), 0..=MAX_CSRCS), any_media_extensions(), vec(any::<u8>(), 0..64)).prop_map(
        |((marker, payload_type, sequence_number, timestamp, ssrc), csrcs, extensions, payload)| Sample {
            marker,
            payload_type,
            sequence_number,
            timestamp,
            ssrc,
            csrcs,
            extensions,
            payload,
        },
    )
}

#[test]
fn a_header_in_bytes() {
    let extensions = MediaExtensions { transport_sequence: Some(0x0102), ..MediaExtensions::default() };
    let header = RtpHeader {
        marker: true,
        payload_type: 96,
        sequence_number: 0x1234,
        timestamp: 0x0A0B_0C0D,
        ssrc: 0x0300_0044,
        csrcs: &[0x0000_0701],
        extensions: &extensions,
    };
    let mut bytes = [0xEE; 24];
    assert_eq!(header.write(&mut bytes), Ok(24));
    let expected = [
        [0x91, 0xE0, 0x12, 0x34],
        [0x0A, 0x0B, 0x0C, 0x0D],
        [0x03, 0x00, 0x00, 0x44],
        [0x00, 0x00, 0x07, 0x01],
        [0xBE, 0xDE, 0x00, 0x01],
        [0x21, 0x01, 0x02, 0x00],
    ];
    assert_eq!(bytes.as_chunks().0, expected);
}

#[test]
fn padding_is_not_payload() {
    let bytes = [0xA0, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, b'h', b'i', 0, 0, 3];
    let packet = RtpPacket::parse(&bytes).unwrap();
    assert_eq!(packet.payload(), b"hi");
    assert_eq!(packet.padding_len(), 3);
    assert_eq!(packet.header_len(), FIXED_HEADER_BYTES);
}

#[test]
fn a_packet_of_padding_alone_is_a_packet() {
    let bytes = [0xA0, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 4];
    let packet = RtpPacket::parse(&bytes).unwrap();
    assert_eq!((packet.payload(), packet.padding_len()), (&[][..], 4));
}

#[test]
fn more_csrcs_than_the_count_can_name_do_not_fit() {
    let csrcs = [0; MAX_CSRCS + 1];
    let extensions = MediaExtensions::default();
    let header = RtpHeader {
        marker: false,
        payload_type: 0,
        sequence_number: 0,
        timestamp: 0,
        ssrc: 0,
        csrcs: &csrcs,
        extensions: &extensions,
    };
    assert_eq!(header.write(&mut [0; 128]), Err(BufferTooSmall));
}

proptest! {
    #[test]
    fn what_is_written_is_read(sample in any_sample()) {
        let bytes = sample.to_bytes();
        let packet = RtpPacket::parse(&bytes).unwrap();
        prop_assert_eq!(packet.marker(), sample.marker);
        prop_assert_eq!(packet.payload_type(), sample.payload_type);
        prop_assert_eq!(packet.sequence_number(), sample.sequence_number);
        prop_assert_eq!(packet.timestamp(), sample.timestamp);
        prop_assert_eq!(packet.ssrc(), sample.ssrc);
        prop_assert_eq!(packet.csrcs().collect::<Vec<_>>(), &sample.csrcs[..]);
        prop_assert_eq!(packet.header_len(), sample.header().len());
        prop_assert_eq!(MediaExtensions::read(&packet), sample.extensions);
        prop_assert_eq!(packet.payload(), &sample.payload[..]);
        prop_assert_eq!(packet.padding_len(), 0);
    }

    #[test]
    fn a_short_buffer_is_left_alone(sample in any_sample(), missing in 1..12usize) {
        let header = sample.header();
        let mut bytes = vec![0xEE; header.len() - missing];
        prop_assert_eq!(header.write(&mut bytes), Err(BufferTooSmall));
        prop_assert!(bytes.iter().all(|byte| *byte == 0xEE));
    }

    #[test]
    fn any_bytes_are_a_packet_or_an_error(bytes in vec(any::<u8>(), 0..96), first in 0x80..0xC0u8) {
        let mut bytes = bytes;
        crate::fuzzing::rtp(&bytes);
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        crate::fuzzing::rtp(&bytes);
    }

    #[test]
    fn damaged_packets_are_packets_or_errors(
        sample in any_sample(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0..16usize,
    ) {
        let mut bytes = sample.to_bytes();
        bytes.truncate(bytes.len().saturating_sub(cut).max(1));
        *at.get_mut(&mut bytes) = byte;
        crate::fuzzing::rtp(&bytes);
    }
}
