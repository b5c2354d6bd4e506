//! Each (key, SSRC, ROC, SEQ) and each (key, SSRC, SRTCP index) seals one plaintext only.

use std::collections::BTreeMap;

use sluice_client::media::hash::frame_hash;
use sluice_wire::classify::Class;

use super::{TicketNumber, Way};

/// What was sealed on one SSRC under one key.
#[derive(Debug, Default)]
struct Sealed {
    highest_index: Option<u64>,
    by_index: BTreeMap<u64, u64>,
}

/// All that was sealed in a run.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    by_ssrc: BTreeMap<(TicketNumber, Way, bool, u32), Sealed>,
}

impl Nonces {
    /// Notes a datagram at its sender, in the order of sealing but for what reordering within a flush does.
    pub(super) fn on_sealed(
        &mut self,
        key: (TicketNumber, Way),
        class: Class,
        datagram: &[u8],
    ) -> Result<(), String> {
        let (is_rtp, ssrc) = match class {
            Class::Rtp { ssrc } => (true, ssrc),
            Class::Rtcp { ssrc } => (false, ssrc),
            Class::Runt | Class::Other => return Ok(()),
        };
        let sealed = self.by_ssrc.entry((key.0, key.1, is_rtp, ssrc)).or_default();
        let index = if is_rtp { rtp_index(sealed.highest_index, datagram) } else { rtcp_index(datagram)? };
        sealed.highest_index = sealed.highest_index.max(Some(index));
        let hash = frame_hash(datagram);
        match sealed.by_index.insert(index, hash) {
            // The identical ciphertext again is no second seal.
            Some(before) if before != hash => {
                let kind = if is_rtp { "RTP" } else { "SRTCP" };
                Err(format!("{key:?} sealed twice at {kind} index {index} of SSRC {ssrc:#010x}"))
            }
            _ => Ok(()),
        }
    }
}

/// The 48-bit index, by the distance to the highest one so far (RFC 3711 section 3.3.1).
fn rtp_index(highest: Option<u64>, datagram: &[u8]) -> u64 {
    let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
    let Some(highest) = highest else { return sequence.into() };
    let ahead = sequence.wrapping_sub(highest as u16) as i16;
    highest.saturating_add_signed(ahead.into())
}

/// The last four bytes of SRTCP under AEAD: E bit and index (RFC 7714 section 9.3).
fn rtcp_index(datagram: &[u8]) -> Result<u64, String> {
    let tail = datagram.last_chunk::<4>().ok_or("SRTCP without an index")?;
    let word = u32::from_be_bytes(*tail);
    if word >> 31 == 0 {
        return Err("SRTCP in clear".into());
    }
    Ok(u64::from(word & 0x7FFF_FFFF))
}
