//! Who speaks in a room: the dominant speaker, the voices that are heard, the order of recent speakers.
//!
//! A packet costs a few integer operations ([`LevelMeter::note`]); everything else happens once per tick of the room
//! ([`Speakers::tick`]).

mod activity;
mod level;
mod places;
mod voices;

use std::time::Duration;

use sluice_wire::control::MAX_SPEAKERS;
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use self::activity::Activity;
pub(crate) use self::level::{LevelMeter, QUIETEST};
pub(crate) use self::places::{Moved, Places};
use self::voices::{Candidate, LaneSet, Voices};
use super::ids::TrackKey;

/// Somebody talks until he was silent for this long: the pauses between words are no news.
const TALKS_FOR: Duration = Duration::from_millis(600);
/// Smoothed loudness follows a rise by a half and a fall by a sixteenth of the difference per tick of 40 ms: voices count as
/// loud through the pauses between words.
const RISE_SHIFT: u32 = 1;
const FALL_SHIFT: u32 = 4;
/// Fraction bits of smoothed loudness.
const LOUDNESS_FRACTION_BITS: u32 = 8;

/// One microphone of the room.
#[derive(Debug)]
struct Person {
    participant: ParticipantId,
    /// The track with the meter.
    microphone: TrackKey,
    is_muted: bool,
    activity: Activity,
    /// Smoothed, dB above the quietest, in 1/256.
    loudness: u32,
    talks_until: Option<Time>,
}

impl Person {
    fn hear(&mut self, now: Time, loudness: u8) {
        self.activity.push(loudness);
        let target = u32::from(loudness) << LOUDNESS_FRACTION_BITS;
        if target >= self.loudness {
            self.loudness += (target - self.loudness).div_ceil(1 << RISE_SHIFT);
        } else {
            self.loudness -= (self.loudness - target).div_ceil(1 << FALL_SHIFT);
        }
        if self.activity.speaks() {
            self.talks_until = Some(now + TALKS_FOR);
        } else if self.talks_until.is_some_and(|until| until <= now) {
            self.talks_until = None;
        }
    }

    const fn loudness_db(&self) -> u8 {
        (self.loudness >> LOUDNESS_FRACTION_BITS) as u8
    }

    const fn talks(&self) -> bool {
        self.talks_until.is_some()
    }
}

/// A recent speaker, as clients are told of him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecentSpeaker {
    pub(crate) participant: ParticipantId,
    /// Smoothed level, -dBov.
    pub(crate) level: u8,
    pub(crate) talks: bool,
    pub(crate) is_dominant: bool,
}

/// What a tick changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TickChanges {
    /// Voice lanes with another voice, one bit each; bit [`Speakers::voice_count`] is the spare lane.
    pub(crate) lanes: LaneSet,
    /// Somebody else is the dominant speaker.
    pub(crate) dominant: bool,
    /// The order of recent speakers, or who of them talks.
    pub(crate) recent: bool,
    /// Who began or ceased to talk while muted.
    pub(crate) muted_talkers: Vec<ParticipantId>,
}

/// All microphones of a room.
#[derive(Debug)]
pub(crate) struct Speakers {
    /// In order of participant.
    people: Vec<Person>,
    voices: Voices,
    dominant: Option<ParticipantId>,
    /// Most recent first.
    recent: Vec<ParticipantId>,
    /// The unmuted ones, made anew by each tick.
    candidates: Vec<Candidate>,
    /// The list of recent speakers changed since the last tick.
    is_changed: bool,
}

impl Speakers {
    /// A room without microphones, where each hears the `voices` loudest others.
    pub(crate) fn new(voices: u8) -> Self {
        Self {
            people: Vec::new(),
            voices: Voices::new(voices),
            dominant: None,
            recent: Vec::new(),
            candidates: Vec::new(),
            is_changed: false,
        }
    }

    /// Changes how many voices each hears. All lanes are assigned anew at the next tick.
    pub(crate) fn set_voices(&mut self, voices: u8) {
        if u32::from(voices) != self.voices.count() {
            self.voices = Voices::new(voices);
        }
    }

    /// How many voices each hears.
    pub(crate) fn voice_count(&self) -> u32 {
        self.voices.count()
    }

    /// Whether there is no microphone.
    pub(crate) const fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Somebody has a microphone, muted or not.
    pub(crate) fn set(&mut self, participant: ParticipantId, microphone: TrackKey, is_muted: bool) {
        match self.find(participant) {
            Ok(at) => {
                let person = &mut self.people[at];
                person.microphone = microphone;
                if person.is_muted != is_muted {
                    // What was said before does not count on the other side of the switch.
                    self.is_changed |= person.talks();
                    (person.activity, person.talks_until) = (Activity::default(), None);
                    person.is_muted = is_muted;
                }
            }
            Err(at) => self.people.insert(
                at,
                Person {
                    participant,
                    microphone,
                    is_muted,
                    activity: Activity::default(),
                    loudness: 0,
                    talks_until: None,
                },
            ),
        }
    }

