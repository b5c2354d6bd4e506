use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::ext::{CaptureTime, FrameMarking, MediaExtensions};
use crate::rtp::{RtpHeader, RtpPacket};

mod bounds;
mod vectors;

const SSRC: u32 = 0x0300_0044;
const HEADER_BYTES: usize = 36;

/// A packet as a router sends it: a CSRC, and the three extensions of video.
fn packet_of(sequence: u16, payload: &[u8], transport_sequence: u16, csrc: u32) -> Vec<u8> {
    let extensions = MediaExtensions {
        transport_sequence: Some(transport_sequence),
        frame_marking: Some(FrameMarking { start: true, tl0_pic_idx: 9, ..FrameMarking::default() }),
        capture_time: Some(CaptureTime(0x0123_4567_89AB_CDEF)),
        ..MediaExtensions::default()
    };
    let header = RtpHeader {
        marker: sequence.is_multiple_of(3),
        payload_type: 97,
        sequence_number: sequence,
        timestamp: 90_000 + u32::from(sequence),
        ssrc: SSRC,
        csrcs: &[csrc],
        extensions: &extensions,
    };
    let mut bytes = vec![0; header.len()];
    assert_eq!(header.write(&mut bytes), Ok(HEADER_BYTES));
    [&bytes, payload].concat()
}

fn packet(sequence: u16, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..len).map(|n| (n * 7 + usize::from(sequence) * 13) as u8).collect();
    packet_of(sequence, &payload, 0, 0x101)
}

fn push(encoder: &mut Encoder, packet: &[u8]) -> Result<(), PushError> {
    encoder.push(&packet[..HEADER_BYTES], &packet[HEADER_BYTES..])
}

/// Repair packets of a block.
fn repairs_of(packets: &[Vec<u8>], rows: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(rows);
    encoder.begin(rows);
    packets.iter().for_each(|packet| push(&mut encoder, packet).unwrap());
    payloads(&encoder, rows)
}

fn payloads(encoder: &Encoder, rows: usize) -> Vec<Vec<u8>> {
    let written = |repair: Repair<'_>| {
        let mut out = vec![0; repair.len()];
        assert_eq!(repair.write(&mut out), Ok(repair.len()));
        out
    };
    encoder.repairs(rows).map(written).collect()
}

/// A receiver of one stream.
struct Receiver {
    decoder: Decoder,
    ring: SourceRing,
    workspace: Workspace,
}

type Outcome = Result<Vec<Vec<u8>>, RepairError>;

impl Receiver {
    fn new() -> Self {
        Self { decoder: Decoder::new(SSRC), ring: SourceRing::new(512), workspace: Workspace::default() }
    }

    fn source(&mut self, packet: &[u8]) -> Outcome {
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        self.ring.insert(sequence, packet);
        let recovered = self.decoder.on_source(sequence, &self.ring, &mut self.workspace)?;
        Ok(recovered.map(|packet| packet.bytes.to_vec()).collect())
    }

    fn repair(&mut self, payload: &[u8]) -> Outcome {
        let recovered = self.decoder.on_repair(payload, &self.ring, &mut self.workspace)?;
        Ok(recovered.map(|packet| packet.bytes.to_vec()).collect())
    }
}

