//! Subscriptions: what each slot is to show.

use sluice_wire::control::{SlotStatus, Want};
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackNumber};

use super::Shard;
use crate::core::allocation::Best;
use crate::core::ids::{EncodingRef, RoomKey, SessionKey, SlotRef, TrackKey};
use crate::core::layers::{Layers, Selection};
use crate::core::session::{Session, Share, Slot};

/// When a receiver is told what its slots show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// With the next flush.
    Now,
    /// At its next tick: when something changes for a whole room, its sessions' turns come one after the other.
    AtTick,
}

/// What a slot shows, as its receiver is told.
#[derive(PartialEq, Eq)]
struct Shows {
    status: SlotStatus,
    subject: Option<TrackId>,
    layers: Option<(Option<Layers>, Layers)>,
}

impl Shows {
    fn of(slot: &Slot) -> Self {
        let layers = slot.selection.map(|selection| (selection.current(), selection.target()));
        Self { status: slot.status, subject: slot.subject, layers }
    }
}

impl Shard {
    /// Brings a slot in line with its wish. Idempotent.
    pub(super) fn resolve(&mut self, now: Time, slot: SlotRef, tell: Tell) {
        let (subject, source) = self.source_of(slot);
        let Some(session) = self.sessions.get_mut(slot.session) else { return };
        let shares = session.shares();
        let Some(state) = session.slot_mut(slot.slot) else { return };
        let is_other = (state.subject, state.source) != (subject, source.ok());
        (state.subject, state.source) = (subject, source.ok());
        let had = if is_other { std::mem::replace(&mut state.share, Share::Fresh) } else { state.share };
        let track = match source {
            Ok(track) => track,
            Err(status) => return self.withhold(slot, status, tell, is_other),
        };
        if is_other {
            self.tell(slot, tell);
        }
        let is_audio = self.tracks.get(track).is_some_and(|track| track.kind.is_audio());
        let best = if is_audio {
            Some(Best { layers: Layers::whole(0), status: SlotStatus::Flowing })
        } else if !shares {
            self.best_for(slot, track)
        } else if tell == Tell::AtTick {
            if let Some(session) = self.sessions.get_mut(slot.session) {
                session.share_is_due = true;
            }
            match had {
                Share::Layers(_, had_bps) => self.stopgap(now, slot, track, had_bps),
                Share::Fresh | Share::Nothing => self.stopgap(now, slot, track, 0),
            }
        } else {
            self.needs_share(slot.session);
            None
        };
        if let Some(best) = best {
            self.fit(now, slot, track, best, false, tell);
        }
    }

    /// The track that a slot shows or would show, and its key or why it may not.
    fn source_of(&self, slot: SlotRef) -> (Option<TrackId>, Result<TrackKey, SlotStatus>) {
        let nothing = (None, Err(SlotStatus::NotPublished));
        let Some(session) = self.sessions.get(slot.session).filter(|session| !session.is_closing()) else {
            return nothing;
        };
        let (Some(wanted), Some(room)) =
            (session.slot(slot.slot).and_then(|slot| slot.wanted), self.rooms.get(session.room))
        else {
            return nothing;
        };
        let me = session.participant;
        let id = match wanted.want {
            Want::Nothing => None,
            Want::Track(id) => Some(id),
            _ if wanted.paused => None,
            Want::Speaker(number) => {
                room.places.seen_by(me, number).map(|speaker| speaker.track(TrackNumber::CAMERA))
            }
            Want::Voice(number) => {
                room.speakers.heard_by(me, number).map(|speaker| speaker.track(TrackNumber::MICROPHONE))
            }
        };
        let key = match id {
            _ if wanted.paused => Err(SlotStatus::Paused),
            None => Err(SlotStatus::NotPublished),
            Some(id) if id.participant() == me => Err(SlotStatus::NotAllowed),
            Some(id) => room.tracks.get(&id).copied().ok_or(SlotStatus::NotPublished),
        };
        (id, key)
    }

    /// Makes `best` what a slot is to show. With `sheds` less than before flows at once, whatever it takes.
    pub(super) fn fit(
        &mut self,
        now: Time,
        slot: SlotRef,
        track: TrackKey,
        best: Best,
        sheds: bool,
        tell: Tell,
    ) {
        let Some(before) = self.slot(slot).map(Shows::of) else { return };
        let Some((is_audio, is_muted)) =
            self.tracks.get(track).map(|track| (track.kind.is_audio(), track.muted))
        else {
            return;
        };
        let is_flowing = self.attach(now, slot, track, best.layers, is_audio, sheds);
        let Some(state) = self.slot_mut(slot) else { return };
        state.flows_as = best.status;
        state.status = match (is_muted, is_flowing || is_audio) {
            (true, _) => SlotStatus::Muted,
            (false, true) => best.status,
            (false, false) => SlotStatus::WaitingForKeyFrame,
        };
        if Shows::of(state) != before {
            self.tell(slot, tell);
        }
    }

    /// Lets a slot show nothing, for the reason that `status` is. `is_other`: so far it was about another track.
    pub(super) fn withhold(&mut self, slot: SlotRef, status: SlotStatus, tell: Tell, is_other: bool) {
        let Some(before) = self.slot(slot).map(Shows::of) else { return };
        self.detach(slot);
        let Some(state) = self.slot_mut(slot) else { return };
        state.status = status;
        if is_other || Shows::of(state) != before {
            self.tell(slot, tell);
        }
    }