    /// Somebody has no microphone any more.
    pub(crate) fn remove(&mut self, participant: ParticipantId) {
        if let Ok(at) = self.find(participant) {
            self.people.remove(at);
        }
        self.is_changed |= self.recent.contains(&participant);
        self.recent.retain(|other| *other != participant);
        if self.dominant == Some(participant) {
            self.dominant = None;
        }
    }

    /// The dominant speaker: who spoke most of late, also while all are silent.
    pub(crate) const fn dominant(&self) -> Option<ParticipantId> {
        self.dominant
    }

    /// The voice that `receiver` hears in its slot `Voice(number)`.
    pub(crate) fn heard_by(&self, receiver: ParticipantId, number: u32) -> Option<ParticipantId> {
        self.voices.heard_by(receiver, number)
    }

    /// The lanes that have somebody's voice, one bit each: one, or none.
    pub(crate) fn lanes_of(&self, participant: ParticipantId) -> LaneSet {
        let has = |number: &u32| self.voices.lane(*number) == Some(participant);
        (0..=self.voices.count()).filter(has).fold(0, |set, number| set | 1 << number)
    }

    /// Whose voice a lane has.
    pub(crate) fn lane(&self, number: u32) -> Option<ParticipantId> {
        self.voices.lane(number)
    }

    /// The recent speakers, most recent first.
    pub(crate) fn recent(&self) -> impl Iterator<Item = RecentSpeaker> {
        self.recent.iter().filter_map(|participant| {
            let person = &self.people[self.find(*participant).ok()?];
            Some(RecentSpeaker {
                participant: *participant,
                level: QUIETEST - person.loudness_db(),
                talks: person.talks() && !person.is_muted,
                is_dominant: self.dominant == Some(*participant),
            })
        })
    }

    /// The level of somebody who talks while muted, -dBov.
    pub(crate) fn talks_muted(&self, participant: ParticipantId) -> Option<u8> {
        let person = &self.people[self.find(participant).ok()?];
        (person.is_muted && person.talks()).then(|| QUIETEST - person.loudness_db())
    }

    /// Another frame passed. `loudness_of` reads the meter of a microphone.
    pub(crate) fn tick(&mut self, now: Time, mut loudness_of: impl FnMut(TrackKey) -> u8) -> TickChanges {
        let recent = std::mem::take(&mut self.is_changed);
        let mut changes = TickChanges { recent, ..TickChanges::default() };
        self.candidates.clear();
        let mut began = Vec::new();
        for person in &mut self.people {
            let talked = person.talks();
            person.hear(now, loudness_of(person.microphone));
            if person.is_muted {
                if talked != person.talks() {
                    changes.muted_talkers.push(person.participant);
                }
                continue;
            }
            changes.recent |= talked != person.talks();
            if !talked && person.talks() {
                began.push(person.participant);
            }
            self.candidates
                .push(Candidate { participant: person.participant, loudness: person.loudness_db() });
        }
        changes.lanes = self.voices.update(now, &self.candidates);
        for participant in began {
            self.note_recent(participant);
        }
        changes.dominant = self.challenge_dominant();
        changes.recent |= changes.dominant;
        changes
    }

    /// Gives the floor to the best challenger, if there is one.
    fn challenge_dominant(&mut self) -> bool {
        let dominant = self.dominant.and_then(|dominant| self.find(dominant).ok());
        let floor = dominant.map_or_else(Activity::default, |at| self.people[at].activity);
        let mut best: Option<(f64, ParticipantId)> = None;
        for person in &self.people {
            if person.is_muted || !person.activity.is_any() || self.dominant == Some(person.participant) {
                continue;
            }
            if let Some(claim) = person.activity.challenge(floor)
                && best.is_none_or(|(other, _)| claim > other)
            {
                best = Some((claim, person.participant));
            }
        }
        let Some((_, participant)) = best else { return false };
        self.dominant = Some(participant);
        self.recent.retain(|other| *other != participant);
        self.recent.insert(0, participant);
        self.recent.truncate(MAX_SPEAKERS);
        true
    }

    /// Somebody began to talk: he comes right behind the dominant speaker.
    fn note_recent(&mut self, participant: ParticipantId) {
        if self.dominant == Some(participant) {
            return;
        }
        self.recent.retain(|other| *other != participant);
        let place = usize::from(self.dominant.is_some() && self.recent.first() == self.dominant.as_ref());
        self.recent.insert(place, participant);
        self.recent.truncate(MAX_SPEAKERS);
    }

