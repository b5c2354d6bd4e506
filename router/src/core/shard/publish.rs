//! What clients publish: who may, what becomes of it in the room, and how it ends.

use std::collections::BTreeSet;

use sluice_wire::control::{AckStatus, DemandStatus, MAX_TRACKS, PublishedTrack, StatePage, Want};
use sluice_wire::ssrc::StreamRole;
use sluice_wire::time::Time;
use sluice_wire::track::{TrackKind, TrackNumber};

use super::Shard;
use super::subscribe::Tell;
use crate::core::ids::{EncodingRef, RoomKey, SessionKey, TrackKey};
use crate::core::session::RefusedTrack;
use crate::core::speakers::TickChanges;
use crate::core::track::Track;

impl Shard {
    pub(super) fn apply_published(&mut self, now: Time, key: SessionKey, page: &StatePage<'_>) -> AckStatus {
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
        let Some(session) = self.sessions.get_mut(key) else { return };
        let is_still_wished =
            |refused: &RefusedTrack| wished.iter().any(|track| is_same(track, &refused.published));
        session.refused.retain(is_still_wished);
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
        // The first page is not needed before there is something else to say than that all is wanted.
        if let Some(session) = self.sessions.get_mut(key).filter(|session| session.demand.pages() > 0) {
            session.touch_demand();
        }
    }

    /// Makes a track, or takes over the flags of one that exists, or refuses it.
    fn publish(&mut self, now: Time, key: SessionKey, published: &PublishedTrack) {
        let Some(session) = self.sessions.get(key) else { return };
        let existing = session.tracks.iter().find(|(number, _)| *number == published.number);
        if let Some((_, track)) = existing.copied() {
            return self.set_muted(now, key, track, published.muted);
        }
        if session.refused.iter().any(|refused| refused.published.number == published.number) {
            return;
        }
        match self.admit(now, key, published) {
            Ok(()) => self.publish_new(now, key, published),
            Err(status) => self.refuse(key, *published, status),
        }
    }

    /// Whether a session may publish a track. Takes the screen over if it may.
    fn admit(&mut self, now: Time, key: SessionKey, published: &PublishedTrack) -> Result<(), DemandStatus> {
        let Some(session) = self.sessions.get(key) else { return Err(DemandStatus::NotAllowed) };
        if !session.rights.may_publish {
            self.counters.publish_refusals += 1;
            return Err(DemandStatus::NotAllowed);
        }
        let sharer =
            self.rooms.get(session.room).and_then(|room| room.sharer).filter(|sharer| *sharer != key);
        let Some(sharer) = sharer.filter(|_| is_shared(published.kind)) else { return Ok(()) };
        if !session.rights.may_take_screen || published.kind != TrackKind::Screen {
            self.counters.screen_refusals += 1;
            return Err(DemandStatus::OtherShares);
        }
        self.counters.screen_takeovers += 1;
        self.is_taking_over = true;
        self.end_sharing(now, sharer);
        self.is_taking_over = false;
        Ok(())
    }

    /// A session's screen and its sound give way to another's.
    fn end_sharing(&mut self, now: Time, sharer: SessionKey) {
        let Some(session) = self.sessions.get(sharer) else { return };
        for (number, key) in session.tracks.clone() {
            let Some(track) = self.tracks.get(key).filter(|track| is_shared(track.kind)) else { continue };
            let published = track.published(number);
            self.unpublish(now, key);
            if let Some(published) = published {
                self.refuse(sharer, published, DemandStatus::TakenOver);
            }
        }
    }

