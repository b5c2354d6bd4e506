//! Malformed packets that have felled others, or would.

use super::*;

/// Fixed header of version 2 with these flags in its first byte.
fn fixed(flags: u8) -> Vec<u8> {
    vec![0x80 | flags, 0x60, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7]
}

fn with(flags: u8, rest: &[u8]) -> Vec<u8> {
    [&fixed(flags), rest].concat()
}

/// The ids that are read before a malformed element ends the block.
fn ids(bytes: &[u8]) -> Vec<u8> {
    crate::fuzzing::rtp(bytes);
    RtpPacket::parse(bytes).unwrap().extensions().map(|extension| extension.id).collect()
}

#[track_caller]
fn refused(bytes: &[u8], error: RtpError) {
    crate::fuzzing::rtp(bytes);
    assert_eq!(RtpPacket::parse(bytes), Err(error));
}

#[test]
fn one_byte_element_past_the_datagram() {
    // The 20 bytes on which a known parser panics.
    let bytes = with(0x10, &[0xBE, 0xDE, 0, 1, 0x1F, 0xAA, 0xBB, 0xCC]);
    assert!(ids(&bytes).is_empty());
    assert!(RtpPacket::parse(&bytes).unwrap().payload().is_empty());
}

#[test]
fn one_byte_element_past_the_block_but_not_the_datagram() {
    let bytes =
        with(0x10, &[0xBE, 0xDE, 0, 1, 0x10, 0xAA, 0x2F, 0xCC, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(ids(&bytes), [1]);
}

#[test]
fn two_byte_element_past_the_datagram() {
    assert_eq!(ids(&with(0x10, &[0x10, 0x00, 0, 1, 1, 0, 2, 200])), [1]);
}

#[test]
fn two_byte_element_cut_after_its_id() {
    assert_eq!(ids(&with(0x10, &[0x10, 0x00, 0, 1, 1, 1, 0xAA, 2])), [1]);
}

#[test]
fn extension_length_past_the_datagram() {
    refused(&with(0x10, &[0xBE, 0xDE, 0, 2, 0x10, 0xAA, 0, 0]), RtpError::Extension);
    refused(&with(0x10, &[0xBE, 0xDE, 0xFF, 0xFF]), RtpError::Extension);
}

#[test]
fn extension_header_cut() {
    for len in 0..4 {
        refused(&with(0x10, &[0xBE, 0xDE, 0, 0][..len]), RtpError::Extension);
    }
}

#[test]
fn empty_extension_block() {
    let bytes = with(0x10, &[0xBE, 0xDE, 0, 0]);
    assert!(ids(&bytes).is_empty());
    assert_eq!(RtpPacket::parse(&bytes).unwrap().extension_profile(), Some(0xBEDE));
}

#[test]
fn csrcs_past_the_datagram() {
    refused(&with(0x01, &[0, 0, 0]), RtpError::Csrcs);
    refused(&with(0x0F, &[0; 59]), RtpError::Csrcs);
}

#[test]
fn padding_of_zero_bytes() {
    refused(&with(0x20, &[1, 2, 3, 0]), RtpError::Padding);
}

#[test]
fn padding_longer_than_the_payload() {
    refused(&with(0x20, &[1, 2, 3, 5]), RtpError::Padding);
    refused(&with(0x20, &[255]), RtpError::Padding);
}

#[test]
fn padding_without_a_byte_to_count_it() {
    refused(&with(0x20, &[]), RtpError::Padding);
}

#[test]
fn padding_that_would_reach_into_the_header() {
    refused(&with(0x31, &[0, 0, 0, 9, 0xBE, 0xDE, 0, 1, 0x10, 0, 0, 1]), RtpError::Padding);
}

#[test]
fn shorter_than_a_header() {
    for len in 0..FIXED_HEADER_BYTES {
        refused(&fixed(0)[..len], RtpError::TooShort);
    }
}

#[test]
fn other_versions() {
    for version in [0, 1, 3] {
        let mut bytes = fixed(0);
        bytes[0] = version << 6;
        refused(&bytes, RtpError::Version);
    }
}
