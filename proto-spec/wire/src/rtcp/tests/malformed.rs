//! Malformed packets that have felled others, or would. Each is followed by a PLI, which must be read where framing allows.

use super::*;

const PLI: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];

/// A packet with a rightful length, whose body is padded with zeros to whole words.
fn framed(first: u8, packet_type: u8, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let words = (body.len() / 4) as u8;
    [&[first, packet_type, 0, words], &body[..]].concat()
}

/// The body alone is malformed.
#[track_caller]
fn refused(packet: &[u8], error: RtcpError) {
    let bytes = [packet, &PLI].concat();
    crate::fuzzing::rtcp(&bytes);
    let mut packets = packets(&bytes);
    assert_eq!(packets.next(), Some(Err(error)));
    assert_eq!(packets.next(), Some(Ok(Packet::Pli(Pli { sender_ssrc: 1, media_ssrc: 2 }))));
    assert_eq!(packets.next(), None);
}

#[track_caller]
fn malformed(first: u8, packet_type: u8, body: &[u8]) {
    let count = first & COUNT_MASK;
    refused(&framed(first, packet_type, body), RtcpError::Malformed { packet_type, count });
}

/// The framing is broken, so nothing behind it is read.
#[track_caller]
fn ends(bytes: &[u8], error: RtcpError) {
    crate::fuzzing::rtcp(bytes);
    assert_eq!(packets(bytes).collect::<Vec<_>>(), [Err(error)]);
}

/// The content of transport-wide feedback on `count` packets.
fn transport_cc(count: u16, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
    let chunks: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.to_be_bytes()).collect();
    [&[0, 0, 0, 1, 0, 0, 0, 2, 0, 0], &count.to_be_bytes()[..], &[0, 0, 0, 0], &chunks, deltas].concat()
}

#[test]
fn an_empty_compound_has_no_packets() {
    assert_eq!(packets(&[]).next(), None);
}

#[test]
fn a_header_cut_short() {
    for len in 1..HEADER_BYTES {
        ends(&PLI[..len], RtcpError::Truncated);
    }
}

#[test]
fn a_length_past_the_datagram() {
    ends(&PLI[..11], RtcpError::Truncated);
    ends(&[0x80, 201, 0xFF, 0xFF, 0, 0, 0, 1], RtcpError::Truncated);
}

#[test]
fn other_versions() {
    for version in [0, 1, 3] {
        let mut bytes = PLI;
        bytes[0] = (version << 6) | 1;
        ends(&bytes, RtcpError::Version);
    }
}

#[test]
fn bodies_of_zero_length() {
    for packet_type in [200, 201, 204] {
        malformed(0x80, packet_type, &[]);
    }
    for (format, packet_type) in [(1, 205), (15, 205), (1, 206), (4, 206)] {
        malformed(0x80 | format, packet_type, &[]);
    }
    // Neither a source description nor a goodbye has to name anybody.
    for packet_type in [202, 203] {
        assert!(packets(&framed(0x80, packet_type, &[])).all(|packet| packet.is_ok()));
    }
}

#[test]
fn padding_of_zero_bytes() {
    refused(&framed(0xA0, 201, &[0, 0, 0, 1, 0, 0, 0, 0]), RtcpError::Padding);
}

#[test]
fn padding_longer_than_the_body() {
    refused(&framed(0xA0, 201, &[0, 0, 0, 1, 0, 0, 0, 9]), RtcpError::Padding);
    refused(&framed(0xA0, 201, &[]), RtcpError::Padding);
}

#[test]
fn padding_that_eats_the_body() {
    malformed(0xA0, 201, &[0, 0, 0, 1, 0, 0, 0, 8]);
}

#[test]
fn reports_with_a_wrong_count() {
    malformed(0x81, 201, &[0; 4]);
    malformed(0x82, 201, &[0; 4 + 24]);
    malformed(0x9F, 201, &[0; 4 + 24 * 30]);
    malformed(0x80, 200, &[0; 20]);
    malformed(0x81, 200, &[0; 24]);
    malformed(0x81, 200, &[0; 24 + 20]);
}

#[test]
fn a_report_with_a_profile_extension_is_read() {
    let bytes = framed(0x80, 201, &[0, 0, 0, 1, 9, 9, 9, 9]);
    assert!(matches!(only(&bytes), Packet::ReceiverReport(report) if report.reports().len() == 0));
}

#[test]
fn sdes_items_past_the_packet() {
    malformed(0x81, 202, &[0, 0, 0, 1, 1, 3, b'a', b'b']);
    malformed(0x81, 202, &[0, 0, 0, 1, 1, 255, b'a', b'b']);
    malformed(0x81, 202, &[0, 0, 0, 1, 0, 0, 0][..3]);
}

