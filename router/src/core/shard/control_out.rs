//! RTCP out: each datagram is made from what the session has to say at that moment.

use sluice_wire::control::{
    MAX_SPEAKERS, OutMessage, PageHeader, SHOWN_PER_PAGE, ShownSlot, SlotStatus, Speaker, write_message,
};
use sluice_wire::rtcp::{CompoundWriter, SenderInfo};
use sluice_wire::rtp::BufferTooSmall;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;

use super::demands::demand_of;
use super::forward::blocked;
use super::losses::ask_again;
use super::{Drained, Shard};
use crate::core::batch::TransmitBatch;
use crate::core::counters::Counters;
use crate::core::ids::{RoomKey, SessionKey, TrackKey};
use crate::core::limits::{MAX_COMPOUND_BYTES, MAX_DATAGRAM_BYTES, REPORT_INTERVAL};
use crate::core::path::Target;
use crate::core::room::Room;
use crate::core::session::{Echo, Session};
use crate::core::track::Track;
use slotmap::SlotMap;

/// Report blocks of one RR (RFC 3550 section 6.4.2).
const MAX_REPORT_BLOCKS: usize = 31;
/// Datagrams that one session is sent in one flush: both paths, and reports on a full gallery.
const MAX_DATAGRAMS_PER_FLUSH: usize = 8;
/// An RR without blocks: what a compound has before anything is said.
const EMPTY_COMPOUND_BYTES: usize = 8;

impl Shard {
    /// Lets every session that has something to say, say it.
    pub(super) fn flush_control(&mut self, now: Time, batch: &mut TransmitBatch) -> Drained {
        while let Some(key) = self.talkative.front().copied() {
            if batch.remaining() < MAX_DATAGRAMS_PER_FLUSH * MAX_DATAGRAM_BYTES {
                return Drained::BatchFull;
            }
            self.talkative.pop_front();
            self.speak(now, key, batch);
        }
        Drained::Done
    }

    fn speak(&mut self, now: Time, key: SessionKey, batch: &mut TransmitBatch) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.duties.is_queued = false;
        if session.paths.has_candidate_beside() {
            self.send_compound(now, key, Target::Candidate, batch);
        }
        for _ in 1..MAX_DATAGRAMS_PER_FLUSH {
            if !self.send_compound(now, key, Target::Media, batch) {
                break;
            }
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.duties.echoes.clear();
        }
    }

    /// Sends one datagram to `target` if there is anything to say there; `false` if there was not, or it may not be sent.
    fn send_compound(
        &mut self,
        now: Time,
        key: SessionKey,
        target: Target,
        batch: &mut TransmitBatch,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let overhead = session.outbound.rtcp_overhead();
        let allowance = session.paths.allowance(target).saturating_sub(overhead).min(MAX_COMPOUND_BYTES);
        let mut plain = [0; MAX_COMPOUND_BYTES];
        let mut compound = CompoundWriter::new(&mut plain[..allowance]);
        // What does not fit stays a duty and goes with the next datagram.
        let _full =
            compose(now, session, &mut self.tracks, &self.rooms, &mut self.counters, target, &mut compound);
        let len = compound.finish();
        if len <= EMPTY_COMPOUND_BYTES {
            return false;
        }
        let path = match session.paths.charge(target, len + overhead) {
            Ok(path) => path,
            Err(reason) => {
                self.counters.drop(blocked(reason));
                return false;
            }
        };
        let Ok(sealed) = session.outbound.seal_rtcp(&plain[..len], batch.spare()) else { return false };
        batch.commit(path, sealed);
        session.last_sent = now;
        self.counters.rtcp_out += 1;
        self.counters.bytes_out += sealed as u64;
        true
    }
}

