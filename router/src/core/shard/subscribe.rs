//! Subscriptions: which encoding each slot is to show.

use sluice_wire::control::{SlotStatus, Want};
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use super::Shard;
use crate::core::ids::{EncodingRef, SessionKey, SlotRef, TrackKey};
use crate::core::layers::{Layers, Selection};

/// What a slot should show, given its wish and the room.
enum Resolution {
    Empty(SlotStatus),
    Encoding { at: EncodingRef, is_audio: bool, is_muted: bool },
}

impl Shard {
    /// Brings a slot in line with its wish. Idempotent.
    pub(super) fn resolve(&mut self, now: Time, slot: SlotRef) {
        let status = match self.resolution(slot) {
            Resolution::Empty(status) => {
                self.detach(slot);
                status
            }
            Resolution::Encoding { at, is_audio, is_muted } => {
                let is_flowing = self.attach(now, slot, at, is_audio);
                match (is_muted, is_flowing || is_audio) {
                    (true, _) => SlotStatus::Muted,
                    (false, true) => SlotStatus::Flowing,
                    (false, false) => SlotStatus::WaitingForKeyFrame,
                }
            }
        };
        let Some(session) = self.sessions.get_mut(slot.session) else { return };
        let Some(state) = session.slot_mut(slot.slot) else { return };
        state.status = status;
        session.touch_shown(slot.slot);
        self.has_something_to_say(slot.session);
    }

    fn resolution(&self, slot: SlotRef) -> Resolution {
        let Some(session) = self.sessions.get(slot.session).filter(|session| !session.is_closing()) else {
            return Resolution::Empty(SlotStatus::NotPublished);
        };
        let Some(wanted) = session.slot(slot.slot).and_then(|slot| slot.wanted) else {
            return Resolution::Empty(SlotStatus::NotPublished);
        };
        if wanted.paused {
            return Resolution::Empty(SlotStatus::Paused);
        }
        let id = match wanted.want {
            Want::Nothing => return Resolution::Empty(SlotStatus::NotPublished),
            Want::Speaker(_) | Want::Voice(_) => return Resolution::Empty(SlotStatus::Unsupported),
            Want::Track(id) => id,
        };
        if id.participant() == session.participant {
            return Resolution::Empty(SlotStatus::NotAllowed);
        }
        let track = self.rooms.get(session.room).and_then(|room| room.tracks.get(&id));
        let Some((key, track)) = track.and_then(|key| Some((*key, self.tracks.get(*key)?))) else {
            return Resolution::Empty(SlotStatus::NotPublished);
        };
        Resolution::Encoding {
            at: EncodingRef { track: key, encoding: track.encoding_for_height(wanted.max_height) },
            is_audio: track.kind.is_audio(),
            is_muted: track.muted,
        }
    }

    /// Makes `at` the slot's target. Returns whether the slot shows that track already.
    fn attach(&mut self, now: Time, slot: SlotRef, at: EncodingRef, is_audio: bool) -> bool {
        let current = self.selection(slot);
        if current.is_some_and(|selection| selection.track != at.track) {
            self.detach(slot);
        }
        let current = self.selection(slot);
        if let Some(selection) = current {
            if selection.target().encoding == at.encoding {
                return selection.current().is_some();
            }
            if selection.current().map(|flowing| flowing.encoding) != Some(selection.target().encoding) {
                self.unsubscribe(EncodingRef { encoding: selection.target().encoding, ..at }, slot);
            }
        }
        let target = Layers::whole(at.encoding);
        let mut selection = current.unwrap_or_else(|| Selection::new(at.track, target));
        selection.retarget(target, false);
        let flowing = selection.current().map(|flowing| flowing.encoding);
        if flowing != Some(at.encoding) {
            self.subscribe(at, slot);
        }
        self.select(slot, Some(selection));
        if !is_audio && flowing != Some(at.encoding) {
            self.request_key_frame(now, at);
        }
        flowing.is_some()
    }

    /// Ends whatever the slot shows or waits for.
    pub(super) fn detach(&mut self, slot: SlotRef) {
        let Some(selection) = self.selection(slot) else { return };
        for layers in [Some(selection.target()), selection.current()].into_iter().flatten() {
            self.unsubscribe(EncodingRef { track: selection.track, encoding: layers.encoding }, slot);
        }
        self.select(slot, None);
    }

    fn selection(&self, slot: SlotRef) -> Option<Selection> {
        self.sessions.get(slot.session)?.slot(slot.slot)?.selection
    }

    fn select(&mut self, slot: SlotRef, selection: Option<Selection>) {
        if let Some(state) =
            self.sessions.get_mut(slot.session).and_then(|session| session.slot_mut(slot.slot))
        {
            state.selection = selection;
        }
    }

    fn subscribe(&mut self, to: EncodingRef, slot: SlotRef) {
        if let Some(encoding) = self.encoding_mut(to) {
            encoding.subscribers.push(slot);
        }
    }

    fn unsubscribe(&mut self, from: EncodingRef, slot: SlotRef) {
        if let Some(encoding) = self.encoding_mut(from) {
            encoding.unsubscribe(slot);
        }
    }

    /// Asks the publisher of an encoding for a key frame, within the encoding's limit.
    pub(super) fn request_key_frame(&mut self, now: Time, of: EncodingRef) {
        let Some(track) = self.tracks.get_mut(of.track) else { return };
        let owner = track.owner;
        let Some(encoding) = track.encodings.get_mut(usize::from(of.encoding)) else { return };
        encoding.key_frames.want();
        if encoding.key_frames.take(now) {
            let stream = encoding.published.stream;
            self.counters.key_frame_requests_out += 1;
            if let Some(session) = self.sessions.get_mut(owner) {
                session.duties.key_frame_streams |= 1 << stream.0;
                self.has_something_to_say(owner);
            }
        }
    }

    /// Resolves every slot that wants a track: it appeared, vanished or changed.
    pub(super) fn resolve_all_who_want(
        &mut self,
        now: Time,
        room: crate::core::ids::RoomKey,
        track: TrackId,
    ) {
        let slots = self.rooms.get(room).map(|room| room.wanted_by(track).to_vec()).unwrap_or_default();
        for slot in slots {
            self.resolve(now, slot);
        }
    }

    /// Takes a track out of the room: receivers are told, pending packets go back to the pool.
    pub(super) fn unpublish(&mut self, now: Time, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else { return };
        let (id, room, owner, encodings) = (track.id, track.room, track.owner, track.encodings.len());
        for encoding in 0..encodings {
            self.discard_pending(EncodingRef { track: key, encoding: encoding as u8 });
        }
        self.tracks.remove(key);
        if let Some(room) = self.rooms.get_mut(room) {
            room.tracks.remove(&id);
        }
        if let Some(session) = self.sessions.get_mut(owner) {
            session.tracks.retain(|(_, other)| *other != key);
            for stream in &mut session.streams {
                if stream.is_some_and(|encoding| encoding.track == key) {
                    *stream = None;
                }
            }
        }
        self.resolve_all_who_want(now, room, id);
    }

    /// Ends every subscription of a session.
    pub(super) fn detach_all(&mut self, session: SessionKey) {
        let slots = self.sessions.get(session).map_or(0, |session| session.slots.len());
        for slot in 0..slots {
            self.detach(SlotRef { session, slot: slot as u16 });
        }
    }
}
