//! Rooms: who is in, what is published, and who wants what. A room sees no packets.

use std::collections::BTreeMap;

use sluice_wire::track::{ParticipantId, TrackId};

use super::ids::{SessionKey, SlotRef, TrackKey};

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: Box<str>,
    pub(crate) participants: BTreeMap<ParticipantId, SessionKey>,
    pub(crate) tracks: BTreeMap<TrackId, TrackKey>,
    /// Slots by the track they want, published or not: a track that appears finds its receivers without a search.
    wanted: BTreeMap<TrackId, Vec<SlotRef>>,
}

impl Room {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            participants: BTreeMap::new(),
            tracks: BTreeMap::new(),
            wanted: BTreeMap::new(),
        }
    }

    pub(crate) fn want(&mut self, track: TrackId, slot: SlotRef) {
        self.wanted.entry(track).or_default().push(slot);
    }

    pub(crate) fn unwant(&mut self, track: TrackId, slot: SlotRef) {
        if let Some(slots) = self.wanted.get_mut(&track) {
            slots.retain(|other| *other != slot);
            if slots.is_empty() {
                self.wanted.remove(&track);
            }
        }
    }

    pub(crate) fn wanted_by(&self, track: TrackId) -> &[SlotRef] {
        self.wanted.get(&track).map_or(&[], Vec::as_slice)
    }
}
