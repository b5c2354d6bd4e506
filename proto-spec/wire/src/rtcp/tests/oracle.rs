//! Against an independent implementation, in both directions.

use bytes::Bytes;
use rtcp::goodbye::Goodbye;
use rtcp::packet::Packet as Theirs;
use rtcp::payload_feedbacks::full_intra_request::{self, FullIntraRequest};
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtcp::receiver_report::ReceiverReport as TheirReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport as TheirSenderReport;
use rtcp::source_description::{SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem};
use rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, RunLengthChunk, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
    SymbolTypeTcc, TransportLayerCc,
};
use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};

use super::*;

/// Microseconds in the unit of a delta.
const DELTA_MICROS: i64 = 250;

type Boxed = Box<dyn Theirs + Send + Sync>;

/// What the oracle makes of a packet of ours.
fn read_by_oracle<T: Clone + 'static>(bytes: &[u8]) -> T {
    let packets = rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(bytes)).unwrap();
    assert_eq!(packets.len(), 1);
    packets[0].as_any().downcast_ref::<T>().unwrap().clone()
}

fn written_by_oracle(packet: impl Theirs + Send + Sync + 'static) -> Bytes {
    rtcp::packet::marshal(&[Box::new(packet) as Boxed]).unwrap()
}

fn their_block(block: &ReportBlock) -> ReceptionReport {
    ReceptionReport {
        ssrc: block.ssrc,
        fraction_lost: block.fraction_lost,
        total_lost: block.cumulative_lost.cast_unsigned() & 0x00FF_FFFF,
        last_sequence_number: block.highest_sequence,
        jitter: block.jitter,
        last_sender_report: block.last_sr,
        delay: block.delay_since_last_sr,
    }
}

fn their_sender_report(ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) -> TheirSenderReport {
    TheirSenderReport {
        ssrc,
        ntp_time: info.ntp,
        rtp_time: info.rtp_timestamp,
        packet_count: info.packet_count,
        octet_count: info.octet_count,
        reports: blocks.iter().map(their_block).collect(),
        profile_extensions: Bytes::new(),
    }
}

fn their_cname(ssrc: u32, cname: &str) -> SourceDescription {
    let text = Bytes::copy_from_slice(cname.as_bytes());
    let items = vec![SourceDescriptionItem { sdes_type: SdesType::SdesCname, text }];
    SourceDescription { chunks: vec![SourceDescriptionChunk { source: ssrc, items }] }
}

/// The statuses of feedback that the oracle read.
fn their_statuses(feedback: &TransportLayerCc) -> Vec<Option<i16>> {
    let symbols = feedback.packet_chunks.iter().flat_map(|chunk| match chunk {
        PacketStatusChunk::RunLengthChunk(run) => {
            vec![run.packet_status_symbol; usize::from(run.run_length)]
        }
        PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
    });
    let mut deltas = feedback.recv_deltas.iter();
    symbols
        .take(usize::from(feedback.packet_status_count))
        .map(|symbol| match symbol {
            SymbolTypeTcc::PacketNotReceived => None,
            _ => Some((deltas.next().unwrap().delta / DELTA_MICROS) as i16),
        })
        .collect()
}

/// A chunk of the oracle's, with the statuses that it stands for.
fn any_chunk() -> impl Strategy<Value = (PacketStatusChunk, Vec<Option<i16>>)> {
    let lost = || Just(None);
    let small = || (0..256i16).prop_map(Some);
    let large = || prop_oneof![256..=i16::MAX, i16::MIN..0].prop_map(Some);
    let one_bit = vec(prop_oneof![lost(), small()], 14)
        .prop_map(|list| (vector(SymbolSizeTypeTcc::OneBit, &list), list));
    let two_bit = vec(prop_oneof![lost(), small(), large()], 7)
        .prop_map(|list| (vector(SymbolSizeTypeTcc::TwoBit, &list), list));
    let run = prop_oneof![vec(lost(), 1..30), vec(small(), 1..30), vec(large(), 1..30)].prop_map(|list| {
        let run = RunLengthChunk {
            type_tcc: StatusChunkTypeTcc::RunLengthChunk,
            packet_status_symbol: symbol(list[0]),
            run_length: list.len() as u16,
        };
        (PacketStatusChunk::RunLengthChunk(run), list)
    });
    prop_oneof![one_bit, two_bit, run]
}

fn vector(symbol_size: SymbolSizeTypeTcc, statuses: &[Option<i16>]) -> PacketStatusChunk {
    PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
        type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
        symbol_size,
        symbol_list: statuses.iter().copied().map(symbol).collect(),
    })
}

