//! The SRTCP packet: RFC 3711 section 3.4, RFC 7714 section 9.

use aws_lc_rs::error::Unspecified;

use super::cipher::{Cipher, CmHmac};

/// Bytes of the first packet's header, with the sender's SSRC: they stay in clear.
pub(super) const CLEAR_BYTES: usize = 8;
/// Bytes of E bit and index.
pub(super) const WORD_BYTES: usize = 4;

const VERSION: u8 = 2;
const ENCRYPTED: u32 = 1 << 31;

/// Associated data of the AEAD suites: header and word (RFC 7714 section 9.2).
const ASSOCIATED_BYTES: usize = CLEAR_BYTES + WORD_BYTES;

/// The SSRC of the sender of a compound. `None` if it is not of version 2, or too short.
pub(super) fn sender(compound: &[u8]) -> Option<u32> {
    let &[first, _, _, _, a, b, c, d] = compound.first_chunk::<CLEAR_BYTES>()?;
    (first >> 6 == VERSION).then_some(u32::from_be_bytes([a, b, c, d]))
}

/// E bit and index of a packet. `None` if it is too short.
pub(super) fn word(cipher: &Cipher, packet: &[u8]) -> Option<(bool, u32)> {
    let end = match cipher {
        Cipher::Gcm(_) => packet.len(),
        Cipher::Cm(_) => packet.len().checked_sub(CmHmac::TAG_BYTES)?,
    };
    let bytes = *packet.get(..end)?.last_chunk::<WORD_BYTES>()?;
    let word = u32::from_be_bytes(bytes);
    Some((word & ENCRYPTED != 0, word & !ENCRYPTED))
}

fn associated(clear: &[u8], word: [u8; WORD_BYTES]) -> [u8; ASSOCIATED_BYTES] {
    let mut associated = [0; ASSOCIATED_BYTES];
    associated[..CLEAR_BYTES].copy_from_slice(clear);
    associated[CLEAR_BYTES..].copy_from_slice(&word);
    associated
}

/// Seals a compound into `out`, which has exactly the room for it.
///
/// # Errors
/// [`Unspecified`] if the compound is longer than the cipher allows, which is more than a datagram can hold.
pub(super) fn seal(
    cipher: &Cipher,
    ssrc: u32,
    index: u32,
    compound: &[u8],
    out: &mut [u8],
) -> Result<(), Unspecified> {
    let word = (index | ENCRYPTED).to_be_bytes();
    let index = u64::from(index);
    out[..compound.len()].copy_from_slice(compound);
    match cipher {
        Cipher::Gcm(gcm) => {
            let (packet, trailer) = out.split_at_mut(compound.len());
            let (clear, region) = packet.split_at_mut(CLEAR_BYTES);
            let tag = gcm.seal(ssrc, index, &associated(clear, word), region)?;
            let (tag_out, word_out) = trailer.split_at_mut(cipher.tag_len());
            tag_out.copy_from_slice(tag.as_ref());
            word_out.copy_from_slice(&word);
        }
        Cipher::Cm(cm) => {
            cm.apply(ssrc, index, &mut out[CLEAR_BYTES..compound.len()])?;
            out[compound.len()..][..WORD_BYTES].copy_from_slice(&word);
            let (authenticated, tag_out) = out.split_at_mut(compound.len() + WORD_BYTES);
            tag_out.copy_from_slice(&cm.tag(authenticated, &[]));
        }
    }
    Ok(())
}

/// Opens an encrypted packet into `out`, which is as long as the packet without word and tag.
///
/// # Errors
/// [`Unspecified`] if the tag is wrong; `out` may hold anything then.
pub(super) fn open(
    cipher: &Cipher,
    ssrc: u32,
    index: u32,
    packet: &[u8],
    out: &mut [u8],
) -> Result<(), Unspecified> {
    let word = (index | ENCRYPTED).to_be_bytes();
    let index = u64::from(index);
    match cipher {
        Cipher::Gcm(gcm) => {
            let (clear, region) = packet[..out.len()].split_at(CLEAR_BYTES);
            let tag = &packet[out.len()..packet.len() - WORD_BYTES];
            let (clear_out, region_out) = out.split_at_mut(CLEAR_BYTES);
            gcm.open(ssrc, index, &associated(clear, word), region, tag, region_out)?;
            clear_out.copy_from_slice(clear);
        }
        Cipher::Cm(cm) => {
            let (authenticated, tag) = packet.split_at(out.len() + WORD_BYTES);
            cm.verify(authenticated, &[], tag)?;
            out.copy_from_slice(&packet[..out.len()]);
            cm.apply(ssrc, index, &mut out[CLEAR_BYTES..])?;
        }
    }
    Ok(())
}
