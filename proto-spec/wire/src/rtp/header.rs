//! The writer of RTP headers.

use super::{BufferTooSmall, EXTENSION_BIT, FIXED_HEADER_BYTES, MAX_CSRCS, Put, VERSION};
use crate::ext::MediaExtensions;

/// The header of an RTP packet to be written, RFC 3550 section 5.1. The padding bit is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader<'a> {
    /// The marker bit.
    pub marker: bool,
    /// The payload type; its lower 7 bits are written.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence_number: u16,
    /// The timestamp, in ticks of the payload type's clock.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The contributing sources, at most [`MAX_CSRCS`].
    pub csrcs: &'a [u32],
    /// The header extensions, written in the one-byte form of RFC 8285; no extension block if it has none.
    pub extensions: &'a MediaExtensions,
}

impl RtpHeader<'_> {
    /// Bytes that [`Self::write`] writes.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        FIXED_HEADER_BYTES + self.csrcs.len() * 4 + self.extensions.block_len()
    }

    /// Writes the header to the start of `out` and gives its length in bytes.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if `out` is shorter than [`Self::len`], or for more than [`MAX_CSRCS`] CSRCs.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        if self.csrcs.len() > MAX_CSRCS || out.len() < self.len() {
            return Err(BufferTooSmall);
        }
        let block_len = self.extensions.block_len();
        let extension = if block_len == 0 { 0 } else { EXTENSION_BIT };
        let mut put = Put::new(out);
        put.u8((VERSION << 6) | extension | self.csrcs.len() as u8)?;
        put.u8((u8::from(self.marker) << 7) | (self.payload_type & 0x7F))?;
        put.u16(self.sequence_number)?;
        put.u32(self.timestamp)?;
        put.u32(self.ssrc)?;
        for csrc in self.csrcs {
            put.u32(*csrc)?;
        }
        self.extensions.put_block(&mut put)?;
        Ok(put.len())
    }
}
