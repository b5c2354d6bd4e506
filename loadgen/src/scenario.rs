//! Runs with a screenplay: who sees what, who talks when, and which promises the figures are held against.

use std::time::Duration;

use clap::ValueEnum;
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::ext::AudioLevel;
use sluice_wire::track::TrackId;

/// Voices that everybody hears: what a room forwards by default.
const VOICES: u16 = 3;
/// Thumbnails that a gallery shows at most.
const GALLERY_THUMBNAILS: usize = 24;
/// Cameras that a page shows.
const VISIBLE: usize = 9;
/// Cameras that a receiver of the switches scenario watches at most.
const SWITCHED: usize = 9;
/// Levels of those who talk at once, in -dBov: the dominant speaker, and others who murmur, one more than there are voices, since
/// nobody hears himself. Everybody else is silent.
const TALKERS_DBOV: [u8; VOICES as usize + 1] = [15, 40, 45, 50];
/// Which encoding each step of the switches scenario asks for, small and large ones in turn.
const SWITCH_CYCLE: [u8; 4] = [0, 2, 1, 3];
/// Voices come before pictures.
const VOICE_PRIORITY: u8 = 250;
const SPEAKER_PRIORITY: u8 = 150;
const THUMBNAIL_PRIORITY: u8 = 100;

/// A run with a screenplay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 25 people with four encodings each. Everybody sees the others as thumbnails, the speaker in high, and hears three voices; a
    /// thumbnail of each is enlarged in turn.
    Gallery25,
    /// 100 people who all publish. Everybody sees nine of them and hears three voices.
    Visible9,
    /// Four people who change all the time how large they see each other.
    Switches,
    /// A few people, one of whom may share a screen. Everybody sees the others small, the speaker in high, and hears the others; one
    /// of the others is enlarged in turn. It promises nothing about times, so that it can run beside anything.
    Small,
}

/// What a slot is to show from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The slot.
    pub slot: u16,
    /// The encoding that is wanted, by its position.
    pub encoding: u8,
}

