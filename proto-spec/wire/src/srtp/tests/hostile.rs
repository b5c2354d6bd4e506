//! Forged, damaged and malformed packets: none opens, none changes anything.

use proptest::prelude::*;

use crate::srtp::OpenError;

use super::*;

/// A receiver with some history, and packets that it has not seen: RTP with all parts, RTP with the payload only, RTCP.
fn scene(suite: Suite, cryptex: Cryptex) -> (InboundSrtp, [Vec<u8>; 3]) {
    let (mut outbound, mut inbound) = pair(suite, cryptex);
    for index in 0..3 {
        let packet = seal(&mut outbound, index);
        inbound.open_rtp(&packet, &mut [0; 256]).unwrap();
    }
    inbound.open_rtcp(&seal_compound(&mut outbound, &compound(0)), &mut [0; 256]).unwrap();
    let mut full = vec![0; ROOM];
    let header = header(media(), 5, 3, Some((0xBEDE, &[0x1012_3456, 0x2112_3400])));
    let len = outbound.seal_rtp(5, &header, b"the payload", &mut full).unwrap();
    full.truncate(len);
    (inbound, [full, seal(&mut outbound, 6), seal_compound(&mut outbound, &compound(20))])
}

fn open_both(inbound: &mut InboundSrtp, packet: &[u8], out: &mut [u8]) -> [Result<usize, OpenError>; 2] {
    [
        inbound.open_rtp(packet, out).map(|opened| opened.len),
        inbound.open_rtcp(packet, out).map(|opened| opened.len),
    ]
}

fn refused(inbound: &mut InboundSrtp, packet: &[u8]) {
    let (before, heap) = (format!("{inbound:?}"), inbound.heap_bytes());
    let mut out = [0; 512];
    for result in open_both(inbound, packet, &mut out) {
        assert!(result.is_err(), "{packet:02x?}");
    }
    assert!(out.iter().all(|byte| *byte == 0), "left something behind");
    assert_eq!((format!("{inbound:?}"), inbound.heap_bytes()), (before, heap));
}

