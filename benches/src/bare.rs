//! Sealing and nothing else: what remains of forwarding a packet when everything but the AEAD pass and the copy is left out.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes that a packet grows by: a CSRC and the tag.
pub const GROWTH_BYTES: usize = CSRC_BYTES + TAG_BYTES;
/// Bytes of the fixed RTP header and of a CSRC.
const FIXED_BYTES: usize = 12;
const CSRC_BYTES: usize = 4;
/// What is authenticated and not encrypted: fixed header and the head of the extension, as Cryptex has it.
const CLEAR_BYTES: usize = FIXED_BYTES + 4;
const TAG_BYTES: usize = 16;

/// A key that is expanded once, as a session's is.
#[derive(Debug)]
pub struct BareKey(LessSafeKey);

impl BareKey {
    /// AES-128-GCM. `None` unless `key` has 16 bytes.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        UnboundKey::new(&AES_128_GCM, key).ok().map(LessSafeKey::new).map(Self)
    }

    /// Copies an opened packet to `out`, under another SSRC and sequence number and with room for a CSRC, and seals it there
    /// over as many bytes as a router's packet has. Gives the length; `None` if `out` is too short for `packet` and
    /// [`GROWTH_BYTES`].
    pub fn seal(&self, packet: &[u8], ssrc: u32, sequence_number: u16, out: &mut [u8]) -> Option<usize> {
        let len = packet.len() + GROWTH_BYTES;
        let (fixed, rest) = packet.split_at_checked(FIXED_BYTES)?;
        let (plain, tag) = out.get_mut(..len)?.split_at_mut(len - TAG_BYTES);
        plain[..FIXED_BYTES].copy_from_slice(fixed);
        plain[0] |= 1;
        plain[2..4].copy_from_slice(&sequence_number.to_be_bytes());
        plain[8..12].copy_from_slice(&ssrc.to_be_bytes());
        plain[FIXED_BYTES..FIXED_BYTES + CSRC_BYTES].copy_from_slice(&ssrc.to_be_bytes());
        plain[FIXED_BYTES + CSRC_BYTES..].copy_from_slice(rest);
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[10..].copy_from_slice(&sequence_number.to_be_bytes());
        let (clear, region) = plain.split_at_mut(CLEAR_BYTES);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let made = self.0.seal_in_place_separate_tag(nonce, Aad::from(&*clear), region).ok()?;
        tag.copy_from_slice(made.as_ref());
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_packet_is_as_long_as_a_routers() {
        let key = BareKey::new(&[7; 16]).unwrap();
        let mut out = [0; 1_200];
        assert_eq!(key.seal(&[0x90; 1_120], 9, 3, &mut out), Some(1_140));
        assert_eq!(out[2..4], [0, 3]);
        assert_eq!(out[8..12], [0, 0, 0, 9]);
        assert_eq!(key.seal(&[0x90; 1_200], 9, 3, &mut out), None);
        assert!(BareKey::new(&[7; 15]).is_none());
    }
}