fn symbol(status: Option<i16>) -> SymbolTypeTcc {
    match status {
        None => SymbolTypeTcc::PacketNotReceived,
        Some(0..256) => SymbolTypeTcc::PacketReceivedSmallDelta,
        Some(_) => SymbolTypeTcc::PacketReceivedLargeDelta,
    }
}

proptest! {
    #[test]
    fn reports(ssrc: u32, info in any_info(), blocks in vec(any_block(), 0..=31)) {
        let theirs = their_sender_report(ssrc, &info, &blocks);
        let ours = written(|writer| writer.sender_report(ssrc, &info, &blocks));
        prop_assert_eq!(&read_by_oracle::<TheirSenderReport>(&ours), &theirs);
        prop_assert_eq!(&written_by_oracle(theirs)[..], ours);

        let theirs = TheirReceiverReport {
            ssrc,
            reports: blocks.iter().map(their_block).collect(),
            profile_extensions: Bytes::new(),
        };
        let ours = written(|writer| writer.receiver_report(ssrc, &blocks));
        prop_assert_eq!(&read_by_oracle::<TheirReceiverReport>(&ours), &theirs);
        prop_assert_eq!(&written_by_oracle(theirs)[..], ours);
    }

    #[test]
    fn texts(ssrcs in vec(any::<u32>(), 1..=31), text in "[a-z]{0,255}") {
        let theirs = their_cname(ssrcs[0], &text);
        let ours = written(|writer| writer.sdes_cname(ssrcs[0], &text));
        prop_assert_eq!(&read_by_oracle::<SourceDescription>(&ours), &theirs);
        let bytes = written_by_oracle(theirs);
        let Packet::Sdes(sdes) = only(&bytes) else { panic!() };
        prop_assert_eq!(sdes.chunks().map(|chunk| (chunk.ssrc, chunk.cname())).collect::<Vec<_>>(), [(ssrcs[0], Some(&text[..]))]);

        let theirs = Goodbye { sources: ssrcs.clone(), reason: Bytes::copy_from_slice(text.as_bytes()) };
        let ours = written(|writer| writer.bye(&ssrcs, Some(&text)));
        prop_assert_eq!(&read_by_oracle::<Goodbye>(&ours), &theirs);
        let bytes = written_by_oracle(theirs);
        let Packet::Bye(bye) = only(&bytes) else { panic!() };
        prop_assert_eq!(bye.ssrcs().collect::<Vec<_>>(), ssrcs);
        prop_assert_eq!(bye.reason(), Some(text.as_bytes()));
    }

    #[test]
    fn several_sdes_chunks(chunks in vec((any::<u32>(), vec("[a-z]{0,20}", 0..3)), 0..5)) {
        let item = |text: &String| SourceDescriptionItem {
            sdes_type: SdesType::SdesNote,
            text: Bytes::copy_from_slice(text.as_bytes()),
        };
        let theirs = chunks
            .iter()
            .map(|(source, texts)| SourceDescriptionChunk { source: *source, items: texts.iter().map(item).collect() })
            .collect();
        let bytes = written_by_oracle(SourceDescription { chunks: theirs });
        let Packet::Sdes(sdes) = only(&bytes) else { panic!() };
        let read: Vec<(u32, Vec<String>)> = sdes
            .chunks()
            .map(|chunk| {
                let texts = chunk.items().map(|item| String::from_utf8(item.text.to_vec()).unwrap());
                (chunk.ssrc, texts.collect())
            })
            .collect();
        prop_assert_eq!(read, chunks);
    }

    #[test]
    fn nacks(sender_ssrc: u32, media_ssrc: u32, pairs in vec(any::<(u16, u16)>(), 1..20)) {
        let nacks: Vec<_> = pairs.iter().map(|&(packet_id, lost_packets)| NackPair { packet_id, lost_packets }).collect();
        let lost: Vec<u16> = nacks.iter().flat_map(|pair| pair.into_iter()).collect();
        let theirs = TransportLayerNack { sender_ssrc, media_ssrc, nacks };
        let bytes = written_by_oracle(theirs);
        let Packet::Nack(nack) = only(&bytes) else { panic!() };
        prop_assert_eq!((nack.sender_ssrc, nack.media_ssrc), (sender_ssrc, media_ssrc));
        prop_assert_eq!(nack.pairs().collect::<Vec<_>>(), pairs);
        prop_assert_eq!(nack.lost().collect::<Vec<_>>(), &lost[..]);

        let ours = written(|writer| writer.nack(sender_ssrc, media_ssrc, &lost));
        let read = read_by_oracle::<TransportLayerNack>(&ours);
        prop_assert_eq!((read.sender_ssrc, read.media_ssrc), (sender_ssrc, media_ssrc));
        let set = |list: Vec<u16>| list.into_iter().collect::<std::collections::BTreeSet<_>>();
        let read = read.nacks.iter().flat_map(|pair| pair.into_iter()).collect();
        prop_assert_eq!(set(read), set(lost));
    }

    #[test]
    fn key_frame_requests(sender_ssrc: u32, media_ssrc: u32, streams in vec(any::<(u32, u8)>(), 1..9)) {
        let theirs = PictureLossIndication { sender_ssrc, media_ssrc };
        let ours = written(|writer| writer.pli(sender_ssrc, media_ssrc));
        prop_assert_eq!(&read_by_oracle::<PictureLossIndication>(&ours), &theirs);
        prop_assert_eq!(&written_by_oracle(theirs)[..], ours);

        let entries: Vec<_> = streams.iter().map(|&(ssrc, sequence)| FirEntry { ssrc, sequence }).collect();
        let fir = streams
            .iter()
            .map(|&(ssrc, sequence_number)| full_intra_request::FirEntry { ssrc, sequence_number })
            .collect();
        let theirs = FullIntraRequest { sender_ssrc, media_ssrc: 0, fir };
        let ours = written(|writer| writer.fir(sender_ssrc, &entries));
        prop_assert_eq!(&read_by_oracle::<FullIntraRequest>(&ours), &theirs);
        prop_assert_eq!(&written_by_oracle(theirs)[..], ours);
    }

    #[test]
    fn rembs(sender_ssrc: u32, mantissa in 0..1u64 << 18, exponent in 0..46u32, ssrcs in vec(any::<u32>(), 0..9)) {
        // 18 bits are exact in the oracle's f32.
        let bitrate = mantissa << exponent;
        let theirs = ReceiverEstimatedMaximumBitrate { sender_ssrc, bitrate: bitrate as f32, ssrcs: ssrcs.clone() };
        let ours = written(|writer| writer.remb(sender_ssrc, bitrate, &ssrcs));
        if mantissa > 0 {
            prop_assert_eq!(&read_by_oracle::<ReceiverEstimatedMaximumBitrate>(&ours), &theirs);
        }
        let bytes = written_by_oracle(theirs);
        let Packet::Remb(remb) = only(&bytes) else { panic!() };
        prop_assert_eq!((remb.sender_ssrc, remb.bitrate_bps), (sender_ssrc, bitrate));
        prop_assert_eq!(remb.ssrcs().collect::<Vec<_>>(), ssrcs);
    }

    #[test]
    fn the_oracle_reads_our_transport_feedback(head in any_head(), mut statuses in any_statuses()) {
        // The oracle refuses feedback that ends with its chunks.
        statuses.push(Some(0));
        let bytes = written(|writer| writer.transport_cc(&head, statuses.iter().copied()));
        let read = read_by_oracle::<TransportLayerCc>(&bytes);
        prop_assert_eq!((read.sender_ssrc, read.media_ssrc), (head.sender_ssrc, head.media_ssrc));
        prop_assert_eq!((read.base_sequence_number, read.reference_time), (head.base_sequence, head.reference_time));
        prop_assert_eq!(read.fb_pkt_count, head.feedback_count);
        prop_assert_eq!(their_statuses(&read), statuses);
    }

    #[test]
    fn we_read_the_oracles_transport_feedback(head in any_head(), chunks in vec(any_chunk(), 1..9)) {
        let statuses: Vec<_> = chunks.iter().flat_map(|(_, statuses)| statuses.clone()).collect();
        let deltas = statuses.iter().filter_map(|status| {
            let delta = i64::from((*status)?) * DELTA_MICROS;
            Some(RecvDelta { type_tcc_packet: symbol(*status), delta })
        });
        let theirs = TransportLayerCc {
            sender_ssrc: head.sender_ssrc,
            media_ssrc: head.media_ssrc,
            base_sequence_number: head.base_sequence,
            packet_status_count: statuses.len() as u16,
            reference_time: head.reference_time,
            fb_pkt_count: head.feedback_count,
            packet_chunks: chunks.iter().map(|(chunk, _)| chunk.clone()).collect(),
            recv_deltas: deltas.collect(),
        };
        let bytes = written_by_oracle(theirs);
        let Packet::TransportCc(feedback) = only(&bytes) else { panic!() };
        prop_assert_eq!(feedback.head, head);
        prop_assert_eq!(feedback.statuses().map(|(_, delta)| delta).collect::<Vec<_>>(), statuses);
    }
}