    fn find(&self, participant: ParticipantId) -> Result<usize, usize> {
        self.people.binary_search_by_key(&participant, |person| person.participant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use slotmap::{Key, KeyData};

    fn person(number: u32) -> ParticipantId {
        ParticipantId::new(number).unwrap()
    }

    /// The microphone of person `number`.
    fn microphone(number: u32) -> TrackKey {
        KeyData::from_ffi(1 << 32 | u64::from(number)).into()
    }

    fn number_of(microphone: TrackKey) -> u32 {
        microphone.data().as_ffi() as u32
    }

    fn mute(speakers: &mut Speakers, number: u32, is_muted: bool) {
        speakers.set(person(number), microphone(number), is_muted);
    }

    fn room(people: u32) -> Speakers {
        let mut speakers = Speakers::new(3);
        (1..=people).for_each(|number| mute(&mut speakers, number, false));
        speakers
    }

    /// Runs ticks in which only `talkers` are loud. Gives what changed, tick by tick.
    fn run(speakers: &mut Speakers, now: &mut Time, ticks: u32, talkers: &[u32]) -> Vec<TickChanges> {
        (0..ticks)
            .map(|_| {
                *now += Duration::from_millis(40);
                speakers.tick(*now, |who| if talkers.contains(&number_of(who)) { 105 } else { 20 })
            })
            .collect()
    }

    #[test]
    fn the_floor_goes_round() {
        let (mut speakers, mut now) = (room(5), Time::ZERO);
        for talker in [3, 1, 5, 3] {
            let changes = run(&mut speakers, &mut now, 50, &[talker]);
            assert_eq!(speakers.dominant(), Some(person(talker)));
            assert_eq!(changes.iter().filter(|change| change.dominant).count(), 1);
        }
        let recent: Vec<_> = speakers.recent().map(|speaker| speaker.participant.get()).collect();
        assert_eq!(recent, [3, 5, 1]);
        let told: Vec<_> = speakers.recent().map(|speaker| (speaker.talks, speaker.is_dominant)).collect();
        assert_eq!(told, [(true, true), (false, false), (false, false)]);
    }

    #[test]
    fn two_who_talk_at_once_do_not_make_the_picture_jump() {
        let (mut speakers, mut now) = (room(3), Time::ZERO);
        run(&mut speakers, &mut now, 50, &[1]);
        let changes = run(&mut speakers, &mut now, 250, &[1, 2]);
        assert!(changes.iter().all(|change| !change.dominant));
        let recent: Vec<_> = speakers.recent().map(|speaker| speaker.participant.get()).collect();
        assert_eq!(recent, [1, 2]);
    }

    #[test]
    fn one_who_talks_while_muted_is_neither_heard_nor_dominant_but_noticed() {
        let (mut speakers, mut now) = (room(2), Time::ZERO);
        mute(&mut speakers, 2, true);
        let changes = run(&mut speakers, &mut now, 50, &[2]);
        assert_eq!(changes.iter().map(|change| change.muted_talkers.len()).sum::<usize>(), 1);
        assert!(speakers.talks_muted(person(2)).is_some_and(|level| level < 40));
        assert_eq!(speakers.talks_muted(person(1)), None);
        assert_eq!(speakers.dominant(), None);
        assert_eq!((speakers.lane(0), speakers.lane(1)), (Some(person(1)), None));
        let changes = run(&mut speakers, &mut now, 50, &[]);
        assert_eq!(changes.iter().flat_map(|change| &change.muted_talkers).count(), 1);
        assert_eq!(speakers.talks_muted(person(2)), None);
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let (mut speakers, mut now) = (room(3), Time::ZERO);
        run(&mut speakers, &mut now, 50, &[2]);
        speakers.remove(person(2));
        run(&mut speakers, &mut now, 1, &[]);
        assert_eq!(speakers.dominant(), None);
        assert_eq!(speakers.recent().count(), 0);
        assert!((0..4).all(|lane| speakers.lane(lane) != Some(person(2))));
        run(&mut speakers, &mut now, 50, &[3]);
        assert_eq!(speakers.dominant(), Some(person(3)));
    }

    #[test]
    fn the_list_is_bounded_and_tells_each_change_of_who_talks() {
        let (mut speakers, mut now) = (room(40), Time::ZERO);
        for talker in 1..=40 {
            run(&mut speakers, &mut now, 30, &[talker]);
        }
        assert_eq!(speakers.recent().count(), MAX_SPEAKERS);
        let before: Vec<_> =
            speakers.recent().filter(|speaker| speaker.talks).map(|s| s.participant).collect();
        assert_eq!(before, [person(40)]);
        let changes = run(&mut speakers, &mut now, 30, &[]);
        assert_eq!(changes.iter().filter(|change| change.recent).count(), 1);
        assert!(speakers.recent().all(|speaker| !speaker.talks));
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_dominant_one_is_first_of_the_recent_and_not_muted(
            rounds in prop::collection::vec((prop::collection::vec(0u8..=127, 6), 0u32..6, any::<bool>()), 1..120),
        ) {
            let (mut speakers, mut now) = (room(6), Time::ZERO);
            for (levels, muter, muted) in rounds {
                mute(&mut speakers, muter + 1, muted);
                now += Duration::from_millis(40);
                let before = speakers.dominant();
                let changes = speakers.tick(now, |who| levels[number_of(who) as usize - 1]);
                prop_assert_eq!(changes.dominant, before != speakers.dominant());
                if let Some(dominant) = speakers.dominant() {
                    prop_assert_eq!(speakers.recent().next().map(|s| s.participant), Some(dominant));
                }
                prop_assert_eq!(speakers.recent().filter(|speaker| speaker.is_dominant).count(),
                    usize::from(speakers.dominant().is_some()));
            }
        }
    }
}
