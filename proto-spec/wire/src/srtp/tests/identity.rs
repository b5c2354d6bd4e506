//! What was sealed opens to the same.

use proptest::prelude::*;

use crate::srtp::{OpenedRtcp, OpenedRtp};

use super::*;

/// Seals and opens one packet and gives the plaintext that came out.
fn through(
    suite: Suite,
    cryptex: Cryptex,
    index: u64,
    header: &[u8],
    payload: &[u8],
) -> (OpenedRtp, Vec<u8>) {
    let (mut outbound, mut inbound) = pair(suite, cryptex);
    let (mut sealed, mut opened) = (vec![0xEE; ROOM], vec![0xEE; ROOM]);
    let len = outbound.seal_rtp(index, header, payload, &mut sealed).unwrap();
    assert!(sealed[len..].iter().all(|byte| *byte == 0xEE));
    let packet = inbound.open_rtp(&sealed[..len], &mut opened[..len - suite.tag_len()]).unwrap();
    opened.truncate(packet.len);
    (packet, opened)
}

#[test]
fn every_shape_of_header() {
    let words = [0x1011_2233, 0x2144_5500, 0];
    for suite in SUITES {
        for cryptex in MODES {
            for csrcs in 0..=15 {
                for extension in [
                    None,
                    Some((0xBEDE, &words[..])),
                    Some((0xBEDE, &words[..0])),
                    Some((0x1000, &words[..1])),
                ] {
                    let header = header(media(), 7, csrcs, extension);
                    for payload in [&b""[..], b"x", &[0xAB; 1_200]] {
                        let (packet, opened) = through(suite, cryptex, 7, &header, payload);
                        let mut expected = header.clone();
                        if cryptex == Cryptex::Required && csrcs > 0 && extension.is_none() {
                            expected[0] |= 0x10;
                            expected.extend([0xBE, 0xDE, 0, 0]);
                        }
                        expected.extend(payload);
                        assert_eq!(opened, expected, "{suite:?} {cryptex:?} {csrcs} {extension:?}");
                        assert_eq!((packet.index, packet.newest), (7, true));
                        assert_eq!((packet.stream, packet.role), (StreamIndex(1), StreamRole::Media));
                    }
                }
            }
        }
    }
}

#[test]
fn cryptex_leaves_neither_csrcs_nor_extensions_in_clear() {
    for suite in SUITES {
        let (mut outbound, _) = pair(suite, Cryptex::Required);
        let header = header(media(), 0, 2, Some((0xBEDE, &[0x1234_5678])));
        let mut sealed = [0; 256];
        let len = outbound.seal_rtp(0, &header, b"payload", &mut sealed).unwrap();
        assert_eq!(len, header.len() + 7 + outbound.rtp_overhead());
        assert_eq!(sealed[..12], header[..12]);
        assert_ne!(sealed[12..20], header[12..20]);
        assert_eq!(sealed[20..24], [0xC0, 0xDE, 0, 1]);
        assert_ne!(sealed[24..28], header[24..28]);
        assert!(!sealed.windows(7).any(|window| window == b"payload"));
    }
}

#[test]
fn an_extension_block_added_for_csrcs_counts_four_bytes() {
    let (mut outbound, _) = pair(Suite::AeadAes128Gcm, Cryptex::Required);
    let header = header(media(), 0, 1, None);
    let len = outbound.seal_rtp(0, &header, b"", &mut [0; 64]).unwrap();
    assert_eq!(len, header.len() + 4 + outbound.rtp_overhead());
}

#[test]
fn streams_and_roles_are_told_apart() {
    let (mut outbound, mut inbound) = pair(Suite::AeadAes128Gcm, Cryptex::Required);
    let (mut sealed, mut opened) = ([0; 64], [0; 64]);
    for stream in 1..block().streams() {
        for role in [StreamRole::Media, StreamRole::Rtx, StreamRole::Fec] {
            let header = header(block().ssrc(StreamIndex(stream), role).unwrap(), 9, 0, None);
            let len = outbound.seal_rtp(9, &header, b"", &mut sealed).unwrap();
            let packet = inbound.open_rtp(&sealed[..len], &mut opened).unwrap();
            assert_eq!((packet.stream, packet.role), (StreamIndex(stream), role));
        }
    }
}

#[test]
fn compounds_count_up_from_0() {
    for suite in SUITES {
        let (mut outbound, mut inbound) = pair(suite, Cryptex::Required);
        for (index, len) in [0, 1, 4, 1_100].into_iter().enumerate() {
            let plain = compound(len);
            let sealed = seal_compound(&mut outbound, &plain);
            assert_eq!(sealed.len(), plain.len() + outbound.rtcp_overhead());
            let mut opened = vec![0; plain.len()];
            let packet = inbound.open_rtcp(&sealed, &mut opened).unwrap();
            assert_eq!(packet, OpenedRtcp { len: plain.len(), index: index as u32, newest: true });
            assert_eq!(opened, plain);
        }
    }
}

proptest! {
    #[test]
    fn any_packet(
        suite in prop::sample::select(&SUITES[..]),
        cryptex in prop::sample::select(&MODES[..]),
        sequence_number in any::<u16>(),
        csrcs in 0_u8..=15,
        words in prop::collection::vec(any::<u32>(), 0..40),
        profile in prop::sample::select(&[0xBEDE_u16, 0x1000][..]),
        payload in prop::collection::vec(any::<u8>(), 0..1_200),
    ) {
        let header = header(media(), sequence_number, csrcs, Some((profile, &words)));
        let (packet, opened) = through(suite, cryptex, sequence_number.into(), &header, &payload);
        prop_assert_eq!(opened, [header, payload].concat());
        prop_assert_eq!(packet.index, u64::from(sequence_number));
    }

    #[test]
    fn any_bytes_as_the_fuzzer_gives_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::srtp::fuzzing::open(&bytes);
    }

    #[test]
    fn almost_packets_as_the_fuzzer_gives_them(
        choice in any::<u8>(),
        first in 0x80_u8..0xC0,
        words in 0_u8..8,
        mut bytes in prop::collection::vec(any::<u8>(), 40..200),
    ) {
        bytes[0] = choice;
        bytes[1] = first;
        let extension = 13 + usize::from(first & 0x0F) * 4;
        if let Some(length) = bytes.get_mut(extension..extension + 4) {
            length.copy_from_slice(&[0xBE, 0xDE, 0, words]);
        }
        crate::srtp::fuzzing::open(&bytes);
    }
}
