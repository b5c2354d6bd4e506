//! What receivers lost: their NACKs are answered with RTX from the shard's history.
//!
//! A NACK is untrusted. What it names is looked up a bounded number of times, what is found is admitted by the session's book,
//! and what is admitted leaves in small bursts. A packet that the router lacks itself costs a look-up and nothing else: it is
//! asked for on its own account (`shard/losses.rs`), and goes to whoever misses it when it comes.

use sluice_wire::payload_type::PayloadType;
use sluice_wire::repair::{DEFAULT_RTT, rtx};
use sluice_wire::rtcp::Nack;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;

use super::forward::blocked;
use super::{Drained, Shard};
use crate::core::batch::TransmitBatch;
use crate::core::counters::DropReason;
use crate::core::header::ReceiverFields;
use crate::core::ids::SessionKey;
use crate::core::limits::{MAX_DATAGRAM_BYTES, RESEND_INTERVAL, RESEND_QUANTUM_PACKETS};
use crate::core::path::Target;
use crate::core::resends::{Resend, ResendRefusal};
use crate::core::session::Session;
use crate::core::track::Packet;

const MARKER_BIT: u8 = 0x80;

impl Shard {
    /// A receiver asks for packets again.
    pub(super) fn handle_nack(
        &mut self,
        now: Time,
        key: SessionKey,
        nack: Nack<'_>,
    ) -> Result<(), DropReason> {
        let slot = self.downlink_slot(key, nack.media_ssrc)?;
        self.counters.nacks_in += 1;
        if let Some(session) = self.sessions.get_mut(key) {
            let media_bytes = session.slots.iter().flatten().map(|slot| slot.octets_sent);
            session.resends.book.earn(media_bytes.fold(0, u32::wrapping_add));
        }
        for sequence_number in nack.lost() {
            self.counters.packets_asked_in += 1;
            if let Err(refusal) = self.request_resend(now, key, slot, sequence_number) {
                self.counters.refuse_resend(refusal);
                if refusal == ResendRefusal::Crowded {
                    break;
                }
            }
        }
        Ok(())
    }

    fn request_resend(
        &mut self,
        now: Time,
        key: SessionKey,
        slot_number: u16,
        sequence_number: u16,
    ) -> Result<(), ResendRefusal> {
        let session = self.sessions.get_mut(key).ok_or(ResendRefusal::NotHeld)?;
        if !session.resends.hear() {
            return Err(ResendRefusal::Crowded);
        }
        let slot = session.slot(slot_number);
        let origin = slot.and_then(|slot| slot.rewriter.source_of(sequence_number));
        let origin = origin.ok_or(ResendRefusal::NotHeld)?;
        let resend = Resend { slot: slot_number, origin };
        let packet = self.held(&resend).ok_or(ResendRefusal::NotHeld)?;
        let arrival = packet.incoming.arrival;
        let bytes = packet.header.len() + rtx::OSN_BYTES + usize::from(packet.payload.len);
        let session = self.sessions.get_mut(key).ok_or(ResendRefusal::NotHeld)?;
        let rtt = session.rtt.unwrap_or(DEFAULT_RTT);
        // One that came late has only just been sent for the first time: the request crossed it. A quarter is for jitter.
        if now < arrival + rtt * 3 / 4 {
            return Err(ResendRefusal::TooSoon);
        }
        session.resends.book.admit(now, rtt, slot_number, origin.out, bytes)?;
        if session.resends.waiting.is_empty() {
            self.queue_resends(now, key);
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.resends.waiting.push_back(resend);
        }
        Ok(())
    }

    /// The packet, if it is still held.
    fn held(&self, resend: &Resend) -> Option<&Packet> {
        let of = resend.origin.encoding;
        let encoding = self.tracks.get(of.track)?.encodings.get(usize::from(of.encoding))?;
        self.history.find(of, &encoding.history, resend.origin.index)
    }

    fn queue_resends(&mut self, at: Time, key: SessionKey) {
        let place = self.resending.partition_point(|(other, _)| *other <= at);
        self.resending.insert(place, (at, key));
    }

