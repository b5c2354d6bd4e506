//! The states that clients synchronise: what they publish and what they want.

use std::collections::BTreeSet;

use sluice_wire::control::{
    AckEntry, AckStatus, MAX_TRACKS, PublishedTrack, StateKind, StatePage, Want, WantedSlot,
};
use sluice_wire::ssrc::StreamRole;
use sluice_wire::state_sync::Arrival;
use sluice_wire::time::Time;

use super::Shard;
use crate::core::counters::DropReason;
use crate::core::ids::{EncodingRef, SessionKey, SlotRef};
use crate::core::rewrite::Rewriter;
use crate::core::session::Slot;
use crate::core::track::Track;
use rand::Rng;

/// Slots that a session may list, in or out of its downlink block's range: a full gallery and then some.
const MAX_LISTED_SLOTS: usize = 256;

impl Shard {
    /// Takes in a page of a state and acknowledges it.
    pub(super) fn handle_page(
        &mut self,
        now: Time,
        key: SessionKey,
        page: &StatePage<'_>,
    ) -> Result<(), DropReason> {
        let session = self.sessions.get(key).ok_or(DropReason::UnknownSsrc)?;
        let arrival = match page.kind {
            StateKind::Published => session.published.judge(page.page, page.pages, page.version),
            StateKind::Wanted => session.wanted.judge(page.page, page.pages, page.version),
            StateKind::Shown | StateKind::Demand | StateKind::Speakers => {
                return Err(DropReason::Misdirected);
            }
        };
        let (version, status) = match arrival {
            Arrival::Known(version) => (version, AckStatus::Applied),
            Arrival::OutOfRange => (page.version, AckStatus::Malformed),
            Arrival::New => {
                let status = match page.kind {
                    StateKind::Published => self.apply_published(now, key, page),
                    _ => self.apply_wanted(now, key, page),
                };
                (page.version, status)
            }
        };
        self.acknowledge(key, AckEntry { kind: page.kind, page: page.page, status, version })
    }

    /// Queues an acknowledgement for a session.
    pub(super) fn acknowledge(&mut self, key: SessionKey, ack: AckEntry) -> Result<(), DropReason> {
        let session = self.sessions.get_mut(key).ok_or(DropReason::UnknownSsrc)?;
        let fits = session.duties.acknowledge(ack);
        self.has_something_to_say(key);
        if fits { Ok(()) } else { Err(DropReason::ControlFlood) }
    }

    fn apply_published(&mut self, now: Time, key: SessionKey, page: &StatePage<'_>) -> AckStatus {
        let Some(session) = self.sessions.get_mut(key) else { return AckStatus::NotAllowed };
        let entries = session.published.with_page(page.page, page.pages, page.published());
        let tracks: Vec<PublishedTrack> = entries.iter().map(|(_, track)| *track).collect();
        if tracks.len() > MAX_TRACKS {
            return AckStatus::LimitExceeded;
        }
        if !are_disjoint(&tracks, session.uplink.streams()) {
            return AckStatus::Malformed;
        }
        session.published.accept(page.page, page.version, entries);
        self.synchronise_tracks(now, key, &tracks);
        AckStatus::Applied
    }

    /// Publishes, changes and unpublishes until the session's tracks are `wished`.
    fn synchronise_tracks(&mut self, now: Time, key: SessionKey, wished: &[PublishedTrack]) {
        let Some(session) = self.sessions.get(key) else { return };
        for (number, track_key) in session.tracks.clone() {
            let stays = wished.iter().find(|track| track.number == number).is_some_and(|track| {
                self.tracks.get(track_key).is_some_and(|existing| existing.has_streams_of(track))
            });
            if !stays {
                self.unpublish(now, track_key);
            }
        }
        for track in wished {
            self.publish(now, key, track);
        }
    }

