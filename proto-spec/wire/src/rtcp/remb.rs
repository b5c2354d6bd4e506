//! Receiver estimated maximum bitrate, draft-alvestrand-rmcat-remb-03 section 2.

use super::{BufferTooSmall, split_feedback, split_u32, whole_chunks};
use crate::rtp::Put;

const NAME: [u8; 4] = *b"REMB";
const MANTISSA_BITS: u32 = 18;
const MANTISSA_MASK: u32 = (1 << MANTISSA_BITS) - 1;

/// A view of a bitrate estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender_ssrc: u32,
    /// The estimate, bit/s. What exceeds 64 bits is `u64::MAX`.
    pub bitrate_bps: u64,
    ssrcs: &'a [[u8; 4]],
}

impl<'a> Remb<'a> {
    /// Whether an application layer feedback message is a REMB.
    pub(super) fn has_name(body: &[u8]) -> bool {
        split_feedback(body).is_some_and(|(_, _, fci)| fci.starts_with(&NAME))
    }

    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender_ssrc, _, fci) = split_feedback(body)?;
        let (_, fci) = split_u32(fci)?;
        let (word, ssrcs) = split_u32(fci)?;
        let ssrcs = whole_chunks(ssrcs)?;
        let count = (word >> 24) as usize;
        let exponent = (word >> MANTISSA_BITS) & 0x3F;
        let bitrate = u128::from(word & MANTISSA_MASK) << exponent;
        let bitrate_bps = u64::try_from(bitrate).unwrap_or(u64::MAX);
        (ssrcs.len() == count).then_some(Self { sender_ssrc, bitrate_bps, ssrcs })
    }

    /// The streams that share the bitrate, at most 255.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = u32> + Clone + 'a {
        self.ssrcs.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }
}

/// Writes what follows the feedback message's SSRCs. The bitrate is rounded down to 18 significant bits.
pub(super) fn put_remb(put: &mut Put<'_>, bitrate_bps: u64, ssrcs: &[u32]) -> Result<(), BufferTooSmall> {
    let count = u8::try_from(ssrcs.len()).map_err(|_| BufferTooSmall)?;
    let significant = u64::BITS - bitrate_bps.leading_zeros();
    let exponent = significant.saturating_sub(MANTISSA_BITS);
    let mantissa = (bitrate_bps >> exponent) as u32;
    put.bytes(&NAME)?;
    put.u32((u32::from(count) << 24) | (exponent << MANTISSA_BITS) | mantissa)?;
    for ssrc in ssrcs {
        put.u32(*ssrc)?;
    }
    Ok(())
}
