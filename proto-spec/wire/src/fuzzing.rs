//! Bodies of the fuzz targets of RTP, RTCP and control messages, which the unit tests run as well.
//!
//! Each is a total function of its input that panics if a parser breaks a promise: what is accepted adds up, its iterators are
//! bounded, and written again it reads the same.

use crate::control::{self, Message, OutMessage, PageHeader, StateKind};
use crate::descriptor::{Descriptors, av1, vp8};
use crate::ext::{Extensions, FrameMarking, MediaExtensions, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};
use crate::feedback::{self, Feedback};
use crate::payload_type::PayloadType;
use crate::red::{self, Red};
use crate::rtcp::{self, App, CompoundWriter, Packet};
use crate::rtp::{BufferTooSmall, RtpHeader, RtpPacket};

/// Reads an RTP packet and writes its header again.
///
/// # Panics
/// If the parser breaks a promise.
pub fn rtp(bytes: &[u8]) {
    let Ok(packet) = RtpPacket::parse(bytes) else { return };
    assert_eq!(packet.header_len() + packet.payload().len() + packet.padding_len(), bytes.len());
    let elements: usize = packet.extensions().map(|extension| extension.data.len() + 1).sum();
    assert!(elements <= packet.header_len());

    let csrcs: Vec<u32> = packet.csrcs().collect();
    let extensions = MediaExtensions::read(&packet);
    let header = RtpHeader {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence_number: packet.sequence_number(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        csrcs: &csrcs,
        extensions: &extensions,
    };
    let mut written = vec![0; header.len()];
    assert_eq!(header.write(&mut written), Ok(written.len()));
    let again = RtpPacket::parse(&written).expect("a written header is well-formed");
    assert_eq!(MediaExtensions::read(&again), extensions);
    assert_eq!((again.marker(), again.payload_type()), (packet.marker(), packet.payload_type()));
    assert_eq!((again.sequence_number(), again.timestamp()), (packet.sequence_number(), packet.timestamp()));
    assert_eq!(again.ssrc(), packet.ssrc());
    assert!(again.csrcs().eq(packet.csrcs()));
}

/// Reads a payload as each codec's, and writes other numbers over those of a VP8 descriptor.
///
/// # Panics
/// If a parser breaks a promise.
pub fn descriptor(payload: &[u8], marker: bool) {
    let mut descriptors = Descriptors::default();
    for payload_type in [PayloadType::Vp8, PayloadType::H264, PayloadType::Vp9, PayloadType::Av1] {
        let marking = descriptors.marking(payload_type, payload, marker);
        assert!(marking.is_none_or(|marking| FrameMarking::parse(&marking.to_bytes()) == Some(marking)));
    }
    let Some(before) = vp8::Descriptor::parse(payload) else { return };
    assert!(usize::from(before.len) < payload.len());
    let mut copy = payload.to_vec();
    before.renumber(&mut copy, 0x5A5A, 0xA5);
    let after = vp8::Descriptor::parse(&copy).expect("only the numbers have changed");
    let expected = vp8::Descriptor {
        picture_id: before.picture_id.map(|id| vp8::PictureId { value: 0x5A5A & id.mask(), ..id }),
        tl0_pic_idx: before.tl0_pic_idx.map(|index| vp8::Tl0PicIdx { value: 0xA5, ..index }),
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(copy[usize::from(before.len)..], payload[usize::from(before.len)..]);
}

/// Reads the descriptors of a stream: each has a first byte with its length and, in the highest bit, whether it is AV1's in an
/// extension or VP9's in a payload.
///
/// # Panics
/// If a parser breaks a promise.
pub fn descriptor_stream(bytes: &[u8]) {
    let (mut vp9, mut av1, mut rest) = (Descriptors::default(), Descriptors::default(), bytes);
    while let Some((&head, behind)) = rest.split_first() {
        let (data, behind) = behind.split_at(behind.len().min(usize::from(head & 0x7F)));
        rest = behind;
        let marking = if head & 0x80 == 0 {
            vp9.marking(PayloadType::Vp9, data, false)
        } else {
            av1.marking_of_dependency(data)
        };
        assert!(marking.is_none_or(|marking| !marking.base_sync || marking.temporal_id > 0));
        let targets = av1.structure().map_or(0, |structure| structure.targets().len());
        assert!(targets <= av1::MAX_TARGETS);
    }
}

/// Walks an extension block in both forms.
///
/// # Panics
/// If the elements are more than the block.
pub fn extensions(block: &[u8]) {
    for profile in [ONE_BYTE_PROFILE, TWO_BYTE_PROFILE] {
        let walked: usize =
            Extensions::from_block(profile, block).map(|extension| extension.data.len() + 1).sum();
        assert!(walked <= block.len());
    }
}

/// Walks a compound, and writes each of its packets again.
///
/// # Panics
/// If a parser breaks a promise.
pub fn rtcp(compound: &[u8]) {
    // Status chunks are chosen greedily, which takes at most twice as many as were read. Nothing else grows.
    let mut buffer = vec![0; 2 * compound.len()];
    let mut count = 0;
    for packet in rtcp::packets(compound) {
        count += 1;
        let Ok(packet) = packet else { continue };
        let mut writer = CompoundWriter::new(&mut buffer);
        match rewrite(&mut writer, &packet) {
            None => continue,
            Some(written) => written.expect("what was read can be written"),
        }
        let again = rtcp::packets(writer.as_bytes()).next();
        assert_same(&packet, again.and_then(Result::ok).expect("a written packet is well-formed"));
    }
    assert!(count <= compound.len().div_ceil(rtcp::HEADER_BYTES));
}

/// Writes a packet again; `None` for those that have no writer.
fn rewrite(writer: &mut CompoundWriter<'_>, packet: &Packet<'_>) -> Option<Result<(), BufferTooSmall>> {
    Some(match packet {
        Packet::SenderReport(sr) => {
            writer.sender_report(sr.ssrc(), &sr.info(), &sr.reports().collect::<Vec<_>>())
        }
        Packet::ReceiverReport(rr) => writer.receiver_report(rr.ssrc(), &rr.reports().collect::<Vec<_>>()),
        Packet::Sdes(sdes) => {
            let chunk = sdes.chunks().next()?;
            writer.sdes_cname(chunk.ssrc, chunk.cname()?)
        }
        Packet::Bye(bye) => {
            let reason = bye.reason().map(str::from_utf8).transpose().ok()?;
            writer.bye(&bye.ssrcs().collect::<Vec<_>>(), reason)
        }
        Packet::App(app) => writer.app(app.subtype, app.ssrc, app.name, app.data),
        Packet::Nack(nack) => {
            writer.nack(nack.sender_ssrc, nack.media_ssrc, &nack.lost().collect::<Vec<_>>())
        }
        Packet::TransportCc(feedback) => {
            writer.transport_cc(&feedback.head, feedback.statuses().map(|(_, delta)| delta))
        }
        Packet::Pli(pli) => writer.pli(pli.sender_ssrc, pli.media_ssrc),
        Packet::Fir(fir) => writer.fir(fir.sender_ssrc, &fir.entries().collect::<Vec<_>>()),
        Packet::Remb(remb) => {
            writer.remb(remb.sender_ssrc, remb.bitrate_bps, &remb.ssrcs().collect::<Vec<_>>())
        }
        Packet::Unknown { .. } => return None,
    })
}

/// Asserts that a packet says what it said before it was written again.
fn assert_same(before: &Packet<'_>, after: Packet<'_>) {
    match (*before, after) {
        (Packet::SenderReport(before), Packet::SenderReport(after)) => {
            assert_eq!((before.ssrc(), before.info()), (after.ssrc(), after.info()));
            assert!(before.reports().eq(after.reports()));
        }
        (Packet::ReceiverReport(before), Packet::ReceiverReport(after)) => {
            assert_eq!(before.ssrc(), after.ssrc());
            assert!(before.reports().eq(after.reports()));
        }
        (Packet::Sdes(before), Packet::Sdes(after)) => {
            let name = |sdes: rtcp::Sdes<'_>| {
                sdes.chunks().next().map(|chunk| (chunk.ssrc, chunk.cname().map(str::to_owned)))
            };
            assert_eq!(name(before), name(after));
        }
        (Packet::Bye(before), Packet::Bye(after)) => {
            assert!(before.ssrcs().eq(after.ssrcs()));
            assert_eq!(before.reason(), after.reason());
        }
        (Packet::App(before), Packet::App(after)) => {
            assert_eq!((before.subtype, before.ssrc, before.name), (after.subtype, after.ssrc, after.name));
            assert_eq!(Some(before.data), after.data.get(..before.data.len()));
        }
        (Packet::Nack(before), Packet::Nack(after)) => {
            let sorted = |nack: rtcp::Nack<'_>| nack.lost().collect::<std::collections::BTreeSet<_>>();
            assert_eq!(sorted(before), sorted(after));
        }
        (Packet::TransportCc(before), Packet::TransportCc(after)) => {
            assert_eq!(before.head, after.head);
            assert_eq!(before.statuses().count(), usize::from(before.status_count()));
            assert!(before.statuses().eq(after.statuses()));
        }
        (Packet::Pli(before), Packet::Pli(after)) => assert_eq!(before, after),
        (Packet::Fir(before), Packet::Fir(after)) => assert!(before.entries().eq(after.entries())),
        (Packet::Remb(before), Packet::Remb(after)) => {
            assert!(before.ssrcs().eq(after.ssrcs()));
            // Only u64::MAX, which stands for more than 64 bits, is not exact in 18 bits.
            assert!(before.bitrate_bps == after.bitrate_bps || before.bitrate_bps == u64::MAX);
        }
        (before, after) => panic!("{before:?} became {after:?}"),
    }
}

/// Reads a control message, whose subtype is the first byte's, and writes it again.
///
/// # Panics
/// If the parser breaks a promise.
pub fn control(bytes: &[u8]) {
    let Some((subtype, data)) = bytes.split_first() else { return };
    let app = App { subtype: subtype & 0x1F, ssrc: 7, name: control::APP_NAME, data };
    // Feedback has a target of its own.
    let Some(message) = Message::parse(&app).ok().filter(|message| !matches!(message, Message::Feedback(_)))
    else {
        return;
    };
    let mut buffer = vec![0; data.len() + 64];
    let mut writer = CompoundWriter::new(&mut buffer);
    write_again(&mut writer, &message);
    let Some(Ok(Packet::App(again))) = rtcp::packets(writer.as_bytes()).next() else {
        panic!("{message:?} was not written as an APP packet");
    };
    let again = Message::parse(&again).expect("a written message is well-formed");
    match (message, again) {
        (Message::Ack(before), Message::Ack(after)) => assert!(before.entries().eq(after.entries())),
        (Message::Page(before), Message::Page(after)) => {
            assert_eq!((before.kind, before.version), (after.kind, after.version));
            assert_eq!((before.page, before.pages), (after.page, after.pages));
            let count = before.published().count()
                + before.wanted().count()
                + before.shown().count()
                + before.demand().count()
                + before.speakers().count();
            assert_eq!(count, usize::from(before.entry_count()));
            assert!(before.published().eq(after.published()));
            assert!(before.wanted().eq(after.wanted()));
            assert!(before.shown().eq(after.shown()));
            assert!(before.demand().eq(after.demand()));
            assert!(before.speakers().eq(after.speakers()));
        }
        (before, after) => assert_eq!(before, after),
    }
}

fn write_again(writer: &mut CompoundWriter<'_>, message: &Message<'_>) {
    let mut write = |message: OutMessage<'_>| {
        control::write_message(writer, 7, &message).expect("what was read can be written");
    };
    match message {
        Message::Ping(token) => write(OutMessage::Ping(*token)),
        Message::Pong(token) => write(OutMessage::Pong(*token)),
        Message::PathChallenge(bytes) => write(OutMessage::PathChallenge(*bytes)),
        Message::PathResponse(bytes) => write(OutMessage::PathResponse(*bytes)),
        Message::Move => write(OutMessage::Move),
        Message::Close(code) => write(OutMessage::Close(*code)),
        Message::Ack(acks) => write(OutMessage::Ack(&acks.entries().collect::<Vec<_>>())),
        Message::Feedback(_) => unreachable!("it has a target of its own"),
        Message::Page(page) => {
            let header = PageHeader { version: page.version, page: page.page, pages: page.pages };
            match page.kind {
                StateKind::Published => {
                    write(OutMessage::Published(header, &page.published().collect::<Vec<_>>()));
                }
                StateKind::Wanted => write(OutMessage::Wanted(header, &page.wanted().collect::<Vec<_>>())),
                StateKind::Shown => write(OutMessage::Shown(header, &page.shown().collect::<Vec<_>>())),
                StateKind::Demand => write(OutMessage::Demand(header, &page.demand().collect::<Vec<_>>())),
                StateKind::Speakers => {
                    write(OutMessage::Speakers(header, &page.speakers().collect::<Vec<_>>()));
                }
            }
        }
    }
}

