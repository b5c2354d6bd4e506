//! Where people are in galleries of recent speakers: the camera slots `Speaker(n)`.
//!
//! Place 0 is the dominant speaker's. When another becomes dominant he changes places with the one at place 0, so two slots of
//! a receiver change and the others stay where they are. One from further behind than [`RECENT_PLACES`] first takes the place
//! of the least recent speaker before it.
//!
//! Nobody sees himself. In his own place a receiver sees the one at the last place; at place 0 he sees the speaker before
//! him, in whose place he sees the last one. So what a receiver sees does not change when he himself begins to speak.

use std::collections::BTreeMap;

use sluice_wire::track::ParticipantId;

/// Places that only recent speakers leave: a row of them beside the large picture.
const RECENT_PLACES: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Seat {
    participant: ParticipantId,
    /// A running number of when he became dominant last; 0 if never.
    spoke: u64,
}

/// What a change of places means for receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Only slots of these numbers may show somebody else now.
    Places(Vec<u32>),
    /// Any slot may.
    Everything,
}

impl Moved {
    const NOTHING: Self = Self::Places(Vec::new());
}

/// The places of all who have a camera.
#[derive(Debug, Default)]
pub(crate) struct Places {
    seats: Vec<Seat>,
    place_of: BTreeMap<ParticipantId, usize>,
    /// Who was at place 0 before its owner.
    previous: Option<ParticipantId>,
    changes: u64,
}

impl Places {
    /// Whether somebody has a place.
    pub(crate) fn has(&self, participant: ParticipantId) -> bool {
        self.place_of.contains_key(&participant)
    }

    /// Who is at place 0.
    pub(crate) fn first(&self) -> Option<ParticipantId> {
        self.at(0)
    }

    /// Whom `receiver` sees in its slot `Speaker(number)`.
    pub(crate) fn seen_by(&self, receiver: ParticipantId, number: u32) -> Option<ParticipantId> {
        let number = number as usize;
        let Some(own) = self.place_of.get(&receiver).copied() else { return self.at(number) };
        let last = self.seats.len() - 1;
        if number >= last {
            return None;
        }
        let previous = self.previous.and_then(|previous| self.place_of.get(&previous)).copied();
        let place = match previous {
            Some(previous) if own == 0 && number == 0 => previous,
            Some(previous) if own == 0 && number == previous => last,
            _ if number == own => last,
            _ => number,
        };
        self.at(place)
    }

    fn at(&self, place: usize) -> Option<ParticipantId> {
        self.seats.get(place).map(|seat| seat.participant)
    }

    /// Somebody has a camera now. He comes last but one: what receivers see in their own places stays.
    pub(crate) fn add(&mut self, participant: ParticipantId) -> Moved {
        if self.has(participant) {
            return Moved::NOTHING;
        }
        let place = self.seats.len().saturating_sub(1);
        self.seats.insert(place, Seat { participant, spoke: 0 });
        self.note_places(place);
        Moved::Places(vec![place as u32, place as u32 + 1])
    }

    /// Somebody has no camera any more.
    pub(crate) fn remove(&mut self, participant: ParticipantId) -> Moved {
        let Some(place) = self.place_of.remove(&participant) else { return Moved::NOTHING };
        let mut moved = vec![self.place(self.previous)];
        let last = self.seats.len() - 1;
        let hole =
            if place == 0 { self.most_recent(|_| true).unwrap_or(last.saturating_sub(1)) } else { place };
        self.seats.swap(0, if place == 0 { hole } else { 0 });
        let is_last = hole == last;
        if is_last {
            self.seats.pop();
        } else {
            // The last but one closes the gap, so that the last one stays the last.
            let filler = last - 1;
            self.seats.swap(hole, filler);
            self.seats.remove(filler);
            moved.extend([Some(filler), Some(last)]);
        }
        moved.extend([Some(place), Some(hole)]);
        self.note_places(0);
        if self.previous.is_none_or(|previous| self.place_of.get(&previous).is_none_or(|place| *place == 0)) {
            self.previous = self.most_recent(|seat| seat.spoke > 0).and_then(|place| self.at(place));
            moved.push(Some(0));
        }
        moved.push(self.place(self.previous));
        if is_last { Moved::Everything } else { Self::moved(moved) }
    }

    /// Somebody became the dominant speaker.
    pub(crate) fn promote(&mut self, participant: ParticipantId) -> Moved {
        let Some(place) = self.place_of.get(&participant).copied() else { return Moved::NOTHING };
        self.changes += 1;
        self.seats[place].spoke = self.changes;
        if place == 0 {
            return Moved::NOTHING;
        }
        let mut moved = vec![Some(0), Some(place), self.place(self.previous)];
        let mut near = place;
        if place >= RECENT_PLACES {
            near = (1..RECENT_PLACES).min_by_key(|place| self.seats[*place].spoke).unwrap_or(place);
            self.seats.swap(near, place);
            moved.push(Some(near));
        }
        self.seats.swap(0, near);
        self.previous = self.at(near);
        for place in [0, near, place] {
            self.place_of.insert(self.seats[place].participant, place);
        }
        if place == self.seats.len() - 1 { Moved::Everything } else { Self::moved(moved) }
    }

    fn place(&self, of: Option<ParticipantId>) -> Option<usize> {
        self.place_of.get(&of?).copied()
    }

