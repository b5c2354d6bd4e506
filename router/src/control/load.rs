//! The router's load between two heartbeats.

use std::time::Duration;

use sluice_proto::v1::Heartbeat;
use sluice_wire::time::Time;

use crate::shell::ShardSnapshot;

/// Remembers the last heartbeat.
#[derive(Debug)]
pub(super) struct LoadMeter {
    at: Time,
    shards: Vec<ShardSnapshot>,
}

impl LoadMeter {
    pub(super) const fn new(now: Time, shards: Vec<ShardSnapshot>) -> Self {
        Self { at: now, shards }
    }

    /// A heartbeat of what happened since the last.
    pub(super) fn measure(
        &mut self,
        now: Time,
        shards: Vec<ShardSnapshot>,
        (sessions, rooms): (usize, usize),
    ) -> Heartbeat {
        let elapsed = now.saturating_since(self.at);
        let since = |number: fn(&ShardSnapshot) -> u64| {
            let total = |shards: &[ShardSnapshot]| shards.iter().map(number).sum::<u64>();
            total(&shards).saturating_sub(total(&self.shards))
        };
        let pairs = shards.iter().zip(&self.shards);
        // A snapshot is as old as the last thing that happened: its own time tells what its CPU time is a share of.
        let shares = pairs.map(|(shard, before)| {
            let used = shard.cpu_time.saturating_sub(before.cpu_time);
            permille(used, shard.taken_at.saturating_since(before.taken_at).max(elapsed))
        });
        let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
        let heartbeat = Heartbeat {
            sessions,
            rooms: u32::try_from(rooms).unwrap_or(u32::MAX),
            participants: sessions,
            cpu_permille: shares.max().unwrap_or(0),
            received_bits_per_second: per_second(since(|shard| shard.counters.bytes_in) * 8, elapsed),
            sent_bits_per_second: per_second(since(|shard| shard.counters.bytes_out) * 8, elapsed),
        };
        (self.at, self.shards) = (now, shards);
        heartbeat
    }
}

fn permille(part: Duration, whole: Duration) -> u32 {
    let permille = (part.as_nanos() * 1_000).checked_div(whole.as_nanos()).unwrap_or(0);
    u32::try_from(permille).unwrap_or(u32::MAX)
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    let rate = (u128::from(count) * 1_000_000_000).checked_div(elapsed.as_nanos()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn shard(millis: u64, cpu_millis: u64, bytes: u64) -> ShardSnapshot {
        let mut shard = ShardSnapshot {
            taken_at: at(millis),
            cpu_time: Duration::from_millis(cpu_millis),
            ..ShardSnapshot::default()
        };
        (shard.counters.bytes_in, shard.counters.bytes_out) = (bytes, 3 * bytes);
        shard
    }

    #[test]
    fn rates_are_of_the_time_between_heartbeats() {
        let mut meter = LoadMeter::new(at(1_000), vec![shard(1_000, 10, 1_000), shard(1_000, 20, 0)]);
        let heartbeat =
            meter.measure(at(3_000), vec![shard(3_000, 510, 2_000), shard(3_000, 120, 500)], (7, 2));
        assert_eq!((heartbeat.sessions, heartbeat.participants, heartbeat.rooms), (7, 7, 2));
        assert_eq!(heartbeat.cpu_permille, 250);
        assert_eq!((heartbeat.received_bits_per_second, heartbeat.sent_bits_per_second), (6_000, 18_000));
        let idle = meter.measure(at(4_000), vec![shard(3_000, 510, 2_000), shard(3_000, 120, 500)], (7, 2));
        assert_eq!((idle.cpu_permille, idle.received_bits_per_second), (0, 0));
    }

    #[test]
    fn no_time_at_all_is_no_load() {
        let mut meter = LoadMeter::new(at(0), vec![shard(0, 0, 0)]);
        let heartbeat = meter.measure(at(0), vec![shard(0, 1, 1)], (0, 0));
        assert_eq!((heartbeat.cpu_permille, heartbeat.sent_bits_per_second), (0, 0));
    }
}
