//! What of an encoding anybody wants, so that its sender need not make what nobody watches.

use std::time::Duration;

use sluice_wire::control::MAX_LAYERS;
use sluice_wire::time::Time;

/// What is wanted no more is wanted this long still: a receiver that turns away and back costs no key frame.
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// How many layers of an encoding are wanted: none, or those below the numbers given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Temporal layers; 0 if nobody wants the encoding.
    pub(crate) temporal: u8,
    /// Spatial layers.
    pub(crate) spatial: u8,
}

impl Wanted {
    /// What serves both.
    #[must_use]
    pub(crate) fn max(self, other: Self) -> Self {
        Self { temporal: self.temporal.max(other.temporal), spatial: self.spatial.max(other.spatial) }
    }
}

/// The demand for one encoding: more at once, less only after [`LINGER`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    told: Wanted,
    temporal: LastWanted,
    spatial: LastWanted,
}

/// When each layer was wanted last.
#[derive(Clone, Copy, Debug)]
struct LastWanted([Time; MAX_LAYERS as usize]);

impl LastWanted {
    /// Takes in how many layers are wanted now, of which `told` are told; gives how many are to be told.
    fn update(&mut self, now: Time, wanted: u8, told: u8) -> u8 {
        for last in self.0.iter_mut().take(usize::from(wanted)) {
            *last = now;
        }
        let lingers = |layer: &u8| now.saturating_since(self.0[usize::from(*layer)]) < LINGER;
        (wanted..told.min(MAX_LAYERS)).rev().find(lingers).map_or(wanted, |layer| layer + 1)
    }
}

/// How the demand changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It did not.
    None,
    /// The sender is to be told.
    Told,
    /// The same, and nobody wanted the encoding before.
    Begins,
}

impl Demand {
    /// Of an encoding that was just published: all of it is wanted until those who want it had time to say so.
    pub(crate) const fn new(all: Wanted, now: Time) -> Self {
        let last = LastWanted([now; MAX_LAYERS as usize]);
        Self { told: all, temporal: last, spatial: last }
    }

    /// What the sender is told.
    pub(crate) const fn told(&self) -> Wanted {
        self.told
    }

    /// Takes in what all receivers want together, now.
    pub(crate) fn update(&mut self, now: Time, wanted: Wanted) -> Change {
        let before = self.told;
        self.told = Wanted {
            temporal: self.temporal.update(now, wanted.temporal, before.temporal),
            spatial: self.spatial.update(now, wanted.spatial, before.spatial),
        };
        match (before.temporal, before == self.told) {
            (_, true) => Change::None,
            (0, false) => Change::Begins,
            (_, false) => Change::Told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOBODY: Wanted = Wanted { temporal: 0, spatial: 0 };

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn layers(temporal: u8) -> Wanted {
        Wanted { temporal, spatial: 1 }
    }

    #[test]
    fn more_is_told_at_once_and_less_after_a_while() {
        let mut demand = Demand::new(layers(3), at(0));
        assert_eq!(demand.update(at(499), NOBODY), Change::None);
        assert_eq!(demand.update(at(500), NOBODY), Change::Told);
        assert_eq!(demand.update(at(510), layers(1)), Change::Begins);
        assert_eq!(demand.update(at(520), layers(3)), Change::Told);
        assert_eq!(demand.told(), layers(3));
        assert_eq!(demand.update(at(900), layers(2)), Change::None);
        assert_eq!(demand.update(at(1_020), layers(2)), Change::Told);
        assert_eq!(demand.told(), layers(2));
    }

    proptest! {
        #[test]
        fn what_is_wanted_is_always_told_and_nothing_stops_sooner_than_the_linger(
            steps in prop::collection::vec((0u8..5, 1u64..400), 1..60),
        ) {
            let mut demand = Demand::new(layers(4), at(0));
            let (mut now, mut last_wanted) = (0, [0u64; 5]);
            for (temporal, pause) in steps {
                now += pause;
                let wanted = Wanted { temporal, spatial: u8::from(temporal > 0) };
                let before = demand.told();
                let change = demand.update(at(now), wanted);
                (0..=temporal).for_each(|layer| last_wanted[usize::from(layer)] = now);
                prop_assert_eq!(demand.told().temporal == 0, demand.told().spatial == 0);
                prop_assert_eq!(demand.told().max(wanted), demand.told());
                prop_assert_eq!(change == Change::None, before == demand.told());
                for layer in demand.told().temporal + 1..=before.temporal {
                    prop_assert!(now - last_wanted[usize::from(layer)] >= 500, "layer {layer}");
                }
            }
        }
    }
}
