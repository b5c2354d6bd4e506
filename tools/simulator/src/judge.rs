//! What must be true once nothing happens any more: everybody is shown what he asked for, senders are told just that, and the
//! one who speaks has the floor.

use std::collections::{BTreeMap, BTreeSet};

use sluice_wire::control::{ShownSlot, SlotStatus, Want, WantedSlot};
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackId, TrackNumber};

use crate::participant::{CAMERA_FPS, CAMERA_HEIGHTS, Participant};

/// Voices that each hears in a room without a policy of its own.
const VOICES: u32 = 3;

/// The people of a conference at one moment.
#[derive(Debug)]
pub struct Judge<'a> {
    people: BTreeMap<ParticipantId, &'a Participant>,
    /// The router may still hold sessions of people who are gone without a word.
    has_ghosts: bool,
}

impl<'a> Judge<'a> {
    /// Judges what `people` see.
    pub fn new(people: impl Iterator<Item = &'a Participant>, has_ghosts: bool) -> Self {
        Self { people: people.map(|person| (person.id, person)).collect(), has_ghosts }
    }

    /// Everybody is still there, and every slot that asks for something that is sent has shown it since `since`; with
    /// `may_lack_bandwidth` but for pictures of which the router says that the path does not carry them.
    ///
    /// # Errors
    /// The first slot that has not.
    pub fn everybody_sees(&self, since: Time, may_lack_bandwidth: bool) -> Result<(), String> {
        for person in self.people.values() {
            if let Some(code) = &person.closed {
                return Err(format!("{:?} was thrown out: {code}", person.id));
            }
            for wish in person.wishes.iter().filter(|wish| !wish.paused) {
                let Some(track) = target(person, wish) else { continue };
                let is_affordable = person.limit_bps == u64::MAX || is_voice(track);
                let is_seen = person.seen(wish.slot).is_some_and(|seen| seen >= since);
                let is_excused = may_lack_bandwidth && lacks_bandwidth(person, wish);
                if self.is_live(track)
                    && is_affordable
                    && !is_seen
                    && !is_excused
                    && !self.is_fresh(person, wish, since)
                {
                    return Err(format!(
                        "slot {} of {:?} does not show {track:?}: last seen {:?}, asked for {wish:?}, router says {:?}",
                        wish.slot,
                        person.id,
                        person.seen(wish.slot),
                        person.session.shown(wish.slot)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Nothing was shown since `since` that costs what its receiver does not want to pay: paused pictures, pictures for somebody
    /// who can take sound only, more voices than a room has.
    ///
    /// # Errors
    /// The first slot that cost something.
    pub fn nobody_pays_for_nothing(&self, since: Time) -> Result<(), String> {
        for person in self.people.values() {
            for wish in &person.wishes {
                let is_picture = !matches!(wish.want, Want::Voice(_))
                    && !matches!(wish.want, Want::Track(track) if is_voice(track));
                let is_dark = wish.paused
                    || (is_picture && person.limit_bps == 0)
                    || matches!(wish.want, Want::Voice(number) if number >= VOICES);
                if is_dark && person.seen(wish.slot).is_some_and(|seen| seen > since) {
                    return Err(format!("slot {} of {:?} shows something: {wish:?}", wish.slot, person.id));
                }
            }
        }
        Ok(())
    }

    /// Whoever has no limit gets the layers that he asked for, and the router says so; but for slots whose place was another's until
    /// `since`.
    ///
    /// # Errors
    /// The first slot with others.
    pub fn layers_are_right(&self, since: Time) -> Result<(), String> {
        for person in self.people.values().filter(|person| person.limit_bps == u64::MAX) {
            for wish in person.wishes.iter().filter(|wish| !wish.paused) {
                let Some(track) = target(person, wish).filter(|track| track.number() == TrackNumber::CAMERA)
                else {
                    continue;
                };
                let Some(owner) = self.people.get(&track.participant()).filter(|_| self.is_live(track))
                else {
                    continue;
                };
                if self.is_fresh(person, wish, since) {
                    continue;
                }
                let fits = |height: &u16| wish.max_height == 0 || *height <= wish.max_height;
                let encoding = CAMERA_HEIGHTS.iter().rposition(fits).unwrap_or(0);
                let layers = layers_within(owner.camera_layers[encoding], wish.max_fps);
                let shown = person.session.shown(wish.slot);
                let is_right = shown.is_some_and(|shown| {
                    (shown.status, usize::from(shown.encoding), shown.temporal_layers)
                        == (SlotStatus::Flowing, encoding, layers)
                });
                if !is_right {
                    return Err(format!(
                        "{wish:?} of {:?} should get encoding {encoding} with {layers} temporal layers: {shown:?}",
                        person.id
                    ));
                }
            }
        }
        Ok(())
    }

    /// Senders are told the union of what flows to others: not less, and not more; with `is_scarce` maybe more, for what is granted to those
    /// with a limit may change with every frame's size, before it flows.
    ///
    /// # Errors
    /// The first encoding of which something else is told.
    pub fn demand_is_the_union(&self, is_scarce: bool) -> Result<(), String> {
        for owner in self.people.values().filter(|owner| owner.is_live(TrackNumber::CAMERA)) {
            let track = owner.id.track(TrackNumber::CAMERA);
            for encoding in 0..CAMERA_HEIGHTS.len() as u8 {
                let flows = |shown: &&ShownSlot| {
                    (shown.track, shown.encoding) == (Some(track), encoding) && is_flowing(shown.status)
                };
                let shown = self.people.values().flat_map(|person| shown_slots(person));
                let wanted = shown.filter(flows).map(|shown| shown.temporal_layers).max().unwrap_or(0);
                // Until the router says otherwise all is wanted.
                let told = owner
                    .demand
                    .get(&(TrackNumber::CAMERA, encoding))
                    .map_or(owner.camera_layers[usize::from(encoding)], |told| told.temporal_layers);
                let is_right = if self.has_ghosts || is_scarce { told >= wanted } else { told == wanted };
                if !is_right {
                    return Err(format!(
                        "{:?} is told {told} of encoding {encoding}, of which {wanted} temporal layers flow",
                        owner.id
                    ));
                }
            }
        }
        Ok(())
    }

    /// Nobody is in two places of a view of speakers, and no place is left empty.
    ///
    /// # Errors
    /// The first view that is not so.
    pub fn views_are_full(&self) -> Result<(), String> {
        for person in self.people.values() {
            let others = || self.people.values().filter(|other| other.id != person.id);
            let voices = others().filter(|other| other.is_live(TrackNumber::MICROPHONE)).count();
            let is_view = |wish: &&WantedSlot, voice: bool| {
                matches!((wish.want, voice), (Want::Voice(_), true) | (Want::Speaker(_), false))
            };
            for (voice, available) in [(true, voices.min(VOICES as usize)), (false, others().count())] {
                let places: Vec<&WantedSlot> =
                    person.wishes.iter().filter(|wish| is_view(wish, voice)).collect();
                let shown: Vec<TrackId> =
                    places.iter().filter_map(|wish| person.session.shown(wish.slot)?.track).collect();
                if shown.iter().collect::<BTreeSet<_>>().len() < shown.len() {
                    return Err(format!("{:?} is shown somebody twice: {shown:?}", person.id));
                }
                let expected = available.min(places.len());
                let is_hidden = places.iter().any(|wish| wish.paused);
                if shown.len() < expected && !self.has_ghosts && !is_hidden {
                    return Err(format!("{:?} is shown {shown:?}, but there are {expected}", person.id));
                }
            }
        }
        Ok(())
    }

    /// Who speaks alone for long has the floor, and is told when nobody hears it.
    ///
    /// # Errors
    /// Who does not see or hear the speaker.
    pub fn has_the_floor(&self, speaker: ParticipantId) -> Result<(), String> {
        let Some(speaker) = self.people.get(&speaker) else { return Ok(()) };
        let (voice, camera) =
            (speaker.id.track(TrackNumber::MICROPHONE), speaker.id.track(TrackNumber::CAMERA));
        let own = speaker.speakers.iter().find(|entry| entry.track == voice);
        if own.is_some_and(|own| own.talking_while_muted) != speaker.microphone_is_muted {
            return Err(format!("{:?}, muted: {}, is told {own:?}", speaker.id, speaker.microphone_is_muted));
        }
        for person in self.people.values().filter(|person| person.id != speaker.id) {
            if person.speakers.iter().any(|entry| entry.talking_while_muted) {
                return Err(format!("{:?} is told of others: {:?}", person.id, person.speakers));
            }
            if speaker.microphone_is_muted {
                continue;
            }
            let first = person.speakers.first();
            if !first.is_some_and(|first| first.track == voice && first.dominant && first.talking) {
                return Err(format!("{:?} does not know that {:?} speaks: {first:?}", person.id, speaker.id));
            }
            for wish in person.wishes.iter().filter(|wish| !wish.paused && wish.want == Want::Speaker(0)) {
                let shown = person.session.shown(wish.slot);
                if shown.is_none_or(|shown| shown.track != Some(camera)) {
                    return Err(format!("{:?} does not see {:?} speak: {shown:?}", person.id, speaker.id));
                }
            }
            let mut voices =
                person.wishes.iter().filter(|wish| matches!(wish.want, Want::Voice(_))).peekable();
            let hears = |wish: &WantedSlot| {
                person.session.shown(wish.slot).is_some_and(|shown| shown.track == Some(voice))
            };
            if voices.peek().is_some() && !voices.any(hears) {
                return Err(format!("{:?} does not hear {:?}", person.id, speaker.id));
            }
        }
        Ok(())
    }

    /// Whether the place that a slot follows went to another after `since`: those who left without a word give theirs up whenever
    /// the router notices.
    fn is_fresh(&self, person: &Participant, wish: &WantedSlot, since: Time) -> bool {
        let follows = matches!(wish.want, Want::Speaker(_) | Want::Voice(_));
        self.has_ghosts && follows && person.shown_since(wish.slot).is_some_and(|at| at > since)
    }

    fn is_live(&self, track: TrackId) -> bool {
        self.people.get(&track.participant()).is_some_and(|owner| owner.is_live(track.number()))
    }
}

/// What a slot is to show: what was asked for, or what the router found.
fn target(person: &Participant, wish: &WantedSlot) -> Option<TrackId> {
    match wish.want {
        Want::Track(track) => Some(track),
        Want::Speaker(_) | Want::Voice(_) => person.session.shown(wish.slot)?.track,
        Want::Nothing => None,
    }
}

fn shown_slots(person: &Participant) -> impl Iterator<Item = &ShownSlot> {
    person.wishes.iter().filter_map(|wish| person.session.shown(wish.slot))
}

const fn is_voice(track: TrackId) -> bool {
    track.number().0 == TrackNumber::MICROPHONE.0
}

const fn is_flowing(status: SlotStatus) -> bool {
    matches!(
        status,
        SlotStatus::Flowing
            | SlotStatus::WaitingForKeyFrame
            | SlotStatus::NoBandwidth
            | SlotStatus::Limited
            | SlotStatus::NotSent
    )
}

/// How many of a camera's temporal layers keep within a frame rate.
fn layers_within(layers: u8, max_fps: u8) -> u8 {
    let fits = |count: &u8| max_fps == 0 || CAMERA_FPS >> (layers - count) <= max_fps;
    (1..=layers).rev().find(fits).unwrap_or(1)
}

/// Whether the router says that a wish is not fulfilled since the path does not carry it.
fn lacks_bandwidth(person: &Participant, wish: &WantedSlot) -> bool {
    // What did not fit a moment ago waits for its key frame now.
    let has_no_part = |status| matches!(status, SlotStatus::NoBandwidth | SlotStatus::WaitingForKeyFrame);
    person.session.shown(wish.slot).is_some_and(|shown| has_no_part(shown.status))
}
