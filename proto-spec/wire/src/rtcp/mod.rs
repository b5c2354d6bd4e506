//! RTCP: compounds as checked views, and the writer that appends packets to a buffer. RFC 3550 section 6, RFC 4585,
//! RFC 5104 (FIR), draft-alvestrand-rmcat-remb-03 and draft-holmer-rmcat-transport-wide-cc-extensions-01.
//!
//! [`packets`] walks a compound, reduced-size ones included (RFC 5506). A packet's body is checked whole before its view is
//! given out, so the views' accessors and iterators cannot fail.

mod app;
mod bye;
mod feedback;
mod remb;
mod report;
mod sdes;
#[cfg(test)]
mod tests;
mod transport_cc;
mod writer;

pub use crate::rtp::BufferTooSmall;
pub use app::App;
pub use bye::Bye;
pub use feedback::{Fir, FirEntry, Nack, Pli};
pub use remb::Remb;
pub use report::{ReceiverReport, ReportBlock, SenderInfo, SenderReport};
pub use sdes::{CNAME, Sdes, SdesChunk, SdesItem};
pub use transport_cc::{MAX_TRANSPORT_CC_STATUSES, TransportCc, TransportCcHead, TransportCcStatuses};
pub use writer::CompoundWriter;

/// Bytes of the header that every RTCP packet starts with, RFC 3550 section 6.4.1.
pub const HEADER_BYTES: usize = 4;
/// The most report blocks, chunks or sources that the header's 5-bit count can name.
pub const MAX_COUNT: usize = 31;

const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
const COUNT_MASK: u8 = 0x1F;

/// Packet types, RFC 3550 section 12.1 and RFC 4585 section 6.1.
mod packet_type {
    pub(super) const SENDER_REPORT: u8 = 200;
    pub(super) const RECEIVER_REPORT: u8 = 201;
    pub(super) const SDES: u8 = 202;
    pub(super) const BYE: u8 = 203;
    pub(super) const APP: u8 = 204;
    pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
}

/// Feedback message types, which stand in the header's count.
mod format {
    /// Transport feedback, RFC 4585 section 6.2.
    pub(super) const NACK: u8 = 1;
    /// Transport feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
    pub(super) const TRANSPORT_CC: u8 = 15;
    /// Payload-specific feedback, RFC 4585 section 6.3.
    pub(super) const PLI: u8 = 1;
    /// Payload-specific feedback, RFC 5104 section 4.3.
    pub(super) const FIR: u8 = 4;
    /// Payload-specific feedback of the application layer, RFC 4585 section 6.4; REMB is one.
    pub(super) const APPLICATION: u8 = 15;
}