#[test]
fn every_truncation_is_refused() {
    for suite in SUITES {
        for cryptex in MODES {
            let (mut inbound, packets) = scene(suite, cryptex);
            for packet in &packets {
                for len in 0..packet.len() {
                    refused(&mut inbound, &packet[..len]);
                }
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_and_the_packet_opens_after_all() {
    for suite in SUITES {
        for cryptex in MODES {
            let (mut inbound, mut packets) = scene(suite, cryptex);
            for packet in &mut packets {
                for bit in 0..packet.len() * 8 {
                    packet[bit / 8] ^= 1 << (bit % 8);
                    refused(&mut inbound, packet);
                    packet[bit / 8] ^= 1 << (bit % 8);
                }
                let opened = open_both(&mut inbound, packet, &mut [0; 512]);
                assert!(opened.iter().any(Result::is_ok), "{suite:?} {cryptex:?}");
            }
        }
    }
}

#[test]
fn a_flood_on_all_ssrcs_allocates_nothing() {
    for suite in SUITES {
        let (_, mut inbound) = pair(suite, Cryptex::Required);
        let before = format!("{inbound:?}");
        let mut packet = header(media(), 0, 0, None);
        packet.extend([0x77; 64]);
        let mut out = [0; 256];
        let mut authentications = 0;
        for ssrc in block().base() - 300..block().base() + 600 {
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
            match inbound.open_rtp(&packet, &mut out) {
                Err(OpenError::AuthenticationFailed) => authentications += 1,
                other => assert_eq!(other, Err(OpenError::UnknownSsrc)),
            }
        }
        // All but that of RTCP.
        assert_eq!(authentications, u32::from(block().streams()) * 3 - 1);
        assert_eq!(inbound.heap_bytes(), 0);
        assert_eq!(format!("{inbound:?}"), before);
    }
}

#[test]
fn a_quiet_receiver_is_small() {
    assert!(size_of::<InboundSrtp>() <= 256, "{}", size_of::<InboundSrtp>());
    assert!(size_of::<OutboundSrtp>() <= 256, "{}", size_of::<OutboundSrtp>());
    let (mut outbound, mut inbound) = pair(Suite::AeadAes128Gcm, Cryptex::Required);
    let mut sealed = [0; 64];
    for stream in 1..=4 {
        let header = header(block().ssrc(StreamIndex(stream), StreamRole::Media).unwrap(), 0, 0, None);
        let len = outbound.seal_rtp(0, &header, b"", &mut sealed).unwrap();
        inbound.open_rtp(&sealed[..len], &mut [0; 64]).unwrap();
    }
    assert!((1..=1_024).contains(&inbound.heap_bytes()), "{}", inbound.heap_bytes());
}

#[test]
fn each_error_has_its_cause() {
    let (mut inbound, [full, plain, compound]) = scene(Suite::AeadAes128Gcm, Cryptex::Required);
    let mut out = [0; 256];
    let edit = |packet: &[u8], at: usize, value: u8| {
        let mut packet = packet.to_vec();
        packet[at] = value;
        packet
    };
    let in_clear = edit(&full, 24, 0xBE);
    let csrc_only = edit(&plain, 0, 0x81);
    let word = compound.len() - 4;
    let not_encrypted = edit(&compound, word, 0);
    let rtp = [
        (&full[..11], OpenError::Malformed),
        (&edit(&full, 0, 0x53), OpenError::Malformed),
        (&edit(&full, 26, 0xFF), OpenError::Malformed),
        (&edit(&full, 8, 9), OpenError::UnknownSsrc),
        (&edit(&full, 11, 0x07), OpenError::UnknownSsrc),
        (&edit(&full, 11, 0x00), OpenError::UnknownSsrc),
        (&in_clear, OpenError::ExtensionInClear),
        (&csrc_only, OpenError::ExtensionInClear),
        (&edit(&full, 3, 2), OpenError::Replayed),
        (&edit(&full, 2, 0xF0), OpenError::TooOld),
        (&edit(&full, 40, 0), OpenError::AuthenticationFailed),
    ];
    for (packet, error) in rtp {
        assert_eq!(inbound.open_rtp(packet, &mut out).err(), Some(error), "{packet:02x?}");
    }
    let rtcp = [
        (&compound[..27], OpenError::Malformed),
        (&edit(&compound, 0, 0x40), OpenError::Malformed),
        (&edit(&compound, 7, 0x04), OpenError::UnknownSsrc),
        (&not_encrypted, OpenError::NotEncrypted),
        (&edit(&compound, compound.len() - 1, 0), OpenError::Replayed),
        (&edit(&compound, 9, 0xEE), OpenError::AuthenticationFailed),
    ];
    for (packet, error) in rtcp {
        assert_eq!(inbound.open_rtcp(packet, &mut out).err(), Some(error), "{packet:02x?}");
    }
    let short = full.len() - 17;
    assert_eq!(inbound.open_rtp(&full, &mut out[..short]).err(), Some(OpenError::BufferTooSmall));
    let short = compound.len() - 21;
    assert_eq!(inbound.open_rtcp(&compound, &mut out[..short]).err(), Some(OpenError::BufferTooSmall));
}

#[test]
fn the_debug_form_holds_no_secret() {
    for suite in SUITES {
        let (outbound, inbound) = pair(suite, Cryptex::Required);
        let text = format!("{outbound:?} {inbound:?}").to_lowercase();
        assert!(text.contains("cryptex: required"));
        assert!(!text.contains("salt") && !text.contains("key"), "{text}");
    }
}

proptest! {
    #[test]
    fn random_damage_is_refused(
        suite in prop::sample::select(&SUITES[..]),
        cryptex in prop::sample::select(&MODES[..]),
        which in 0_usize..3,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..6),
    ) {
        let (mut inbound, packets) = scene(suite, cryptex);
        let mut packet = packets[which].clone();
        for (at, change) in edits {
            let at = at.index(packet.len());
            packet[at] ^= change;
        }
        prop_assume!(packet != packets[which]);
        refused(&mut inbound, &packet);
    }
}