#[test]
fn the_first_row_is_a_plain_sum() {
    let packets: Vec<_> = (0..5).map(|n| packet(n, 100 + usize::from(n))).collect();
    let repair = &repairs_of(&packets, 1)[0];
    let parity = &repair[REPAIR_HEADER_BYTES..];
    assert_eq!(repair[..REPAIR_HEADER_BYTES], [0, 0, 0, 1, 0xF8, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(parity.len(), packets[4].len() - 4);
    let sum = |at: usize| packets.iter().filter_map(|packet| packet.get(at)).fold(0, |sum, byte| sum ^ byte);
    assert!((8..parity.len()).all(|n| parity[n] == sum(n + 4)));
    assert_eq!([parity[2], parity[3]], [sum(0), sum(1)]);
    assert!((4..8).all(|n| parity[n] == sum(n)));
}

#[test]
fn a_transmission_number_is_not_protected() {
    let packets = |transport: u16| -> Vec<_> {
        (0..6).map(|n| packet_of(n, &[n as u8; 50], transport + n, 0x101)).collect()
    };
    let payloads = repairs_of(&packets(1_000), 3);
    assert_eq!(payloads, repairs_of(&packets(77), 3));
    let mut receiver = Receiver::new();
    for sent in &packets(1_000)[1..] {
        receiver.source(sent).unwrap();
    }
    // Byte for byte, but for the number.
    assert_eq!(receiver.repair(&payloads[2]).unwrap(), [packet_of(0, &[0; 50], 0, 0x101)]);
}

/// Senders to many receivers sum up payloads once.
#[test]
fn what_differs_in_headers_differs_in_the_front_of_the_parity() {
    let of =
        |csrc| repairs_of(&(0..9).map(|n| packet_of(n, &[n as u8; 300], n, csrc)).collect::<Vec<_>>(), 4);
    for (one, other) in of(0x101).iter().zip(&of(0x202)) {
        let front = REPAIR_HEADER_BYTES + HEADER_BYTES - 4;
        assert_ne!(one[..front], other[..front]);
        assert_eq!(one[front..], other[front..]);
    }
}

#[test]
fn too_few_wait_for_a_late_source() {
    let packets: Vec<_> = (10..18).map(|n| packet(n, 1_000)).collect();
    let payloads = repairs_of(&packets, 2);
    let mut receiver = Receiver::new();
    for sent in &packets[3..] {
        assert_eq!(receiver.source(sent), Ok(vec![]));
    }
    assert_eq!(receiver.repair(&payloads[1]), Ok(vec![]));
    assert_eq!(receiver.repair(&payloads[1]), Ok(vec![]), "twice the same is one");
    assert_eq!(receiver.repair(&payloads[0]), Ok(vec![]));
    assert_eq!(receiver.source(&packets[1]), Ok(vec![packets[0].clone(), packets[2].clone()]));
    assert_eq!(receiver.source(&packets[2]), Ok(vec![]), "once");
}

#[test]
fn repair_packets_may_come_first() {
    let packets: Vec<_> = (0..4).map(|n| packet(n, 200)).collect();
    let mut receiver = Receiver::new();
    for payload in repairs_of(&packets, 2) {
        assert_eq!(receiver.repair(&payload), Ok(vec![]));
    }
    assert_eq!(receiver.source(&packets[3]), Ok(vec![]));
    assert_eq!(receiver.source(&packets[0]), Ok(packets[1..3].to_vec()));
}

#[test]
fn an_encoder_begins_anew() {
    let (first, second): (Vec<_>, Vec<_>) =
        ((0..40).map(|n| packet(n, 1_100)).collect(), vec![packet(40, 10)]);
    let mut encoder = Encoder::new(5);
    first.iter().for_each(|packet| push(&mut encoder, packet).unwrap());
    encoder.begin(3);
    assert_eq!((encoder.sources(), encoder.repairs(5).count()), (0, 0));
    push(&mut encoder, &second[0]).unwrap();
    assert_eq!(payloads(&encoder, 5), repairs_of(&second, 3));
}

#[test]
fn what_a_block_does_not_take() {
    let mut encoder = Encoder::new(1);
    push(&mut encoder, &packet(100, 10)).unwrap();
    assert_eq!(push(&mut encoder, &packet(100, 10)), Err(PushError::Order));
    assert_eq!(push(&mut encoder, &packet(99, 10)), Err(PushError::Order));
    assert_eq!(push(&mut encoder, &packet(164, 10)), Err(PushError::Full));
    assert_eq!(
        push(&mut encoder, &packet(101, MAX_SOURCE_BYTES - HEADER_BYTES + 1)),
        Err(PushError::Unprotectable)
    );
    assert_eq!(encoder.push(&[0x80; 11], &[]), Err(PushError::Unprotectable));
    let mut padded = packet(101, 10);
    padded[0] |= 0x20;
    assert_eq!(push(&mut encoder, &padded), Err(PushError::Unprotectable));
    assert_eq!(encoder.sources(), 1);
    assert_eq!(push(&mut encoder, &packet(163, MAX_SOURCE_BYTES - HEADER_BYTES)), Ok(()));

    encoder.begin(1);
    (0..48).for_each(|n| push(&mut encoder, &packet(n, 10)).unwrap());
    assert_eq!(push(&mut encoder, &packet(48, 10)), Err(PushError::Full));
}

/// Packets of which some are left out and some are lost.
fn blocks() -> impl Strategy<Value = (Vec<u8>, usize)> {
    (vec(prop_oneof![4 => 0..0x40_u8, 1 => any::<u8>()], 1..=MAX_SOURCES), 0..=MAX_REPAIRS)
}

proptest! {
    #[test]
    fn as_many_repairs_as_losses_give_all_back((lens, rows) in blocks()) {
        fuzzing::round_trip(&[&[rows as u8], &lens[..]].concat());
    }

    #[test]
    fn any_rows_will_do(
        rows in proptest::sample::subsequence((0..MAX_REPAIRS).collect::<Vec<_>>(), 1..=8),
        sources in 8..=MAX_SOURCES,
        base: u16,
        step in 1..40_usize,
    ) {
        let packets: Vec<_> =
            (0..sources).map(|n| packet(base.wrapping_add(n as u16), (n * 331) % 1_100)).collect();
        let payloads = repairs_of(&packets, MAX_REPAIRS);
        let mut lost: Vec<usize> = (0..rows.len()).map(|n| n * step % sources).collect();
        lost.sort_unstable();
        lost.dedup();
        let mut receiver = Receiver::new();
        for (n, packet) in packets.iter().enumerate() {
            if !lost.contains(&n) {
                receiver.source(packet).unwrap();
            }
        }
        let mut back = Vec::new();
        for row in &rows {
            back.extend(receiver.repair(&payloads[*row]).unwrap());
        }
        prop_assert_eq!(back, lost.iter().map(|n| packets[*n].clone()).collect::<Vec<_>>());
    }

    #[test]
    fn scripts_of_anything(script in vec(any::<u8>(), 0..2_000)) {
        fuzzing::decoder(&script);
        fuzzing::round_trip(&script);
        fuzzing::repair(&script);
    }

    /// Small numbers make blocks, sources and repair packets meet.
    #[test]
    fn scripts_of_plausible_repairs(
        ops in vec((0..4_u8, 1..3_u8, 0..64_u8, 0..8_u8, vec(0..4_u8, 8..40)), 1..60),
    ) {
        let mut script = Vec::new();
        for (base, rows, mask, kind, bytes) in ops {
            let item = if kind < 3 {
                vec![base]
            } else {
                let head = [0, base, kind % rows, rows, 0x80 | mask, 0, 0, 0, 0, 0, 0, 0];
                [&head[..], &[0, 6, 0x80, 97], &bytes].concat()
            };
            script.push(u8::from(kind >= 3) << 7 | item.len() as u8);
            script.extend(item);
        }
        fuzzing::decoder(&script);
    }
}
