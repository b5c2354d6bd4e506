//! The networks of a scenario's people as links, for both runners alike.

use std::time::Duration;

use sluice_netsim::config::LinkConfig;

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

/// The seed of a child, by its label (the finaliser of SplitMix64).
#[must_use]
pub const fn mix(seed: u64, label: u64) -> u64 {
    let value = seed.wrapping_add(label.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