/// Reads the body of a feedback message and writes it again.
///
/// # Panics
/// If the parser breaks a promise.
pub fn feedback(data: &[u8]) {
    let app = App { subtype: feedback::FEEDBACK_SUBTYPE, ssrc: 7, name: control::APP_NAME, data };
    let Ok(before) = Feedback::parse(&app) else { return };
    assert_eq!(before.packets().count(), usize::from(before.packet_count()));
    let packets = before.packets().map(|(_, arrival)| arrival);
    assert!(packets.clone().last().is_some_and(|last| last.is_some()));
    // The writer begins with the first arrival, so it needs no more bytes than were read.
    let mut buffer = vec![0; data.len() + 64];
    let mut writer = CompoundWriter::new(&mut buffer);
    feedback::write_feedback(&mut writer, 7, before.base(), before.hold(), packets)
        .expect("what was read can be written");
    let Some(Ok(Packet::App(again))) = rtcp::packets(writer.as_bytes()).next() else {
        panic!("{before:?} was not written as an APP packet");
    };
    let after = Feedback::parse(&again).expect("a written message is well-formed");
    assert_eq!((before.base(), before.hold()), (after.base(), after.hold()));
    assert!(before.packets().eq(after.packets()));
}

/// Reads a payload as redundant audio and writes it again.
///
/// # Panics
/// If the parser breaks a promise.
pub fn red(payload: &[u8]) {
    let Ok(red) = Red::parse(payload) else { return };
    let copies: Vec<_> = red.copies().collect();
    let mut written = vec![0; payload.len()];
    assert_eq!(red::write(&copies, red.payload_type, red.payload, &mut written), Ok(payload.len()));
    assert_eq!(written, payload);
}