    /// Makes a track, or takes over the flags of one that exists.
    fn publish(&mut self, now: Time, key: SessionKey, published: &PublishedTrack) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let id = session.participant.track(published.number);
        let existing = session.tracks.iter().find(|(number, _)| *number == published.number);
        if let Some(track) = existing.and_then(|(_, key)| self.tracks.get_mut(*key)) {
            if std::mem::replace(&mut track.muted, published.muted) != published.muted {
                let room = track.room;
                self.resolve_all_who_want(now, room, id);
            }
            return;
        }
        let (room_key, uplink) = (session.room, session.uplink);
        let track = Track::new(id, key, room_key, published, |encoding| {
            uplink.ssrc(encoding.stream, StreamRole::Media).unwrap_or_default()
        });
        let track_key = self.tracks.insert(track);
        session.tracks.push((published.number, track_key));
        for (encoding, declared) in published.encodings.as_slice().iter().enumerate() {
            if let Some(stream) = session.streams.get_mut(usize::from(declared.stream.0)) {
                *stream = Some(EncodingRef { track: track_key, encoding: encoding as u8 });
            }
        }
        if let Some(room) = self.rooms.get_mut(room_key) {
            room.tracks.insert(id, track_key);
        }
        self.resolve_all_who_want(now, room_key, id);
    }

    fn apply_wanted(&mut self, now: Time, key: SessionKey, page: &StatePage<'_>) -> AckStatus {
        let Some(session) = self.sessions.get_mut(key) else { return AckStatus::NotAllowed };
        let entries = session.wanted.with_page(page.page, page.pages, page.wanted());
        if entries.len() > MAX_LISTED_SLOTS {
            return AckStatus::LimitExceeded;
        }
        let numbers: BTreeSet<u16> = entries.iter().map(|(_, wanted)| wanted.slot).collect();
        if numbers.len() != entries.len() {
            return AckStatus::Malformed;
        }
        if numbers.last().is_some_and(|last| *last >= session.slot_limit()) {
            return AckStatus::LimitExceeded;
        }
        let wished: Vec<WantedSlot> = entries.iter().map(|(_, wanted)| *wanted).collect();
        session.wanted.accept(page.page, page.version, entries);
        self.synchronise_slots(now, key, &wished);
        AckStatus::Applied
    }

    fn synchronise_slots(&mut self, now: Time, key: SessionKey, wished: &[WantedSlot]) {
        let Some(session) = self.sessions.get(key) else { return };
        let listed: Vec<u16> = session.listed_slots().map(|(number, _)| number).collect();
        for number in listed {
            if !wished.iter().any(|wanted| wanted.slot == number) {
                self.set_wanted(now, SlotRef { session: key, slot: number }, None);
            }
        }
        for wanted in wished {
            self.set_wanted(now, SlotRef { session: key, slot: wanted.slot }, Some(*wanted));
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.renew_shown();
        }
        self.has_something_to_say(key);
    }

    /// Changes what a slot is asked to show.
    fn set_wanted(&mut self, now: Time, slot: SlotRef, wanted: Option<WantedSlot>) {
        let Some(session) = self.sessions.get_mut(slot.session) else { return };
        let number = usize::from(slot.slot);
        if session.slots.len() <= number {
            session.slots.resize_with(number + 1, || None);
        }
        let rng = &mut self.rng;
        let state = session.slots[number].get_or_insert_with(|| Slot::new(Rewriter::new(rng.next_u32())));
        if state.wanted == wanted {
            return;
        }
        let before = state.want();
        state.wanted = wanted;
        let after = state.want();
        if let Some(room) = self.rooms.get_mut(session.room).filter(|_| before != after) {
            if let Want::Track(track) = before {
                room.unwant(track, slot);
            }
            if let Want::Track(track) = after {
                room.want(track, slot);
            }
        }
        self.resolve(now, slot);
    }

    /// Takes a session's wishes out of its room.
    pub(super) fn forget_wishes(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(key) else { return };
        let Some(room) = self.rooms.get_mut(session.room) else { return };
        for (number, slot) in session.listed_slots() {
            if let Want::Track(track) = slot.want() {
                room.unwant(track, SlotRef { session: key, slot: number });
            }
        }
    }
}

/// No track number and no stream is used twice, and every stream exists.
fn are_disjoint(tracks: &[PublishedTrack], streams: u16) -> bool {
    let mut numbers = BTreeSet::new();
    let mut used = BTreeSet::new();
    tracks.iter().all(|track| {
        numbers.insert(track.number)
            && track
                .encodings
                .as_slice()
                .iter()
                .all(|encoding| encoding.stream.0 < streams && used.insert(encoding.stream))
    })
}