    /// Sends again what was asked for and may leave by now, as far as it fits.
    pub(super) fn flush_resends(&mut self, now: Time, batch: &mut TransmitBatch) -> Drained {
        while let Some((_, key)) = self.resending.front().copied().filter(|(at, _)| *at <= now) {
            if batch.remaining() < RESEND_QUANTUM_PACKETS * MAX_DATAGRAM_BYTES {
                return Drained::BatchFull;
            }
            self.resending.pop_front();
            for _ in 0..RESEND_QUANTUM_PACKETS {
                let next = self.sessions.get_mut(key).and_then(|session| session.resends.waiting.pop_front());
                let Some(resend) = next else { break };
                if let Err(reason) = self.send_again(now, key, &resend, batch) {
                    self.counters.drop(reason);
                }
            }
            if self.sessions.get(key).is_some_and(|session| !session.resends.waiting.is_empty()) {
                self.queue_resends(now + RESEND_INTERVAL, key);
            }
        }
        Drained::Done
    }

    fn send_again(
        &mut self,
        now: Time,
        key: SessionKey,
        resend: &Resend,
        batch: &mut TransmitBatch,
    ) -> Result<(), DropReason> {
        // It may have been forgotten while it waited for its turn.
        let Some(packet) = self.held(resend) else {
            self.counters.refuse_resend(ResendRefusal::NotHeld);
            return Ok(());
        };
        let mut payload = [0; MAX_DATAGRAM_BYTES];
        let rewritten = resend.origin.rewrite(&packet.incoming);
        let len = rtx::write(
            rewritten.index as u16,
            packet.payload.of(self.pool.bytes(&packet.slot)),
            &mut payload,
        )
        .map_err(|_| DropReason::TooLarge)?;
        let payload = &mut payload[..len];
        packet.renumber(&mut payload[rtx::OSN_BYTES..], rewritten.vp8_offset);
        let (template, marking) = (packet.header.clone(), packet.marking);
        let is_audio =
            self.tracks.get(resend.origin.encoding.track).is_some_and(|track| track.kind.is_audio());
        let session = self.sessions.get_mut(key).filter(|session| !session.is_closing());
        let Some(session) = session else { return Ok(()) };
        let ends_picture = !is_audio && marking.end && is_highest(session, resend, marking.layer_id);
        let stream = StreamIndex(resend.slot + 1);
        let ssrc = session.downlink.ssrc(stream, StreamRole::Rtx).ok_or(DropReason::NotContinuous)?;
        let Some(index) = session.slot(resend.slot).map(|slot| slot.next_rtx) else { return Ok(()) };
        let mut header = template.fill(ReceiverFields {
            sequence_number: index as u16,
            timestamp: rewritten.timestamp,
            ssrc,
            transport_sequence: session.next_transport_out,
            marker: ends_picture,
            tl0_pic_idx: rewritten.tl0_pic_idx,
        });
        header[1] = (header[1] & MARKER_BIT) | PayloadType::Rtx as u8;
        let header = &header[..template.len()];
        let sealed_len = header.len() + payload.len() + session.outbound.rtp_overhead();
        if sealed_len > MAX_DATAGRAM_BYTES {
            return Err(DropReason::TooLarge);
        }
        let path = session.paths.charge(Target::Media, sealed_len).map_err(blocked)?;
        let len = session
            .outbound
            .seal_rtp(index, header, payload, batch.spare())
            .map_err(|_| DropReason::NotContinuous)?;
        batch.commit(path, len);
        session.on_rtp_sent(now, len);
        if let Some(slot) = session.slot_mut(resend.slot) {
            slot.next_rtx += 1;
        }
        self.counters.rtx_out += 1;
        self.counters.rtx_bytes_out += len as u64;
        self.counters.bytes_out += len as u64;
        Ok(())
    }
}

/// Whether a spatial layer is the highest that the slot shows of the encoding; of one that it showed before, as far as can be said.
fn is_highest(session: &Session, resend: &Resend, layer_id: u8) -> bool {
    let selection = session.slot(resend.slot).and_then(|slot| slot.selection);
    let current = selection
        .filter(|selection| selection.track == resend.origin.encoding.track)
        .and_then(|selection| selection.current())
        .filter(|current| current.encoding == resend.origin.encoding.encoding);
    current.is_none_or(|current| current.spatial == layer_id)
}
