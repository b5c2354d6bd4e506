//! What is refused on sealing, and that no index seals twice.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::srtp::SealError;
use crate::srtp::index::{MAX_RTCP_INDEX, MAX_RTP_INDEX};

use super::*;

fn try_seal(outbound: &mut OutboundSrtp, index: u64, header: &[u8]) -> Result<usize, SealError> {
    outbound.seal_rtp(index, header, b"payload", &mut [0; 256])
}

#[test]
fn each_error_has_its_cause() {
    let (mut outbound, _) = pair(Suite::AeadAes128Gcm, Cryptex::Required);
    let good = header(media(), 5, 1, Some((0xBEDE, &[0])));
    let mut version_1 = good.clone();
    version_1[0] ^= 0xC0;
    let with = |ssrc| header(ssrc, 5, 0, None);
    let before = format!("{outbound:?}");
    for (index, header, error) in [
        (5, good[..good.len() - 1].to_vec(), SealError::Malformed),
        (5, [&good[..], &[0]].concat(), SealError::Malformed),
        (5, version_1, SealError::Malformed),
        (5, Vec::new(), SealError::Malformed),
        (5, header(media(), 5, 0, Some((0x1001, &[0]))), SealError::Malformed),
        (5, header(media(), 5, 0, Some((0xC0DE, &[0]))), SealError::Malformed),
        (5, with(block().control()), SealError::UnknownSsrc),
        (5, with(media() + 3), SealError::UnknownSsrc),
        (5, with(block().base() - 1), SealError::UnknownSsrc),
        (5, with(block().base() + 256), SealError::UnknownSsrc),
        (4, good.clone(), SealError::SequenceMismatch),
        (MAX_RTP_INDEX + 6, good.clone(), SealError::Exhausted),
    ] {
        assert_eq!(try_seal(&mut outbound, index, &header), Err(error), "{index} {header:02x?}");
    }
    let short = good.len() + outbound.rtp_overhead() - 1;
    assert_eq!(outbound.seal_rtp(5, &good, b"", &mut vec![0; short]), Err(SealError::BufferTooSmall));
    assert_eq!(format!("{outbound:?}"), before);
    assert!(try_seal(&mut outbound, 5, &good).is_ok());
    assert_eq!(try_seal(&mut outbound, 5, &good), Err(SealError::IndexReused));
}

#[test]
fn a_patched_payload_is_sealed_as_if_it_had_been_given() {
    for suite in SUITES {
        for cryptex in MODES {
            for header in [header(media(), 5, 1, Some((0xBEDE, &[0]))), header(media(), 5, 2, None)] {
                let ((mut plain, _), (mut patched, _)) = (pair(suite, cryptex), pair(suite, cryptex));
                let (mut expected, mut out) = ([0; 128], [0; 128]);
                let len = plain.seal_rtp(5, &header, b"pAyload", &mut expected).unwrap();
                let patch = |payload: &mut [u8]| {
                    assert_eq!(payload, b"payload");
                    payload[1] = b'A';
                };
                assert_eq!(patched.seal_rtp_with(5, &header, b"payload", &mut out, patch), Ok(len));
                assert_eq!(out, expected);
                let refused = patched
                    .seal_rtp_with(5, &header, b"payload", &mut out, |_| panic!("nothing is to be sealed"));
                assert_eq!(refused, Err(SealError::IndexReused));
            }
        }
    }
}

#[test]
fn compounds_need_the_control_ssrc() {
    for suite in SUITES {
        let (mut outbound, mut inbound) = pair(suite, Cryptex::Required);
        let plain = compound(4);
        let mut other = plain.clone();
        other[7] += 1;
        let mut out = [0; 64];
        assert_eq!(outbound.seal_rtcp(&other, &mut out), Err(SealError::UnknownSsrc));
        assert_eq!(outbound.seal_rtcp(&plain[..7], &mut out), Err(SealError::Malformed));
        other[0] = 0x40;
        assert_eq!(outbound.seal_rtcp(&other, &mut out), Err(SealError::Malformed));
        let short = plain.len() + outbound.rtcp_overhead() - 1;
        assert_eq!(outbound.seal_rtcp(&plain, &mut out[..short]), Err(SealError::BufferTooSmall));
        let sealed = seal_compound(&mut outbound, &plain);
        assert_eq!(inbound.open_rtcp(&sealed, &mut out).map(|opened| opened.index), Ok(0));
    }
}

#[test]
fn compounds_end_at_the_last_index() {
    let (mut outbound, mut inbound) = pair(Suite::AesCm128HmacSha1_80, Cryptex::Required);
    outbound.skip_to_rtcp_index(MAX_RTCP_INDEX);
    let sealed = seal_compound(&mut outbound, &compound(0));
    assert_eq!(inbound.open_rtcp(&sealed, &mut [0; 64]).map(|opened| opened.index), Ok(MAX_RTCP_INDEX));
    assert_eq!(outbound.seal_rtcp(&compound(0), &mut [0; 64]), Err(SealError::Exhausted));
    assert_eq!(outbound.seal_rtcp(&compound(0), &mut [0; 64]), Err(SealError::Exhausted));
}

#[test]
fn media_ends_at_the_last_index() {
    let (mut outbound, _) = pair(Suite::AeadAes128Gcm, Cryptex::Required);
    assert!(try_seal(&mut outbound, MAX_RTP_INDEX, &header(media(), 0xFFFF, 0, None)).is_ok());
    assert_eq!(
        try_seal(&mut outbound, MAX_RTP_INDEX + 1, &header(media(), 0, 0, None)),
        Err(SealError::Exhausted)
    );
}

proptest! {
    #[test]
    fn no_index_seals_twice(indices in prop::collection::vec((0_u32..3, 0_u64..2_500), 1..200)) {
        let (mut outbound, _) = pair(Suite::AeadAes128Gcm, Cryptex::Required);
        let mut sealed = BTreeSet::new();
        let mut first = [None; 3];
        for (role, index) in indices {
            // So few indices leave fewer gaps than are remembered.
            let first = *first[role as usize].get_or_insert(index);
            let result = try_seal(&mut outbound, index, &header(media() + role, index as u16, 0, None));
            let fresh = !sealed.contains(&(role, index)) && index >= first;
            prop_assert_eq!(result.is_ok(), fresh);
            if fresh {
                sealed.insert((role, index));
            } else {
                prop_assert_eq!(result, Err(SealError::IndexReused));
            }
        }
    }
}
