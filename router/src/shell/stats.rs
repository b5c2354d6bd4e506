//! What can be seen of a running router.

use std::sync::Mutex;
use std::time::Duration;

use sluice_wire::time::Time;

use crate::core::{Counters, ShardGauges};
use crate::io::IoCounters;

/// Upper bounds of the classes in which rounds are counted; one more class takes what is longer. A round of more than 10 ms
/// can be heard.
pub const ROUND_BOUNDS: [Duration; 9] = [
    Duration::from_micros(100),
    Duration::from_micros(300),
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
];

/// How long the rounds of a shard's loop took: the shard's lag, since what comes in during a round waits for its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundStats {
    /// Rounds by the first of [`ROUND_BOUNDS`] that they did not exceed; longer ones come last.
    pub by_duration: [u64; ROUND_BOUNDS.len() + 1],
    /// The longest since the start.
    pub longest: Duration,
    /// The longest since the snapshot before this one: how far the shard lags now.
    pub longest_lately: Duration,
    /// All together.
    pub total: Duration,
}

impl RoundStats {
    pub(super) fn note(&mut self, round: Duration) {
        let class = ROUND_BOUNDS.iter().position(|bound| round <= *bound).unwrap_or(ROUND_BOUNDS.len());
        self.by_duration[class] += 1;
        self.longest = self.longest.max(round);
        self.longest_lately = self.longest_lately.max(round);
        self.total += round;
    }
}

/// One shard at one moment. At most 100 ms old while anything happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShardSnapshot {
    /// When it was taken.
    pub taken_at: Time,
    /// What the core counted.
    pub counters: Counters,
    /// What the core holds.
    pub gauges: ShardGauges,
    /// What the sockets counted.
    pub io: IoCounters,
    /// How long the rounds took.
    pub rounds: RoundStats,
    /// CPU time of the thread; zero where the system does not tell.
    pub cpu_time: Duration,
    /// Whether the kernel is given several datagrams at once.
    pub segments: bool,
}

/// A shard that lags by more is overloaded: rooms that are new go elsewhere. What comes in waits for the round before it and is
/// handled in its own, so this is half of what conversation begins to notice.
pub(super) const OVERLOAD_LAG: Duration = Duration::from_millis(5);
/// A snapshot that is older says nothing of now: the shard has been idle since.
const STALE_AFTER: Duration = Duration::from_secs(1);

impl ShardSnapshot {
    /// Whether the shard lags too far behind to be given another room.
    #[must_use]
    pub fn is_overloaded(&self, now: Time) -> bool {
        self.rounds.longest_lately > OVERLOAD_LAG && now.saturating_since(self.taken_at) < STALE_AFTER
    }
}

/// The control connections at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlStatus {
    /// Signaling daemons that the router is registered with.
    pub registered: u32,
    /// Times that it registered.
    pub registrations: u64,
    /// Times that dialing, registering or the stream failed.
    pub failures: u64,
}

/// The router at one moment.
#[derive(Clone, Debug)]
pub struct RouterSnapshot {
    /// Each shard, in order.
    pub shards: Vec<ShardSnapshot>,
    /// The control connections; `None` if there is none to have.
    pub control: Option<ControlStatus>,
}

impl RouterSnapshot {
    /// A number summed over all shards.
    pub fn sum(&self, number: impl Fn(&ShardSnapshot) -> u64) -> u64 {
        self.shards.iter().map(number).sum()
    }
}

/// A value that a shard's thread shows to others without ever waiting for them.
#[derive(Debug, Default)]
pub(crate) struct Published<T>(Mutex<T>);

impl<T: Clone> Published<T> {
    /// Shows `value`, unless somebody is looking at the old one right now: `false` then.
    pub(super) fn try_set(&self, value: T) -> bool {
        match self.0.try_lock() {
            Ok(mut shown) => {
                *shown = value;
                true
            }
            Err(_) => false,
        }
    }

    /// Shows `value`.
    pub(crate) fn update(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// The value that is shown.
    pub(crate) fn get(&self) -> T {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_counted_by_their_length() {
        let mut stats = RoundStats::default();
        for micros in [100, 101, 20_000, 300_001] {
            stats.note(Duration::from_micros(micros));
        }
        assert_eq!(stats.by_duration, [1, 1, 0, 0, 0, 0, 1, 0, 0, 1]);
        assert_eq!(stats.longest, Duration::from_micros(300_001));
        assert_eq!(stats.total, Duration::from_micros(320_202));
    }

    #[test]
    fn a_shard_is_overloaded_while_it_lags_and_not_when_it_has_been_idle_since() {
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        let mut snapshot = ShardSnapshot { taken_at: at(0), ..ShardSnapshot::default() };
        snapshot.rounds.note(OVERLOAD_LAG);
        assert!(!snapshot.is_overloaded(at(0)));
        snapshot.rounds.note(OVERLOAD_LAG + Duration::from_nanos(1));
        assert!(snapshot.is_overloaded(at(999)));
        assert!(!snapshot.is_overloaded(at(1_000)));
    }

    #[test]
    fn publishing_does_not_wait_for_a_reader() {
        let published = Published(Mutex::new(1));
        let reader = published.0.lock().unwrap();
        assert!(!published.try_set(2));
        drop(reader);
        assert!(published.try_set(3));
        assert_eq!(published.get(), 3);
    }
}
