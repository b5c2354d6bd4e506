//! The entries of a feedback message: one packet that arrived, or a run of lost ones.

use super::{Arrival, Ecn};
use crate::rtp::{BufferTooSmall, Put};

/// The longest run of lost packets that one entry names.
const MAX_RUN: u16 = 32;
const MAX_NEAR: u16 = 0x7F;
/// What 12 bits of two's complement reach.
const MAX_FAR: i16 = 0x7FF;
const MIN_FAR: i16 = -0x800;

/// An entry. Deltas are in ticks and count from the packet before that arrived; the first one's from the message's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// `0ddddddd`: arrived, so many ticks later, with the same ECN bits.
    Near(u8),
    /// `10eedddd dddddddd`: arrived with these ECN bits, so many ticks later, or earlier if negative.
    Far(Ecn, i16),
    /// `110nnnnn`: so many packets, 1 to 32, have not arrived.
    Lost(u16),
}

impl Entry {
    /// Splits the first entry off; `None` if there is none, or if it is malformed.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&head, rest) = bytes.split_first()?;
        if head & 0x80 == 0 {
            return Some((Self::Near(head), rest));
        }
        if head & 0x40 == 0 {
            let (&low, rest) = rest.split_first()?;
            // The sign is bit 11: shifted to the top and back it fills the upper bits.
            let delta = (i16::from_be_bytes([head, low]) << 4) >> 4;
            return Some((Self::Far(Ecn::from_bits(head >> 4), delta), rest));
        }
        let is_run = head & 0x20 == 0;
        is_run.then(|| (Self::Lost(u16::from(head & 0x1F) + 1), rest))
    }

    /// How many packets it is about.
    pub(super) const fn packets(self) -> u16 {
        match self {
            Self::Near(_) | Self::Far(..) => 1,
            Self::Lost(count) => count,
        }
    }

    /// The shortest entry of a packet that arrived after `previous`; `None` if they are too far apart.
    pub(super) fn between(previous: Arrival, arrival: Arrival) -> Option<Self> {
        let delta = arrival.ticks.wrapping_sub(previous.ticks).cast_signed();
        if arrival.ecn == previous.ecn && (0..=i32::from(MAX_NEAR)).contains(&delta) {
            return Some(Self::Near(delta as u8));
        }
        let delta = i16::try_from(delta).ok().filter(|delta| (MIN_FAR..=MAX_FAR).contains(delta))?;
        Some(Self::Far(arrival.ecn, delta))
    }

    /// Bytes of an entry that arrived.
    pub(super) const fn len(self) -> usize {
        match self {
            Self::Near(_) | Self::Lost(_) => 1,
            Self::Far(..) => 2,
        }
    }

    pub(super) fn put(self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        match self {
            Self::Near(delta) => put.u8(delta),
            Self::Far(ecn, delta) => {
                let word = 0x8000 | u16::from(ecn.bits()) << 12 | delta.cast_unsigned() & 0x0FFF;
                put.u16(word)
            }
            Self::Lost(count) => put.u8(0xC0 | (count - 1) as u8),
        }
    }

    /// Bytes of the entries of `count` lost packets.
    pub(super) const fn lost_len(count: u16) -> usize {
        count.div_ceil(MAX_RUN) as usize
    }

    /// Writes the entries of `count` lost packets.
    pub(super) fn put_lost(put: &mut Put<'_>, mut count: u16) -> Result<(), BufferTooSmall> {
        while count > 0 {
            let run = count.min(MAX_RUN);
            Self::Lost(run).put(put)?;
            count -= run;
        }
        Ok(())
    }
}