    /// The place of the most recent speaker behind place 0.
    fn most_recent(&self, filter: impl Fn(&Seat) -> bool) -> Option<usize> {
        (1..self.seats.len())
            .filter(|place| filter(&self.seats[*place]))
            .max_by_key(|place| (self.seats[*place].spoke, std::cmp::Reverse(*place)))
    }

    fn note_places(&mut self, from: usize) {
        for (place, seat) in self.seats.iter().enumerate().skip(from) {
            self.place_of.insert(seat.participant, place);
        }
    }

    fn moved(places: Vec<Option<usize>>) -> Moved {
        let mut places: Vec<u32> = places.into_iter().flatten().map(|place| place as u32).collect();
        places.sort_unstable();
        places.dedup();
        Moved::Places(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person(number: u32) -> ParticipantId {
        ParticipantId::new(number).unwrap()
    }

    fn of(people: u32) -> Places {
        let mut places = Places::default();
        for number in 1..=people {
            let _moved = places.add(person(number));
        }
        places
    }

    fn order(places: &Places) -> Vec<u32> {
        places.seats.iter().map(|seat| seat.participant.get()).collect()
    }

    fn seen(places: &Places, receiver: u32, slots: u32) -> Vec<u32> {
        (0..slots).map(|n| places.seen_by(person(receiver), n).map_or(0, ParticipantId::get)).collect()
    }

    #[test]
    fn a_new_speaker_changes_places_with_the_last_one() {
        let mut places = of(5);
        assert_eq!(order(&places), [2, 3, 4, 5, 1]);
        assert_eq!(places.promote(person(4)), Moved::Places(vec![0, 2]));
        assert_eq!(order(&places), [4, 3, 2, 5, 1]);
        assert_eq!(seen(&places, 9, 6), [4, 3, 2, 5, 1, 0]);
        assert_eq!(places.promote(person(4)), Moved::NOTHING);
    }

    #[test]
    fn who_speaks_sees_what_he_saw_before() {
        let mut places = of(5);
        let _moved = places.promote(person(3));
        let before = seen(&places, 4, 4);
        let _moved = places.promote(person(4));
        assert_eq!(seen(&places, 4, 4), before);
        assert_eq!(before[0], 3, "the speaker before him");
    }

    #[test]
    fn a_newcomer_from_far_behind_takes_the_place_of_the_least_recent() {
        let mut places = of(30);
        for speaker in [10, 11, 12] {
            let _moved = places.promote(person(speaker));
        }
        // Those who never spoke make room first.
        assert_eq!(order(&places)[..4], [12, 10, 11, 5]);
        let speakers = [13, 14, 15, 16, 17, 18];
        for speaker in speakers {
            let _moved = places.promote(person(speaker));
        }
        let front = &order(&places)[..RECENT_PLACES];
        assert_eq!(front[0], 18);
        for recent in [12, 13, 14, 15, 16, 17] {
            assert!(front.contains(&recent), "{recent} of {front:?}");
        }
    }

    #[test]
    fn place_zero_passes_to_the_most_recent_speaker_when_its_owner_leaves() {
        let mut places = of(6);
        for speaker in [3, 4, 5] {
            let _moved = places.promote(person(speaker));
        }
        let _moved = places.remove(person(5));
        assert_eq!(order(&places)[0], 4);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u32),
        Remove(u32),
        Promote(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = 1u32..16;
        prop_oneof![
            who.clone().prop_map(Step::Add),
            who.clone().prop_map(Step::Remove),
            who.prop_map(Step::Promote)
        ]
    }

    proptest! {
        #[test]
        fn everybody_sees_everybody_else_once_and_every_change_is_told(
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let mut places = of(4);
            for step in steps {
                let before: Vec<_> = (1..18).map(|receiver| seen(&places, receiver, 18)).collect();
                let (moved, promoted) = match step {
                    Step::Add(number) => (places.add(person(number)), None),
                    Step::Remove(number) => (places.remove(person(number)), None),
                    Step::Promote(number) => (places.promote(person(number)), Some(number)),
                };
                for (place, seat) in places.seats.iter().enumerate() {
                    prop_assert_eq!(places.place_of.get(&seat.participant), Some(&place));
                }
                prop_assert_eq!(places.place_of.len(), places.seats.len());
                if let Some(number) = promoted.filter(|number| places.has(person(*number))) {
                    prop_assert_eq!(order(&places)[0], number);
                    prop_assert_eq!(seen(&places, 17, 1), [number], "17 has no camera");
                }
                for receiver in 1..18 {
                    let sees = seen(&places, receiver, 18);
                    let mut others: Vec<_> = order(&places).into_iter().filter(|id| *id != receiver).collect();
                    let mut all: Vec<_> = sees.iter().copied().filter(|id| *id > 0).collect();
                    prop_assert!(sees[..all.len()].iter().all(|id| *id > 0), "a hole in {sees:?}");
                    others.sort_unstable();
                    all.sort_unstable();
                    prop_assert_eq!(all, others);
                    if let Moved::Places(moved) = &moved {
                        for (number, (was, is)) in before[receiver as usize - 1].iter().zip(&sees).enumerate() {
                            prop_assert!(
                                was == is || moved.contains(&(number as u32)),
                                "slot {number} of {receiver}: {was} to {is}, told {moved:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
