mod malformed;
mod oracle;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

const BUFFER_BYTES: usize = 1 << 16;

/// What the closure appends.
fn written(write: impl FnOnce(&mut CompoundWriter<'_>) -> Result<(), BufferTooSmall>) -> Vec<u8> {
    let mut buffer = vec![0xEE; BUFFER_BYTES];
    let mut writer = CompoundWriter::new(&mut buffer);
    write(&mut writer).unwrap();
    let len = writer.finish();
    buffer.truncate(len);
    buffer
}

/// The only packet of the bytes.
#[track_caller]
fn only(bytes: &[u8]) -> Packet<'_> {
    let mut packets = packets(bytes);
    let packet = packets.next().unwrap().unwrap();
    assert_eq!(packets.next(), None);
    packet
}

fn any_block() -> impl Strategy<Value = ReportBlock> {
    (any::<[u32; 5]>(), any::<u8>(), -(1 << 23)..(1 << 23)).prop_map(
        |(words, fraction_lost, cumulative_lost)| {
            let [ssrc, highest_sequence, jitter, last_sr, delay_since_last_sr] = words;
            ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost,
                highest_sequence,
                jitter,
                last_sr,
                delay_since_last_sr,
            }
        },
    )
}

fn any_info() -> impl Strategy<Value = SenderInfo> {
    (any::<u64>(), any::<[u32; 3]>()).prop_map(|(ntp, [rtp_timestamp, packet_count, octet_count])| {
        SenderInfo { ntp, rtp_timestamp, packet_count, octet_count }
    })
}

fn any_head() -> impl Strategy<Value = TransportCcHead> {
    (any::<[u32; 2]>(), any::<u16>(), 0..1u32 << 24, any::<u8>()).prop_map(
        |([sender_ssrc, media_ssrc], base_sequence, reference_time, feedback_count)| TransportCcHead {
            sender_ssrc,
            media_ssrc,
            base_sequence,
            reference_time,
            feedback_count,
        },
    )
}

/// Statuses in runs, as real feedback has them.
fn any_statuses() -> impl Strategy<Value = Vec<Option<i16>>> {
    let status = prop_oneof![Just(None), (0..256i16).prop_map(Some), any::<i16>().prop_map(Some)];
    let run = (status, prop_oneof![1..4usize, 1..40usize]).prop_map(|(status, len)| vec![status; len]);
    vec(run, 1..12).prop_map(|runs| runs.concat())
}

#[test]
fn a_receiver_report_in_bytes() {
    let block = ReportBlock {
        ssrc: 0x0A0B_0C0D,
        fraction_lost: 0x40,
        cumulative_lost: -2,
        highest_sequence: 0x0001_0203,
        jitter: 5,
        last_sr: 6,
        delay_since_last_sr: 7,
    };
    let bytes = written(|writer| writer.receiver_report(0x0300_0040, &[block]));
    let words = [0x81C9_0007, 0x0300_0040, 0x0A0B_0C0D, 0x40FF_FFFE, 0x0001_0203, 5, 6, 7u32];
    assert_eq!(bytes, words.map(u32::to_be_bytes).concat());
}

#[test]
fn cumulative_loss_is_clamped_to_24_bits() {
    for (given, read) in [(i32::MAX, 0x7F_FFFF), (i32::MIN, -0x80_0000), (-1, -1)] {
        let block = ReportBlock { cumulative_lost: given, ..ReportBlock::default() };
        let bytes = written(|writer| writer.receiver_report(1, &[block]));
        let Packet::ReceiverReport(report) = only(&bytes) else { panic!() };
        assert_eq!(report.reports().next().unwrap().cumulative_lost, read);
    }
}

#[test]
fn a_nack_shares_pairs_across_the_wrap() {
    let bytes = written(|writer| writer.nack(1, 2, &[65_534, 65_535, 0, 14, 15]));
    let Packet::Nack(nack) = only(&bytes) else { panic!() };
    assert_eq!(nack.pairs().collect::<Vec<_>>(), [(65_534, 0b1000_0000_0000_0011), (15, 0)]);
    assert_eq!(nack.lost().collect::<Vec<_>>(), [65_534, 65_535, 0, 14, 15]);
}

