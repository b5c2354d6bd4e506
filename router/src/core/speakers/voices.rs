//! Voice lanes: the N loudest voices of a room and one to spare, for whoever owns one of the N. A voice keeps its lane while
//! nobody needs it more, so that receivers' slots change as seldom as possible.

use std::time::Duration;

use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use crate::core::policy::MAX_VOICES;

/// A newcomer must be this much louder than the voice whose lane it takes, dB.
const MARGIN_DB: u8 = 6;
/// A voice that is heard keeps its lane at least this long: a word must not be cut in two.
const MIN_HOLD: Duration = Duration::from_secs(1);
/// Below this loudness a voice is not heard, dB above the quietest: -60 dBov.
const HEARD_DB: u8 = 67;

/// Somebody who may be heard, with a smoothed loudness in dB above the quietest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) participant: ParticipantId,
    pub(crate) loudness: u8,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    participant: ParticipantId,
    since: Time,
    loudness: u8,
}

/// The lanes of a room.
#[derive(Debug)]
pub(crate) struct Voices {
    /// The last one is the spare.
    lanes: Vec<Option<Lane>>,
}

/// Lanes that changed, one bit each.
pub(crate) type LaneSet = u32;

impl Voices {
    /// Lanes for at most [`MAX_VOICES`] voices.
    pub(crate) fn new(voices: u8) -> Self {
        Self { lanes: vec![None; usize::from(voices.min(MAX_VOICES)) + 1] }
    }

    /// How many voices a receiver hears.
    pub(crate) fn count(&self) -> u32 {
        self.lanes.len() as u32 - 1
    }

    /// Whose voice lane `number` has; the spare lane is number [`Self::count`].
    pub(crate) fn lane(&self, number: u32) -> Option<ParticipantId> {
        self.lanes.get(number as usize)?.map(|lane| lane.participant)
    }

    /// The voice that `receiver` hears in its slot `number`: nobody hears himself.
    pub(crate) fn heard_by(&self, receiver: ParticipantId, number: u32) -> Option<ParticipantId> {
        // The spare lane is nobody's slot by itself.
        let voice = self.lane(number).filter(|_| number < self.count())?;
        if voice == receiver { self.lane(self.count()) } else { Some(voice) }
    }

    /// Assigns the lanes anew. `candidates` are all unmuted microphones. Gives the lanes that changed.
    pub(crate) fn update(&mut self, now: Time, candidates: &[Candidate]) -> LaneSet {
        let mut before = [None; MAX_VOICES as usize + 1];
        for (number, place) in (0..).zip(&mut before) {
            *place = self.lane(number);
        }
        self.refresh(candidates);
        self.fill(now, candidates);
        for _ in 0..self.lanes.len() {
            if !self.yield_one(now, candidates) {
                break;
            }
        }
        self.renew_spare(now, candidates);
        let changed = (0..).zip(before).filter(|(number, before)| *before != self.lane(*number));
        changed.fold(0, |set, (number, _)| set | 1 << number)
    }

    /// Takes over loudness; who is no candidate any more loses its lane.
    fn refresh(&mut self, candidates: &[Candidate]) {
        for place in &mut self.lanes {
            let Some(lane) = place else { continue };
            match candidates.iter().find(|candidate| candidate.participant == lane.participant) {
                Some(candidate) => lane.loudness = candidate.loudness,
                None => *place = None,
            }
        }
    }

    /// Empty lanes take anybody, so that a first word need not wait for a lane.
    fn fill(&mut self, now: Time, candidates: &[Candidate]) {
        let spare = self.lanes.len() - 1;
        for number in 0..self.lanes.len() {
            if self.lanes[number].is_some() {
                continue;
            }
            let outsider = self.loudest_outsider(candidates).map(|candidate| lane(candidate, now));
            let takes_spare = self.lanes[spare].is_some_and(|spare| {
                number < self.lanes.len() - 1 && outsider.is_none_or(|other| other.loudness <= spare.loudness)
            });
            self.lanes[number] = if takes_spare { self.lanes[spare].take() } else { outsider };
        }
    }

    /// The weakest voice yields to one that is clearly louder, if there is one.
    fn yield_one(&mut self, now: Time, candidates: &[Candidate]) -> bool {
        let spare = self.lanes.len() - 1;
        let may_yield =
            |lane: &Lane| lane.loudness < HEARD_DB || now.saturating_since(lane.since) >= MIN_HOLD;
        let weakest = self.lanes[..spare]
            .iter()
            .enumerate()
            .filter_map(|(number, lane)| Some((number, (*lane)?)))
            .min_by_key(|(number, lane)| (lane.loudness, *number));
        let Some((number, weakest)) = weakest.filter(|(_, lane)| may_yield(lane)) else { return false };
        let outsider = self.loudest_outsider(candidates).map(|candidate| lane(candidate, now));
        let from_spare =
            self.lanes[spare].filter(|spare| outsider.is_none_or(|other| other.loudness <= spare.loudness));
        let Some(newcomer) = from_spare.or(outsider) else { return false };
        if newcomer.loudness < HEARD_DB || newcomer.loudness < weakest.loudness.saturating_add(MARGIN_DB) {
            return false;
        }
        self.lanes[number] = Some(Lane { since: now, ..newcomer });
        let spare = &mut self.lanes[spare];
        if from_spare.is_some() || spare.is_none_or(|spare| weakest.loudness >= spare.loudness) {
            *spare = Some(weakest);
        }
        true
    }

    fn renew_spare(&mut self, now: Time, candidates: &[Candidate]) {
        let outsider = self.loudest_outsider(candidates);
        if let Some(place) = self.lanes.last_mut()
            && let Some(outsider) = outsider
            && place.is_none_or(|spare| outsider.loudness >= spare.loudness.saturating_add(MARGIN_DB))
        {
            *place = Some(lane(outsider, now));
        }
    }

