//! Bodies of the fuzz targets of FEC, which the unit tests run as well.

use super::flexfec::{FlexFec, Layout, MAX_MASK_BITS, MAX_PROTECTED_BYTES};
use super::{
    Decoder, Encoder, MAX_REPAIRS, REPAIR_HEADER_BYTES, Repair, RepairError, SourceRing, Sources, Workspace,
};
use crate::rtp::RtpPacket;

const SSRC: u32 = 0x0300_0044;

/// Reads a payload as a repair packet and writes it again.
///
/// # Panics
/// If the parser breaks a promise.
pub fn repair(payload: &[u8]) {
    let Some(repair) = Repair::parse(payload) else { return };
    let mut written = vec![0; repair.len()];
    assert_eq!(repair.write(&mut written), Ok(payload.len()));
    assert_eq!(written, payload);
    let sequences: Vec<u16> = repair.block.sequences().collect();
    assert_eq!(sequences.len(), repair.block.sources());
    assert_eq!(
        (sequences.first(), sequences.last()),
        (Some(&repair.block.base()), Some(&repair.block.last()))
    );
    for (position, sequence) in sequences.iter().enumerate() {
        assert_eq!(repair.block.position(*sequence), Some(position));
    }
}

/// Gives a decoder packets and repair packets that nobody made: each has a first byte with its length, and in the highest bit
/// whether it is a repair packet. Sources have a sequence number below 256, their first byte.
///
/// # Panics
/// If what comes back is no packet of the stream, or came before.
pub fn decoder(script: &[u8]) {
    let (mut decoder, mut ring, mut workspace) =
        (Decoder::new(SSRC), SourceRing::new(256), Workspace::default());
    let mut rest = script;
    while let Some((&head, behind)) = rest.split_first() {
        let (data, behind) = behind.split_at(behind.len().min(usize::from(head & 0x7F)));
        rest = behind;
        let (is_repair, sequence) = (head & 0x80 != 0, u16::from(data.first().copied().unwrap_or_default()));
        let result = if is_repair {
            repair(data);
            decoder.on_repair(data, &ring, &mut workspace)
        } else {
            ring.insert(sequence, &packet(sequence, data));
            decoder.on_source(sequence, &ring, &mut workspace)
        };
        let Ok(recovered) = result else { continue };
        assert!(recovered.len() <= MAX_REPAIRS);
        for packet in recovered.clone() {
            let parsed = RtpPacket::parse(packet.bytes).expect("a packet");
            assert_eq!((parsed.ssrc(), parsed.sequence_number()), (SSRC, packet.sequence));
            assert!(ring.packet(packet.sequence).is_none());
        }
        for packet in recovered {
            ring.insert(packet.sequence, packet.bytes);
        }
    }
}

fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let [s0, s1] = sequence.to_be_bytes();
    let [c0, c1, c2, c3] = SSRC.to_be_bytes();
    [&[0x80, 97, s0, s1, 0, 0, 0, 1, c0, c1, c2, c3][..], payload].concat()
}

/// Loses packets of a block and asks for them back. The script: repair packets, then for each packet how long it is, and in the
/// highest bits whether it is lost and whether one is left out before it.
///
/// # Panics
/// If as many repair packets as packets were lost do not give them back, or if fewer give anything.
pub fn round_trip(script: &[u8]) {
    let Some((&rows, lens)) = script.split_first() else { return };
    let rows = usize::from(rows) % (MAX_REPAIRS + 1);
    let (mut encoder, mut ring, mut workspace) =
        (Encoder::new(rows), SourceRing::new(64), Workspace::default());
    let (mut decoder, mut lost, mut sequence) = (Decoder::new(SSRC), Vec::new(), 0_u16.wrapping_sub(7));
    encoder.begin(rows);
    for len in lens {
        sequence = sequence.wrapping_add(1 + u16::from(len >> 6 & 1));
        let packet = packet(sequence, &vec![*len; usize::from(len & 0x3F) * 18]);
        if encoder.push(&packet[..12], &packet[12..]).is_err() {
            break;
        }
        if len & 0x80 == 0 {
            ring.insert(sequence, &packet);
        } else {
            lost.push((sequence, packet));
        }
    }
    let mut payload = [0; 1_200];
    // The highest rows first: nothing may depend on order.
    let repairs: Vec<_> = encoder.repairs(rows).collect();
    for (n, repair) in repairs.iter().rev().enumerate() {
        let len = repair.write(&mut payload).expect("room");
        assert!(len > REPAIR_HEADER_BYTES);
        self::repair(&payload[..len]);
        let recovered = decoder.on_repair(&payload[..len], &ring, &mut workspace).expect("a block");
        if n + 1 == lost.len() {
            assert!(
                recovered.map(|packet| (packet.sequence, packet.bytes.to_vec())).eq(lost.iter().cloned())
            );
            lost.iter().for_each(|(sequence, packet)| ring.insert(*sequence, packet));
            assert_ne!(
                decoder.on_source(sequence, &ring, &mut workspace).err(),
                Some(RepairError::Inconsistent)
            );
        } else {
            assert_eq!(recovered.len(), 0, "too few, or done");
        }
    }
}

/// Reads a payload as FlexFEC in both layouts, and writes it again.
///
/// # Panics
/// If the parser breaks a promise.
pub fn flexfec(payload: &[u8]) {
    for layout in [Layout::Draft03, Layout::Rfc8627] {
        let Ok(before) = FlexFec::parse(layout, payload) else { continue };
        let mut written = vec![0; payload.len()];
        // The shortest mask may be shorter than what was read.
        let len = before.write(layout, &mut written).expect("what was read can be written");
        assert_eq!(FlexFec::parse(layout, &written[..len]), Ok(before));
        assert!((1..=MAX_MASK_BITS).contains(&before.sequences().count()));
        let mut out = [0; MAX_PROTECTED_BYTES];
        let first = before.base;
        let came = packet(first, payload);
        let recovered = before.recover(SSRC, |sequence| (sequence == first).then_some(&came[..]), &mut out);
        if let Some((sequence, len)) = recovered {
            let parsed = RtpPacket::parse(&out[..len]).expect("a packet");
            assert_eq!((parsed.ssrc(), parsed.sequence_number()), (SSRC, sequence));
        }
    }
}
