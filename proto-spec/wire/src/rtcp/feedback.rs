//! Feedback without a congestion controller: NACK and PLI (RFC 4585 section 6) and FIR (RFC 5104 section 4.3.1).

use super::{BufferTooSmall, split_feedback, whole_chunks};
use crate::rtp::Put;

/// Sequence numbers behind the first that a NACK's bit mask can name.
const BITMASK_BITS: u16 = 16;

/// A view of a generic negative acknowledgement, RFC 4585 section 6.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who lost packets.
    pub sender_ssrc: u32,
    /// The stream that they are lost from.
    pub media_ssrc: u32,
    pairs: &'a [[u8; 4]],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender_ssrc, media_ssrc, fci) = split_feedback(body)?;
        let pairs = whole_chunks(fci)?;
        (!pairs.is_empty()).then_some(Self { sender_ssrc, media_ssrc, pairs })
    }

    /// The pairs as they are on the wire: a lost sequence number (PID), and a bit mask of the 16 behind it (BLP), whose
    /// lowest bit is the next.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (u16, u16)> + Clone + 'a {
        self.pairs
            .iter()
            .map(|&[p0, p1, b0, b1]| (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([b0, b1])))
    }

    /// The lost sequence numbers, at most 17 a pair. One that is named twice comes twice.
    pub fn lost(&self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.pairs().flat_map(|(pid, blp)| {
            let behind = (0..BITMASK_BITS).filter(move |bit| blp & (1 << bit) != 0);
            std::iter::once(pid).chain(behind.map(move |bit| pid.wrapping_add(bit + 1)))
        })
    }
}

/// Writes sequence numbers as pairs. Numbers that ascend share pairs; repeated neighbours are written once.
pub(super) fn put_lost(put: &mut Put<'_>, lost: &[u16]) -> Result<(), BufferTooSmall> {
    let mut lost = lost.iter().copied().peekable();
    while let Some(pid) = lost.next() {
        let mut blp = 0;
        while let Some(next) = lost.next_if(|next| next.wrapping_sub(pid) <= BITMASK_BITS) {
            let distance = next.wrapping_sub(pid);
            if distance > 0 {
                blp |= 1 << (distance - 1);
            }
        }
        put.u16(pid)?;
        put.u16(blp)?;
    }
    Ok(())
}

/// A picture loss indication, RFC 4585 section 6.3.1: a wish for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pli {
    /// Who needs it.
    pub sender_ssrc: u32,
    /// The stream that it is needed on.
    pub media_ssrc: u32,
}

impl Pli {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (sender_ssrc, media_ssrc, fci) = split_feedback(body)?;
        fci.is_empty().then_some(Self { sender_ssrc, media_ssrc })
    }
}

/// A view of a full intra request, RFC 5104 section 4.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fir<'a> {
    /// Who needs key frames.
    pub sender_ssrc: u32,
    /// Unused by FIR: 0.
    pub media_ssrc: u32,
    entries: &'a [[u8; 8]],
}

/// One stream of a full intra request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FirEntry {
    /// The stream that a key frame is needed on.
    pub ssrc: u32,
    /// The number of the request, which a repetition keeps, modulo 256.
    pub sequence: u8,
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender_ssrc, media_ssrc, fci) = split_feedback(body)?;
        let entries = whole_chunks(fci)?;
        (!entries.is_empty()).then_some(Self { sender_ssrc, media_ssrc, entries })
    }

    /// The streams.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = FirEntry> + Clone + 'a {
        self.entries.iter().map(|&[s0, s1, s2, s3, sequence, ..]| FirEntry {
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            sequence,
        })
    }
}
