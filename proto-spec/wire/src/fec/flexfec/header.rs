//! The payload of a FlexFEC packet.

use crate::rtp::{BufferTooSmall, Put};

/// Bits of the longest mask, RFC 8627 section 4.2.2.1.
pub const MAX_MASK_BITS: usize = 110;

/// Bits of the mask's three parts, without K bits.
const PART_BITS: [u32; 2] = [15, 31];
/// The retransmission and the fixed-mask bit.
const R_AND_F_BITS: u8 = 0xC0;
/// One SSRC and 24 reserved bits, in the draft's header.
const ONE_SSRC: u32 = 1 << 24;

/// Which header it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// draft-ietf-payload-flexible-fec-scheme-03.
    Draft03,
    /// RFC 8627.
    Rfc8627,
}

impl Layout {
    /// Bits of the third part of the mask.
    const fn last_part_bits(self) -> u32 {
        match self {
            Self::Draft03 => 63,
            Self::Rfc8627 => 64,
        }
    }
}

/// Why a payload is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FlexFecError {
    /// Ends within the header.
    #[error("ends within the header")]
    TooShort,
    /// A retransmission, a fixed mask, or not one protected stream.
    #[error("a form that is not used with one stream")]
    Unsupported,
    /// The mask names no packet, or has no end.
    #[error("a mask without packets or without end")]
    Mask,
}

/// The payload of a FlexFEC packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlexFec<'a> {
    /// The protected stream; of RFC 8627 it is in the RTP header of the FEC packet, and `None` here.
    pub ssrc: Option<u32>,
    /// The sequence number of the mask's first bit.
    pub base: u16,
    /// Whether a packet is protected, from `base` on, highest bit first; the lower 18 bits are 0.
    pub mask: u128,
    /// The sum of the packets' first 8 bytes, with the lengths behind their fixed headers in place of the sequence numbers.
    pub recovery: [u8; 8],
    /// The sum of what is behind the fixed headers.
    pub parity: &'a [u8],
}

impl<'a> FlexFec<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`FlexFecError`] says why it is not read.
    pub fn parse(layout: Layout, payload: &'a [u8]) -> Result<Self, FlexFecError> {
        let (recovery, rest) = payload.split_first_chunk::<8>().ok_or(FlexFecError::TooShort)?;
        if recovery[0] & R_AND_F_BITS != 0 {
            return Err(FlexFecError::Unsupported);
        }
        let (ssrc, rest) = match layout {
            Layout::Rfc8627 => (None, rest),
            Layout::Draft03 => {
                let (head, rest) = rest.split_first_chunk::<8>().ok_or(FlexFecError::TooShort)?;
                if head[0] != 1 {
                    return Err(FlexFecError::Unsupported);
                }
                (Some(u32::from_be_bytes([head[4], head[5], head[6], head[7]])), rest)
            }
        };
        let (base, rest) = rest.split_first_chunk::<2>().ok_or(FlexFecError::TooShort)?;
        let (mask, parity) = read_mask(layout, rest)?;
        if mask == 0 {
            return Err(FlexFecError::Mask);
        }
        Ok(Self { ssrc, base: u16::from_be_bytes(*base), mask, recovery: *recovery, parity })
    }

    /// The sequence numbers of the protected packets, in order; at most [`MAX_MASK_BITS`].
    pub fn sequences(&self) -> impl Iterator<Item = u16> + Clone {
        let (base, mask) = (self.base, self.mask);
        let offsets = (0..MAX_MASK_BITS as u16).filter(move |offset| mask & (1 << (127 - offset)) != 0);
        offsets.map(move |offset| base.wrapping_add(offset))
    }

    /// Writes the payload to the start of `out`, with the shortest mask, and gives its length in bytes.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if `out` is too short, and for a mask that is empty or longer than the layout's.
    pub fn write(&self, layout: Layout, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let longest = PART_BITS.iter().sum::<u32>() + layout.last_part_bits();
        if self.mask == 0 || 128 - self.mask.trailing_zeros() > longest {
            return Err(BufferTooSmall);
        }
        let mut put = Put::new(out);
        put.u8(self.recovery[0] & !R_AND_F_BITS)?;
        put.bytes(&self.recovery[1..])?;
        if layout == Layout::Draft03 {
            put.u32(ONE_SSRC)?;
            put.u32(self.ssrc.ok_or(BufferTooSmall)?)?;
        }
        put.u16(self.base)?;
        put_mask(layout, self.mask, &mut put)?;
        put.bytes(self.parity)?;
        Ok(put.len())
    }
}

/// Reads a mask off the front of `bytes`.
fn read_mask(layout: Layout, bytes: &[u8]) -> Result<(u128, &[u8]), FlexFecError> {
    let ends = |k_bit: bool| k_bit == (layout == Layout::Draft03);
    let (part, rest) = bytes.split_first_chunk::<2>().ok_or(FlexFecError::TooShort)?;
    let part = u16::from_be_bytes(*part);
    let mut mask = u128::from(part & 0x7FFF) << 113;
    if ends(part >> 15 == 1) {
        return Ok((mask, rest));
    }
    let (part, rest) = rest.split_first_chunk::<4>().ok_or(FlexFecError::TooShort)?;
    let part = u32::from_be_bytes(*part);
    mask |= u128::from(part & 0x7FFF_FFFF) << 82;
    if ends(part >> 31 == 1) {
        return Ok((mask, rest));
    }
    let (part, rest) = rest.split_first_chunk::<8>().ok_or(FlexFecError::TooShort)?;
    let part = u64::from_be_bytes(*part);
    match layout {
        Layout::Rfc8627 => Ok((mask | u128::from(part) << 18, rest)),
        Layout::Draft03 if part >> 63 == 1 => Ok((mask | u128::from(part << 1) << 18, rest)),
        Layout::Draft03 => Err(FlexFecError::Mask),
    }
}

/// Writes a mask, which the layout's parts can hold.
fn put_mask(layout: Layout, mask: u128, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
    let (first, second, third) =
        ((mask >> 113) as u16, (mask >> 82) as u32 & 0x7FFF_FFFF, (mask >> 18) as u64);
    let k_bit = |ends: bool| u8::from(ends == (layout == Layout::Draft03));
    let (ends_first, ends_second) = (second == 0 && third == 0, third == 0);
    put.u16(u16::from(k_bit(ends_first)) << 15 | first)?;
    if ends_first {
        return Ok(());
    }
    put.u32(u32::from(k_bit(ends_second)) << 31 | second)?;
    if ends_second {
        return Ok(());
    }
    match layout {
        Layout::Rfc8627 => put.u64(third),
        Layout::Draft03 => put.u64(1 << 63 | third >> 1),
    }
}
