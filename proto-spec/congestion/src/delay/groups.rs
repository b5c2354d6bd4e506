//! Groups of packets that were sent together, and how their distances change on the way.

use std::time::Duration;

use sluice_wire::time::Time;

/// Packets that were sent within this are one group: a paced burst says nothing about the queue by itself.
const GROUP: Duration = Duration::from_millis(5);
/// Packets that arrive within this of the one before, and faster than they were sent, came out of one burst of the path.
const BURST_US: i64 = 5_000;
/// The longest burst.
const MAX_BURST_US: i64 = 100_000;
/// Groups that arrive before the one they follow, in a row, which mean that the receiver's clock stepped.
const MAX_REORDERED: u8 = 3;
/// A receiver's clock that gains so much on ours between two groups has stepped.
const MAX_CLOCK_GAIN_US: i64 = 3_000_000;

/// The distance between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupDelta {
    /// Between the last packets of both, as they were sent.
    pub send: Duration,
    /// Between the last packets of both, as they arrived, in microseconds of the receiver's clock. Not negative.
    pub arrival_us: i64,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent_at: Time,
    last_sent_at: Time,
    first_arrival_us: i64,
    last_arrival_us: i64,
    /// When feedback of the last packet came, by our clock.
    reported_at: Time,
}

/// Groups packets as libwebrtc's `InterArrivalDelta` does.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArrivalGroups {
    previous: Option<Group>,
    current: Option<Group>,
    reordered: u8,
}

impl ArrivalGroups {
    /// Takes a packet that arrived, in order of sending. Gives the distance of the two groups before it when it begins a third.
    pub fn on_packet(&mut self, now: Time, sent_at: Time, arrival_us: i64) -> Option<GroupDelta> {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::starting(now, sent_at, arrival_us));
            return None;
        };
        if sent_at < current.first_sent_at {
            return None;
        }
        if current.holds(sent_at, arrival_us) {
            current.last_sent_at = current.last_sent_at.max(sent_at);
            // Not the latest: a clock that stepped back must not hold the group open.
            current.last_arrival_us = arrival_us;
            current.reported_at = now;
            return None;
        }
        let complete = *current;
        let delta = self.previous.and_then(|previous| self.delta(&previous, &complete));
        if self.current.is_some() {
            self.previous = Some(complete);
            self.current = Some(Group::starting(now, sent_at, arrival_us));
        }
        delta
    }

    /// The distance of two groups; `None` if it makes no sense, and then perhaps all is forgotten.
    fn delta(&mut self, previous: &Group, complete: &Group) -> Option<GroupDelta> {
        let arrival_us = complete.last_arrival_us.saturating_sub(previous.last_arrival_us);
        let passed = complete.reported_at.saturating_since(previous.reported_at).as_micros();
        let gain = arrival_us.saturating_sub(i64::try_from(passed).unwrap_or(i64::MAX));
        if gain >= MAX_CLOCK_GAIN_US {
            *self = Self::default();
            return None;
        }
        if arrival_us < 0 {
            self.reordered += 1;
            if self.reordered >= MAX_REORDERED {
                *self = Self::default();
            }
            return None;
        }
        self.reordered = 0;
        Some(GroupDelta { send: complete.last_sent_at.saturating_since(previous.last_sent_at), arrival_us })
    }
}

impl Group {
    const fn starting(now: Time, sent_at: Time, arrival_us: i64) -> Self {
        Self {
            first_sent_at: sent_at,
            last_sent_at: sent_at,
            first_arrival_us: arrival_us,
            last_arrival_us: arrival_us,
            reported_at: now,
        }
    }

    /// Whether a packet that was sent no earlier than the first is one of this group.
    fn holds(&self, sent_at: Time, arrival_us: i64) -> bool {
        self.is_burst(sent_at, arrival_us) || sent_at.saturating_since(self.first_sent_at) <= GROUP
    }

    fn is_burst(&self, sent_at: Time, arrival_us: i64) -> bool {
        let sent_us = sent_at.saturating_since(self.last_sent_at).as_micros();
        if sent_us == 0 {
            return true;
        }
        let arrived_us = arrival_us.saturating_sub(self.last_arrival_us);
        let is_compressed = i64::try_from(sent_us).is_ok_and(|sent_us| arrived_us < sent_us);
        is_compressed
            && arrived_us <= BURST_US
            && arrival_us.saturating_sub(self.first_arrival_us) < MAX_BURST_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes packets of (sent, arrival) in ms; gives the deltas in ms. Reports come when packets arrive.
    fn deltas(packets: &[(u64, i64)]) -> Vec<(u128, i64)> {
        let mut groups = ArrivalGroups::default();
        let at = |millis: u64| Time::ZERO + Duration::from_millis(millis);
        packets
            .iter()
            .filter_map(|(sent, arrival)| groups.on_packet(at(sent + 100), at(*sent), arrival * 1_000))
            .map(|delta| (delta.send.as_millis(), delta.arrival_us / 1_000))
            .collect()
    }

    #[test]
    fn bursts_are_groups_and_their_last_packets_count() {
        let packets = [(0, 20), (2, 22), (5, 25), (20, 40), (23, 48), (40, 65), (60, 90)];
        assert_eq!(deltas(&packets), [(18, 23), (17, 17)]);
    }

    #[test]
    fn what_the_path_held_back_and_let_go_is_one_group() {
        // The packets of 20, 40 and 60 ms come at once at 100 ms.
        let packets = [(0, 20), (20, 100), (40, 101), (60, 102), (80, 120), (100, 140)];
        assert_eq!(deltas(&packets), [(60, 82), (20, 18)]);
    }

    #[test]
    fn packets_from_before_the_group_are_left_out() {
        assert_eq!(deltas(&[(0, 20), (20, 40), (10, 41), (40, 60), (60, 80)]), [(20, 20), (20, 20)]);
    }

    #[test]
    fn a_clock_that_steps_starts_all_anew() {
        let ahead = [(0, 20), (20, 40), (40, 9_060), (60, 9_080), (80, 9_100), (100, 9_120), (120, 9_140)];
        assert_eq!(deltas(&ahead), [(20, 20), (20, 20)]);
        let back: Vec<_> =
            (0..8).map(|i| (i * 20, 20 + i as i64 * 20 - if i > 2 { 900 } else { 0 })).collect();
        assert!(deltas(&back).iter().all(|delta| *delta == (20, 20)));
    }

    #[test]
    fn any_arrival_will_do() {
        let mut groups = ArrivalGroups::default();
        for (sent, arrival) in
            [(0, i64::MAX), (9, i64::MIN), (18, 0), (27, i64::MIN), (36, i64::MAX), (45, -1)]
        {
            let sent_at = Time::ZERO + Duration::from_millis(sent);
            assert!(groups.on_packet(sent_at, sent_at, arrival).is_none_or(|delta| delta.arrival_us >= 0));
        }
    }
}
