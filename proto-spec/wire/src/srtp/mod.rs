//! SRTP and SRTCP: `proto-spec/spec/02-session.md` section 2.4.

mod error;

pub use error::{KeyError, OpenError, SealError};

use crate::ssrc::{SsrcBlock, StreamIndex, StreamRole};
use crate::ticket::{MasterKey, Suite};

/// Whether header extensions and CSRCs are encrypted (RFC 9335).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cryptex {
    /// Always: native sessions. A header extension in clear is refused.
    Required,
    /// Never: plain SRTP, for standard peers.
    Off,
}

/// An RTP packet that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedRtp {
    /// Bytes of the plaintext packet in the output buffer.
    pub len: usize,
    /// The 48-bit packet index: ROC << 16 | SEQ (RFC 3711 section 3.3.1).
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

/// The receiving half of one direction.
#[derive(Debug)]
pub struct InboundSrtp;

impl InboundSrtp {
    /// Derives the keys.
    ///
    /// # Errors
    /// [`KeyError`] if a length is not the suite's.
    pub fn new(suite: Suite, master: &MasterKey, block: SsrcBlock, cryptex: Cryptex) -> Result<Self, KeyError> {
        drop((suite, master, block, cryptex));
        Err(KeyError::Refused)
    }

    /// Opens an SRTP packet into `out`.
    ///
    /// # Errors
    /// [`OpenError`]; no state has changed then, and what `out` holds is unspecified.
    pub fn open_rtp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<OpenedRtp, OpenError> {
        drop((packet, out));
        Err(OpenError::Malformed)
    }

    /// Opens an SRTCP packet into `out`.
    ///
    /// # Errors
    /// [`OpenError`]; no state has changed then, and what `out` holds is unspecified.
    pub fn open_rtcp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<OpenedRtcp, OpenError> {
        drop((packet, out));
        Err(OpenError::Malformed)
    }
}

/// The sending half of one direction.
#[derive(Debug)]
pub struct OutboundSrtp;

impl OutboundSrtp {
    /// Derives the keys.
    ///
    /// # Errors
    /// [`KeyError`] if a length is not the suite's.
    pub fn new(suite: Suite, master: &MasterKey, block: SsrcBlock, cryptex: Cryptex) -> Result<Self, KeyError> {
        drop((suite, master, block, cryptex));
        Err(KeyError::Refused)
    }

    /// Seals a packet into `out` and gives its length.
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
        drop((index, header, payload, out));
        Err(SealError::Malformed)
    }

    /// Seals a compound into `out` and gives its length.
    ///
    /// # Errors
    /// [`SealError`]; no state has changed then.
    pub fn seal_rtcp(&mut self, compound: &[u8], out: &mut [u8]) -> Result<usize, SealError> {
        drop((compound, out));
        Err(SealError::Malformed)
    }

    /// Bytes that [`Self::seal_rtp`] adds to header and payload at most.
    #[must_use]
    pub fn rtp_overhead(&self) -> usize {
        0
    }

    /// Bytes that [`Self::seal_rtcp`] adds to a compound.
    #[must_use]
    pub fn rtcp_overhead(&self) -> usize {
        0
    }
}