    /// What a slot shows is news for its receiver.
    pub(super) fn tell(&mut self, slot: SlotRef, tell: Tell) {
        let Some(session) = self.sessions.get_mut(slot.session) else { return };
        if let Some(state) = session.slot_mut(slot.slot) {
            state.told = state.selection.and_then(|selection| selection.current());
        }
        session.touch_shown(slot.slot);
        if tell == Tell::Now {
            self.has_something_to_say(slot.session);
        }
    }

    /// Makes `target` the slot's target. Returns whether the slot shows that track already.
    fn attach(
        &mut self,
        now: Time,
        slot: SlotRef,
        track: TrackKey,
        target: Layers,
        is_audio: bool,
        sheds: bool,
    ) -> bool {
        if self.selection(slot).is_some_and(|selection| selection.track != track) {
            self.detach(slot);
        }
        let at = |layers: Layers| EncodingRef { track, encoding: layers.encoding };
        let before = self.selection(slot);
        let mut selection = before.unwrap_or_else(|| Selection::new(track, target));
        let flowing = selection.current();
        if before.is_some_and(|selection| selection.target() == target) && !sheds {
            return flowing.is_some();
        }
        selection.retarget(target, sheds);
        self.select(slot, Some(selection));
        let is_subscribed = |encoding: u8| {
            let was_target = before.is_some_and(|before| before.target().encoding == encoding);
            was_target || flowing.is_some_and(|flowing| flowing.encoding == encoding)
        };
        if let Some(before) = before {
            self.leave(at(before.target()));
        }
        if is_subscribed(target.encoding) {
            self.want_more(at(target), target);
        } else {
            self.subscribe(at(target), slot, target);
        }
        if !is_audio && selection.is_waiting() {
            self.request_key_frame(now, at(target));
        }
        flowing.is_some()
    }

    /// Ends whatever the slot shows or waits for.
    pub(super) fn detach(&mut self, slot: SlotRef) {
        let Some(selection) = self.selection(slot) else { return };
        self.select(slot, None);
        for layers in [Some(selection.target()), selection.current()].into_iter().flatten() {
            self.leave(EncodingRef { track: selection.track, encoding: layers.encoding });
        }
    }

    fn slot(&self, slot: SlotRef) -> Option<&Slot> {
        self.sessions.get(slot.session)?.slot(slot.slot)
    }

    fn slot_mut(&mut self, slot: SlotRef) -> Option<&mut Slot> {
        self.sessions.get_mut(slot.session)?.slot_mut(slot.slot)
    }

    fn selection(&self, slot: SlotRef) -> Option<Selection> {
        self.slot(slot)?.selection
    }

    /// Lets the next packet that a slot shows be the first of a source, whatever came before it.
    pub(super) fn begin_anew(&mut self, slot: SlotRef) {
        if let Some(selection) = self.selection(slot) {
            self.select(slot, Some(Selection::new(selection.track, selection.target())));
        }
    }

    fn select(&mut self, slot: SlotRef, selection: Option<Selection>) {
        if let Some(state) = self.slot_mut(slot) {
            state.selection = selection;
        }
    }

    fn subscribe(&mut self, to: EncodingRef, slot: SlotRef, layers: Layers) {
        if let Some(encoding) = self.encoding_mut(to) {
            encoding.subscribers.push(slot);
        }
        self.want_more(to, layers);
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

    /// Resolves every slot that wants something by this name.
    pub(super) fn resolve_who_want(&mut self, now: Time, room: RoomKey, want: Want, tell: Tell) {
        let slots = self.rooms.get(room).map(|room| room.wanted_by(want).to_vec()).unwrap_or_default();
        for slot in slots {
            self.resolve(now, slot, tell);
        }
    }

    /// Resolves every slot that wants a track by its name, or shows it by whatever other.
    pub(super) fn resolve_who_show(
        &mut self,
        now: Time,
        room: RoomKey,
        id: TrackId,
        key: TrackKey,
        tell: Tell,
    ) {
        let mut slots = self.who_show(key);
        slots.extend(self.rooms.get(room).map(|room| room.wanted_by(Want::Track(id))).unwrap_or_default());
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            self.resolve(now, slot, tell);
        }
    }

    /// The slots that show a track or wait for it.
    pub(super) fn who_show(&self, key: TrackKey) -> Vec<SlotRef> {
        let Some(track) = self.tracks.get(key) else { return Vec::new() };
        let subscribed = track.encodings.iter().flat_map(|encoding| &encoding.subscribers).copied();
        subscribed
            .filter(|slot| self.selection(*slot).is_some_and(|selection| selection.track == key))
            .collect()
    }

    /// Resolves all slots of a session.
    pub(super) fn resolve_session(&mut self, now: Time, session: SessionKey, tell: Tell) {
        let listed: Vec<u16> = self
            .sessions
            .get(session)
            .map(|session| session.listed_slots().map(|(number, _)| number).collect())
            .unwrap_or_default();
        for slot in listed {
            self.resolve(now, SlotRef { session, slot }, tell);
        }
    }

    /// Ends every subscription of a session.
    pub(super) fn detach_all(&mut self, session: SessionKey) {
        let slots = self.sessions.get(session).map_or(0, |session: &Session| session.slots.len());
        for slot in 0..slots {
            self.detach(SlotRef { session, slot: slot as u16 });
        }
    }
}
