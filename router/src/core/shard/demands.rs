//! What publishers are told of the demand for their tracks.

use sluice_wire::control::Demand as Entry;
use sluice_wire::time::Time;
use sluice_wire::track::TrackKind;

use super::Shard;
use super::subscribe::Tell;
use crate::core::demand::{Change, Wanted};
use crate::core::ids::{EncodingRef, SessionKey, TrackKey};
use crate::core::layers::Layers;
use crate::core::limits::SILENT_AFTER;
use crate::core::session::Session;
use crate::core::track::Track;
use slotmap::SlotMap;

/// A microphone is always wanted: who speaks is known by it.
const LISTENED_TO: Wanted = Wanted { temporal: 1, spatial: 1 };

impl Shard {
    /// A slot that was subscribed to an encoding shows something else, or less of it.
    pub(super) fn leave(&mut self, from: EncodingRef) {
        if let Some(encoding) = self.encoding_mut(from) {
            encoding.is_stale = true;
            self.demand_is_stale(from.track);
        }
    }

    /// A slot wants `layers` of an encoding.
    pub(super) fn want_more(&mut self, of: EncodingRef, layers: Layers) {
        if let Some(encoding) = self.encoding_mut(of) {
            encoding.wanted = encoding.wanted.max(encoding.count_of(layers));
            self.demand_is_stale(of.track);
        }
    }

    /// The demand for a track may have changed: it is looked at before anything else happens.
    pub(super) fn demand_is_stale(&mut self, track: TrackKey) {
        if let Some(state) = self.tracks.get_mut(track)
            && !std::mem::replace(&mut state.is_stale, true)
        {
            self.stale.push(track);
        }
    }

    /// Brings what follows from other changes up to date: receivers' shares, lists of subscribers, demand.
    pub(super) fn settle(&mut self, now: Time) {
        while let Some(session) = self.unshared.pop() {
            self.share(now, session);
        }
        while let Some(track) = self.stale.pop() {
            self.refresh(track);
            self.update_demand(now, track);
        }
    }

    /// Takes those who left out of the lists of subscribers, and counts anew what the others want.
    fn refresh(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        track.is_stale = false;
        let sessions = &self.sessions;
        for (number, encoding) in (0u8..).zip(&mut track.encodings) {
            if !encoding.is_stale {
                continue;
            }
            encoding.is_stale = false;
            encoding.subscribers.sort_unstable();
            encoding.subscribers.dedup();
            let mut wanted = Wanted::default();
            let mut subscribers = std::mem::take(&mut encoding.subscribers);
            subscribers.retain(|slot| {
                let session = sessions.get(slot.session);
                let selection = session.and_then(|session| session.slot(slot.slot)?.selection);
                let layers = selection.filter(|selection| selection.track == key).and_then(|selection| {
                    let mut both = [Some(selection.target()), selection.current()].into_iter().flatten();
                    both.find(|layers| layers.encoding == number)
                });
                if let Some(layers) = layers {
                    wanted = wanted.max(encoding.count_of(layers));
                }
                layers.is_some()
            });
            encoding.subscribers = subscribers;
            encoding.wanted = wanted;
        }
    }

    /// Takes in what is wanted of a track now, and lets its publisher be told if that is news.
    fn update_demand(&mut self, now: Time, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let (kind, owner) = (track.kind, track.owner);
        let has_subscribers = track.encodings.iter().any(|encoding| !encoding.subscribers.is_empty());
        let (mut is_news, mut begin) = (false, Vec::new());
        for (number, encoding) in (0u8..).zip(&mut track.encodings) {
            let mut wanted = encoding.wanted;
            if kind == TrackKind::Microphone {
                wanted = LISTENED_TO;
            } else if encoding.is_silent && has_subscribers {
                // Its receivers were given another; it is still what they want.
                wanted = wanted.max(encoding.demand.told());
            }
            let change = encoding.demand.update(now, wanted);
            is_news |= change != Change::None;
            if change == Change::Begins {
                encoding.last_sign = now;
                begin.push(EncodingRef { track: key, encoding: number });
            }
        }
        if is_news {
            if let Some(session) = self.sessions.get_mut(owner) {
                session.touch_demand();
            }
            self.has_something_to_say(owner);
        }
        for encoding in begin.into_iter().filter(|_| !kind.is_audio()) {
            self.request_key_frame(now, encoding);
        }
    }

    /// Looks after the tracks of a session at its tick: what is wanted no more for long enough, and what does not come.
    pub(super) fn tick_tracks(&mut self, now: Time, owner: SessionKey) {
        let count = self.sessions.get(owner).map_or(0, |session| session.tracks.len());
        for at in 0..count {
            let Some((_, key)) = self.sessions.get(owner).and_then(|session| session.tracks.get(at)).copied()
            else {
                return;
            };
            self.update_demand(now, key);
            let Some(track) = self.tracks.get_mut(key) else { continue };
            if note_silence(now, track) {
                let (room, id) = (track.room, track.id);
                self.resolve_who_show(now, room, id, key, Tell::AtTick);
                self.demand_is_stale(key);
            }
        }
    }
}

/// Finds the encodings of a video that are wanted and do not come; whether that changed.
fn note_silence(now: Time, track: &mut Track) -> bool {
    let may_be_silent = track.muted || track.kind.is_audio();
    let mut is_changed = false;
    for encoding in &mut track.encodings {
        let is_wanted = encoding.demand.told().temporal > 0 && !may_be_silent;
        let is_silent = is_wanted && now.saturating_since(encoding.last_sign) >= SILENT_AFTER;
        is_changed |= std::mem::replace(&mut encoding.is_silent, is_silent) != is_silent;
    }
    is_changed
}

/// The `demand` state of a session.
pub(super) fn demand_of(session: &Session, tracks: &SlotMap<TrackKey, Track>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (number, key) in &session.tracks {
        let Some(track) = tracks.get(*key) else { continue };
        entries.extend((0u8..).zip(&track.encodings).map(|(encoding, state)| {
            let Wanted { temporal, spatial } = state.demand.told();
            Entry {
                track: *number,
                encoding,
                status: sluice_wire::control::DemandStatus::Granted,
                temporal_layers: temporal,
                spatial_layers: spatial,
            }
        }));
    }
    for refused in &session.refused {
        let encodings = 0..refused.published.encodings.as_slice().len() as u8;
        entries.extend(encodings.map(|encoding| Entry {
            track: refused.published.number,
            encoding,
            status: refused.status,
            temporal_layers: 0,
            spatial_layers: 0,
        }));
    }
    entries.sort_unstable_by_key(|entry| (entry.track, entry.encoding));
    entries
}
