//! Things that happen again and again, each at its place in a common period.

use std::time::Duration;

use sluice_wire::time::Time;

/// A timetable of one period.
#[derive(Debug)]
pub(super) struct Ring<T> {
    period: Duration,
    /// In order of their places.
    entries: Vec<(Duration, T)>,
    next: usize,
    began: Time,
}

impl<T: Copy> Ring<T> {
    pub(super) fn new(period: Duration, mut entries: Vec<(Duration, T)>) -> Self {
        entries.sort_by_key(|(place, _)| *place);
        Self { period, entries, next: 0, began: Time::ZERO }
    }

    /// Begins the first period at `now`.
    pub(super) const fn restart(&mut self, now: Time) {
        self.began = now;
        self.next = 0;
    }

    /// When the next thing is due; never if there is none.
    pub(super) fn next_due(&self) -> Time {
        self.entries.get(self.next).map_or(Time::MAX, |(place, _)| self.began + *place)
    }

    /// The next thing if it is due, with the time at which it was.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(Time, T)> {
        let (place, thing) = self.entries.get(self.next)?;
        let due = self.began + *place;
        if due > now {
            return None;
        }
        let thing = *thing;
        self.next += 1;
        if self.next == self.entries.len() {
            self.next = 0;
            self.began += self.period;
        }
        Some((due, thing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_once_a_period_in_order_of_place() {
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        let entries = vec![(Duration::from_millis(7), 'b'), (Duration::from_millis(2), 'a')];
        let mut ring = Ring::new(Duration::from_millis(10), entries);
        ring.restart(at(100));
        assert_eq!(ring.pop_due(at(101)), None);
        let popped: Vec<_> = std::iter::from_fn(|| ring.pop_due(at(117))).collect();
        assert_eq!(popped, [(at(102), 'a'), (at(107), 'b'), (at(112), 'a'), (at(117), 'b')]);
        assert_eq!(ring.next_due(), at(122));
    }
}
