//! The order of arrivals: kept where asked, counted where not.

use std::collections::VecDeque;

use sluice_wire::time::Time;

/// Most packets in flight that the count of reordered packets looks at: bounds memory. Beyond, the earliest are forgotten.
const MAX_TRACKED_PACKETS: usize = 65_536;

#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    floor: Time,
    /// Arrivals of packets in flight that nothing has overtaken yet, ascending.
    in_flight: VecDeque<Time>,
}

impl Order {
    /// `at`, or later if an earlier packet arrives only then.
    pub(super) fn in_order(&mut self, at: Time) -> Time {
        self.floor = self.floor.max(at);
        self.floor
    }

    /// Notes an arrival and says how many earlier packets it is the first to overtake.
    pub(super) fn overtaken(&mut self, now: Time, at: Time) -> u64 {
        while self.in_flight.pop_front_if(|earlier| *earlier <= now).is_some() {}
        let mut count = 0;
        while self.in_flight.pop_back_if(|earlier| *earlier > at).is_some() {
            count += 1;
        }
        if self.in_flight.len() >= MAX_TRACKED_PACKETS {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back(at);
        count
    }
}
