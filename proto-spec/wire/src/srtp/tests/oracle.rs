//! Both directions against an independent implementation of plain SRTP.

use proptest::prelude::*;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

use super::*;

fn oracle(suite: Suite) -> Context {
    let profile = match suite {
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let master = master(suite);
    Context::new(master.key.expose(), master.salt.expose(), profile, None, None).unwrap()
}

/// A well-formed one-byte extension block (the oracle panics on others).
fn extension() -> impl Strategy<Value = Option<Vec<u32>>> {
    let element = (1_u8..15, prop::collection::vec(any::<u8>(), 1..=16));
    prop::option::of(prop::collection::vec(element, 1..4).prop_map(|elements| {
        let mut bytes = Vec::new();
        for (id, data) in elements {
            bytes.push(id << 4 | (data.len() as u8 - 1));
            bytes.extend(data);
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect()
    }))
}

#[derive(Clone, Debug)]
struct Plain {
    gap: u16,
    csrcs: u8,
    extension: Option<Vec<u32>>,
    payload: Vec<u8>,
}

fn plain() -> impl Strategy<Value = Plain> {
    let payload = prop::collection::vec(any::<u8>(), 0..1_200);
    (1_u16..0x2000, 0_u8..=15, extension(), payload).prop_map(|(gap, csrcs, extension, payload)| Plain {
        gap,
        csrcs,
        extension,
        payload,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Sequences long enough to roll over.
    #[test]
    fn rtp_both_ways(
        suite in prop::sample::select(&SUITES[..]),
        packets in prop::collection::vec(plain(), 1..12),
    ) {
        let (mut outbound, mut inbound) = pair(suite, Cryptex::Off);
        let (mut their_outbound, mut their_inbound) = (oracle(suite), oracle(suite));
        let mut out = vec![0; ROOM];
        let mut index = 0x7800_u64;
        for packet in packets {
            index += u64::from(packet.gap);
            let extension = packet.extension.as_deref().map(|words| (0xBEDE, words));
            let header = header(media(), index as u16, packet.csrcs, extension);
            let clear = [header.as_slice(), &packet.payload].concat();

            let len = outbound.seal_rtp(index, &header, &packet.payload, &mut out).unwrap();
            let theirs = their_outbound.encrypt_rtp(&clear).unwrap();
            prop_assert_eq!(&out[..len], &theirs[..]);
            prop_assert_eq!(&their_inbound.decrypt_rtp(&out[..len]).unwrap()[..], &clear[..]);

            let opened = inbound.open_rtp(&theirs, &mut out).unwrap();
            prop_assert_eq!(opened.index, index);
            prop_assert_eq!(&out[..opened.len], &clear[..]);
        }
    }

    #[test]
    fn rtcp_both_ways(
        suite in prop::sample::select(&SUITES[..]),
        lengths in prop::collection::vec(0_usize..280, 1..12),
    ) {
        let (mut outbound, mut inbound) = pair(suite, Cryptex::Off);
        let (mut their_outbound, mut their_inbound) = (oracle(suite), oracle(suite));
        // Theirs starts at 1.
        outbound.skip_to_rtcp_index(1);
        let mut out = vec![0; ROOM];
        for (number, words) in lengths.into_iter().enumerate() {
            let clear = compound(words * 4);
            let len = outbound.seal_rtcp(&clear, &mut out).unwrap();
            let theirs = their_outbound.encrypt_rtcp(&clear).unwrap();
            prop_assert_eq!(&out[..len], &theirs[..]);
            prop_assert_eq!(&their_inbound.decrypt_rtcp(&out[..len]).unwrap()[..], &clear[..]);

            let opened = inbound.open_rtcp(&theirs, &mut out).unwrap();
            prop_assert_eq!(opened.index as usize, number + 1);
            prop_assert_eq!(&out[..opened.len], &clear[..]);
        }
    }
}
