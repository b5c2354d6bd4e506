//! The receiving half of a direction.

use crate::ssrc::{SsrcBlock, StreamIndex, StreamRole};
use crate::ticket::{MasterKey, Suite};

use super::cipher::Cipher;
use super::cryptex::{Cryptex, Header};
use super::kdf::{Purpose, SessionKeys};
use super::replay::{Verdict, Window};
use super::streams::{Place, Streams};
use super::{KeyError, OpenError, index, rtcp, rtp};

/// The SRTCP window holds 128 packets: `proto-spec/spec/02-session.md` section 2.4.
const RTCP_WINDOW_WORDS: usize = 2;

/// An RTP packet that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedRtp {
    /// Bytes of the plaintext packet in the output buffer.
    pub len: usize,
    /// The 48-bit packet index: ROC and sequence number (RFC 3711 section 3.3.1).
    pub index: u64,
    /// Whether the index is the highest of its SSRC so far.
    pub newest: bool,
    /// The stream of the SSRC.
    pub stream: StreamIndex,
    /// The role of the SSRC.
    pub role: StreamRole,
}

/// An RTCP compound that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedRtcp {
    /// Bytes of the plaintext compound in the output buffer.
    pub len: usize,
    /// The 31-bit SRTCP index.
    pub index: u32,
    /// Whether the index is the highest so far.
    pub newest: bool,
}

/// Opens what one direction of a session receives: keys, and which packets were received.
///
/// Per SSRC that was received authentically it keeps the highest index and a window of 1,024 packets, and for all SRTCP one
/// window of 128. Packets that fail cost time, but never memory or state.
#[derive(Debug)]
pub struct InboundSrtp {
    rtp: Cipher,
    rtcp: Cipher,
    block: SsrcBlock,
    cryptex: Cryptex,
    streams: Streams,
    rtcp_window: Option<Window<RTCP_WINDOW_WORDS>>,
}

impl InboundSrtp {
    /// Derives the keys of a direction that receives on the SSRCs of `block`.
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
        Self { rtp, rtcp, block, cryptex, streams: Streams::default(), rtcp_window: None }
    }

    /// Opens an SRTP packet out of place into `out`, which must hold the packet without its tag.
    ///
    /// What `out` then starts with is the RTP packet as its sender made it, the extension block's profile being 0xBEDE or
    /// 0x1000 again. A packet with CSRCs that had no extension block keeps the empty one that Cryptex adds.
    ///
    /// # Errors
    /// [`OpenError`]; no state has changed then, and `out` holds nothing of the packet.
    pub fn open_rtp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<OpenedRtp, OpenError> {
        let len = packet.len().checked_sub(self.rtp.tag_len()).ok_or(OpenError::Malformed)?;
        let header = Header::parse(&packet[..len]).ok_or(OpenError::Malformed)?;
        let place = Place::of(self.block, header.ssrc).ok_or(OpenError::UnknownSsrc)?;
        let form = header.to_open(self.cryptex)?;
        let out = out.get_mut(..len).ok_or(OpenError::BufferTooSmall)?;
        let highest = self.streams.highest(place);
        let index = index::guess(highest, header.sequence_number).ok_or(OpenError::TooOld)?;
        refuse_used(self.streams.check(place, index))?;
        rtp::open(&self.rtp, &form, index, packet, out).map_err(|_| {
            out.fill(0);
            OpenError::AuthenticationFailed
        })?;
        let newest = self.streams.accept(place, index);
        Ok(OpenedRtp { len, index, newest, stream: place.stream, role: place.role })
    }

    /// Opens an SRTCP packet out of place into `out`, which must hold the packet without index and tag.
    ///
    /// The sender's SSRC must be the control SSRC of the block.
    ///
    /// # Errors
    /// [`OpenError`]; no state has changed then, and `out` holds nothing of the packet.
    pub fn open_rtcp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<OpenedRtcp, OpenError> {
        let overhead = self.rtcp.tag_len() + rtcp::WORD_BYTES;
        let len = packet.len().checked_sub(overhead).ok_or(OpenError::Malformed)?;
        let ssrc = rtcp::sender(&packet[..len]).ok_or(OpenError::Malformed)?;
        if ssrc != self.block.control() {
            return Err(OpenError::UnknownSsrc);
        }
        let (encrypted, index) = rtcp::word(&self.rtcp, packet).ok_or(OpenError::Malformed)?;
        if !encrypted {
            return Err(OpenError::NotEncrypted);
        }
        let out = out.get_mut(..len).ok_or(OpenError::BufferTooSmall)?;
        if let Some(window) = &self.rtcp_window {
            refuse_used(window.check(index.into()))?;
        }
        rtcp::open(&self.rtcp, ssrc, index, packet, out).map_err(|_| {
            out.fill(0);
            OpenError::AuthenticationFailed
        })?;
        let newest = match &mut self.rtcp_window {
            Some(window) => window.accept(index.into()),
            none => {
                *none = Some(Window::starting_at(index.into()));
                true
            }
        };
        Ok(OpenedRtcp { len, index, newest })
    }

    /// Bytes on the heap that depend on what was received.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.streams.heap_bytes()
    }
}

fn refuse_used(verdict: Verdict) -> Result<(), OpenError> {
    match verdict {
        Verdict::Fresh => Ok(()),
        Verdict::Used => Err(OpenError::Replayed),
        Verdict::TooOld => Err(OpenError::TooOld),
    }
}