/// Why bytes are no RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtcpError {
    /// Framing: the header or the length that it names runs past the end. Nothing after it can be read.
    #[error("RTCP packet runs past the end")]
    Truncated,
    /// Framing: the version is not 2. Nothing after it can be read.
    #[error("RTCP version is not 2")]
    Version,
    /// The padding counts 0 bytes, or more than the body has.
    #[error("RTCP padding count is 0 or more than the body")]
    Padding,
    /// The body of this packet is not what its type says.
    #[error("malformed RTCP packet of type {packet_type}, count {count}")]
    Malformed {
        /// The packet type.
        packet_type: u8,
        /// The header's count, format or subtype.
        count: u8,
    },
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Sender report, RFC 3550 section 6.4.1.
    SenderReport(SenderReport<'a>),
    /// Receiver report, RFC 3550 section 6.4.2.
    ReceiverReport(ReceiverReport<'a>),
    /// Source description, RFC 3550 section 6.5.
    Sdes(Sdes<'a>),
    /// Goodbye, RFC 3550 section 6.6.
    Bye(Bye<'a>),
    /// Application-defined, RFC 3550 section 6.7.
    App(App<'a>),
    /// Generic negative acknowledgement, RFC 4585 section 6.2.1.
    Nack(Nack<'a>),
    /// Transport-wide congestion control feedback.
    TransportCc(TransportCc<'a>),
    /// Picture loss indication, RFC 4585 section 6.3.1.
    Pli(Pli),
    /// Full intra request, RFC 5104 section 4.3.1.
    Fir(Fir<'a>),
    /// Receiver estimated maximum bitrate.
    Remb(Remb<'a>),
    /// A packet of a type or format that this module does not read.
    Unknown {
        /// The packet type.
        packet_type: u8,
        /// The header's count, format or subtype.
        count: u8,
        /// What follows the 4-byte header, without padding.
        body: &'a [u8],
    },
}

/// Walks the packets of a compound, which may be of reduced size. An empty compound has none.
#[must_use]
pub const fn packets(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound }
}

/// The iterator of [`packets`]. After an error of framing it ends; after an error inside of a packet it goes on behind it.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let frame = Frame::split(std::mem::take(&mut self.rest));
        Some(frame.and_then(|(frame, rest)| {
            self.rest = rest;
            frame.parse()
        }))
    }
}

/// A packet whose framing is checked and whose body is not.
struct Frame<'a> {
    padded: bool,
    count: u8,
    packet_type: u8,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Splits the first packet off.
    fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RtcpError> {
        let (&[first, packet_type, l0, l1], rest) =
            bytes.split_first_chunk::<HEADER_BYTES>().ok_or(RtcpError::Truncated)?;
        if first >> 6 != VERSION {
            return Err(RtcpError::Version);
        }
        let body_len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        let (body, rest) = rest.split_at_checked(body_len).ok_or(RtcpError::Truncated)?;
        let frame = Self { padded: first & PADDING_BIT != 0, count: first & COUNT_MASK, packet_type, body };
        Ok((frame, rest))
    }

    fn parse(self) -> Result<Packet<'a>, RtcpError> {
        let Self { count, packet_type, .. } = self;
        let body = self.unpadded().ok_or(RtcpError::Padding)?;
        let packet = match (packet_type, count) {
            (packet_type::SENDER_REPORT, _) => SenderReport::parse(count, body).map(Packet::SenderReport),
            (packet_type::RECEIVER_REPORT, _) => {
                ReceiverReport::parse(count, body).map(Packet::ReceiverReport)
            }
            (packet_type::SDES, _) => Sdes::parse(count, body).map(Packet::Sdes),
            (packet_type::BYE, _) => Bye::parse(count, body).map(Packet::Bye),
            (packet_type::APP, _) => App::parse(count, body).map(Packet::App),
            (packet_type::TRANSPORT_FEEDBACK, format::NACK) => Nack::parse(body).map(Packet::Nack),
            (packet_type::TRANSPORT_FEEDBACK, format::TRANSPORT_CC) => {
                TransportCc::parse(body).map(Packet::TransportCc)
            }
            (packet_type::PAYLOAD_FEEDBACK, format::PLI) => Pli::parse(body).map(Packet::Pli),
            (packet_type::PAYLOAD_FEEDBACK, format::FIR) => Fir::parse(body).map(Packet::Fir),
            (packet_type::PAYLOAD_FEEDBACK, format::APPLICATION) if Remb::has_name(body) => {
                Remb::parse(body).map(Packet::Remb)
            }
            _ => Some(Packet::Unknown { packet_type, count, body }),
        };
        packet.ok_or(RtcpError::Malformed { packet_type, count })
    }

    /// The body without padding, RFC 3550 section 6.4.1.
    fn unpadded(&self) -> Option<&'a [u8]> {
        if !self.padded {
            return Some(self.body);
        }
        let padding = usize::from(*self.body.last()?);
        if padding == 0 { None } else { self.body.get(..self.body.len().checked_sub(padding)?) }
    }
}

/// Splits a big-endian number off the front.
fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// Splits the two SSRCs off the front that every feedback message starts with: its sender, and the media it is about.
fn split_feedback(body: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (sender_ssrc, rest) = split_u32(body)?;
    let (media_ssrc, rest) = split_u32(rest)?;
    Some((sender_ssrc, media_ssrc, rest))
}

/// The bytes as whole items of `N` bytes; `None` if some are left over.
fn whole_chunks<const N: usize>(bytes: &[u8]) -> Option<&[[u8; N]]> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then_some(chunks)
}
