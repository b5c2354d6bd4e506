//! The fan-out: pending packets of an encoding go to each of its subscribers in turn, so that a frame's packets for one
//! receiver stand side by side in the batch and leave as one segmented send.

use std::collections::VecDeque;

use slotmap::SlotMap;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;

use super::subscribe::Tell;
use super::{Drained, Shard};
use crate::core::batch::TransmitBatch;
use crate::core::counters::{Counters, DropReason};
use crate::core::downlink::{Downlink, Paced};
use crate::core::header::ReceiverFields;
use crate::core::ids::{EncodingRef, SessionKey, SlotRef};
use crate::core::layers::{Admission, Layers};
use crate::core::limits::{MAX_DATAGRAM_BYTES, MAX_PENDING_PACKETS, PACER_INTERVAL, PACING_INTERVAL};
use crate::core::path::{Blocked, Target};
use crate::core::pool::PacketPool;
use crate::core::rewrite::Rewritten;
use crate::core::session::Session;
use crate::core::track::{Encoding, Packet};
use crate::io::prefetch;

/// What the packets of a pass through the fan-out have in common.
#[derive(Clone, Copy)]
struct Source<'a> {
    encoding: EncodingRef,
    clock_rate_hz: u32,
    is_audio: bool,
    /// All encodings of the track.
    encodings: &'a [Encoding],
}

/// A pass through the fan-out: what of the shard a packet touches besides its receiver.
struct Pass<'a> {
    now: Time,
    source: Source<'a>,
    pool: &'a PacketPool,
    batch: &'a mut TransmitBatch,
    counters: &'a mut Counters,
    start_bps: Option<u64>,
    /// Sessions for which something waits for their pacer, and when these are looked at next.
    pacing: &'a mut VecDeque<SessionKey>,
    next_pace: &'a mut Time,
}

