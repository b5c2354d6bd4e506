use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::rtp::BufferTooSmall;

const SSRC: u32 = 0x1122_3344;

/// Marker bit, payload type 96, and a payload.
fn packet(sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let head = [0x80, 0xE0];
    [&head[..], &sequence.to_be_bytes(), &timestamp.to_be_bytes(), &SSRC.to_be_bytes(), payload].concat()
}

fn sum_of(packets: &[Vec<u8>]) -> FlexEncoder {
    let mut encoder = FlexEncoder::default();
    packets.iter().for_each(|packet| assert!(encoder.push(packet)));
    encoder
}

fn written(encoder: &FlexEncoder, layout: Layout) -> Vec<u8> {
    let mut out = vec![0; 1_500];
    let len = encoder.packet(SSRC).unwrap().write(layout, &mut out).unwrap();
    out.truncate(len);
    out
}

/// Three packets, summed up by hand.
///
/// The first bytes (80, 80, 80) give 80, of which R and F are 0; the second ones (E0, E0, E0) give E0; the lengths (3, 5, 4) give 2;
/// the timestamps (00010000, 00010BB8, 00011770) give 00011CC8. The draft's header is that of its section 4.2 with one SSRC, RFC
/// 8627's that of its section 4.2.2.1.
#[test]
fn three_packets_by_hand() {
    let packets = [
        packet(0x0A00, 0x0001_0000, &[0x01, 0x02, 0x03]),
        packet(0x0A02, 0x0001_0BB8, &[0x10, 0x20, 0x30, 0x40, 0x50]),
        packet(0x0A05, 0x0001_1770, &[0xFF, 0x00, 0xFF, 0x00]),
    ];
    let encoder = sum_of(&packets);
    let recovery = [0x00, 0xE0, 0x00, 0x02, 0x00, 0x01, 0x1C, 0xC8];
    let parity = [0x01 ^ 0x10 ^ 0xFF, 0x02 ^ 0x20, 0x03 ^ 0x30 ^ 0xFF, 0x40, 0x50];
    let ssrc = [0x01, 0, 0, 0, 0x11, 0x22, 0x33, 0x44];
    // Packets 0, 2 and 5 of 15: 1010 0100 0000 000, behind a K bit.
    let draft = [&recovery[..], &ssrc, &[0x0A, 0x00, 0xD2, 0x00], &parity].concat();
    let rfc = [&recovery[..], &[0x0A, 0x00, 0x52, 0x00], &parity].concat();
    assert_eq!(written(&encoder, Layout::Draft03), draft);
    assert_eq!(written(&encoder, Layout::Rfc8627), rfc);

    let mut out = [0; MAX_PROTECTED_BYTES];
    for (layout, bytes) in [(Layout::Draft03, &draft), (Layout::Rfc8627, &rfc)] {
        let fec = FlexFec::parse(layout, bytes).unwrap();
        assert_eq!(fec.ssrc, (layout == Layout::Draft03).then_some(SSRC));
        assert!(fec.sequences().eq([0x0A00, 0x0A02, 0x0A05]));
        for lost in 0..3 {
            let find = |sequence: u16| {
                let n = packets.iter().position(|packet| packet[2..4] == sequence.to_be_bytes())?;
                (n != lost).then_some(&packets[n][..])
            };
            let (sequence, len) = fec.recover(SSRC, find, &mut out).unwrap();
            assert_eq!(
                (&out[..len], sequence.to_be_bytes()),
                (&packets[lost][..], packets[lost][2..4].try_into().unwrap())
            );
            let one_less = |sequence| find(sequence).filter(|_| sequence != 0x0A00);
            assert_eq!(fec.recover(SSRC, one_less, &mut out).is_some(), lost == 0, "two are missing");
        }
        let all = |_| Some(&packets[0][..]);
        assert_eq!(fec.recover(SSRC, all, &mut out), None);
    }
}

/// Masks as Chromium's own tests have them: K bits in front of 15, 31 and 63 bits, set where the mask ends.
#[test]
fn masks_with_k_bits() {
    let mask = |layout, k_and_mask: &[u8]| {
        let ssrc: &[u8] = if layout == Layout::Draft03 { &[1, 0, 0, 0, 0, 0, 0, 9] } else { &[] };
        let bytes = [&[0; 8], ssrc, &[0, 0], k_and_mask, &[0xEE]].concat();
        crate::fec::fuzzing::flexfec(&bytes);
        FlexFec::parse(layout, &bytes).map(|fec| (fec.sequences().collect::<Vec<_>>(), fec.parity.len()))
    };
    let (draft, rfc) = (Layout::Draft03, Layout::Rfc8627);
    assert_eq!(mask(draft, &[0x80, 0x01]), Ok((vec![14], 1)));
    assert_eq!(mask(rfc, &[0x00, 0x01]), Ok((vec![14], 1)));
    assert_eq!(mask(draft, &[0x40, 0x00, 0xC0, 0, 0, 1]), Ok((vec![0, 15, 45], 1)));
    assert_eq!(mask(rfc, &[0xC0, 0x00, 0x40, 0, 0, 1]), Ok((vec![0, 15, 45], 1)));
    assert_eq!(mask(draft, &[0x40, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 1]), Ok((vec![0, 46, 108], 1)));
    assert_eq!(mask(rfc, &[0xC0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 1]), Ok((vec![0, 46, 109], 1)));

    assert_eq!(mask(draft, &[0x80, 0x00]), Err(FlexFecError::Mask));
    assert_eq!(
        mask(draft, &[0x40, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 1]),
        Err(FlexFecError::Mask),
        "no end"
    );
    assert_eq!(mask(rfc, &[0x80]), Err(FlexFecError::TooShort));
    assert_eq!(mask(rfc, &[0x80, 0, 0]), Err(FlexFecError::TooShort));
    assert_eq!(mask(draft, &[0x40, 0, 0, 0, 0, 0, 0x80]), Err(FlexFecError::TooShort));
}