#[test]
fn feedback_without_content_is_left_out() {
    let bytes = written(|writer| {
        writer.nack(1, 2, &[])?;
        writer.fir(1, &[])?;
        writer.transport_cc(&TransportCcHead::default(), std::iter::empty())
    });
    assert!(bytes.is_empty());
}

#[test]
fn transport_feedback_in_bytes() {
    let head = TransportCcHead {
        sender_ssrc: 1,
        media_ssrc: 2,
        base_sequence: 0xFFFF,
        reference_time: 3,
        feedback_count: 4,
    };
    let bytes = written(|writer| writer.transport_cc(&head, [Some(4), None, Some(-1)].into_iter()));
    let words = [0x8FCD_0006, 1, 2, 0xFFFF_0003, 0x0000_0304, 0xD200_04FF, 0xFF00_0000u32];
    assert_eq!(bytes, words.map(u32::to_be_bytes).concat());
    let Packet::TransportCc(feedback) = only(&bytes) else { panic!() };
    let expected = [(0xFFFF, Some(4)), (0, None), (1, Some(-1))];
    assert_eq!(feedback.statuses().collect::<Vec<_>>(), expected);
}

#[test]
fn long_runs_are_short_on_the_wire() {
    let statuses = std::iter::repeat_n(None, usize::from(MAX_TRANSPORT_CC_STATUSES));
    let bytes = written(|writer| writer.transport_cc(&TransportCcHead::default(), statuses.clone()));
    assert_eq!(bytes.len(), 24);
    let Packet::TransportCc(feedback) = only(&bytes) else { panic!() };
    assert!(feedback.statuses().map(|(_, delta)| delta).eq(statuses));
}

#[test]
fn more_than_a_field_can_count_does_not_fit() {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut writer = CompoundWriter::new(&mut buffer);
    let too_many = std::iter::repeat_n(None, usize::from(MAX_TRANSPORT_CC_STATUSES) + 1);
    let long = "x".repeat(256);
    assert_eq!(writer.receiver_report(1, &[ReportBlock::default(); 32]), Err(BufferTooSmall));
    assert_eq!(
        writer.sender_report(1, &SenderInfo::default(), &[ReportBlock::default(); 32]),
        Err(BufferTooSmall)
    );
    assert_eq!(writer.sdes_cname(1, &long), Err(BufferTooSmall));
    assert_eq!(writer.bye(&[0; 32], None), Err(BufferTooSmall));
    assert_eq!(writer.bye(&[], Some(&long)), Err(BufferTooSmall));
    assert_eq!(writer.app(32, 1, *b"SLCE", &[]), Err(BufferTooSmall));
    assert_eq!(writer.remb(1, 0, &[0; 256]), Err(BufferTooSmall));
    assert_eq!(writer.transport_cc(&TransportCcHead::default(), too_many), Err(BufferTooSmall));
    assert!(writer.is_empty());
}

#[test]
fn a_failed_append_leaves_the_compound_as_it_was() {
    let mut buffer = [0; 20];
    let mut writer = CompoundWriter::new(&mut buffer);
    writer.pli(1, 2).unwrap();
    let before = writer.as_bytes().to_vec();
    assert_eq!(writer.remaining(), 8);
    assert_eq!(writer.pli(3, 4), Err(BufferTooSmall));
    assert_eq!(writer.as_bytes(), before);
    writer.receiver_report(5, &[]).unwrap();
    assert_eq!(writer.remaining(), 0);
    assert_eq!(writer.finish(), 20);
    assert!(packets(&buffer).all(|packet| packet.is_ok()));
}