impl Shard {
    /// Forwards what is pending and may leave by now, as far as it fits.
    pub(super) fn flush_media(&mut self, now: Time, batch: &mut TransmitBatch) -> Drained {
        self.history.forget(now, &mut self.pool);
        // What waited goes before what has just come.
        let due = self.paced.partition_point(|(at, _)| *at <= now);
        for rest in self.paced.drain(..due).rev() {
            self.dirty.push_front(rest);
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
        let Some(encoding) = track.encodings.get_mut(usize::from(from.encoding)) else {
            return Drained::Done;
        };
        if encoding.flushing == 0 {
            encoding.flushing = encoding.quantum();
        }
        let source = Source {
            encoding: from,
            clock_rate_hz: track.payload_type.clock_rate_hz(),
            is_audio: track.kind.is_audio(),
            encodings: &track.encodings,
        };
        let encoding = &track.encodings[usize::from(from.encoding)];
        let packets = &encoding.pending[..encoding.flushing];
        let mut next = encoding.flushed_subscribers;
        let mut switched: Vec<(SlotRef, Option<Layers>)> = Vec::new();
        let mut pass = Pass {
            now,
            source,
            pool: &self.pool,
            batch,
            counters: &mut self.counters,
            start_bps: self.start_bps,
            pacing: &mut self.pacing,
            next_pace: &mut self.next_pace,
        };
        let mut drained = Drained::Done;
        while let Some(subscriber) = encoding.subscribers.get(next).copied() {
            if pass.batch.remaining() < packets.len() * MAX_DATAGRAM_BYTES {
                drained = Drained::BatchFull;
                break;
            }
            next += 1;
            announce(&self.sessions, &encoding.subscribers[next..]);
            let Some(session) = self.sessions.get_mut(subscriber.session) else { continue };
            for packet in packets {
                match pass.forward_one(packet, subscriber, session) {
                    Ok(Sent::Continued) => {}
                    Ok(Sent::Switched { leaves }) => switched.push((subscriber, leaves)),
                    Err(reason) => pass.counters.drop(reason),
                }
            }
        }
        if let Some(encoding) = track.encodings.get_mut(usize::from(from.encoding)) {
            encoding.flushed_subscribers = next;
            if drained == Drained::Done {
                encoding.flushed_subscribers = 0;
                for packet in encoding.pending.drain(..std::mem::take(&mut encoding.flushing)) {
                    self.history.keep(from, &mut encoding.history, packet);
                }
            }
        }
        for (subscriber, leaves) in switched {
            self.finish_switch(from, subscriber, leaves);
        }
        drained
    }

    /// A slot began to show `from`: its receiver is told, and the encoding that it left forgets it.
    fn finish_switch(&mut self, from: EncodingRef, subscriber: SlotRef, leaves: Option<Layers>) {
        self.counters.layer_switches += u64::from(leaves.is_some());
        if let Some(left) = leaves {
            self.leave(EncodingRef { encoding: left.encoding, ..from });
        }
        self.tell(subscriber, Tell::Now);
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
        && let Some(state) = session.slots.get(usize::from(slot))
    {
        prefetch(state);
        let ssrc = session.downlink.ssrc(StreamIndex(slot + 1), StreamRole::Media);
        if let Some(sealing) = ssrc.and_then(|ssrc| session.outbound.sealing_state(ssrc)) {
            prefetch(sealing);
        }
    }
}

enum Sent {
    /// It went on, or was not for this slot.
    Continued,
    /// It was the first of this encoding on the slot.
    Switched { leaves: Option<Layers> },
}

impl Pass<'_> {
    /// One packet to one slot: forward or drop.
    fn forward_one(
        &mut self,
        packet: &Packet,
        to: SlotRef,
        session: &mut Session,
    ) -> Result<Sent, DropReason> {
        let slot_number = to.slot;
        let Some(slot) = session.slots.get_mut(usize::from(slot_number)).and_then(Option::as_mut) else {
            return Ok(Sent::Continued);
        };
        let encoding = self.source.encoding;
        let Some(selection) = slot.selection.as_mut().filter(|s| s.track == encoding.track) else {
            return Ok(Sent::Continued);
        };
        if session.paths.allowance(Target::Media) < MAX_DATAGRAM_BYTES {
            // Before anything changes: a slot must not start with a packet that is not sent.
            return Err(blocked(session.paths.why_blocked()));
        }
        let (marking, timestamp) = (packet.marking, packet.incoming.timestamp);
        let admission = if slot.rewriter.is_late(encoding, packet.incoming.index) {
            selection.admit_late(encoding.encoding, marking, timestamp)
        } else {
            selection.admit(encoding.encoding, marking, timestamp)
        };
        match admission {
            Admission::Forward { ends_picture } => {
                self.send(packet, encoding, ends_picture, to, session)?;
                Ok(Sent::Continued)
            }
            Admission::Ignore => Ok(Sent::Continued),
            Admission::Skip => {
                slot.rewriter.skip(&packet.incoming);
                Ok(Sent::Continued)
            }
            Admission::Switch { leaves, ends_picture } => {
                self.finish_frame(leaves, to, session);
                self.begin_source(packet, slot_number, session);
                self.send(packet, encoding, ends_picture, to, session)?;
                Ok(Sent::Switched { leaves })
            }
        }
    }

    /// Sends what is at hand of the frame under way of the encoding that the slot leaves, so that it is not cut.
    #[cold]
    fn finish_frame(&mut self, leaves: Option<Layers>, to: SlotRef, session: &mut Session) {
        let Some(left) = leaves else { return };
        let Some(encoding) = self.source.encodings.get(usize::from(left.encoding)) else { return };
        for packet in &encoding.pending {
            let goes_on = session.slot(to.slot).is_some_and(|slot| {
                slot.rewriter.is_within_frame() && slot.rewriter.goes_on_with(&packet.incoming)
            });
            // The packets of this pass have their room in the batch already.
            let has_room = self.batch.remaining() > (MAX_PENDING_PACKETS + 1) * MAX_DATAGRAM_BYTES;
            if goes_on && has_room && packet.marking.layer_id <= left.spatial {
                let ends_picture = packet.marking.end && packet.marking.layer_id == left.spatial;
                let from = EncodingRef { encoding: left.encoding, ..self.source.encoding };
                if let Err(reason) = self.send(packet, from, ends_picture, to, session) {
                    self.counters.drop(reason);
                }
            }
        }
    }

    /// The slot goes on with this pass's encoding, from this packet.
    #[cold]
    fn begin_source(&self, first: &Packet, slot_number: u16, session: &mut Session) {
        let Some(slot) = session.slot_mut(slot_number) else { return };
        slot.rewriter.switch(self.source.encoding, &first.incoming, self.source.clock_rate_hz);
        slot.clock_rate_hz = self.source.clock_rate_hz;
        slot.status = slot.flows_as;
    }

    /// Gives a packet its numbers, and sends it now or lets it wait for the receiver's pacer. Sound never waits.
    #[inline]
    fn send(
        &mut self,
        packet: &Packet,
        from: EncodingRef,
        ends_picture: bool,
        to: SlotRef,
        session: &mut Session,
    ) -> Result<(), DropReason> {
        let Some(slot) = session.slots.get_mut(usize::from(to.slot)).and_then(Option::as_mut) else {
            return Ok(());
        };
        let wanted_bps = session.budget.wanted_bps;
        if let Some(start_bps) = self.start_bps.filter(|_| session.down.is_none()) {
            session.down = Some(Box::new(Downlink::new(self.now, start_bps, wanted_bps)));
        }
        let may_leave =
            self.source.is_audio || session.down.as_deref_mut().is_none_or(|down| down.may_send(self.now));
        let rewritten = slot.rewriter.rewrite(&packet.incoming).ok_or(DropReason::NotContinuous)?;
        let marker = ends_picture && !self.source.is_audio;
        if may_leave {
            let (now, pool) = (self.now, self.pool);
            return seal_media(
                now,
                packet,
                &rewritten,
                marker,
                to.slot,
                session,
                pool,
                self.batch,
                self.counters,
            );
        }
        let paced = Paced {
            slot: to.slot,
            from,
            uplink_index: packet.incoming.index,
            rewritten,
            marker,
            len: packet.header.len() as u16 + packet.payload.len,
        };
        let down = session.down.as_deref_mut().ok_or(DropReason::PacerFull)?;
        if !down.pacer.queue(paced) {
            return Err(DropReason::PacerFull);
        }
        self.counters.paced += 1;
        if !std::mem::replace(&mut down.is_listed, true) {
            if self.pacing.is_empty() {
                *self.next_pace = self.now + PACER_INTERVAL;
            }
            self.pacing.push_back(to.session);
        }
        Ok(())
    }
}

/// Protects a packet straight into the batch.
#[inline]
#[expect(
    clippy::too_many_arguments,
    reason = "on the packet's way from two sides, and nothing is worth gathering first"
)]
pub(super) fn seal_media(
    now: Time,
    packet: &Packet,
    rewritten: &Rewritten,
    marker: bool,
    slot_number: u16,
    session: &mut Session,
    pool: &PacketPool,
    batch: &mut TransmitBatch,
    counters: &mut Counters,
) -> Result<(), DropReason> {
    let stream = StreamIndex(slot_number + 1);
    let header = packet.header.fill(ReceiverFields {
        sequence_number: rewritten.index as u16,
        timestamp: rewritten.timestamp,
        ssrc: session.downlink.ssrc(stream, StreamRole::Media).ok_or(DropReason::NotContinuous)?,
        transport_sequence: session.next_transport_out,
        marker,
        tl0_pic_idx: rewritten.tl0_pic_idx,
    });
    let payload = packet.payload.of(pool.bytes(&packet.slot));
    let sealed_len = packet.header.len() + payload.len() + session.outbound.rtp_overhead();
    if sealed_len > MAX_DATAGRAM_BYTES {
        return Err(DropReason::TooLarge);
    }
    let path = session.paths.charge(Target::Media, sealed_len).map_err(blocked)?;
    let header = &header[..packet.header.len()];
    let renumber = |payload: &mut [u8]| packet.renumber(payload, rewritten.vp8_offset);
    let len = session
        .outbound
        .seal_rtp_with(rewritten.index, header, payload, batch.spare(), renumber)
        .map_err(|_| DropReason::NotContinuous)?;
    batch.commit(path, len);
    session.on_rtp_sent(now, len);
    if let Some(slot) = session.slots.get_mut(usize::from(slot_number)).and_then(Option::as_mut) {
        slot.packets_sent = slot.packets_sent.wrapping_add(1);
        slot.octets_sent = slot.octets_sent.wrapping_add(payload.len() as u32);
        slot.last_sent = Some(now);
    }
    counters.rtp_out += 1;
    counters.bytes_out += len as u64;
    Ok(())
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