impl Scenario {
    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gallery25 => "gallery25",
            Self::Visible9 => "visible9",
            Self::Switches => "switches",
            Self::Small => "small",
        }
    }

    /// How many people it is made for.
    #[must_use]
    pub const fn people(self) -> u32 {
        match self {
            Self::Gallery25 => 25,
            Self::Visible9 => 100,
            Self::Switches | Self::Small => 4,
        }
    }

    /// How long it is measured, in seconds.
    #[must_use]
    pub const fn seconds(self) -> f64 {
        match self {
            Self::Gallery25 => 30.0,
            Self::Visible9 => 20.0,
            Self::Switches => 45.0,
            Self::Small => 10.0,
        }
    }

    /// What the person at a place wants at first, given everybody's cameras by place and the heights of their encodings.
    #[must_use]
    pub fn slots(self, place: usize, cameras: &[TrackId], heights: &[u16]) -> Vec<WantedSlot> {
        let encoding = self.first_encoding();
        let max_height = height_of(heights, encoding);
        let seen = self.seen(place, cameras);
        let mut slots: Vec<WantedSlot> = (0..)
            .zip(seen)
            .map(|(slot, camera)| WantedSlot {
                slot,
                want: Want::Track(camera),
                paused: false,
                max_height,
                max_fps: 0,
                priority: THUMBNAIL_PRIORITY,
            })
            .collect();
        let mut add = |want, priority| {
            let slot = slots.len() as u16;
            slots.push(WantedSlot { slot, want, paused: false, max_height: 0, max_fps: 0, priority });
        };
        if matches!(self, Self::Gallery25 | Self::Small) {
            add(Want::Speaker(0), SPEAKER_PRIORITY);
        }
        let voices = match self {
            Self::Switches => 0,
            Self::Gallery25 | Self::Visible9 => VOICES,
            // In a room of three nobody hears more than two.
            Self::Small => VOICES.min(cameras.len().saturating_sub(1) as u16),
        };
        (0..voices).for_each(|voice| add(Want::Voice(voice.into()), VOICE_PRIORITY));
        slots
    }

    /// The encoding that cameras are seen in at first.
    #[must_use]
    pub const fn first_encoding(self) -> u8 {
        match self {
            Self::Gallery25 | Self::Switches | Self::Small => 0,
            Self::Visible9 => 1,
        }
    }

    fn seen(self, place: usize, cameras: &[TrackId]) -> impl Iterator<Item = TrackId> {
        let most = match self {
            Self::Gallery25 | Self::Small => GALLERY_THUMBNAILS,
            Self::Visible9 => VISIBLE,
            Self::Switches => SWITCHED,
        };
        let count = cameras.len().saturating_sub(1).min(most);
        // By slot: the next person, the one behind, and so on.
        (1..=count).map(move |step| cameras[(place + step) % cameras.len()])
    }

    /// In which group of people, one after the other, somebody asks for his first slots. Within a group nobody sees the same camera
    /// as another, as far as there are enough of them: a camera is asked for a key frame by one at a time.
    #[must_use]
    pub const fn wave(self, place: usize) -> usize {
        match self {
            Self::Gallery25 | Self::Switches => place,
            Self::Visible9 => place % (VISIBLE + 1),
            Self::Small => 0,
        }
    }

    /// How far apart the steps are in which wishes change; `None` if they do not.
    #[must_use]
    pub const fn step_interval(self) -> Option<Duration> {
        match self {
            Self::Gallery25 => Some(Duration::from_secs(2)),
            Self::Visible9 => None,
            Self::Switches => Some(Duration::from_millis(700)),
            Self::Small => Some(Duration::from_secs(1)),
        }
    }

    /// What everybody wants otherwise from a step on, counted from 0, whose first `seen` slots show cameras. In one step
    /// no two ask for the same encoding of the same camera, as far as there are enough encodings.
    #[must_use]
    pub fn step(self, step: usize, seen: usize) -> Vec<Wish> {
        match self {
            Self::Visible9 => Vec::new(),
            Self::Gallery25 | Self::Small => {
                let Some(enlarged) = step.checked_rem(seen) else { return Vec::new() };
                let before = (enlarged + seen - 1) % seen;
                let mut wishes = vec![Wish { slot: enlarged as u16, encoding: 1 }];
                if step > 0 && before != enlarged {
                    wishes.push(Wish { slot: before as u16, encoding: 0 });
                }
                wishes
            }
            Self::Switches => {
                // Those who see one camera have it in different slots.
                let phase = |slot: usize| (step + 1 + slot) % SWITCH_CYCLE.len();
                (0..seen)
                    .map(|slot| Wish { slot: slot as u16, encoding: SWITCH_CYCLE[phase(slot)] })
                    .collect()
            }
        }
    }

    /// How long somebody is the dominant speaker.
    #[must_use]
    pub const fn turn(self) -> Duration {
        Duration::from_secs(4)
    }

    /// Whether it promises something about times and rates, which takes a machine with reserves.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        !matches!(self, Self::Small)
    }

    /// How loud the person at a place is during a turn, of so many people, in -dBov.
    #[must_use]
    pub fn level(self, turn: usize, place: usize, people: usize) -> u8 {
        // The dominant speaker of this turn is the first of the others in the turn before.
        let people = people.max(1);
        let behind = (place % people + people - turn % people) % people;
        TALKERS_DBOV.get(behind).copied().unwrap_or(AudioLevel::SILENCE)
    }

    /// How often at least the encoding changes for everybody in so much time.
    #[must_use]
    pub fn fewest_switches(self, measured: Duration) -> u64 {
        match self {
            // 100 in 40 s; more are asked for.
            Self::Switches => (measured.as_secs_f64() * 2.5) as u64,
            Self::Gallery25 | Self::Visible9 | Self::Small => 0,
        }
    }
}

