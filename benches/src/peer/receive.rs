//! Media in: every packet is counted by what is in clear, some are opened and checked.

use std::ops::Add;

use sluice_wire::classify::{Class, classify};
use sluice_wire::ext::MediaExtensions;
use sluice_wire::rtcp::ReportBlock;
use sluice_wire::rtp::RtpPacket;
use sluice_wire::ssrc::SSRCS_PER_STREAM;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use super::Peer;
use super::send::PAYLOAD;

/// One packet of so many is opened and checked: a prime, so that all places in a frame have their turn. Far fewer than 2^15,
/// within which a receiver must see a packet to keep its roll-over counter.
pub const VERIFY_EVERY: u64 = 61;
const MAX_DATAGRAM_BYTES: usize = 1_200;
/// Half of the sequence numbers: what is further ahead is behind.
const HALF: u16 = 0x8000;

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A media packet, counted.
    Counted,
    /// A media packet that was opened and is what its sender sent, at this time.
    Verified {
        /// The capture time.
        sent_at: Time,
    },
    /// RTCP.
    Control,
    /// It belongs to no slot, does not open, or has other content than it should.
    Wrong,
}

/// What slots counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCounts {
    /// Packets.
    pub received: u64,
    /// Sequence numbers that are missing.
    pub missing: u64,
    /// Packets that came behind a later one.
    pub late: u64,
}

impl Add for SlotCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            missing: self.missing + other.missing,
            late: self.late + other.late,
        }
    }
}

/// A slot that shows one track.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) track: TrackId,
    /// The next index, once there was one: sequence number and cycles.
    next: Option<u32>,
    until_verified: u64,
    received_since_report: u64,
    counts: SlotCounts,
}

impl Slot {
    /// `phase` says which packets are checked.
    pub(super) const fn new(track: TrackId, phase: u64) -> Self {
        Self {
            track,
            next: None,
            until_verified: phase % VERIFY_EVERY,
            received_since_report: 0,
            counts: SlotCounts { received: 0, missing: 0, late: 0 },
        }
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    pub(super) const fn counts(&self) -> SlotCounts {
        self.counts
    }

    pub(super) fn reset_counts(&mut self) {
        self.counts = SlotCounts::default();
    }

    fn count(&mut self, sequence_number: u16) {
        self.counts.received += 1;
        self.received_since_report += 1;
        let Some(next) = self.next else {
            self.next = Some(u32::from(sequence_number) + 1);
            return;
        };
        let ahead = sequence_number.wrapping_sub(next as u16);
        if ahead < HALF {
            self.counts.missing += u64::from(ahead);
            self.next = Some(next.wrapping_add(u32::from(ahead) + 1));
        } else {
            self.counts.late += 1;
            self.counts.missing = self.counts.missing.saturating_sub(1);
        }
    }

    /// Whether this packet is one to be checked.
    const fn is_chosen(&mut self) -> bool {
        let is_chosen = self.until_verified == 0;
        self.until_verified = if is_chosen { VERIFY_EVERY - 1 } else { self.until_verified - 1 };
        is_chosen
    }

    /// The report on what came since the last one.
    pub(super) fn report(&mut self, ssrc: u32) -> Option<ReportBlock> {
        let was_silent = std::mem::take(&mut self.received_since_report) == 0;
        let highest_sequence = self.next?.wrapping_sub(1);
        (!was_silent).then(|| ReportBlock { ssrc, highest_sequence, ..ReportBlock::default() })
    }
}

impl Peer {
    /// Takes in a datagram. Without `may_verify` media is counted only.
    pub fn receive(&mut self, now: Time, datagram: &[u8], may_verify: bool) -> Received {
        match classify(datagram) {
            Class::Rtp { ssrc } => self.receive_rtp(ssrc, datagram, may_verify).unwrap_or(Received::Wrong),
            Class::Rtcp { .. } => self.receive_rtcp(now, datagram),
            Class::Runt | Class::Other => Received::Wrong,
        }
    }

    fn receive_rtp(&mut self, ssrc: u32, datagram: &[u8], may_verify: bool) -> Option<Received> {
        let offset =
            ssrc.checked_sub(self.downlink.base()).filter(|offset| offset % SSRCS_PER_STREAM == 0)?;
        let slot = (offset / SSRCS_PER_STREAM).checked_sub(1)?;
        let slot = self.slots.get_mut(slot as usize)?;
        slot.count(u16::from_be_bytes([datagram[2], datagram[3]]));
        if !may_verify || !slot.is_chosen() {
            return Some(Received::Counted);
        }
        let track = slot.track;
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        let opened = self.inbound.open_rtp(datagram, &mut plain).ok()?;
        let packet = RtpPacket::parse(&plain[..opened.len]).ok()?;
        let is_as_sent = packet.csrcs().next() == Some(track.to_bits())
            && PAYLOAD.get(..packet.payload().len()) == Some(packet.payload());
        let sent_at = MediaExtensions::read(&packet).capture_time.and_then(|time| Time::from_ntp(time.0))?;
        is_as_sent.then_some(Received::Verified { sent_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(numbers: &[u16]) -> SlotCounts {
        let mut slot = Slot::new(TrackId::from_bits(0x101).unwrap(), 0);
        numbers.iter().for_each(|number| slot.count(*number));
        slot.counts()
    }

    #[test]
    fn gaps_are_counted_and_filled_by_what_is_late() {
        assert_eq!(count(&[5, 6, 9]), SlotCounts { received: 3, missing: 2, late: 0 });
        assert_eq!(count(&[5, 6, 9, 7]), SlotCounts { received: 4, missing: 1, late: 1 });
        assert_eq!(count(&[0xFFFE, 0xFFFF, 0, 2]), SlotCounts { received: 4, missing: 1, late: 0 });
    }

    #[test]
    fn one_packet_of_many_is_chosen() {
        let mut slot = Slot::new(TrackId::from_bits(0x101).unwrap(), 0);
        let chosen = (0..VERIFY_EVERY * 3).filter(|_| slot.is_chosen()).count();
        assert_eq!(chosen, 3);
    }
}