/// Writes what the session has to say on `target`, most urgent first. What was written is a duty no more.
fn compose(
    now: Time,
    session: &mut Session,
    tracks: &mut SlotMap<TrackKey, Track>,
    rooms: &SlotMap<RoomKey, Room>,
    counters: &mut Counters,
    target: Target,
    compound: &mut CompoundWriter<'_>,
) -> Result<(), BufferTooSmall> {
    let control = session.downlink.control();
    compound.receiver_report(control, &[])?;
    if session.paths.challenge_due(now)
        && let Some(data) = session.paths.take_challenge(now, target)
    {
        write_message(compound, control, &OutMessage::PathChallenge(data))?;
    }
    answer_echoes(session, target, compound)?;
    if target == Target::Candidate {
        return Ok(());
    }
    if let Some(code) = session.duties.close {
        write_message(compound, control, &OutMessage::Close(code))?;
        session.duties.close = None;
    }
    if session.is_closing() {
        return Ok(());
    }
    if let Some(recorder) = session.arrivals.as_mut()
        && recorder.next_at().is_some_and(|due| due <= now)
    {
        recorder.write(now, compound, control)?;
    }
    if !session.duties.acks.is_empty() {
        write_message(compound, control, &OutMessage::Ack(&session.duties.acks))?;
        session.duties.acks.clear();
    }
    request_key_frames(session, compound)?;
    ask_again(now, session, tracks, counters, compound)?;
    demand(now, session, tracks, compound)?;
    show(now, session, tracks, compound)?;
    name_speakers(now, session, rooms, compound)?;
    report(now, session, compound)?;
    if session.duties.ping {
        write_message(compound, control, &OutMessage::Ping(now.as_nanos()))?;
        session.duties.ping = false;
    }
    Ok(())
}

/// Answers on each path what came by it.
fn answer_echoes(
    session: &mut Session,
    target: Target,
    compound: &mut CompoundWriter<'_>,
) -> Result<(), BufferTooSmall> {
    let control = session.downlink.control();
    while let Some(position) =
        session.duties.echoes.iter().position(|(path, _)| session.paths.target_of(*path) == Some(target))
    {
        let message = match session.duties.echoes[position].1 {
            Echo::Pong(token) => OutMessage::Pong(token),
            Echo::PathResponse(data) => OutMessage::PathResponse(data),
        };
        write_message(compound, control, &message)?;
        session.duties.echoes.remove(position);
    }
    Ok(())
}

fn request_key_frames(
    session: &mut Session,
    compound: &mut CompoundWriter<'_>,
) -> Result<(), BufferTooSmall> {
    while session.duties.key_frame_streams != 0 {
        let stream = StreamIndex(session.duties.key_frame_streams.trailing_zeros() as u16);
        if let Some(ssrc) = session.uplink.ssrc(stream, StreamRole::Media) {
            compound.pli(session.downlink.control(), ssrc)?;
        }
        session.duties.key_frame_streams &= session.duties.key_frame_streams - 1;
    }
    Ok(())
}

/// Writes the page of `demand` if it is due.
fn demand(
    now: Time,
    session: &mut Session,
    tracks: &SlotMap<TrackKey, Track>,
    compound: &mut CompoundWriter<'_>,
) -> Result<(), BufferTooSmall> {
    if let Some((page, version)) = session.demand.due(now) {
        let header = PageHeader { version, page, pages: session.demand.pages() };
        let entries = demand_of(session, tracks);
        write_message(compound, session.downlink.control(), &OutMessage::Demand(header, &entries))?;
        session.demand.on_sent(page, now);
    }
    Ok(())
}

/// Writes the page of `speakers` if it is due: the room's, and whether the session itself talks while muted.
fn name_speakers(
    now: Time,
    session: &mut Session,
    rooms: &SlotMap<RoomKey, Room>,
    compound: &mut CompoundWriter<'_>,
) -> Result<(), BufferTooSmall> {
    if let Some((page, version)) = session.speakers.due(now) {
        let header = PageHeader { version, page, pages: session.speakers.pages() };
        let own = session.participant.track(TrackNumber::MICROPHONE);
        let told = rooms.get(session.room).map(|room| &room.news.told[..]).unwrap_or_default();
        let mut speakers: Vec<Speaker> = Vec::with_capacity(MAX_SPEAKERS);
        if let Some(level) = session.muted_talk {
            let (talking, dominant) = (false, false);
            speakers.push(Speaker { track: own, level, talking, dominant, talking_while_muted: true });
        }
        let others = told.iter().filter(|speaker| session.muted_talk.is_none() || speaker.track != own);
        speakers.extend(others.take(MAX_SPEAKERS - speakers.len()));
        write_message(compound, session.downlink.control(), &OutMessage::Speakers(header, &speakers))?;
        session.speakers.on_sent(page, now);
    }
    Ok(())
}

