//! What each slot of a receiver gets: the best layers that it can use, or what is left of its receiver's bitrate.

use sluice_wire::control::{SlotStatus, WantedSlot};
use sluice_wire::time::Time;
use sluice_wire::track::TrackKind;

use super::Shard;
use super::subscribe::Tell;
use crate::core::allocation::{Best, Class, Grant, Held, Ladder, SlotRequest, Use, allocate, best};
use crate::core::ids::{SessionKey, SlotRef, TrackKey};
use crate::core::layers::Layers;
use crate::core::policy::{Cap, PINNED_PRIORITY};
use crate::core::room::Room;
use crate::core::session::{Session, Share, Slot};
use crate::core::track::Track;

/// A slot that may be sent something.
#[derive(Debug)]
struct Offer {
    slot: u16,
    track: TrackKey,
    class: Class,
    priority: u8,
    best: Best,
    ladder: Ladder,
    held: Held,
}

impl Shard {
    /// A receiver's slots compete anew, before anything else happens.
    pub(super) fn needs_share(&mut self, key: SessionKey) {
        if !self.unshared.contains(&key) {
            self.unshared.push(key);
        }
    }

    /// The best layers of a track for a slot.
    pub(super) fn best_for(&self, slot: SlotRef, track: TrackKey) -> Option<Best> {
        let session = self.sessions.get(slot.session)?;
        let wanted = session.slot(slot.slot)?.wanted?;
        let (room, track) = (self.rooms.get(session.room)?, self.tracks.get(track)?);
        Some(best(track, use_of(room, session, &wanted, track)))
    }

    /// A stopgap until the receiver's bitrate is shared at its next tick: what costs no more than what the slot had before.
    pub(super) fn stopgap(&self, now: Time, slot: SlotRef, track: TrackKey, had_bps: u64) -> Option<Best> {
        let best = self.best_for(slot, track)?;
        let ladder = Ladder::of_video(self.tracks.get(track)?, best, now);
        let (layers, _) = ladder.rung(ladder.affordable(had_bps))?;
        Some(Best { layers, ..best })
    }

    /// Shares a receiver's bitrate over its slots.
    pub(super) fn share(&mut self, now: Time, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key).filter(|session| !session.is_closing()) else {
            return;
        };
        session.share_is_due = false;
        let budget = session.budget;
        let Some(mut offers) = self.offers(now, key) else { return };
        self.counters.allocations += 1;
        let videos = self
            .sessions
            .get(key)
            .and_then(|session| self.rooms.get(session.room))
            .map_or(0, |room| room.policy.videos());
        for slot in take_beyond(&mut offers, videos) {
            self.withhold(SlotRef { session: key, slot }, SlotStatus::Limited, Tell::Now, false);
        }
        let requests: Vec<SlotRequest<'_>> = offers.iter().map(Offer::request).collect();
        let mut grants: Vec<Grant> = vec![None; requests.len()];
        allocate(budget.limit_bps, budget.pause.is_over(now), &requests, &mut grants);
        let wanted_bps = offers.iter().filter_map(|offer| offer.ladder.prices_bps().last()).sum();
        let (mut lowered, mut raised) = (false, false);
        for (offer, grant) in offers.iter().zip(grants) {
            let held = match offer.held {
                Held::Fresh => None,
                Held::Nothing => Some(None),
                Held::Rung(rung) => Some(Some(rung)),
            };
            let is_lower = held.is_some_and(|held| grant < held);
            lowered |= is_lower;
            raised |= held.is_some_and(|held| grant > held);
            self.give(now, SlotRef { session: key, slot: offer.slot }, offer, grant, is_lower);
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.budget.wanted_bps = wanted_bps;
            if let Some(down) = session.down.as_deref_mut() {
                down.on_shared(wanted_bps);
            }
            if raised {
                session.budget.pause.on_raised(now);
            }
            if lowered {
                session.budget.pause.on_lowered(now);
            }
        }
    }

    /// Everything that a receiver's slots could be sent.
    fn offers(&self, now: Time, key: SessionKey) -> Option<Vec<Offer>> {
        let session = self.sessions.get(key)?;
        let room = self.rooms.get(session.room)?;
        let offer = |(number, slot): (u16, &Slot)| {
            let (source, wanted) = (slot.source?, slot.wanted?);
            let track = self.tracks.get(source)?;
            let best = best(track, use_of(room, session, &wanted, track));
            let ladder = if track.kind.is_audio() {
                Ladder::of_audio(track, now)
            } else {
                Ladder::of_video(track, best, now)
            };
            let held = match slot.share {
                Share::Fresh => Held::Fresh,
                Share::Nothing => Held::Nothing,
                Share::Layers(layers, _) => ladder.rung_of(layers).map_or(Held::Fresh, Held::Rung),
            };
            let class = class_of(room, session, &wanted, track);
            Some(Offer { slot: number, track: source, class, priority: wanted.priority, best, ladder, held })
        };
        Some(session.listed_slots().filter_map(offer).collect())
    }

    /// Gives a slot what it was granted.
    fn give(&mut self, now: Time, slot: SlotRef, offer: &Offer, grant: Grant, is_lower: bool) {
        let Some((layers, price_bps)) = grant.and_then(|rung| offer.ladder.rung(rung)) else {
            self.withhold(slot, SlotStatus::NoBandwidth, Tell::Now, false);
            self.note_share(slot, Share::Nothing);
            return;
        };
        let flows_as = if offer.is_top(grant) { offer.best.status } else { SlotStatus::NoBandwidth };
        let layers = if offer.class == Class::Audio { Layers::whole(0) } else { layers };
        self.fit(now, slot, offer.track, Best { layers, status: flows_as }, is_lower, Tell::Now);
        self.note_share(slot, Share::Layers(layers, price_bps));
    }

    pub(super) fn note_share(&mut self, slot: SlotRef, share: Share) {
        if let Some(state) =
            self.sessions.get_mut(slot.session).and_then(|session| session.slot_mut(slot.slot))
        {
            state.share = share;
        }
    }
}

