//! A hostile receiver: an honest session whose words are opened, changed, and sealed again with additions.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sluice_wire::classify::{Class, classify};
use sluice_wire::ext::MediaExtensions;
use sluice_wire::feedback::{Arrival, Ecn, FEEDBACK_SUBTYPE, TICK, write_feedback};
use sluice_wire::rtcp::CompoundWriter;
use sluice_wire::rtp::{BufferTooSmall, RtpPacket};
use sluice_wire::srtp::{Cryptex, InboundSrtp, OutboundSrtp};
use sluice_wire::ssrc::{SsrcBlock, StreamIndex, StreamRole};
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;

use super::network::text;
use crate::scenario::Attack;

const MAX_DATAGRAM_BYTES: usize = 1_200;
/// The largest plaintext of an SRTCP datagram.
const MAX_COMPOUND_BYTES: usize = 1_100;
/// Of an APP packet in a compound.
const APP_TYPE: u8 = 204;
/// Attacks come this often.
const INTERVAL: Duration = Duration::from_millis(1);
/// Every packet is asked for so many times.
const NACK_TIMES: usize = 10;
/// Sequence numbers that one datagram asks for; the others wait for the next.
const NACKS_PER_DATAGRAM: usize = 128;
/// Feedback is sent as often as honest receivers send it.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(20);
/// Packets of one feedback message.
const MAX_REPORTED: u16 = 512;

/// What changes the words of one session.
pub(super) struct Hostile {
    attacks: Vec<Attack>,
    uplink: SsrcBlock,
    downlink: SsrcBlock,
    slots: u16,
    own: InboundSrtp,
    sealer: OutboundSrtp,
    reader: InboundSrtp,
    next_at: Time,
    /// Packets to ask for again: SSRC, sequence number, and how often still.
    nacks: VecDeque<(u32, u16, usize)>,
    next_feedback: Time,
    /// Transport sequence numbers: the next to report on, and the newest that came.
    reported: Option<(u16, u16)>,
    ticks: u32,
}

impl Hostile {
    pub(super) fn new(attacks: &[Attack], ticket: &Ticket, slots: u16, now: Time) -> Result<Self, String> {
        let (up, down) = (&ticket.uplink, &ticket.downlink);
        let inbound = |master, block| InboundSrtp::new(ticket.suite, master, block, Cryptex::Required);
        Ok(Self {
            attacks: attacks.to_vec(),
            uplink: up.ssrcs,
            downlink: down.ssrcs,
            slots,
            own: inbound(&up.master, up.ssrcs).map_err(text)?,
            sealer: OutboundSrtp::new(ticket.suite, &up.master, up.ssrcs, Cryptex::Required).map_err(text)?,
            reader: inbound(&down.master, down.ssrcs).map_err(text)?,
            next_at: now + INTERVAL,
            nacks: VecDeque::new(),
            next_feedback: now,
            reported: None,
            ticks: 0,
        })
    }

    pub(super) const fn next_at(&self) -> Time {
        self.next_at
    }

    /// What goes out in place of what the session says.
    pub(super) fn replace(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        let opened = self.own.open_rtcp(datagram, &mut plain).ok()?;
        let compound = plain.get(..opened.len)?;
        if self.attacks.contains(&Attack::FalseFeedback) {
            return self.seal(&without_feedback(compound));
        }
        self.seal(compound)
    }

    /// Takes note of what comes.
    pub(super) fn on_received(&mut self, datagram: &[u8]) {
        let Class::Rtp { ssrc } = classify(datagram) else { return };
        if self.attacks.contains(&Attack::NackEverything) {
            let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
            self.nacks.push_back((ssrc, sequence, NACK_TIMES));
        }
        if self.attacks.contains(&Attack::FalseFeedback) {
            let mut plain = [0; MAX_DATAGRAM_BYTES];
            let opened = self.reader.open_rtp(datagram, &mut plain).ok();
            let packet = opened.and_then(|opened| RtpPacket::parse(plain.get(..opened.len)?).ok());
            let sequence = packet.and_then(|packet| MediaExtensions::read(&packet).transport_sequence);
            if let Some(sequence) = sequence {
                let (next, newest) = self.reported.unwrap_or((sequence, sequence));
                let is_newer = (sequence.wrapping_sub(newest) as i16) > 0;
                self.reported = Some((next, if is_newer { sequence } else { newest }));
            }
        }
    }

