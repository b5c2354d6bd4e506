//! Loss, disorder, repetition and roll-over.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::srtp::OpenError;

use super::*;

fn suite_pair() -> (OutboundSrtp, InboundSrtp) {
    pair(Suite::AeadAes128Gcm, Cryptex::Required)
}

/// Index and newness, or why not.
fn open(inbound: &mut InboundSrtp, packet: &[u8]) -> Result<(u64, bool), OpenError> {
    inbound.open_rtp(packet, &mut [0; 256]).map(|opened| (opened.index, opened.newest))
}

#[test]
fn the_roc_rolls_over() {
    for suite in SUITES {
        let (mut outbound, mut inbound) = pair(suite, Cryptex::Off);
        for index in (0x7000..0x5_0000).step_by(0x3FF1) {
            let packet = seal(&mut outbound, index);
            assert_eq!(open(&mut inbound, &packet), Ok((index, true)));
        }
    }
}

#[test]
fn disorder_around_a_roll_over() {
    let (mut outbound, mut inbound) = suite_pair();
    let packets: Vec<_> = (0xFFF0..0x1_0010).map(|index| seal(&mut outbound, index)).collect();
    let at = |index: u64| packets[index as usize - 0xFFF0].as_slice();
    for (index, newest) in [
        (0xFFF1, true),
        (0x1_0002, true),
        (0xFFFF, false),
        (0x1_0000, false),
        (0xFFF0, false),
        (0x1_000F, true),
        (0xFFFE, false),
        (0x1_0001, false),
    ] {
        assert_eq!(open(&mut inbound, at(index)), Ok((index, newest)));
        assert_eq!(open(&mut inbound, at(index)), Err(OpenError::Replayed));
    }
}

#[test]
fn each_distance_opens_once_within_the_window() {
    let (mut outbound, mut inbound) = suite_pair();
    let newest = 0x1_0100_u64;
    let packets: Vec<_> =
        (0..1_500).rev().map(|distance| (distance, seal(&mut outbound, newest - distance))).collect();
    // What comes first of an SSRC must be below the roll-over.
    assert!(open(&mut inbound, &packets[0].1).is_ok());
    assert!(open(&mut inbound, &packets.last().unwrap().1).is_ok());
    for (distance, packet) in &packets[1..packets.len() - 1] {
        let expected =
            if *distance < 1_024 { Ok((newest - distance, false)) } else { Err(OpenError::TooOld) };
        assert_eq!(open(&mut inbound, packet), expected, "{distance}");
    }
    for (distance, packet) in &packets {
        let expected = if *distance < 1_024 { OpenError::Replayed } else { OpenError::TooOld };
        assert_eq!(open(&mut inbound, packet), Err(expected), "{distance}");
    }
}

#[test]
fn the_first_packet_is_taken_to_have_roc_0() {
    for first in [0, 1, 0x7FFF, 0x8000, 0xFFFF] {
        let (mut outbound, mut inbound) = suite_pair();
        let packet = seal(&mut outbound, first);
        assert_eq!(open(&mut inbound, &packet), Ok((first, true)));
    }
    let (mut outbound, mut inbound) = suite_pair();
    let packet = seal(&mut outbound, 0x1_0000);
    assert_eq!(open(&mut inbound, &packet), Err(OpenError::AuthenticationFailed));
}

#[test]
fn what_would_be_before_the_first_index_is_too_old() {
    let (mut outbound, mut inbound) = suite_pair();
    let (late, early) = (seal(&mut outbound, 0x10), seal(&mut outbound, 0xFFF0));
    assert!(open(&mut inbound, &late).is_ok());
    assert_eq!(open(&mut inbound, &early), Err(OpenError::TooOld));
}

#[test]
fn ssrcs_have_windows_of_their_own() {
    let (mut outbound, mut inbound) = suite_pair();
    let mut sealed = [0; 64];
    for role in [StreamRole::Media, StreamRole::Rtx] {
        let header = header(block().ssrc(StreamIndex(1), role).unwrap(), 5, 0, None);
        let len = outbound.seal_rtp(5, &header, b"", &mut sealed).unwrap();
        assert_eq!(open(&mut inbound, &sealed[..len]), Ok((5, true)));
        assert_eq!(open(&mut inbound, &sealed[..len]), Err(OpenError::Replayed));
    }
}

#[test]
fn compounds_open_once_within_their_window() {
    for suite in SUITES {
        let (mut outbound, mut inbound) = pair(suite, Cryptex::Required);
        let packets: Vec<_> = (0..200).map(|_| seal_compound(&mut outbound, &compound(8))).collect();
        let mut open = |index: usize| {
            inbound
                .open_rtcp(&packets[index], &mut [0; 64])
                .map(|opened| (opened.index as usize, opened.newest))
        };
        assert_eq!(open(3), Ok((3, true)));
        assert_eq!(open(199), Ok((199, true)));
        for index in (0..199).rev() {
            let expected = if index > 199 - 128 { Ok((index, false)) } else { Err(OpenError::TooOld) };
            assert_eq!(open(index), expected, "{index}");
        }
        assert_eq!(open(150), Err(OpenError::Replayed));
        assert_eq!(open(199), Err(OpenError::Replayed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A sender's packets through a network that loses, repeats and reorders: what opens has the sender's index.
    #[test]
    fn any_order(steps in prop::collection::vec((0_u64..3_000, 0_u64..1_400), 1..120)) {
        let (mut outbound, mut inbound) = suite_pair();
        let mut highest = 0x7FFF;
        let mut sealed = vec![(highest, seal(&mut outbound, highest))];
        let mut opened = BTreeSet::new();
        prop_assert!(open(&mut inbound, &sealed[0].1).is_ok());
        opened.insert(highest);
        for (ahead, back) in steps {
            let next = sealed.last().unwrap().0 + ahead + 1;
            sealed.push((next, seal(&mut outbound, next)));
            let (index, packet) = &sealed[sealed.len() - 1 - back as usize % sealed.len()];
            let result = open(&mut inbound, packet);
            if highest >= index + 1_024 {
                // From half the sequence number space on the index is guessed wrong: it may look new, old or repeated.
                prop_assert!(result.is_err());
            } else if opened.contains(index) {
                prop_assert_eq!(result, Err(OpenError::Replayed));
            } else if *index > highest + 0x7FFF {
                prop_assert!(result.is_err());
            } else {
                prop_assert_eq!(result, Ok((*index, *index > highest)));
                opened.insert(*index);
                highest = highest.max(*index);
            }
        }
    }
}
