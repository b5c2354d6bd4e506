//! Sender and receiver reports, RFC 3550 section 6.4.

use super::{BufferTooSmall, split_u32};
use crate::rtp::Put;

const SENDER_INFO_BYTES: usize = 20;
const REPORT_BLOCK_BYTES: usize = 24;
/// The cumulative loss is a signed number of 24 bits.
const CUMULATIVE_LOST_RANGE: (i32, i32) = (-(1 << 23), (1 << 23) - 1);

/// How one source is received, RFC 3550 section 6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start, 24 bits signed (duplicates count as negative loss); clamped when written.
    pub cumulative_lost: i32,
    /// The highest sequence number received, extended by the count of its cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter, in ticks of the RTP clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP timestamp of the last sender report; 0 if there was none.
    pub last_sr: u32,
    /// The time since that report came, in 1/65,536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn parse(bytes: &[u8; REPORT_BLOCK_BYTES]) -> Self {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self {
            ssrc: word(0),
            fraction_lost: bytes[4],
            cumulative_lost: (word(4) << 8).cast_signed() >> 8,
            highest_sequence: word(8),
            jitter: word(12),
            last_sr: word(16),
            delay_since_last_sr: word(20),
        }
    }

    pub(super) fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        let (min, max) = CUMULATIVE_LOST_RANGE;
        let lost = self.cumulative_lost.clamp(min, max).cast_unsigned() & 0x00FF_FFFF;
        put.u32(self.ssrc)?;
        put.u32((u32::from(self.fraction_lost) << 24) | lost)?;
        put.u32(self.highest_sequence)?;
        put.u32(self.jitter)?;
        put.u32(self.last_sr)?;
        put.u32(self.delay_since_last_sr)
    }
}

/// What a sender says of its own stream, RFC 3550 section 6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SenderInfo {
    /// The time of the report as an NTP timestamp (UQ32.32 s).
    pub ntp: u64,
    /// The same time on the stream's RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent since the start, modulo 2^32.
    pub packet_count: u32,
    /// Payload bytes sent since the start, modulo 2^32.
    pub octet_count: u32,
}

impl SenderInfo {
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (info, rest) = bytes.split_first_chunk::<SENDER_INFO_BYTES>()?;
        let (ntp, words) = info.split_first_chunk::<8>()?;
        let (rtp_timestamp, words) = split_u32(words)?;
        let (packet_count, words) = split_u32(words)?;
        let (octet_count, _) = split_u32(words)?;
        Some((Self { ntp: u64::from_be_bytes(*ntp), rtp_timestamp, packet_count, octet_count }, rest))
    }

    pub(super) fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        put.u64(self.ntp)?;
        put.u32(self.rtp_timestamp)?;
        put.u32(self.packet_count)?;
        put.u32(self.octet_count)
    }
}

/// A view of a sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport<'a> {
    ssrc: u32,
    info: SenderInfo,
    blocks: &'a [[u8; REPORT_BLOCK_BYTES]],
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = split_u32(body)?;
        let (info, rest) = SenderInfo::split(rest)?;
        Some(Self { ssrc, info, blocks: blocks(count, rest)? })
    }

    /// The sender.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// What the sender says of its stream.
    #[must_use]
    pub const fn info(&self) -> SenderInfo {
        self.info
    }

    /// How the sender receives others, at most 31.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = ReportBlock> + Clone + 'a {
        self.blocks.iter().map(ReportBlock::parse)
    }
}

/// A view of a receiver report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    ssrc: u32,
    blocks: &'a [[u8; REPORT_BLOCK_BYTES]],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = split_u32(body)?;
        Some(Self { ssrc, blocks: blocks(count, rest)? })
    }

    /// Who reports.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// How it receives others, at most 31.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = ReportBlock> + Clone + 'a {
        self.blocks.iter().map(ReportBlock::parse)
    }
}

/// The first `count` blocks. What follows is a profile's extension, which is none of ours.
fn blocks(count: u8, bytes: &[u8]) -> Option<&[[u8; REPORT_BLOCK_BYTES]]> {
    bytes.as_chunks().0.get(..usize::from(count))
}
