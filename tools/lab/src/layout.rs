//! The networks of a scenario's people as links, for both runners alike.

use std::time::Duration;

use sluice_netsim::config::LinkConfig;

use crate::media::{ladder, usable_bps};
use crate::record::{Freeze, PersonRecord, Series};
use crate::scenario::{Person, Scenario};

/// Sets the seeds of traces apart from everything else that is drawn in a run.
const TRACE_LABEL: u64 = 0x7472_6163_6500;

/// All links.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Of each person.
    pub people: Vec<Place>,
    /// Shared ones.
    pub shared: Vec<LinkConfig>,
}

/// The links of one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// To the router.
    pub up: LinkConfig,
    /// From the router.
    pub down: LinkConfig,
    /// The shared link before that.
    pub behind: Option<usize>,
}

impl Layout {
    /// The links of a scenario; what wanders follows from the seed.
    #[must_use]
    pub fn new(scenario: &Scenario, people: &[Person], seed: u64) -> Self {
        let seconds = scenario.seconds;
        let seed_of = |number: usize| mix(seed ^ TRACE_LABEL, number as u64);
        let place = |(number, person): (usize, &Person)| {
            let behind = scenario.people[person.group].behind.as_ref();
            Place {
                up: person.up.config(seconds, seed_of(2 * number)),
                down: person.down.config(seconds, seed_of(2 * number + 1)),
                behind: behind
                    .and_then(|name| scenario.shared.iter().position(|shared| shared.name == *name)),
            }
        };
        let first_shared = 2 * people.len();
        let shared = scenario.shared.iter().enumerate();
        Self {
            people: people.iter().enumerate().map(place).collect(),
            shared: shared
                .map(|(number, shared)| shared.link.config(seconds, seed_of(first_shared + number)))
                .collect(),
        }
    }

    /// What the way to a person carries at a time; of a shared link an equal share, where `flows` says how many share it. None if
    /// there is no bottleneck.
    #[must_use]
    pub fn capacity_bps(&self, at_ms: f64, person: usize, flows: impl Fn(usize) -> usize) -> Option<u64> {
        let place = self.people.get(person)?;
        let own = place.down.in_force_at(at_ms).rate_bps;
        let shared = place.behind.and_then(|number| {
            let rate = self.shared.get(number)?.in_force_at(at_ms).rate_bps?;
            Some(rate / flows(number).max(1) as u64)
        });
        [own, shared].into_iter().flatten().min()
    }

    /// The delay from one person to another at a time, without queues and jitter.
    #[must_use]
    pub fn delay(&self, at_ms: f64, from: usize, to: usize) -> Duration {
        let delay_ms = |link: &LinkConfig| link.in_force_at(at_ms).delay_ms;
        let up = self.people.get(from).map_or(0.0, |place| delay_ms(&place.up));
        let down = self.people.get(to).map_or(0.0, |place| {
            let shared = place.behind.and_then(|number| self.shared.get(number));
            delay_ms(&place.down) + shared.map_or(0.0, delay_ms)
        });
        Duration::from_secs_f64((up + down).max(0.0) / 1_000.0)
    }
}

/// What the network is like for the people of a scenario, at any time of a run in seconds.
#[derive(Clone, Debug)]
pub struct Conditions {
    scenario: Scenario,
    persons: Vec<Person>,
    layout: Layout,
}

impl Conditions {
    /// Those of a scenario.
    #[must_use]
    pub const fn new(scenario: Scenario, persons: Vec<Person>, layout: Layout) -> Self {
        Self { scenario, persons, layout }
    }

    /// What the way to a person carries, see [`Layout::capacity_bps`]: of a shared link, an equal part with all who receive and
    /// all transfers.
    #[must_use]
    pub fn capacity_bps(&self, at_s: f64, person: usize) -> Option<u64> {
        self.layout.capacity_bps(at_s * 1_000.0, person, |link| self.flows(at_s, link))
    }

    /// How many share a link.
    fn flows(&self, at_s: f64, link: usize) -> usize {
        let places = self.persons.iter().zip(&self.layout.people);
        let is_there = |person: &Person| person.joins_s <= at_s && !person.watches.is_empty();
        let people = places.filter(|(person, place)| place.behind == Some(link) && is_there(person)).count();
        let transfers = self.scenario.shared.get(link).map_or(&[][..], |shared| &shared.tcp);
        let runs = |from_s: f64, to_s: Option<f64>| from_s <= at_s && to_s.is_none_or(|to_s| at_s < to_s);
        people + transfers.iter().filter(|tcp| runs(tcp.from_s, tcp.to_s)).count()
    }

    /// What the layers of all that a person wants allow within a capacity.
    #[must_use]
    pub fn usable_bps(&self, at_s: f64, person: usize, capacity_bps: Option<u64>) -> u64 {
        let person = &self.persons[person];
        if at_s < person.joins_s {
            return 0;
        }
        let group = &self.scenario.people[person.group];
        let is_paused = group.pauses.iter().any(|pause| (pause.from_s..pause.to_s).contains(&at_s));
        let voices = person.watches.iter().filter(|other| self.persons[**other].joins_s <= at_s).count();
        let cameras = if is_paused { 0 } else { voices };
        let ladder = ladder(&self.scenario.media, group.max_height);
        usable_bps(&ladder, cameras, voices, capacity_bps.unwrap_or(u64::MAX))
    }

    /// The shared link that a person is behind.
    #[must_use]
    pub fn behind(&self, person: usize) -> Option<usize> {
        self.layout.people.get(person)?.behind
    }

    /// See [`Layout::delay`].
    #[must_use]
    pub fn delay(&self, at_s: f64, from: usize, to: usize) -> Duration {
        self.layout.delay(at_s * 1_000.0, from, to)
    }

    /// The record of a person, given what was noted.
    #[must_use]
    pub fn record(&self, number: usize, (series, freezes): (Series, Vec<Freeze>)) -> PersonRecord {
        let person = &self.persons[number];
        let group = &self.scenario.people[person.group];
        PersonRecord {
            name: person.name.clone(),
            group: group.name.clone(),
            bad: group.bad,
            publishes: group.publishes,
            receives: !person.watches.is_empty(),
            behind: self.layout.people[number].behind,
            series,
            freezes,
        }
    }
}

/// The seed of a child, by its label (the finaliser of SplitMix64).
#[must_use]
pub const fn mix(seed: u64, label: u64) -> u64 {
    let value = seed.wrapping_add(label.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
