//! The fan-out: pending packets of an encoding go to each of its subscribers in turn, so that a frame's packets for one
//! receiver stand side by side in the batch and leave as one segmented send.

use slotmap::SlotMap;
use sluice_wire::control::SlotStatus;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;

use super::{Drained, Shard};
use crate::core::batch::TransmitBatch;
use crate::core::counters::{Counters, DropReason};
use crate::core::header::ReceiverFields;
use crate::core::ids::{EncodingRef, SessionKey, SlotRef};
use crate::core::layers::Admission;
use crate::core::limits::{MAX_DATAGRAM_BYTES, PACING_INTERVAL};
use crate::core::path::{Blocked, Target};
use crate::core::pool::PacketPool;
use crate::core::session::Session;
use crate::core::track::Packet;
use crate::io::prefetch;

/// What a track's packets have in common.
#[derive(Clone, Copy)]
struct Source {
    encoding: EncodingRef,
    clock_rate_hz: u32,
}

impl Shard {
    /// Forwards what is pending and may leave by now, as far as it fits.
    pub(super) fn flush_media(&mut self, now: Time, batch: &mut TransmitBatch) -> Drained {
        while let Some(due) = self.paced.front().copied().filter(|(at, _)| *at <= now) {
            self.paced.pop_front();
            self.dirty.push_back(due);
        }
        while let Some((since, encoding)) = self.dirty.front().copied() {
            if self.forward(now, encoding, batch) == Drained::BatchFull {
                return Drained::BatchFull;
            }
            self.dirty.pop_front();
            self.pace_rest(now, since, encoding);
        }
        self.is_full = false;
        Drained::Done
    }

    /// What an encoding has beyond a quantum waits for its time, which is reckoned from when the last quantum was due: a flush
    /// that is late makes up for it.
    fn pace_rest(&mut self, now: Time, since: Time, encoding: EncodingRef) {
        if self.encoding_mut(encoding).is_none_or(|encoding| encoding.pending.is_empty()) {
            return;
        }
        let at = since + PACING_INTERVAL;
        if at <= now {
            self.dirty.push_back((at, encoding));
        } else {
            let place = self.paced.partition_point(|(other, _)| *other <= at);
            self.paced.insert(place, (at, encoding));
        }
    }

    /// The fan-out loop.
    fn forward(&mut self, now: Time, from: EncodingRef, batch: &mut TransmitBatch) -> Drained {
        let Some(track) = self.tracks.get_mut(from.track) else { return Drained::Done };
        let source = Source { encoding: from, clock_rate_hz: track.payload_type.clock_rate_hz() };
        let Some(encoding) = track.encodings.get_mut(usize::from(from.encoding)) else {
            return Drained::Done;
        };
        if encoding.flushing == 0 {
            encoding.flushing = encoding.quantum();
        }
        let packets = &encoding.pending[..encoding.flushing];
        let mut switched: Vec<(SlotRef, Option<u8>)> = Vec::new();
        let mut drained = Drained::Done;
        while let Some(subscriber) = encoding.subscribers.get(encoding.flushed_subscribers).copied() {
            if batch.remaining() < packets.len() * MAX_DATAGRAM_BYTES {
                drained = Drained::BatchFull;
                break;
            }
            encoding.flushed_subscribers += 1;
            announce(&self.sessions, &encoding.subscribers[encoding.flushed_subscribers..]);
            let Some(session) = self.sessions.get_mut(subscriber.session) else { continue };
            for packet in packets {
                let (pool, counters) = (&self.pool, &mut self.counters);
                match forward_one(now, source, packet, subscriber.slot, session, pool, batch, counters) {
                    Ok(Sent::Continued) => {}
                    Ok(Sent::Switched { leaves }) => switched.push((subscriber, leaves)),
                    Err(reason) => counters.drop(reason),
                }
            }
        }
        if drained == Drained::Done {
            encoding.flushed_subscribers = 0;
            for packet in encoding.pending.drain(..std::mem::take(&mut encoding.flushing)) {
                self.pool.give_back(packet.slot);
            }
        }
        for (subscriber, leaves) in switched {
            self.finish_switch(from, subscriber, leaves);
        }
        drained
    }

    /// A slot began to show `from`: its receiver is told, and the encoding that it left forgets it.
    fn finish_switch(&mut self, from: EncodingRef, subscriber: SlotRef, leaves: Option<u8>) {
        if let Some(left) = leaves
            && let Some(encoding) =
                self.tracks.get_mut(from.track).and_then(|track| track.encodings.get_mut(usize::from(left)))
        {
            encoding.unsubscribe(subscriber);
        }
        if let Some(session) = self.sessions.get_mut(subscriber.session) {
            session.touch_shown(subscriber.slot);
        }
        self.has_something_to_say(subscriber.session);
    }
}