#[test]
fn padding_is_no_data() {
    let mut bytes = written(|writer| writer.app(3, 1, *b"SLCE", &[1, 2, 3, 4, 0, 0, 0, 4]));
    bytes[0] |= PADDING_BIT;
    let Packet::App(app) = only(&bytes) else { panic!() };
    assert_eq!(app, App { subtype: 3, ssrc: 1, name: *b"SLCE", data: &[1, 2, 3, 4] });
}

#[test]
fn other_types_and_formats_are_given_as_they_are() {
    for (first, packet_type) in [(0x82, 207), (0x82, 205), (0x82, 206), (0x8F, 206)] {
        let bytes = [first, packet_type, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let expected = Packet::Unknown { packet_type, count: first & COUNT_MASK, body: &bytes[4..] };
        assert_eq!(only(&bytes), expected);
    }
}

proptest! {
    #[test]
    fn reports_round_trip(ssrc: u32, info in any_info(), blocks in vec(any_block(), 0..=31)) {
        let bytes = written(|writer| {
            writer.sender_report(ssrc, &info, &blocks)?;
            writer.receiver_report(ssrc, &blocks)
        });
        let mut packets = packets(&bytes);
        let Some(Ok(Packet::SenderReport(sr))) = packets.next() else { panic!() };
        prop_assert_eq!((sr.ssrc(), sr.info()), (ssrc, info));
        prop_assert_eq!(sr.reports().collect::<Vec<_>>(), &blocks[..]);
        let Some(Ok(Packet::ReceiverReport(rr))) = packets.next() else { panic!() };
        prop_assert_eq!(rr.ssrc(), ssrc);
        prop_assert_eq!(rr.reports().collect::<Vec<_>>(), &blocks[..]);
        prop_assert_eq!(packets.next(), None);
    }

    #[test]
    fn texts_round_trip(ssrcs in vec(any::<u32>(), 1..=31), text in "[a-z]{0,255}", with_reason: bool) {
        let bytes = written(|writer| writer.sdes_cname(ssrcs[0], &text));
        let Packet::Sdes(sdes) = only(&bytes) else { panic!() };
        let chunks: Vec<_> = sdes.chunks().collect();
        prop_assert_eq!(chunks.len(), 1);
        prop_assert_eq!((chunks[0].ssrc, chunks[0].cname()), (ssrcs[0], Some(&text[..])));

        let reason = with_reason.then_some(&text[..]);
        let bytes = written(|writer| writer.bye(&ssrcs, reason));
        let Packet::Bye(bye) = only(&bytes) else { panic!() };
        prop_assert_eq!(bye.ssrcs().collect::<Vec<_>>(), ssrcs);
        prop_assert_eq!(bye.reason(), reason.map(str::as_bytes));
    }

    #[test]
    fn apps_round_trip(subtype in 0..32u8, ssrc: u32, name: [u8; 4], data in vec(any::<u8>(), 0..40)) {
        let bytes = written(|writer| writer.app(subtype, ssrc, name, &data));
        let Packet::App(app) = only(&bytes) else { panic!() };
        prop_assert_eq!((app.subtype, app.ssrc, app.name), (subtype, ssrc, name));
        let mut padded = data;
        padded.resize(padded.len().next_multiple_of(4), 0);
        prop_assert_eq!(app.data, padded);
    }

    #[test]
    fn feedback_round_trips(sender: u32, media: u32, sequence: u8, lost in vec(any::<u16>(), 1..40)) {
        let bytes = written(|writer| writer.pli(sender, media));
        prop_assert_eq!(only(&bytes), Packet::Pli(Pli { sender_ssrc: sender, media_ssrc: media }));

        let entries = [FirEntry { ssrc: media, sequence }, FirEntry { ssrc: sender, sequence: 0 }];
        let bytes = written(|writer| writer.fir(sender, &entries));
        let Packet::Fir(fir) = only(&bytes) else { panic!() };
        prop_assert_eq!(fir.sender_ssrc, sender);
        prop_assert!(fir.entries().eq(entries));

        let mut lost = lost;
        lost.sort_unstable();
        lost.dedup();
        let bytes = written(|writer| writer.nack(sender, media, &lost));
        let Packet::Nack(nack) = only(&bytes) else { panic!() };
        prop_assert_eq!((nack.sender_ssrc, nack.media_ssrc), (sender, media));
        prop_assert_eq!(nack.lost().collect::<Vec<_>>(), lost);
    }

    #[test]
    fn a_remb_is_rounded_down(bitrate: u64, shift in 0..64u32, ssrcs in vec(any::<u32>(), 0..=255)) {
        let bitrate = bitrate >> shift;
        let bytes = written(|writer| writer.remb(1, bitrate, &ssrcs));
        let Packet::Remb(remb) = only(&bytes) else { panic!() };
        prop_assert!(remb.bitrate_bps <= bitrate);
        prop_assert!(bitrate - remb.bitrate_bps <= bitrate >> 17);
        prop_assert_eq!(remb.ssrcs().collect::<Vec<_>>(), ssrcs);
    }

    #[test]
    fn transport_feedback_round_trips(head in any_head(), statuses in any_statuses()) {
        let bytes = written(|writer| writer.transport_cc(&head, statuses.iter().copied()));
        let Packet::TransportCc(feedback) = only(&bytes) else { panic!() };
        prop_assert_eq!(feedback.head, head);
        prop_assert_eq!(usize::from(feedback.status_count()), statuses.len());
        prop_assert_eq!(feedback.statuses().len(), statuses.len());
        let sequences = (0..).map(|index: u16| head.base_sequence.wrapping_add(index));
        prop_assert!(feedback.statuses().eq(sequences.zip(statuses)));
    }

    #[test]
    fn any_room_is_enough_or_left_alone(
        room in 0..200usize, head in any_head(), statuses in any_statuses(), info in any_info(), lost in vec(any::<u16>(), 0..9),
    ) {
        let mut buffer = vec![0; room];
        let mut writer = CompoundWriter::new(&mut buffer);
        let mut count = 0;
        let mut tally = |result: Result<(), BufferTooSmall>| count += usize::from(result.is_ok());
        tally(writer.sender_report(1, &info, &[ReportBlock::default()]));
        tally(writer.transport_cc(&head, statuses.iter().copied()));
        tally(if lost.is_empty() { Err(BufferTooSmall) } else { writer.nack(1, 2, &lost) });
        tally(writer.sdes_cname(1, "somebody"));
        tally(writer.pli(1, 2));
        let len = writer.finish();
        prop_assert_eq!(packets(&buffer[..len]).map(Result::unwrap).count(), count);
    }

    #[test]
    fn any_bytes_are_walked(bytes in vec(any::<u8>(), 0..160), packet_type in 200..207u8, count: u8) {
        crate::fuzzing::rtcp(&bytes);
        // Framed rightly, so that the bodies are reached.
        let mut bytes = bytes;
        bytes.resize(bytes.len().next_multiple_of(4).max(4), 0);
        let words = (bytes.len() / 4 - 1) as u8;
        bytes[..4].copy_from_slice(&[0x80 | (count & 0x3F), packet_type, 0, words]);
        crate::fuzzing::rtcp(&bytes);
        for format in [1, 4, 15] {
            bytes[0] = 0x80 | format;
            crate::fuzzing::rtcp(&bytes);
        }
    }

    #[test]
    fn damaged_compounds_are_walked(
        blocks in vec(any_block(), 0..3), head in any_head(), statuses in any_statuses(), ssrcs in vec(any::<u32>(), 0..4),
        reason in option::of("[a-z]{0,9}"), at in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = written(|writer| {
            writer.receiver_report(1, &blocks)?;
            writer.sdes_cname(1, "somebody")?;
            writer.transport_cc(&head, statuses.iter().copied())?;
            writer.remb(1, 1_000_000, &ssrcs)?;
            writer.bye(&ssrcs, reason.as_deref())
        });
        crate::fuzzing::rtcp(&bytes);
        for (index, byte) in at {
            *index.get_mut(&mut bytes) = byte;
            crate::fuzzing::rtcp(&bytes);
        }
    }
}