    fn loudest_outsider(&self, candidates: &[Candidate]) -> Option<Candidate> {
        let mut loudest: Option<Candidate> = None;
        for candidate in candidates {
            let is_louder = loudest.is_none_or(|other| candidate.loudness > other.loudness);
            let has_lane =
                || self.lanes.iter().flatten().any(|lane| lane.participant == candidate.participant);
            if is_louder && !has_lane() {
                loudest = Some(*candidate);
            }
        }
        loudest
    }
}

const fn lane(candidate: Candidate, since: Time) -> Lane {
    Lane { participant: candidate.participant, since, loudness: candidate.loudness }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person(number: u32) -> ParticipantId {
        ParticipantId::new(number).unwrap()
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    /// Person `k + 1` is as loud as number `k` says.
    fn room(loudness: &[u8]) -> Vec<Candidate> {
        let loudness = loudness.iter().zip(1..);
        loudness
            .map(|(loudness, number)| Candidate { participant: person(number), loudness: *loudness })
            .collect()
    }

    fn lanes(voices: &Voices) -> Vec<u32> {
        (0..=voices.count()).map(|n| voices.lane(n).map_or(0, ParticipantId::get)).collect()
    }

    #[test]
    fn silent_rooms_fill_their_lanes_and_nobody_hears_himself() {
        let mut voices = Voices::new(3);
        assert_eq!(voices.update(at(0), &room(&[0, 0])), 0b11);
        assert_eq!(voices.update(at(40), &room(&[0; 5])), 0b1100);
        assert_eq!(lanes(&voices), [1, 2, 3, 4]);
        let heard = |receiver, n| voices.heard_by(person(receiver), n).map(ParticipantId::get);
        assert_eq!([0, 1, 2, 3].map(|n| heard(5, n)), [Some(1), Some(2), Some(3), None]);
        assert_eq!([0, 1, 2, 3].map(|n| heard(2, n)), [Some(1), Some(4), Some(3), None]);
        assert_eq!([0, 1, 2, 3].map(|n| heard(4, n)), [Some(1), Some(2), Some(3), None]);
    }

    #[test]
    fn who_begins_to_speak_takes_a_silent_lane_at_once() {
        let mut voices = Voices::new(2);
        voices.update(at(0), &room(&[90, 0, 0, 0, 0]));
        assert_eq!(lanes(&voices), [1, 2, 3]);
        assert_eq!(voices.update(at(40), &room(&[90, 0, 0, 0, 80])), 0b010 | 0b100);
        assert_eq!(lanes(&voices), [1, 5, 2]);
    }

    #[test]
    fn a_lane_is_not_lost_to_one_who_is_hardly_louder_nor_at_once() {
        let mut voices = Voices::new(2);
        voices.update(at(0), &room(&[90, 80, 0, 0]));
        assert_eq!(voices.update(at(2_000), &room(&[90, 80, 85, 0])), 0);
        assert_eq!(voices.update(at(2_040), &room(&[90, 80, 86, 0])), 0b110);
        assert_eq!(lanes(&voices), [1, 3, 2]);
        assert_eq!(voices.update(at(2_080), &room(&[90, 100, 86, 0])), 0, "3 has just begun");
        assert_eq!(voices.update(at(3_040), &room(&[90, 100, 86, 0])), 0b110);
    }

    #[test]
    fn who_leaves_is_followed_by_the_spare() {
        let mut voices = Voices::new(2);
        voices.update(at(0), &room(&[90, 80, 70, 60]));
        let left: Vec<_> = room(&[90, 80, 70, 60]).into_iter().skip(1).collect();
        assert_eq!(voices.update(at(40), &left), 0b101);
        assert_eq!(lanes(&voices), [3, 2, 4]);
    }

    proptest! {
        #[test]
        fn lanes_hold_distinct_candidates_and_after_a_while_nobody_clearly_louder_is_outside(
            rounds in prop::collection::vec(prop::collection::vec(0u8..=127, 0..12), 1..30),
            count in 1u8..5,
        ) {
            let mut voices = Voices::new(count);
            let mut now = at(0);
            for loudness in &rounds {
                let candidates = room(loudness);
                now += Duration::from_millis(40);
                let before = lanes(&voices);
                let changed = voices.update(now, &candidates);
                for (number, (before, after)) in before.iter().zip(lanes(&voices)).enumerate() {
                    prop_assert_eq!(*before != after, changed & (1 << number) != 0);
                }
                let mut taken: Vec<_> = lanes(&voices).into_iter().filter(|id| *id > 0).collect();
                prop_assert_eq!(taken.len(), candidates.len().min(usize::from(count) + 1));
                taken.sort_unstable();
                taken.dedup();
                prop_assert_eq!(taken.len(), candidates.len().min(usize::from(count) + 1));
            }
            let candidates = room(rounds.last().unwrap());
            for _ in 0..100 {
                now += Duration::from_millis(40);
                voices.update(now, &candidates);
            }
            prop_assert_eq!(voices.update(now, &candidates), 0, "a steady room is steady");
            let loudness = |id: u32| candidates[id as usize - 1].loudness;
            let heard: Vec<_> = lanes(&voices)[..usize::from(count)].iter().copied().filter(|id| *id > 0).collect();
            let weakest = heard.iter().map(|id| loudness(*id)).min().unwrap_or(0);
            for outsider in candidates.iter().filter(|c| !heard.contains(&c.participant.get())) {
                let is_heard = outsider.loudness >= HEARD_DB;
                prop_assert!(!is_heard || outsider.loudness < weakest + MARGIN_DB);
            }
        }
    }
}
