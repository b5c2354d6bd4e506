//! Rooms: who is in, what is published, who wants what, and who speaks. A room sees no packets.

use std::collections::BTreeMap;

use sluice_wire::control::{Speaker, Want};
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackId};

use super::ids::{SessionKey, SlotRef, TrackKey};
use super::policy::Policy;
use super::speakers::{Places, Speakers};

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: Box<str>,
    pub(crate) participants: BTreeMap<ParticipantId, SessionKey>,
    pub(crate) tracks: BTreeMap<TrackId, TrackKey>,
    pub(crate) policy: Policy,
    pub(crate) speakers: Speakers,
    pub(crate) places: Places,
    /// Who shares a screen, its sound, or both.
    pub(crate) sharer: Option<SessionKey>,
    pub(crate) news: SpeakerNews,
    /// Slots by what they want, published or not: what appears finds its receivers without a search.
    tracks_wanted: Wishes,
    speakers_wanted: Wishes,
    voices_wanted: Wishes,
}

/// The `speakers` state as the room's sessions are told it.
#[derive(Debug, Default)]
pub(crate) struct SpeakerNews {
    pub(crate) told: Vec<Speaker>,
    /// There is something newer.
    pub(crate) is_due: bool,
    /// It is not told before.
    pub(crate) not_before: Time,
}

/// Slots by the number of what they want.
#[derive(Debug, Default)]
struct Wishes(BTreeMap<u32, Vec<SlotRef>>);

impl Room {
    pub(crate) fn new(name: &str, policy: Policy) -> Self {
        Self {
            name: name.into(),
            participants: BTreeMap::new(),
            tracks: BTreeMap::new(),
            policy,
            speakers: Speakers::new(policy.voices()),
            places: Places::default(),
            sharer: None,
            news: SpeakerNews::default(),
            tracks_wanted: Wishes::default(),
            speakers_wanted: Wishes::default(),
            voices_wanted: Wishes::default(),
        }
    }

    pub(crate) fn want(&mut self, want: Want, slot: SlotRef) {
        if let Some((Wishes(wishes), subject)) = self.wishes_mut(want) {
            wishes.entry(subject).or_default().push(slot);
        }
    }

    pub(crate) fn unwant(&mut self, want: Want, slot: SlotRef) {
        let Some((Wishes(wishes), subject)) = self.wishes_mut(want) else { return };
        if let Some(slots) = wishes.get_mut(&subject) {
            slots.retain(|other| *other != slot);
            if slots.is_empty() {
                wishes.remove(&subject);
            }
        }
    }

    /// The slots that want something.
    pub(crate) fn wanted_by(&self, want: Want) -> &[SlotRef] {
        let (Wishes(wishes), subject) = match want {
            Want::Nothing => return &[],
            Want::Track(track) => (&self.tracks_wanted, track.to_bits()),
            Want::Speaker(number) => (&self.speakers_wanted, number),
            Want::Voice(number) => (&self.voices_wanted, number),
        };
        wishes.get(&subject).map_or(&[], Vec::as_slice)
    }

    /// All slots that want a speaker's camera.
    pub(crate) fn want_speakers(&self) -> impl Iterator<Item = SlotRef> {
        self.speakers_wanted.0.values().flatten().copied()
    }

    fn wishes_mut(&mut self, want: Want) -> Option<(&mut Wishes, u32)> {
        match want {
            Want::Nothing => None,
            Want::Track(track) => Some((&mut self.tracks_wanted, track.to_bits())),
            Want::Speaker(number) => Some((&mut self.speakers_wanted, number)),
            Want::Voice(number) => Some((&mut self.voices_wanted, number)),
        }
    }
}