impl Offer {
    /// Whether a grant is all that the slot can use.
    fn is_top(&self, grant: Grant) -> bool {
        grant.map_or(0, |rung| usize::from(rung) + 1) == self.ladder.prices_bps().len()
    }

    fn request(&self) -> SlotRequest<'_> {
        SlotRequest {
            class: self.class,
            priority: self.priority,
            rungs: self.ladder.prices_bps(),
            protected: self.ladder.protected,
            held: self.held,
        }
    }
}

/// Takes out what exceeds the number of videos that a receiver is sent, the least important first.
fn take_beyond(offers: &mut Vec<Offer>, videos: usize) -> Vec<u16> {
    let mut order: Vec<_> = offers
        .iter()
        .filter(|offer| offer.class != Class::Audio)
        .map(|offer| (offer.class, u8::MAX - offer.priority, offer.slot))
        .collect();
    order.sort_unstable();
    let beyond: Vec<u16> = order.iter().skip(videos).map(|(_, _, slot)| *slot).collect();
    offers.retain(|offer| !beyond.contains(&offer.slot));
    beyond
}

/// Whether a track is the camera of the speaker whom the receiver has before it.
fn is_active(room: &Room, session: &Session, track: &Track) -> bool {
    track.kind == TrackKind::Camera
        && room.places.seen_by(session.participant, 0) == Some(track.id.participant())
}

fn class_of(room: &Room, session: &Session, wanted: &WantedSlot, track: &Track) -> Class {
    match track.kind {
        TrackKind::Microphone | TrackKind::ScreenAudio => Class::Audio,
        TrackKind::Screen => Class::Screen,
        TrackKind::Camera if wanted.priority >= PINNED_PRIORITY => Class::Pinned,
        TrackKind::Camera if is_active(room, session, track) => Class::ActiveSpeaker,
        TrackKind::Camera => Class::Other,
    }
}

fn use_of(room: &Room, session: &Session, wanted: &WantedSlot, track: &Track) -> Use {
    let is_free = track.kind != TrackKind::Camera || wanted.priority >= PINNED_PRIORITY;
    let cap = if is_free { Cap::NONE } else { room.policy.camera_cap(is_active(room, session, track)) };
    Use { max_height: wanted.max_height, max_fps: wanted.max_fps, cap }
}
