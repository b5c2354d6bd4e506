//! Sums of packets, and the one that is missing from them.

use super::header::{FlexFec, MAX_MASK_BITS};
use crate::rtp::{FIXED_HEADER_BYTES, RtpPacket};

/// The longest packet that is protected or given back, in bytes of RTP in clear: what a datagram over Ethernet can hold.
pub const MAX_PROTECTED_BYTES: usize = 1_472;

const MAX_BODY_BYTES: usize = MAX_PROTECTED_BYTES - FIXED_HEADER_BYTES;

/// Sums up the packets of one FEC packet.
#[derive(Clone, Debug)]
pub struct FlexEncoder {
    recovery: [u8; 8],
    body: Box<[u8; MAX_BODY_BYTES]>,
    len: usize,
    base: u16,
    mask: u128,
}

impl Default for FlexEncoder {
    fn default() -> Self {
        Self { recovery: [0; 8], body: Box::new([0; MAX_BODY_BYTES]), len: 0, base: 0, mask: 0 }
    }
}

impl FlexEncoder {
    /// Forgets all packets.
    pub fn clear(&mut self) {
        self.body[..self.len].fill(0);
        (self.recovery, self.len, self.mask) = ([0; 8], 0, 0);
    }

    /// Adds a packet in clear, in order of sequence number. Says whether it is in: not if it is no RTP packet, too long, not
    /// behind the last one, or [`MAX_MASK_BITS`] - 1 or more behind the first one, which the longest mask of both layouts ends at.
    pub fn push(&mut self, packet: &[u8]) -> bool {
        let Ok(parsed) = RtpPacket::parse(packet) else { return false };
        let sequence = parsed.sequence_number();
        let offset = if self.mask == 0 { 0 } else { usize::from(sequence.wrapping_sub(self.base)) };
        let is_next = self.mask == 0 || offset > 127 - self.mask.trailing_zeros() as usize;
        if packet.len() > MAX_PROTECTED_BYTES || offset >= MAX_MASK_BITS - 1 || !is_next {
            return false;
        }
        if self.mask == 0 {
            self.base = sequence;
        }
        self.mask |= 1 << (127 - offset);
        add(&mut self.recovery, &mut self.body[..], packet);
        self.len = self.len.max(packet.len() - FIXED_HEADER_BYTES);
        true
    }

    /// The FEC packet of what was added, for the stream `ssrc`; `None` of nothing.
    #[must_use]
    pub fn packet(&self, ssrc: u32) -> Option<FlexFec<'_>> {
        let mut recovery = self.recovery;
        recovery[0] &= 0x3F;
        (self.mask != 0).then(|| FlexFec {
            ssrc: Some(ssrc),
            base: self.base,
            mask: self.mask,
            recovery,
            parity: &self.body[..self.len],
        })
    }
}

/// Adds a packet, which is not longer than the body and a fixed header, to the sums.
fn add(recovery: &mut [u8; 8], body: &mut [u8], packet: &[u8]) {
    let (fixed, behind) = packet.split_at(FIXED_HEADER_BYTES);
    let [l0, l1] = (behind.len() as u16).to_be_bytes();
    let fields = [fixed[0], fixed[1], l0, l1, fixed[4], fixed[5], fixed[6], fixed[7]];
    recovery.iter_mut().zip(fields).for_each(|(sum, byte)| *sum ^= byte);
    body.iter_mut().zip(behind).for_each(|(sum, byte)| *sum ^= byte);
}

impl FlexFec<'_> {
    /// Writes the one protected packet that did not come to `out` and gives its sequence number and length. `find` gives those that
    /// came, in clear, by sequence number. `None` while two are missing, if none is, and if what comes out is no RTP packet.
    ///
    /// What it gives is untrusted input like any packet.
    pub fn recover<'p>(
        &self,
        ssrc: u32,
        find: impl Fn(u16) -> Option<&'p [u8]>,
        out: &mut [u8; MAX_PROTECTED_BYTES],
    ) -> Option<(u16, usize)> {
        let mut missing = self.sequences().filter(|sequence| find(*sequence).is_none());
        let lost = missing.next()?;
        if missing.next().is_some() || self.parity.len() > MAX_BODY_BYTES {
            return None;
        }
        let mut recovery = self.recovery;
        let (fixed, body) = out.split_first_chunk_mut::<FIXED_HEADER_BYTES>()?;
        body.fill(0);
        body[..self.parity.len()].copy_from_slice(self.parity);
        for packet in self.sequences().filter_map(&find) {
            // One that is longer than the parity was not part of it.
            if !(FIXED_HEADER_BYTES..=FIXED_HEADER_BYTES + self.parity.len()).contains(&packet.len()) {
                return None;
            }
            add(&mut recovery, body, packet);
        }
        let len = usize::from(u16::from_be_bytes([recovery[2], recovery[3]]));
        if len > self.parity.len() {
            return None;
        }
        fixed[0] = recovery[0] & 0x3F | 0x80;
        fixed[1] = recovery[1];
        fixed[2..4].copy_from_slice(&lost.to_be_bytes());
        fixed[4..8].copy_from_slice(&recovery[4..]);
        fixed[8..].copy_from_slice(&ssrc.to_be_bytes());
        let len = FIXED_HEADER_BYTES + len;
        RtpPacket::parse(&out[..len]).ok()?;
        Some((lost, len))
    }
}