#[test]
fn what_is_not_for_one_stream_is_not_read() {
    let good = written(&sum_of(&[packet(1, 2, &[3])]), Layout::Draft03);
    for (at, byte) in [(0, 0x80), (0, 0x40), (8, 0), (8, 2)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(FlexFec::parse(Layout::Draft03, &bytes), Err(FlexFecError::Unsupported));
    }
    for len in 0..20 {
        assert_eq!(FlexFec::parse(Layout::Draft03, &good[..len]), Err(FlexFecError::TooShort));
    }
    assert!(FlexFec::parse(Layout::Draft03, &good[..20]).is_ok());
}

#[test]
fn what_cannot_be_summed_up_or_said() {
    let mut encoder = FlexEncoder::default();
    assert_eq!(encoder.packet(SSRC), None);
    assert!(!encoder.push(&[0x80; 11]));
    assert!(!encoder.push(&packet(9, 0, &[0; MAX_PROTECTED_BYTES - 11])));
    assert!(encoder.push(&packet(9, 0, &[0xAA; MAX_PROTECTED_BYTES - 12])));
    assert!(!encoder.push(&packet(9, 0, &[])), "again");
    assert!(!encoder.push(&packet(8, 0, &[])), "before");
    assert!(!encoder.push(&packet(118, 0, &[])), "109 behind");
    assert!(encoder.push(&packet(117, 0, &[])));
    encoder.clear();
    assert!(encoder.push(&packet(5, 0, &[1])));
    assert_eq!(encoder.packet(SSRC).unwrap().parity, [1]);

    let fec = encoder.packet(SSRC).unwrap();
    let mut out = [0; 64];
    assert_eq!(FlexFec { mask: 1 << 18, ..fec }.write(Layout::Draft03, &mut out), Err(BufferTooSmall));
    assert!(FlexFec { mask: 1 << 18, ..fec }.write(Layout::Rfc8627, &mut out).is_ok());
    assert_eq!(FlexFec { mask: 1 << 17, ..fec }.write(Layout::Rfc8627, &mut out), Err(BufferTooSmall));
    assert_eq!(FlexFec { mask: 0, ..fec }.write(Layout::Rfc8627, &mut out), Err(BufferTooSmall));
    assert_eq!(FlexFec { ssrc: None, ..fec }.write(Layout::Draft03, &mut out), Err(BufferTooSmall));
    assert_eq!(fec.write(Layout::Draft03, &mut out[..20]), Err(BufferTooSmall));
}

#[test]
fn what_was_not_summed_up_gives_nothing() {
    let packets = [packet(0, 0, &[1, 2]), packet(1, 0, &[3, 4])];
    let encoder = sum_of(&packets);
    let fec = encoder.packet(SSRC).unwrap();
    let mut out = [0; MAX_PROTECTED_BYTES];
    let with = |first: Vec<u8>| fec.recover(SSRC, |n| (n == 0).then_some(&first[..]), &mut out.clone());
    assert_eq!(with(packets[0].clone()), Some((1, 14)));
    assert_eq!(with(packet(0, 0, &[1, 2, 3])), None, "longer than the parity");
    assert_eq!(with(vec![0x80; 11]), None, "no packet");
    let mut wrong = packets[0].clone();
    wrong[0] = 0x8F;
    assert_eq!(with(wrong), None, "15 CSRCs in two bytes");
    let mut recovery = fec.recovery;
    recovery[3] ^= 1;
    let more = FlexFec { recovery, ..fec };
    assert_eq!(more.recover(SSRC, |n| (n == 0).then_some(&packets[0][..]), &mut out), None, "3 of 2 bytes");
    let long = FlexFec { parity: &[0; MAX_PROTECTED_BYTES], ..fec };
    assert_eq!(long.recover(SSRC, |n| (n == 0).then_some(&packets[0][..]), &mut out), None);
}

proptest! {
    #[test]
    fn one_of_many_comes_back(
        base: u16,
        packets in vec((1..4_u16, any::<u32>(), vec(any::<u8>(), 0..80)), 1..30),
        lost in any::<proptest::sample::Index>(),
        is_draft: bool,
    ) {
        let mut sequence = base;
        let packets: Vec<_> = packets.into_iter().map(|(step, timestamp, payload)| {
            sequence = sequence.wrapping_add(step);
            packet(sequence, timestamp, &payload)
        }).collect();
        let layout = if is_draft { Layout::Draft03 } else { Layout::Rfc8627 };
        let bytes = written(&sum_of(&packets), layout);
        crate::fec::fuzzing::flexfec(&bytes);
        let fec = FlexFec::parse(layout, &bytes).unwrap();
        let lost = lost.index(packets.len());
        let find = |sequence: u16| {
            let n = packets.iter().position(|packet| packet[2..4] == sequence.to_be_bytes())?;
            (n != lost).then_some(&packets[n][..])
        };
        let mut out = [0; MAX_PROTECTED_BYTES];
        let (_, len) = fec.recover(SSRC, find, &mut out).unwrap();
        prop_assert_eq!(&out[..len], &packets[lost][..]);
    }

    #[test]
    fn anything_is_read_or_refused(bytes in vec(any::<u8>(), 0..60), head in 0..3_u8) {
        crate::fec::fuzzing::flexfec(&bytes);
        crate::fec::fuzzing::flexfec(&[&[head, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 0][..], &bytes].concat());
    }
}
