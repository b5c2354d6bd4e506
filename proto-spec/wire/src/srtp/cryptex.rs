//! RTP headers as Cryptex sees them: RFC 9335.

use super::{OpenError, SealError};

/// Whether header extensions and CSRCs are encrypted (RFC 9335).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cryptex {
    /// In every packet that has any: native sessions. A header extension or a CSRC in clear is refused.
    Required,
    /// Never: plain SRTP, for standard peers.
    Off,
}

/// Bytes of the fixed RTP header.
pub(super) const FIXED_BYTES: usize = 12;
/// Bytes of an extension block's own header: profile and length.
pub(super) const EXTENSION_HEADER_BYTES: usize = 4;
/// Bytes that stay in clear under Cryptex: both of the above.
pub(super) const CLEAR_BYTES: usize = FIXED_BYTES + EXTENSION_HEADER_BYTES;

const VERSION: u8 = 2;
const EXTENSION_BIT: u8 = 0x10;
const CSRC_COUNT_MASK: u8 = 0x0F;
const CSRC_BYTES: usize = 4;
const WORD_BYTES: usize = 4;

const ONE_BYTE: u16 = 0xBEDE;
/// The low four bits are the application's; RFC 9335 cannot carry them, so they must be 0.
const TWO_BYTE: u16 = 0x1000;
const ENCRYPTED_ONE_BYTE: u16 = 0xC0DE;
const ENCRYPTED_TWO_BYTE: u16 = 0xC2DE;

/// Where the parts of an RTP header are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) ssrc: u32,
    pub(super) sequence_number: u16,
    /// Bytes of all CSRCs.
    csrcs: usize,
    /// The extension block's profile.
    profile: Option<u16>,
    /// Bytes of the header with CSRCs and extension block.
    pub(super) len: usize,
}

impl Header {
    /// Reads the header at the front of `packet`. `None` if it is not of version 2, or not all there.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; FIXED_BYTES] = packet.first_chunk()?;
        if fixed[0] >> 6 != VERSION {
            return None;
        }
        let csrcs = usize::from(fixed[0] & CSRC_COUNT_MASK) * CSRC_BYTES;
        let after_csrcs = FIXED_BYTES + csrcs;
        let (profile, len) = if fixed[0] & EXTENSION_BIT == 0 {
            (None, after_csrcs)
        } else {
            let &[p0, p1, w0, w1] = packet.get(after_csrcs..)?.first_chunk()?;
            let words = usize::from(u16::from_be_bytes([w0, w1]));
            (Some(u16::from_be_bytes([p0, p1])), after_csrcs + EXTENSION_HEADER_BYTES + words * WORD_BYTES)
        };
        let &[_, _, s0, s1, _, _, _, _, ssrc @ ..] = fixed;
        let sequence_number = u16::from_be_bytes([s0, s1]);
        (len <= packet.len()).then_some(Self {
            ssrc: u32::from_be_bytes(ssrc),
            sequence_number,
            csrcs,
            profile,
            len,
        })
    }

    /// Whether there is something between the parts that stay in clear under Cryptex.
    pub(super) const fn has_csrcs(&self) -> bool {
        self.csrcs > 0
    }

    /// How to seal a packet with this header. [`SealError::Malformed`] if its extension block is not of RFC 8285.
    pub(super) fn to_seal(self, cryptex: Cryptex) -> Result<Form, SealError> {
        let swap = match (cryptex, self.profile) {
            (Cryptex::Off, _) => None,
            (Cryptex::Required, None) if self.csrcs == 0 => None,
            (Cryptex::Required, None) => Some(ENCRYPTED_ONE_BYTE),
            (Cryptex::Required, Some(ONE_BYTE)) => Some(ENCRYPTED_ONE_BYTE),
            (Cryptex::Required, Some(TWO_BYTE)) => Some(ENCRYPTED_TWO_BYTE),
            (Cryptex::Required, Some(_)) => return Err(SealError::Malformed),
        };
        Ok(Form { header: self, swap })
    }

    /// How to open a packet with this header. [`OpenError::ExtensionInClear`] if what must be encrypted is not.
    pub(super) fn to_open(self, cryptex: Cryptex) -> Result<Form, OpenError> {
        let swap = match (cryptex, self.profile) {
            (Cryptex::Off, _) => None,
            (Cryptex::Required, None) if self.csrcs == 0 => None,
            (Cryptex::Required, Some(ENCRYPTED_ONE_BYTE)) => Some(ONE_BYTE),
            (Cryptex::Required, Some(ENCRYPTED_TWO_BYTE)) => Some(TWO_BYTE),
            (Cryptex::Required, _) => return Err(OpenError::ExtensionInClear),
        };
        Ok(Form { header: self, swap })
    }
}

/// How one packet is sealed or opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) header: Header,
    /// The profile that replaces the extension block's; `None` if only the payload is encrypted.
    swap: Option<u16>,
}

impl Form {
    /// Bytes at the front that are not encrypted, once in [the cipher's order](Self::arrange).
    pub(super) const fn clear_len(&self) -> usize {
        if self.swap.is_some() { CLEAR_BYTES } else { self.header.len }
    }

    /// Whether the cipher's order is the packet's, so that the cipher can read the packet where it is.
    pub(super) const fn is_contiguous(&self) -> bool {
        self.swap.is_none() || !self.header.has_csrcs()
    }

    /// Bytes of the extension block that sealing adds: CSRCs need one to say that they are encrypted.
    pub(super) const fn added_len(&self) -> usize {
        if self.swap.is_some() && self.header.profile.is_none() { EXTENSION_HEADER_BYTES } else { 0 }
    }

    /// Adds the extension block that [`Self::added_len`] has counted. `packet` starts with the header and has room.
    pub(super) fn add_extension(&self, packet: &mut [u8]) {
        if self.added_len() > 0 {
            packet[0] |= EXTENSION_BIT;
            packet[self.header.len..][..EXTENSION_HEADER_BYTES].fill(0);
        }
    }

    /// Writes the profile that the packet has on the other side. `packet` is in wire order.
    pub(super) fn swap_profile(&self, packet: &mut [u8]) {
        if let Some(profile) = self.swap {
            packet[FIXED_BYTES + self.header.csrcs..][..2].copy_from_slice(&profile.to_be_bytes());
        }
    }

    /// Moves the extension block's header before the CSRCs, so that clear and encrypted parts are one run each.
    pub(super) fn arrange(&self, packet: &mut [u8]) {
        if !self.is_contiguous() {
            packet[FIXED_BYTES..CLEAR_BYTES + self.header.csrcs].rotate_right(EXTENSION_HEADER_BYTES);
        }
    }

    /// Undoes [`Self::arrange`].
    pub(super) fn rearrange(&self, packet: &mut [u8]) {
        if !self.is_contiguous() {
            packet[FIXED_BYTES..CLEAR_BYTES + self.header.csrcs].rotate_left(EXTENSION_HEADER_BYTES);
        }
    }
}