    fn refuse(&mut self, key: SessionKey, published: PublishedTrack, status: DemandStatus) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.refused.push(RefusedTrack { published, status });
            session.touch_demand();
        }
        self.has_something_to_say(key);
    }

    /// The screen is free: the first who was refused has it now.
    fn judge_refused_screens(&mut self, now: Time, room: RoomKey) {
        let Some(room) = self.rooms.get(room).filter(|_| !self.is_taking_over) else { return };
        let waits = |session: &&SessionKey| {
            let refused =
                self.sessions.get(**session).map(|session| &session.refused[..]).unwrap_or_default();
            refused.iter().any(|refused| refused.status == DemandStatus::OtherShares)
        };
        let Some(key) = room.participants.values().find(waits).copied() else { return };
        let Some(session) = self.sessions.get_mut(key) else { return };
        let refused = std::mem::take(&mut session.refused);
        let (again, still) = refused.into_iter().partition(|track| track.status == DemandStatus::OtherShares);
        session.refused = still;
        session.touch_demand();
        let again: Vec<RefusedTrack> = again;
        for refused in again {
            self.publish(now, key, &refused.published);
        }
        self.has_something_to_say(key);
    }

    fn set_muted(&mut self, now: Time, owner: SessionKey, key: TrackKey, is_muted: bool) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        if std::mem::replace(&mut track.muted, is_muted) == is_muted {
            return;
        }
        let (room, id, kind) = (track.room, track.id, track.kind);
        for encoding in &mut track.encodings {
            // It has the time that any other has to come.
            encoding.last_sign = encoding.last_sign.max(now);
        }
        if kind == TrackKind::Microphone {
            if let (Some(room), Some(session)) = (self.rooms.get_mut(room), self.sessions.get(owner)) {
                room.speakers.set(session.participant, key, is_muted);
            }
            self.note_muted_talk(room, id.participant());
        }
        if kind.is_audio() && !is_muted {
            // What a muted microphone sent for the sake of its level was left out, which leaves no gap.
            for slot in self.who_show(key) {
                self.begin_anew(slot);
            }
        }
        self.resolve_who_show(now, room, id, key, Tell::Now);
    }

    fn publish_new(&mut self, now: Time, key: SessionKey, published: &PublishedTrack) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let id = session.participant.track(published.number);
        let (room_key, uplink) = (session.room, session.uplink);
        let track = Track::new(id, key, room_key, published, now, |encoding| {
            uplink.ssrc(encoding.stream, StreamRole::Media).unwrap_or_default()
        });
        let track_key = self.tracks.insert(track);
        session.tracks.push((published.number, track_key));
        for (encoding, declared) in published.encodings.as_slice().iter().enumerate() {
            if let Some(stream) = session.streams.get_mut(usize::from(declared.stream.0)) {
                *stream = Some(EncodingRef { track: track_key, encoding: encoding as u8 });
            }
        }
        session.duties.report_blocks.reserve(session.streams.iter().flatten().count());
        self.demand_is_stale(track_key);
        let Some(room) = self.rooms.get_mut(room_key) else { return };
        room.tracks.insert(id, track_key);
        if is_shared(published.kind) {
            room.sharer = Some(key);
        }
        match (published.kind, published.number) {
            (TrackKind::Microphone, TrackNumber::MICROPHONE) => {
                room.speakers.set(id.participant(), track_key, published.muted);
                let lanes = room.speakers.lanes_of(id.participant());
                self.start_listening(room_key);
                // One who was away for less than a tick still has a lane, and nobody hears it.
                self.follow_voices(now, room_key, &TickChanges { lanes, ..TickChanges::default() });
            }
            (TrackKind::Camera, TrackNumber::CAMERA) => {
                let moved = room.places.add(id.participant());
                self.follow_places(now, room_key, &moved);
                self.promote_if_dominant(now, room_key, id.participant());
            }
            _ => {}
        }
        self.resolve_who_show(now, room_key, id, track_key, Tell::Now);
    }

    /// Takes a track out of the room: receivers are told, pending packets go back to the pool.
    pub(super) fn unpublish(&mut self, now: Time, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else { return };
        let (id, room_key, owner, kind) = (track.id, track.room, track.owner, track.kind);
        let shown_by = self.who_show(key);
        for encoding in 0..track.encodings.len() {
            self.discard_pending(EncodingRef { track: key, encoding: encoding as u8 });
        }
        self.tracks.remove(key);
        if let Some(session) = self.sessions.get_mut(owner) {
            session.tracks.retain(|(_, other)| *other != key);
            for stream in &mut session.streams {
                if stream.is_some_and(|encoding| encoding.track == key) {
                    *stream = None;
                }
            }
        }
        let still_shares = || {
            let tracks = self.sessions.get(owner).map(|session| &session.tracks[..]).unwrap_or_default();
            tracks.iter().any(|(_, key)| self.tracks.get(*key).is_some_and(|track| is_shared(track.kind)))
        };
        let ends_sharing = is_shared(kind) && !still_shares();
        let Some(room) = self.rooms.get_mut(room_key) else { return };
        room.tracks.remove(&id);
        if ends_sharing {
            room.sharer = None;
        }
        match (kind, id.number()) {
            (TrackKind::Microphone, TrackNumber::MICROPHONE) => room.speakers.remove(id.participant()),
            (TrackKind::Camera, TrackNumber::CAMERA) => {
                let moved = room.places.remove(id.participant());
                self.follow_places(now, room_key, &moved);
            }
            _ => {}
        }
        if ends_sharing {
            self.judge_refused_screens(now, room_key);
        }
        for slot in shown_by {
            self.resolve(now, slot, Tell::Now);
        }
        self.resolve_who_want(now, room_key, Want::Track(id), Tell::Now);
    }
}

/// Whether a room has only one of the kind at a time, or its sound.
const fn is_shared(kind: TrackKind) -> bool {
    matches!(kind, TrackKind::Screen | TrackKind::ScreenAudio)
}

/// Whether two descriptions differ in nothing but flags.
fn is_same(a: &PublishedTrack, b: &PublishedTrack) -> bool {
    PublishedTrack { muted: b.muted, ..*a } == *b
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