/// Writes the pages of `shown` that are due.
fn show(
    now: Time,
    session: &mut Session,
    tracks: &SlotMap<TrackKey, Track>,
    compound: &mut CompoundWriter<'_>,
) -> Result<(), BufferTooSmall> {
    while let Some((page, version)) = session.shown.due(now) {
        let slots: Vec<ShownSlot> = session
            .listed_slots()
            .skip(usize::from(page) * SHOWN_PER_PAGE)
            .take(SHOWN_PER_PAGE)
            .map(|(number, _)| shown_slot(session, number, tracks))
            .collect();
        let header = PageHeader { version, page, pages: session.shown.pages() };
        write_message(compound, session.downlink.control(), &OutMessage::Shown(header, &slots))?;
        session.shown.on_sent(page, now);
    }
    Ok(())
}

fn shown_slot(session: &Session, number: u16, tracks: &SlotMap<TrackKey, Track>) -> ShownSlot {
    let slot = session.slot(number);
    let mut shown = ShownSlot {
        slot: number,
        status: slot.map_or(SlotStatus::NotPublished, |slot| slot.status),
        payload_type: 0,
        track: slot.and_then(|slot| slot.subject),
        width: 0,
        height: 0,
        fps: 0,
        encoding: 0,
        temporal_layers: 0,
    };
    let Some(selection) = slot.and_then(|slot| slot.selection) else { return shown };
    let Some(track) = tracks.get(selection.track) else { return shown };
    let layers = selection.current().unwrap_or(selection.target());
    let number = layers.encoding;
    shown.payload_type = track.payload_type as u8;
    if let Some(encoding) = track.encodings.get(usize::from(number)) {
        shown.width = encoding.published.width;
        shown.height = encoding.published.height;
        shown.fps = encoding.published.fps;
        shown.encoding = number;
        shown.temporal_layers = layers.temporal.saturating_add(1).min(encoding.published.temporal_layers);
    }
    shown
}

/// Writes the reports that are due: one RR on what the session sends, SRs on what its slots were sent.
fn report(now: Time, session: &mut Session, compound: &mut CompoundWriter<'_>) -> Result<(), BufferTooSmall> {
    if !session.duties.report_blocks.is_empty() {
        compound.receiver_report(session.downlink.control(), &session.duties.report_blocks)?;
        session.duties.report_blocks.clear();
    }
    while let Some(next) = session.duties.reports_from_slot {
        let slot = session.slots.iter().enumerate().skip(usize::from(next)).find_map(|(number, slot)| {
            let slot = slot.as_ref()?;
            let was_used =
                slot.last_sent.is_some_and(|sent| now.saturating_since(sent) < 2 * REPORT_INTERVAL);
            was_used.then_some((number as u16, slot))
        });
        let Some((number, slot)) = slot else {
            session.duties.reports_from_slot = None;
            break;
        };
        let ssrc = session.downlink.ssrc(StreamIndex(number + 1), StreamRole::Media);
        if let (Some(ssrc), Some(rtp_timestamp)) = (ssrc, slot.rewriter.timestamp_at(now, slot.clock_rate_hz))
        {
            let info = SenderInfo {
                ntp: now.to_ntp(),
                rtp_timestamp,
                packet_count: slot.packets_sent,
                octet_count: slot.octets_sent,
            };
            compound.sender_report(ssrc, &info, &[])?;
        }
        session.duties.reports_from_slot = Some(number + 1);
    }
    Ok(())
}

impl Shard {
    /// Takes down what a session is to be told of its own streams.
    pub(super) fn gather_report_blocks(&mut self, now: Time, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let blocks = session.streams.iter().flatten().filter_map(|at| {
            let encoding = self.tracks.get_mut(at.track)?.encodings.get_mut(usize::from(at.encoding))?;
            encoding.stats.report(encoding.ssrc, now)
        });
        session.duties.report_blocks.clear();
        session.duties.report_blocks.extend(blocks.take(MAX_REPORT_BLOCKS));
    }
}