    /// The hostile datagrams that are due.
    pub(super) fn act(&mut self, now: Time) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        while self.next_at <= now {
            self.next_at += INTERVAL;
            for attack in self.attacks.clone() {
                let datagram = match attack {
                    Attack::KeyFrames => self.ask_for_key_frames(),
                    Attack::NackEverything => self.nack(),
                    Attack::FalseFeedback => self.lie(now),
                };
                datagrams.extend(datagram);
            }
        }
        datagrams
    }

    fn ask_for_key_frames(&mut self) -> Option<Vec<u8>> {
        let ssrcs =
            (0..self.slots).filter_map(|slot| self.downlink.ssrc(StreamIndex(slot + 1), StreamRole::Media));
        let ssrcs: Vec<u32> = ssrcs.collect();
        self.compose(|compound, control| ssrcs.iter().try_for_each(|ssrc| compound.pli(control, *ssrc)))
    }

    fn nack(&mut self) -> Option<Vec<u8>> {
        let mut lost: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        for _ in 0..self.nacks.len().min(NACKS_PER_DATAGRAM) {
            let Some((ssrc, sequence, times)) = self.nacks.pop_front() else { break };
            lost.entry(ssrc).or_default().push(sequence);
            if times > 1 {
                self.nacks.push_back((ssrc, sequence, times - 1));
            }
        }
        for sequences in lost.values_mut() {
            sequences.sort_unstable();
            sequences.dedup();
        }
        if lost.is_empty() {
            return None;
        }
        self.compose(|compound, control| {
            lost.iter().try_for_each(|(ssrc, lost)| compound.nack(control, *ssrc, lost))
        })
    }

    /// All that was sent arrived, each packet a tick after the one before.
    fn lie(&mut self, now: Time) -> Option<Vec<u8>> {
        let (base, newest) = self.reported.filter(|_| self.next_feedback <= now)?;
        self.next_feedback = now + FEEDBACK_INTERVAL;
        let count = newest.wrapping_sub(base).wrapping_add(1).min(MAX_REPORTED);
        if count == 0 || (newest.wrapping_sub(base) as i16) < 0 {
            return None;
        }
        self.reported = Some((base.wrapping_add(count), newest));
        let first = self.ticks;
        self.ticks = self.ticks.wrapping_add(count.into());
        let arrivals = (0..u32::from(count))
            .map(|place| Some(Arrival { ticks: first.wrapping_add(place), ecn: Ecn::from_bits(0) }));
        self.compose(|compound, control| write_feedback(compound, control, base, TICK, arrivals.clone()))
    }

    fn compose(
        &mut self,
        write: impl FnOnce(&mut CompoundWriter<'_>, u32) -> Result<(), BufferTooSmall>,
    ) -> Option<Vec<u8>> {
        let control = self.uplink.control();
        let mut plain = [0; MAX_COMPOUND_BYTES];
        let mut compound = CompoundWriter::new(&mut plain);
        compound.receiver_report(control, &[]).ok()?;
        write(&mut compound, control).ok()?;
        let len = compound.finish();
        self.seal(plain.get(..len)?)
    }

    fn seal(&mut self, compound: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = [0; MAX_DATAGRAM_BYTES];
        let len = self.sealer.seal_rtcp(compound, &mut sealed).ok()?;
        sealed.get(..len).map(<[u8]>::to_vec)
    }
}

/// A compound without its feedback messages.
fn without_feedback(compound: &[u8]) -> Vec<u8> {
    let (mut kept, mut rest) = (Vec::with_capacity(compound.len()), compound);
    while let Some(&[first, packet_type, high, low]) = rest.first_chunk::<4>() {
        let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let Some((packet, behind)) = rest.split_at_checked(len) else { break };
        if packet_type != APP_TYPE || first & 0x1F != FEEDBACK_SUBTYPE {
            kept.extend_from_slice(packet);
        }
        rest = behind;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_is_taken_out_and_nothing_else() {
        let mut plain = [0; 500];
        let mut compound = CompoundWriter::new(&mut plain);
        let arrival = Some(Arrival { ticks: 5, ecn: Ecn::from_bits(0) });
        compound.receiver_report(64, &[]).unwrap();
        write_feedback(&mut compound, 64, 7, TICK, [arrival, arrival].into_iter()).unwrap();
        compound.pli(64, 9).unwrap();
        let len = compound.finish();
        let kept = without_feedback(&plain[..len]);
        let mut expected = [0; 500];
        let mut compound = CompoundWriter::new(&mut expected);
        compound.receiver_report(64, &[]).unwrap();
        compound.pli(64, 9).unwrap();
        assert_eq!(kept, compound.as_bytes());
    }
}