/// Has the state of the next receivers brought into the cache: among thousands it is in memory alone, and a fetch takes as long as
/// sealing a quarter of a packet. The slot of the very next one can be found, for its session was announced a receiver ago.
fn announce(sessions: &SlotMap<SessionKey, Session>, next: &[SlotRef]) {
    if let Some(session) = next.get(1).and_then(|after| sessions.get(after.session)) {
        prefetch(session);
    }
    if let Some((session, slot)) =
        next.first().and_then(|next| Some((sessions.get(next.session)?, next.slot)))
        && let Some(slot) = session.slots.get(usize::from(slot))
    {
        prefetch(slot);
    }
}

enum Sent {
    /// It went on, or was not for this slot.
    Continued,
    /// It was the first of this encoding on the slot.
    Switched { leaves: Option<u8> },
}

/// One packet to one slot: forward or drop, rewrite, protect straight into the batch.
#[expect(clippy::too_many_arguments, reason = "the disjoint parts of the shard that one packet touches")]
fn forward_one(
    now: Time,
    source: Source,
    packet: &Packet,
    slot_number: u16,
    session: &mut Session,
    pool: &PacketPool,
    batch: &mut TransmitBatch,
    counters: &mut Counters,
) -> Result<Sent, DropReason> {
    let Some(slot) = session.slots.get_mut(usize::from(slot_number)).and_then(Option::as_mut) else {
        return Ok(Sent::Continued);
    };
    let Some(selection) = slot.selection.as_mut().filter(|s| s.track == source.encoding.track) else {
        return Ok(Sent::Continued);
    };
    if session.paths.allowance(Target::Media) < MAX_DATAGRAM_BYTES {
        // Before anything changes: a slot must not start with a packet that is not sent.
        return Err(blocked(session.paths.why_blocked()));
    }
    let sent = match selection.admit(source.encoding.encoding, packet.marking, packet.timestamp) {
        Admission::Ignore | Admission::Skip => return Ok(Sent::Continued),
        Admission::Forward { .. } => Sent::Continued,
        Admission::Switch { leaves, .. } => {
            slot.rewriter.switch(packet.index, packet.timestamp, packet.arrival, source.clock_rate_hz);
            slot.clock_rate_hz = source.clock_rate_hz;
            slot.status = SlotStatus::Flowing;
            Sent::Switched { leaves }
        }
    };
    let rewritten = slot
        .rewriter
        .rewrite(packet.index, packet.timestamp, packet.arrival)
        .ok_or(DropReason::NotContinuous)?;
    let stream = StreamIndex(slot_number + 1);
    let header = packet.header.fill(ReceiverFields {
        sequence_number: rewritten.index as u16,
        timestamp: rewritten.timestamp,
        ssrc: session.downlink.ssrc(stream, StreamRole::Media).ok_or(DropReason::NotContinuous)?,
        transport_sequence: session.next_transport_out,
    });
    let (start, len) = (usize::from(packet.payload.start), usize::from(packet.payload.len));
    let payload = &pool.bytes(&packet.slot)[start..start + len];
    let sealed_len = packet.header.len() + len + session.outbound.rtp_overhead();
    if sealed_len > MAX_DATAGRAM_BYTES {
        return Err(DropReason::TooLarge);
    }
    let path = session.paths.charge(Target::Media, sealed_len).map_err(blocked)?;
    let len = session
        .outbound
        .seal_rtp(rewritten.index, &header[..packet.header.len()], payload, batch.spare())
        .map_err(|_| DropReason::NotContinuous)?;
    batch.commit(path, len);
    session.next_transport_out = session.next_transport_out.wrapping_add(1);
    session.last_sent = now;
    slot.packets_sent = slot.packets_sent.wrapping_add(1);
    slot.octets_sent = slot.octets_sent.wrapping_add(payload.len() as u32);
    slot.last_sent = Some(now);
    counters.rtp_out += 1;
    counters.bytes_out += len as u64;
    Ok(sent)
}

/// The drop reason of a datagram that may not be sent.
pub(super) const fn blocked(blocked: Blocked) -> DropReason {
    match blocked {
        Blocked::NoPath => DropReason::NoPath,
        Blocked::Budget => DropReason::UnvalidatedBudget,
    }
}

impl Shard {
    /// Forgets what an encoding holds for the flush.
    pub(super) fn discard_pending(&mut self, of: EncodingRef) {
        let Some(track) = self.tracks.get_mut(of.track) else { return };
        let Some(encoding) = track.encodings.get_mut(usize::from(of.encoding)) else { return };
        encoding.flushing = 0;
        encoding.flushed_subscribers = 0;
        for packet in encoding.pending.drain(..) {
            self.pool.give_back(packet.slot);
        }
    }

    /// Whether `key` is a session that may receive.
    pub(super) fn is_live(&self, key: SessionKey) -> bool {
        self.sessions.get(key).is_some_and(|session| !session.is_closing())
    }
}
