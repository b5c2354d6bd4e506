//! RTP packets as checked views, and the writer of RTP headers: RFC 3550 section 5.
//!
//! A view is made by [`RtpPacket::parse`], which checks everything that lengths depend on; its accessors cannot fail.

mod header;
mod put;
#[cfg(test)]
pub(crate) mod tests;

pub use header::RtpHeader;
pub use put::BufferTooSmall;
pub(crate) use put::Put;

use crate::ext::Extensions;

/// Bytes of an RTP header without CSRCs and extension, RFC 3550 section 5.1.
pub const FIXED_HEADER_BYTES: usize = 12;
/// The most CSRCs that the header's 4-bit count can name.
pub const MAX_CSRCS: usize = 15;

const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
const CSRC_COUNT_MASK: u8 = 0x0F;

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtpError {
    /// Shorter than the fixed header.
    #[error("shorter than a fixed RTP header")]
    TooShort,
    /// The version is not 2.
    #[error("RTP version is not 2")]
    Version,
    /// The CSRC list runs past the end.
    #[error("CSRC list runs past the end")]
    Csrcs,
    /// The header extension runs past the end.
    #[error("header extension runs past the end")]
    Extension,
    /// The padding counts 0 bytes, or more than follow the header.
    #[error("padding count is 0 or more than the payload")]
    Padding,
}

/// A view of an RTP packet in clear, RFC 3550 section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    fixed: &'a [u8; FIXED_HEADER_BYTES],
    csrcs: &'a [[u8; 4]],
    extension: Option<(u16, &'a [u8])>,
    payload: &'a [u8],
    padding_len: u8,
}

impl<'a> RtpPacket<'a> {
    /// Checks version, CSRC list, header extension and padding. The elements inside of the extension are checked when
    /// they are iterated.
    ///
    /// # Errors
    /// [`RtpError`] says which part does not fit the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_HEADER_BYTES>().ok_or(RtpError::TooShort)?;
        let first = fixed[0];
        if first >> 6 != VERSION {
            return Err(RtpError::Version);
        }
        let csrc_bytes = usize::from(first & CSRC_COUNT_MASK) * 4;
        let (csrcs, rest) = rest.split_at_checked(csrc_bytes).ok_or(RtpError::Csrcs)?;
        let (extension, rest) = if first & EXTENSION_BIT == 0 {
            (None, rest)
        } else {
            let (profile, block, rest) = split_extension(rest).ok_or(RtpError::Extension)?;
            (Some((profile, block)), rest)
        };
        let padding_len = match rest.last() {
            _ if first & PADDING_BIT == 0 => 0,
            Some(&count) if count > 0 => count,
            _ => return Err(RtpError::Padding),
        };
        let payload_len = rest.len().checked_sub(usize::from(padding_len)).ok_or(RtpError::Padding)?;
        Ok(Self { fixed, csrcs: csrcs.as_chunks().0, extension, payload: &rest[..payload_len], padding_len })
    }

    /// The marker bit: the last packet of a video frame, or the start of a talk spurt.
    #[must_use]
    pub const fn marker(&self) -> bool {
        self.fixed[1] & 0x80 != 0
    }

    /// The payload type, 7 bits.
    #[must_use]
    pub const fn payload_type(&self) -> u8 {
        self.fixed[1] & 0x7F
    }

    /// The sequence number.
    #[must_use]
    pub const fn sequence_number(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The timestamp, in ticks of the payload type's clock.
    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// The synchronisation source.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]])
    }

    /// The contributing sources, at most [`MAX_CSRCS`].
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = u32> + Clone + 'a {
        self.csrcs.iter().map(|csrc| u32::from_be_bytes(*csrc))
    }

    /// Bytes of the fixed header, the CSRCs and the whole extension block.
    #[must_use]
    pub fn header_len(&self) -> usize {
        let extension = self.extension.map_or(0, |(_, block)| 4 + block.len());
        FIXED_HEADER_BYTES + self.csrcs.len() * 4 + extension
    }

    /// The first 16 bits of the extension block, which say its form; `None` without a block.
    #[must_use]
    pub fn extension_profile(&self) -> Option<u16> {
        self.extension.map(|(profile, _)| profile)
    }

    /// The RFC 8285 elements of the extension block, in either form. Empty without a block or for another profile; ends
    /// before the first malformed element.
    #[must_use]
    pub fn extensions(&self) -> Extensions<'a> {
        self.extension
            .map_or_else(Extensions::default, |(profile, block)| Extensions::from_block(profile, block))
    }

    /// The payload without padding.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of padding, the count byte included; 0 without padding.
    #[must_use]
    pub const fn padding_len(&self) -> usize {
        self.padding_len as usize
    }
}

/// Splits an extension block off: its profile, its content, and what follows.
fn split_extension(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[p0, p1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let block_len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
    let (block, rest) = rest.split_at_checked(block_len)?;
    Some((u16::from_be_bytes([p0, p1]), block, rest))
}
