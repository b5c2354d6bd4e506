//! Which packets a block has, and the payload of a repair packet.

use super::field::worked_len;
use super::unit::{MAX_UNIT_BYTES, MIN_UNIT_BYTES};
use super::{MAX_REPAIRS, MAX_SOURCES};
use crate::rtp::{BufferTooSmall, Put};

/// Bytes in front of the parity in the payload of a repair packet.
pub const REPAIR_HEADER_BYTES: usize = 12;

const TOP_BIT: u64 = 1 << 63;

/// The source packets of a block: a first sequence number, and a bit for it and each of the 63 behind it, highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    base: u16,
    mask: u64,
}

impl Block {
    /// A block; `None` without its first packet, or with more than [`MAX_SOURCES`].
    #[must_use]
    pub const fn new(base: u16, mask: u64) -> Option<Self> {
        let is_one = mask & TOP_BIT != 0 && mask.count_ones() as usize <= MAX_SOURCES;
        if is_one { Some(Self { base, mask }) } else { None }
    }

    /// The sequence number of the first source.
    #[must_use]
    pub const fn base(self) -> u16 {
        self.base
    }

    /// A bit for each packet from the first on, highest first: whether it is a source.
    #[must_use]
    pub const fn mask(self) -> u64 {
        self.mask
    }

    /// How many sources it has.
    #[must_use]
    pub const fn sources(self) -> usize {
        self.mask.count_ones() as usize
    }

    /// The sequence number of the last source.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.base.wrapping_add(63 - self.mask.trailing_zeros() as u16)
    }

    /// The sequence numbers of the sources, in order. The place in this order is the position in the code.
    pub fn sequences(self) -> impl Iterator<Item = u16> + Clone {
        let mut rest = self.mask;
        std::iter::from_fn(move || {
            let offset = rest.leading_zeros() as u16;
            rest &= !TOP_BIT.checked_shr(u32::from(offset))?;
            Some(self.base.wrapping_add(offset))
        })
    }

    /// The position of a packet in the code; `None` if it is no source of the block.
    #[must_use]
    pub fn position(self, sequence: u16) -> Option<usize> {
        let offset = sequence.wrapping_sub(self.base);
        let bit = TOP_BIT.checked_shr(u32::from(offset))?;
        (self.mask & bit != 0).then(|| (self.mask & !(bit | (bit - 1))).count_ones() as usize)
    }
}

/// The payload of a repair packet: `base (u16) | row (u8) | rows (u8) | mask (u64) | parity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair<'a> {
    /// What it repairs.
    pub block: Block,
    /// Which of the block's repair packets it is, from 0.
    pub row: u8,
    /// How many repair packets of the block are sent. Nothing depends on it: it tells a receiver what may still come.
    pub rows: u8,
    /// The sum of multiples of the sources' units, as long as the longest of them.
    pub parity: &'a [u8],
}

impl<'a> Repair<'a> {
    /// Reads a payload; `None` if it is malformed.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (head, parity) = payload.split_first_chunk::<REPAIR_HEADER_BYTES>()?;
        let (&[b0, b1, row, rows], mask) = head.split_first_chunk::<4>()?;
        let block = Block::new(u16::from_be_bytes([b0, b1]), u64::from_be_bytes(mask.try_into().ok()?))?;
        let is_one = row < rows
            && usize::from(rows) <= MAX_REPAIRS
            && (MIN_UNIT_BYTES..=MAX_UNIT_BYTES).contains(&parity.len());
        is_one.then_some(Self { block, row, rows, parity })
    }

    /// Bytes that [`Self::write`] writes.
    #[expect(clippy::len_without_is_empty, reason = "a repair packet is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        REPAIR_HEADER_BYTES + self.parity.len()
    }

    /// Writes the payload to the start of `out` and gives its length in bytes.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if `out` is shorter than [`Self::len`].
    pub fn write(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let mut put = Put::new(out);
        put.u16(self.block.base)?;
        put.u8(self.row)?;
        put.u8(self.rows)?;
        put.u64(self.block.mask)?;
        put.bytes(self.parity)?;
        Ok(put.len())
    }

    /// Bytes that the arithmetic works on.
    pub(super) const fn worked_len(&self) -> usize {
        worked_len(self.parity.len())
    }
}