/// The height to ask for so that an encoding is shown: its own.
#[must_use]
pub fn height_of(heights: &[u16], encoding: u8) -> u16 {
    heights.get(usize::from(encoding)).or(heights.last()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use sluice_wire::track::{ParticipantId, TrackNumber};

    const HEIGHTS: [u16; 4] = [180, 360, 720, 1_080];
    const ALL: [Scenario; 4] = [Scenario::Gallery25, Scenario::Visible9, Scenario::Switches, Scenario::Small];

    fn cameras(people: u32) -> Vec<TrackId> {
        (1..=people).map(|id| ParticipantId::new(id).unwrap().track(TrackNumber::CAMERA)).collect()
    }

    fn seen(slots: &[WantedSlot]) -> Vec<TrackId> {
        let track = |slot: &WantedSlot| match slot.want {
            Want::Track(id) => Some(id),
            _ => None,
        };
        slots.iter().filter_map(track).collect()
    }

    #[test]
    fn a_gallery_is_24_thumbnails_a_speaker_and_three_voices() {
        let cameras = cameras(25);
        let slots = Scenario::Gallery25.slots(3, &cameras, &HEIGHTS);
        assert_eq!(seen(&slots).into_iter().collect::<BTreeSet<_>>().len(), 24);
        assert!(!seen(&slots).contains(&cameras[3]));
        assert!(slots[..24].iter().all(|slot| slot.max_height == 180));
        assert_eq!((slots[24].want, slots[24].max_height), (Want::Speaker(0), 0));
        let voices: Vec<Want> = slots[25..].iter().map(|slot| slot.want).collect();
        assert_eq!(voices, [Want::Voice(0), Want::Voice(1), Want::Voice(2)]);
        assert!(slots.iter().enumerate().all(|(at, slot)| usize::from(slot.slot) == at));
    }

    #[test]
    fn a_page_is_nine_others_and_people_of_one_wave_see_different_ones() {
        let cameras = cameras(100);
        let mut of_wave = vec![BTreeSet::new(); 10];
        for place in 0..100 {
            let slots = Scenario::Visible9.slots(place, &cameras, &HEIGHTS);
            assert_eq!((slots.len(), seen(&slots).len(), slots[0].max_height), (12, 9, 360));
            for camera in seen(&slots) {
                assert!(of_wave[Scenario::Visible9.wave(place)].insert(camera));
            }
        }
    }

    #[test]
    fn in_a_small_meeting_everybody_hears_as_many_as_there_are_others_up_to_three() {
        for (people, voices) in [(2, 1), (3, 2), (4, 3), (9, 3)] {
            let slots = Scenario::Small.slots(1, &cameras(people), &HEIGHTS);
            let heard = slots.iter().filter(|slot| matches!(slot.want, Want::Voice(_))).count();
            assert_eq!((heard, seen(&slots).len()), (voices, people as usize - 1));
            assert!(slots.iter().any(|slot| slot.want == Want::Speaker(0) && slot.max_height == 0));
        }
    }

    #[test]
    fn small_rooms_are_no_trouble() {
        for scenario in ALL {
            for people in 0..4 {
                let cameras = cameras(people);
                for place in 0..people as usize {
                    let slots = scenario.slots(place, &cameras, &[180]);
                    let count = seen(&slots).len();
                    assert_eq!(count, people as usize - 1);
                    for step in 0..5 {
                        let wishes = scenario.step(step, count);
                        assert!(wishes.iter().all(|wish| usize::from(wish.slot) < count));
                    }
                }
            }
        }
    }

    #[test]
    fn in_one_step_nobody_asks_for_what_another_asks_for() {
        for (scenario, people) in [(Scenario::Gallery25, 25), (Scenario::Switches, 4)] {
            let cameras = cameras(people);
            for step in 0..60 {
                let mut asked = BTreeSet::new();
                for place in 0..people as usize {
                    let seen = seen(&scenario.slots(place, &cameras, &HEIGHTS));
                    for wish in scenario.step(step, seen.len()) {
                        let camera = seen[usize::from(wish.slot)];
                        assert!(asked.insert((camera, wish.encoding)), "step {step}: {camera:?} {wish:?}");
                    }
                }
                assert!(asked.len() >= people as usize);
            }
        }
    }

    #[test]
    fn a_thumbnail_is_enlarged_and_the_one_before_shrinks() {
        let large = |step: usize| {
            let mut encodings = [0; 3];
            for step in 0..=step {
                for wish in Scenario::Gallery25.step(step, 3) {
                    encodings[usize::from(wish.slot)] = wish.encoding;
                }
            }
            encodings
        };
        assert_eq!([large(0), large(1), large(2), large(3)], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]);
    }

    #[test]
    fn every_step_of_the_switches_changes_every_slot() {
        for step in 0..12 {
            let (before, after) = (Scenario::Switches.step(step, 3), Scenario::Switches.step(step + 1, 3));
            assert!(before.iter().zip(&after).all(|(before, after)| before.encoding != after.encoding));
        }
        let first = Scenario::Switches.first_encoding();
        let turned = Scenario::Switches.step(0, 3).iter().filter(|wish| wish.encoding != first).count();
        assert!(turned >= 2);
        assert_eq!(Scenario::Switches.fewest_switches(Duration::from_secs(40)), 100);
    }

    #[test]
    fn people_talk_in_turn_four_at_a_time() {
        let levels = |turn| (0..6).map(|place| Scenario::Gallery25.level(turn, place, 6)).collect::<Vec<_>>();
        assert_eq!(levels(0), [15, 40, 45, 50, 127, 127]);
        assert_eq!(levels(1), [127, 15, 40, 45, 50, 127]);
        assert_eq!(levels(7), levels(1));
        assert_eq!(levels(5), [40, 45, 50, 127, 127, 15]);
    }
}
