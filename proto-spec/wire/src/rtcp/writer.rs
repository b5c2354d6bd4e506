//! The writer of compounds.

use super::feedback::put_lost;
use super::remb::put_remb;
use super::transport_cc::put_statuses;
use super::{
    BufferTooSmall, CNAME, FirEntry, HEADER_BYTES, MAX_COUNT, MAX_TRANSPORT_CC_STATUSES, ReportBlock,
    SenderInfo, TransportCcHead, VERSION, format, packet_type,
};
use crate::rtp::Put;

/// Appends RTCP packets to a caller's buffer.
///
/// Every appending method gives [`BufferTooSmall`] if the packet does not fit into what remains of the buffer, or if a count
/// or a length does not fit its field; the compound is then what it was before. Bytes of the buffer past [`Self::len`] are
/// scratch.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> CompoundWriter<'a> {
    /// An empty compound at the start of `out`.
    #[must_use]
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes of the compound so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was appended yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.out.len() - self.len
    }

    /// The compound so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.out[..self.len]
    }

    /// Ends writing and gives the compound's length in bytes.
    #[must_use]
    pub const fn finish(self) -> usize {
        self.len
    }

    /// Appends a sender report with at most 31 blocks, RFC 3550 section 6.4.1.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit.
    pub fn sender_report(
        &mut self,
        ssrc: u32,
        info: &SenderInfo,
        reports: &[ReportBlock],
    ) -> Result<(), BufferTooSmall> {
        self.append(packet_type::SENDER_REPORT, reports.len(), |put| {
            put.u32(ssrc)?;
            info.put(put)?;
            reports.iter().try_for_each(|report| report.put(put))
        })
    }

    /// Appends a receiver report with at most 31 blocks, RFC 3550 section 6.4.2.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit.
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[ReportBlock]) -> Result<(), BufferTooSmall> {
        self.append(packet_type::RECEIVER_REPORT, reports.len(), |put| {
            put.u32(ssrc)?;
            reports.iter().try_for_each(|report| report.put(put))
        })
    }

    /// Appends a source description of one source with its canonical name of at most 255 bytes, RFC 3550 section 6.5.1.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit.
    pub fn sdes_cname(&mut self, ssrc: u32, cname: &str) -> Result<(), BufferTooSmall> {
        self.append(packet_type::SDES, 1, |put| {
            put.u32(ssrc)?;
            put.u8(CNAME)?;
            put_text(put, cname)?;
            // The end mark; the padding to a whole word is part of the chunk.
            put.u8(0)
        })
    }

    /// Appends a goodbye of at most 31 sources with a reason of at most 255 bytes, RFC 3550 section 6.6.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit.
    pub fn bye(&mut self, ssrcs: &[u32], reason: Option<&str>) -> Result<(), BufferTooSmall> {
        self.append(packet_type::BYE, ssrcs.len(), |put| {
            ssrcs.iter().try_for_each(|ssrc| put.u32(*ssrc))?;
            reason.map_or(Ok(()), |reason| put_text(put, reason))
        })
    }

    /// Appends an application-defined packet, RFC 3550 section 6.7. `data` is zero-padded to a multiple of 4 bytes.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit, or for a subtype above 31.
    pub fn app(&mut self, subtype: u8, ssrc: u32, name: [u8; 4], data: &[u8]) -> Result<(), BufferTooSmall> {
        self.app_with(subtype, ssrc, name, |put| put.bytes(data))
    }

    /// As [`Self::app`], with data that `write_data` writes in place.
    pub(crate) fn app_with(
        &mut self,
        subtype: u8,
        ssrc: u32,
        name: [u8; 4],
        write_data: impl FnOnce(&mut Put<'_>) -> Result<(), BufferTooSmall>,
    ) -> Result<(), BufferTooSmall> {
        self.append(packet_type::APP, usize::from(subtype), |put| {
            put.u32(ssrc)?;
            put.bytes(&name)?;
            write_data(put)
        })
    }

    /// Appends a NACK, RFC 4585 section 6.2.1. Numbers that ascend share pairs of number and mask. An empty list appends
    /// nothing.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit.
    pub fn nack(&mut self, sender_ssrc: u32, media_ssrc: u32, lost: &[u16]) -> Result<(), BufferTooSmall> {
        if lost.is_empty() {
            return Ok(());
        }
        self.feedback(packet_type::TRANSPORT_FEEDBACK, format::NACK, sender_ssrc, media_ssrc, |put| {
            put_lost(put, lost)
        })
    }

    /// Appends a picture loss indication, RFC 4585 section 6.3.1.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit.
    pub fn pli(&mut self, sender_ssrc: u32, media_ssrc: u32) -> Result<(), BufferTooSmall> {
        self.feedback(packet_type::PAYLOAD_FEEDBACK, format::PLI, sender_ssrc, media_ssrc, |_| Ok(()))
    }

    /// Appends a full intra request, RFC 5104 section 4.3.1. An empty list appends nothing.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit.
    pub fn fir(&mut self, sender_ssrc: u32, entries: &[FirEntry]) -> Result<(), BufferTooSmall> {
        if entries.is_empty() {
            return Ok(());
        }
        self.feedback(packet_type::PAYLOAD_FEEDBACK, format::FIR, sender_ssrc, 0, |put| {
            entries.iter().try_for_each(|entry| {
                put.u32(entry.ssrc)?;
                put.u32(u32::from(entry.sequence) << 24)
            })
        })
    }

    /// Appends an estimate of the bitrate (bit/s, rounded down to 18 significant bits) that at most 255 streams share.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit.
    pub fn remb(&mut self, sender_ssrc: u32, bitrate_bps: u64, ssrcs: &[u32]) -> Result<(), BufferTooSmall> {
        self.feedback(packet_type::PAYLOAD_FEEDBACK, format::APPLICATION, sender_ssrc, 0, |put| {
            put_remb(put, bitrate_bps, ssrcs)
        })
    }

    /// Appends transport-wide feedback. `statuses` are those of the packets from `base_sequence` on, one each: the time since
    /// the one received before it (the first: since the reference time) in units of 250 us, or `None` for one that was not
    /// received. `reference_time` is in units of 64 ms; its lower 24 bits are written. No statuses append nothing.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if it does not fit, or for more than [`MAX_TRANSPORT_CC_STATUSES`].
    pub fn transport_cc(
        &mut self,
        head: &TransportCcHead,
        statuses: impl Iterator<Item = Option<i16>> + Clone,
    ) -> Result<(), BufferTooSmall> {
        let limit = usize::from(MAX_TRANSPORT_CC_STATUSES);
        let count = statuses.clone().take(limit + 1).count();
        if count == 0 {
            return Ok(());
        }
        if count > limit {
            return Err(BufferTooSmall);
        }
        let format = format::TRANSPORT_CC;
        self.feedback(packet_type::TRANSPORT_FEEDBACK, format, head.sender_ssrc, head.media_ssrc, |put| {
            put.u16(head.base_sequence)?;
            put.u16(count as u16)?;
            put.u32((head.reference_time << 8) | u32::from(head.feedback_count))?;
            put_statuses(put, statuses)
        })
    }

    fn feedback(
        &mut self,
        packet_type: u8,
        format: u8,
        sender_ssrc: u32,
        media_ssrc: u32,
        write_fci: impl FnOnce(&mut Put<'_>) -> Result<(), BufferTooSmall>,
    ) -> Result<(), BufferTooSmall> {
        self.append(packet_type, usize::from(format), |put| {
            put.u32(sender_ssrc)?;
            put.u32(media_ssrc)?;
            write_fci(put)
        })
    }

    fn append(
        &mut self,
        packet_type: u8,
        count: usize,
        write_body: impl FnOnce(&mut Put<'_>) -> Result<(), BufferTooSmall>,
    ) -> Result<(), BufferTooSmall> {
        if count > MAX_COUNT {
            return Err(BufferTooSmall);
        }
        let free = &mut self.out[self.len..];
        let (header, body) = free.split_first_chunk_mut::<HEADER_BYTES>().ok_or(BufferTooSmall)?;
        let mut put = Put::new(body);
        write_body(&mut put)?;
        put.pad_to_word()?;
        let words = u16::try_from(put.len() / 4).map_err(|_| BufferTooSmall)?.to_be_bytes();
        *header = [(VERSION << 6) | count as u8, packet_type, words[0], words[1]];
        self.len += HEADER_BYTES + put.len();
        Ok(())
    }
}

/// Writes a text behind a byte that counts it.
fn put_text(put: &mut Put<'_>, text: &str) -> Result<(), BufferTooSmall> {
    put.u8(u8::try_from(text.len()).map_err(|_| BufferTooSmall)?)?;
    put.bytes(text.as_bytes())
}