#[test]
fn an_sdes_chunk_without_its_end() {
    malformed(0x81, 202, &[0, 0, 0, 1, 1, 2, b'a', b'b']);
    malformed(0x81, 202, &[0, 0, 0, 1]);
    malformed(0x81, 202, &[0, 0, 0, 1, 1, 1, b'a', 1]);
}

#[test]
fn sdes_chunks_fewer_than_counted() {
    malformed(0x82, 202, &[0, 0, 0, 1, 1, 1, b'a', 0]);
}

#[test]
fn a_bye_reason_past_the_packet() {
    malformed(0x81, 203, &[0, 0, 0, 1, 4, b'a', b'b', b'c']);
    malformed(0x81, 203, &[0, 0, 0, 1, 255, b'a', b'b', b'c']);
}

#[test]
fn bye_sources_past_the_packet() {
    malformed(0x82, 203, &[0, 0, 0, 1]);
    malformed(0x9F, 203, &[0; 120]);
}

#[test]
fn an_app_without_its_name() {
    malformed(0x80, 204, &[0, 0, 0, 1]);
}

#[test]
fn feedback_without_content() {
    malformed(0x81, 205, &[0; 8]);
    malformed(0x84, 206, &[0; 8]);
    malformed(0x84, 206, &[0; 12]);
    malformed(0x81, 206, &[0; 12]);
}

#[test]
fn a_remb_that_counts_wrongly() {
    let head = [0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B'];
    for (count, ssrcs) in [(1, 0), (255, 1), (2, 1), (0, 1)] {
        malformed(0x8F, 206, &[&head[..], &[count, 0, 0, 1], &vec![0; ssrcs * 4]].concat());
    }
    malformed(0x8F, 206, &head);
}

#[test]
fn a_remb_beyond_64_bits_saturates() {
    let bytes = framed(0x8F, 206, &[0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 0, 0xFF, 0xFF, 0xFF]);
    let Packet::Remb(remb) = only(&bytes) else { panic!() };
    assert_eq!(remb.bitrate_bps, u64::MAX);
}

#[test]
fn transport_feedback_with_the_reserved_symbol() {
    malformed(0x8F, 205, &transport_cc(1, &[0x6001], &[0; 6]));
    malformed(0x8F, 205, &transport_cc(7, &[0xC003], &[0; 20]));
    // Behind the last packet it means nothing.
    let bytes = framed(0x8F, 205, &transport_cc(6, &[0xC003], &[]));
    assert!(matches!(only(&bytes), Packet::TransportCc(feedback) if feedback.statuses().count() == 6));
}

#[test]
fn transport_feedback_on_nothing() {
    malformed(0x8F, 205, &transport_cc(0, &[], &[]));
    malformed(0x8F, 205, &transport_cc(0, &[0x2001], &[1, 0]));
}

#[test]
fn transport_feedback_with_too_few_chunks() {
    malformed(0x8F, 205, &transport_cc(1, &[], &[]));
    malformed(0x8F, 205, &transport_cc(15, &[0x8000], &[]));
    malformed(0x8F, 205, &transport_cc(2, &[0x0001], &[]));
}

#[test]
fn transport_feedback_with_too_few_deltas() {
    malformed(0x8F, 205, &transport_cc(3, &[0x2003], &[1, 2]));
    malformed(0x8F, 205, &transport_cc(2, &[0x4002], &[0, 1]));
    malformed(0x8F, 205, &transport_cc(8_192, &[0x5FFF, 0x4001], &[0; 100]));
}

#[test]
fn transport_feedback_with_empty_runs() {
    // They cost their bytes and nothing else.
    malformed(0x8F, 205, &transport_cc(1, &[0; 100], &[]));
    let bytes = framed(0x8F, 205, &transport_cc(1, &[0, 0, 0x2000, 0x2001], &[5, 0, 0, 0]));
    let Packet::TransportCc(feedback) = only(&bytes) else { panic!() };
    assert_eq!(feedback.statuses().collect::<Vec<_>>(), [(0, Some(5))]);
}

#[test]
fn transport_feedback_that_is_a_run_length_bomb() {
    malformed(0x8F, 205, &transport_cc(65_535, &[0x1FFF; 9], &[]));
    malformed(0x8F, 205, &transport_cc(MAX_TRANSPORT_CC_STATUSES + 1, &[0x1FFF; 9], &[]));
}

#[test]
fn a_run_longer_than_the_count_is_cut() {
    let bytes = framed(0x8F, 205, &transport_cc(2, &[0x3FFF], &[1, 2]));
    let Packet::TransportCc(feedback) = only(&bytes) else { panic!() };
    assert_eq!(feedback.statuses().collect::<Vec<_>>(), [(0, Some(1)), (1, Some(2))]);
}
