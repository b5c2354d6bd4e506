//! The sending half of a direction.

use crate::ssrc::SsrcBlock;
use crate::ticket::{MasterKey, Suite};

use super::cipher::Cipher;
use super::cryptex::{Cryptex, Header};
use super::index::{MAX_RTCP_INDEX, MAX_RTP_INDEX};
use super::kdf::{Purpose, SessionKeys};
use super::sealed::SealedIndices;
use super::streams::Place;
use super::{KeyError, SealError, rtcp, rtp};

/// Seals what one direction of a session sends: keys, and which indices were used.
///
/// It seals no index twice, whatever it is asked, so no nonce is ever used twice under its keys. The keys must belong to this
/// one instance: a second one from the same master key would repeat the nonces of the first.
#[derive(Debug)]
pub struct OutboundSrtp {
    rtp: Cipher,
    rtcp: Cipher,
    block: SsrcBlock,
    cryptex: Cryptex,
    sealed: SealedIndices,
    next_rtcp_index: u32,
}

impl OutboundSrtp {
    /// Derives the keys of a direction that sends from the SSRCs of `block`.
    ///
    /// # Errors
    /// [`KeyError`] if a length is not the suite's.
    pub fn new(
        suite: Suite,
        master: &MasterKey,
        block: SsrcBlock,
        cryptex: Cryptex,
    ) -> Result<Self, KeyError> {
        let rtp = SessionKeys::derive(suite, master, Purpose::Rtp)?;
        let rtcp = SessionKeys::derive(suite, master, Purpose::Rtcp)?;
        Ok(Self::with_ciphers(Cipher::new(suite, &rtp)?, Cipher::new(suite, &rtcp)?, block, cryptex))
    }

    pub(super) fn with_ciphers(rtp: Cipher, rtcp: Cipher, block: SsrcBlock, cryptex: Cryptex) -> Self {
        Self { rtp, rtcp, block, cryptex, sealed: SealedIndices::default(), next_rtcp_index: 0 }
    }

    /// Seals an RTP packet into `out` and gives its length.
    ///
    /// `header` is all of the RTP header: fixed part, CSRCs and extension block (profile 0xBEDE or 0x1000 under
    /// [`Cryptex::Required`]). `index` is the 48-bit packet index, whose low 16 bits are the header's sequence number. An
    /// index that was skipped may be sealed later, as long as it is in one of the last 256 gaps of the direction. Header and payload are copied into `out` once and sealed there.
    ///
    /// # Errors
    /// [`SealError`]; no state has changed then.
    pub fn seal_rtp(
        &mut self,
        index: u64,
        header: &[u8],
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        self.seal_rtp_with(index, header, payload, out, |_| {})
    }

    /// [`Self::seal_rtp`] of a payload that differs in a few bytes from `payload`: `patch` changes the copy in `out` before it
    /// is sealed. It is not called for a packet that is refused.
    ///
    /// # Errors
    /// [`SealError`]; no state has changed then.
    pub fn seal_rtp_with(
        &mut self,
        index: u64,
        header: &[u8],
        payload: &[u8],
        out: &mut [u8],
        patch: impl FnOnce(&mut [u8]),
    ) -> Result<usize, SealError> {
        let parsed = Header::parse(header).filter(|parsed| parsed.len == header.len());
        let parsed = parsed.ok_or(SealError::Malformed)?;
        let place = Place::of(self.block, parsed.ssrc).ok_or(SealError::UnknownSsrc)?;
        if parsed.sequence_number != index as u16 {
            return Err(SealError::SequenceMismatch);
        }
        if index > MAX_RTP_INDEX {
            return Err(SealError::Exhausted);
        }
        let form = parsed.to_seal(self.cryptex)?;
        let len = header.len() + form.added_len() + payload.len() + self.rtp.tag_len();
        let out = out.get_mut(..len).ok_or(SealError::BufferTooSmall)?;
        if !self.sealed.is_fresh(place, index) {
            return Err(SealError::IndexReused);
        }
        rtp::seal(&self.rtp, &form, index, header, payload, out, patch).map_err(|_| SealError::Malformed)?;
        self.sealed.accept(place, index);
        Ok(len)
    }

    /// Where the state is that sealing a packet of `ssrc` reads first, so that it can be fetched ahead of time. `None` if there is
    /// none yet.
    #[must_use]
    pub fn sealing_state(&self, ssrc: u32) -> Option<&u64> {
        self.sealed.next_of(Place::of(self.block, ssrc)?)
    }

    /// Seals an RTCP compound into `out` at the next SRTCP index and gives its length.
    ///
    /// The compound's first SSRC must be the control SSRC of the block.
    ///
    /// # Errors
    /// [`SealError`]; no index was used then.
    pub fn seal_rtcp(&mut self, compound: &[u8], out: &mut [u8]) -> Result<usize, SealError> {
        let ssrc = rtcp::sender(compound).ok_or(SealError::Malformed)?;
        if ssrc != self.block.control() {
            return Err(SealError::UnknownSsrc);
        }
        let index = self.next_rtcp_index;
        if index > MAX_RTCP_INDEX {
            return Err(SealError::Exhausted);
        }
        let len = compound.len() + self.rtcp_overhead();
        let out = out.get_mut(..len).ok_or(SealError::BufferTooSmall)?;
        rtcp::seal(&self.rtcp, ssrc, index, compound, out).map_err(|_| SealError::Malformed)?;
        self.next_rtcp_index += 1;
        Ok(len)
    }

    /// Bytes that [`Self::seal_rtp`] adds to header and payload: the tag.
    ///
    /// A header with CSRCs but no extension block grows by 4 bytes more under [`Cryptex::Required`]; native packets always
    /// have an extension block.
    #[must_use]
    pub fn rtp_overhead(&self) -> usize {
        self.rtp.tag_len()
    }

    /// Bytes that [`Self::seal_rtcp`] adds to a compound: index and tag.
    #[must_use]
    pub fn rtcp_overhead(&self) -> usize {
        self.rtcp.tag_len() + rtcp::WORD_BYTES
    }

    /// Goes to a later SRTCP index.
    #[cfg(test)]
    pub(super) fn skip_to_rtcp_index(&mut self, index: u32) {
        self.next_rtcp_index = index;
    }
}
