//! One load for minutes: memory, loss, lag.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::child::{Child, Kind};
use super::protocol::Ask;
use super::step::{Cores, LONG_ROUNDS, Micros, ROUNDS_PER_LONG_ONE, move_in, rounds_from_class, set_flowing};
use super::system::resident_bytes;
use crate::scenario::Scenario;

/// A reading this often.
const INTERVAL: Duration = Duration::from_secs(10);
/// Memory counts as steady if it grows by no more than this, in bytes, from the second reading to the last: a router's own
/// lists settle in the first interval, and the allocator rounds to pages.
const MAX_GROWTH_BYTES: u64 = 1 << 20;

/// What was read at the end of an interval.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Reading {
    /// Seconds since the beginning.
    pub seconds: u64,
    /// Resident memory of the router.
    pub resident_bytes: u64,
    /// Packets that did not come so far.
    pub lost: u64,
    /// Rounds of the shard's loop so far.
    pub rounds: u64,
    /// Of them, those that took more than [`MAX_LAG`](super::step::MAX_LAG).
    pub long_rounds: u64,
    /// From sender to receiver's socket, in this interval.
    pub latency_us: Micros,
    /// CPU time of the shard's thread, as part of the interval.
    pub utilisation: f64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Soak {
    /// No growth, no loss, no lag.
    pub ok: bool,
    /// Rooms.
    pub rooms: usize,
    /// Packets expected in the whole time.
    pub expected: u64,
    /// Packets lost in the whole time.
    pub lost: u64,
    /// Memory at the end less memory at the second reading.
    pub growth_bytes: i64,
    /// The worst p99.9 of an interval.
    pub worst_p999_us: f64,
    /// All readings.
    pub readings: Vec<Reading>,
}

/// Runs `rooms` of a scenario for `duration`. `tell` hears of each reading.
///
/// # Errors
/// If the router does not do what it should.
pub fn run(
    scenario: &Scenario,
    rooms: usize,
    duration: Duration,
    cores: Cores,
    tell: &mut dyn FnMut(&str),
) -> Result<Soak> {
    let mut child = Child::start(Kind::Router, cores.measured)?;
    let mut load = move_in(&mut child, scenario, "room", rooms)?;
    set_flowing(&mut load)?;
    load.begin()?;
    let mut readings: Vec<Reading> = Vec::new();
    let mut cpu_before: Option<u64> = None;
    let intervals = (duration.as_secs() / INTERVAL.as_secs()).max(3);
    for number in 1..=intervals {
        load.reset_histograms();
        load.run_for(INTERVAL)?;
        // Packets are on their way: only gaps can be told from them.
        let tally = load.tally()?;
        child.say(&Ask::Stats)?;
        load.run_for(Duration::from_millis(20))?;
        let stats = child.hear_stats()?;
        let cpu = stats.cpu_ns;
        let used = cpu.saturating_sub(cpu_before.replace(cpu).unwrap_or_default());
        let reading = Reading {
            seconds: number * INTERVAL.as_secs(),
            resident_bytes: resident_bytes(child.number())?,
            lost: tally.counts.missing,
            rounds: rounds_from_class(&stats, 0),
            long_rounds: rounds_from_class(&stats, LONG_ROUNDS),
            latency_us: Micros::of(&tally.latency),
            utilisation: used as f64 / INTERVAL.as_nanos() as f64,
        };
        tell(&format!("{reading:?}"));
        readings.push(reading);
    }
    load.stop_media()?;
    let tally = load.tally()?;
    let resident = |at: usize| readings.get(at).map_or(0, |reading| reading.resident_bytes);
    let growth_bytes = resident(readings.len() - 1).cast_signed() - resident(1).cast_signed();
    let worst_p999_us = readings.iter().map(|reading| reading.latency_us.p999).fold(0.0, f64::max);
    let is_steady = growth_bytes <= MAX_GROWTH_BYTES.cast_signed();
    let is_timely = readings.last().is_some_and(|last| last.long_rounds * ROUNDS_PER_LONG_ONE <= last.rounds);
    Ok(Soak {
        ok: is_steady && is_timely && tally.lost() == 0 && tally.wrong == 0,
        rooms,
        expected: tally.expected,
        lost: tally.lost(),
        growth_bytes,
        worst_p999_us,
        readings,
    })
}
