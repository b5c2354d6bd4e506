//! What came of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use comfy_table::Table;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use sluice_client::signaling::SignalingError;
use sluice_wire::signaling::ErrorCode;

use super::Shared;
use super::process::Look;
use crate::report::Percentiles;

/// The largest latency that is told apart, in microseconds.
const MAX_LATENCY_US: u64 = 60_000_000;
/// Significant digits of percentiles.
const DIGITS: u8 = 3;

/// The outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SignalReport {
    /// Whether everybody joined and stayed, and nothing was refused.
    pub ok: bool,
    /// Meetings.
    pub meetings: u64,
    /// Participants who were to join.
    pub participants: u64,
    /// Participants who joined.
    pub joined: u64,
    /// Joins that the daemon asked to come again later.
    pub joins_retried: u64,
    /// From the first join to the last answer, in seconds.
    pub joining_s: f64,
    /// Joins per second over that time.
    pub joins_per_second: f64,
    /// From the connection to `joined`, in microseconds.
    pub join_us: Option<Percentiles>,
    /// How long it was measured, in seconds.
    pub duration_s: f64,
    /// New names that were given.
    pub changes: u64,
    /// Lines of rosters that were told of them.
    pub events_delivered: u64,
    /// The same per second.
    pub events_per_second: f64,
    /// From a name's being given to its being told to one, in microseconds.
    pub event_us: Option<Percentiles>,
    /// The daemon's memory for each participant, in bytes: what it grew by while they joined.
    pub daemon_bytes_per_participant: Option<u64>,
    /// Processor time that the daemon took for the joins, in microseconds each.
    pub daemon_cpu_us_per_join: Option<f64>,
    /// Events delivered for each second of the daemon's processor time while it was measured.
    pub events_per_core_second: Option<f64>,
    /// Connections that broke and were resumed.
    pub resumed: u64,
    /// Connections that ended before the run did.
    pub ended: u64,
    /// What was refused, and why participants did not join.
    pub errors: BTreeMap<String, u64>,
}

/// What participants count together.
#[derive(Debug)]
pub(super) struct Measured {
    changes: AtomicU64,
    events: AtomicU64,
    retries: AtomicU64,
    resumed: AtomicU64,
    ended: AtomicU64,
    latencies: Mutex<Latencies>,
    errors: Mutex<BTreeMap<String, u64>>,
}

#[derive(Debug)]
struct Latencies {
    join_us: Histogram<u64>,
    event_us: Histogram<u64>,
}

impl Measured {
    /// Nothing; `None` were the constants here no bounds of a histogram.
    pub(super) fn new() -> Option<Self> {
        let histogram = || Histogram::new_with_bounds(1, MAX_LATENCY_US, DIGITS).ok();
        let latencies = Latencies { join_us: histogram()?, event_us: histogram()? };
        Some(Self {
            changes: AtomicU64::new(0),
            events: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            latencies: Mutex::new(latencies),
            errors: Mutex::default(),
        })
    }

    pub(super) fn joined(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        lock(&self.latencies).join_us.saturating_record(took);
    }

    pub(super) fn heard(&self, events: u64, latencies_us: &[u64]) {
        self.events.fetch_add(events, Ordering::Relaxed);
        let mut latencies = lock(&self.latencies);
        latencies_us.iter().for_each(|&took| latencies.event_us.saturating_record(took));
    }

    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn resumed(&self) {
        self.resumed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, code: ErrorCode) {
        self.error(format!("refused: {code:?}"));
    }

    pub(super) fn failed(&self, error: &SignalingError) {
        self.error(format!("join: {error}"));
    }

    fn error(&self, what: String) {
        *lock(&self.errors).entry(what).or_default() += 1;
    }
}

/// The report of a run that is over. `looks` at the daemon: before the joins, behind them, before the measurement and behind it.
pub(super) fn of(
    shared: &Shared,
    joined_in: Duration,
    duration: Duration,
    looks: [Option<Look>; 4],
) -> SignalReport {
    let (config, measured) = (&shared.config, &shared.measured);
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let joined = load(&shared.joined);
    let events = load(&measured.events);
    let errors = lock(&measured.errors).clone();
    let ended = load(&measured.ended);
    let latencies = lock(&measured.latencies);
    let per_second = |count: u64, time: Duration| count as f64 / time.as_secs_f64().max(f64::EPSILON);
    let [before, inside, idle, after] = looks;
    let between = |from: Option<Look>, to: Option<Look>| Some(to?.cpu.saturating_sub(from?.cpu));
    let grown = before.zip(inside).map(|(from, to)| to.resident_bytes.saturating_sub(from.resident_bytes));
    SignalReport {
        ok: joined == u64::from(config.participants) && errors.is_empty() && ended == 0,
        meetings: config.meetings.into(),
        participants: config.participants.into(),
        joined,
        joins_retried: load(&measured.retries),
        joining_s: joined_in.as_secs_f64(),
        joins_per_second: per_second(joined, joined_in),
        join_us: Percentiles::of(&latencies.join_us),
        duration_s: duration.as_secs_f64(),
        changes: load(&measured.changes),
        events_delivered: events,
        events_per_second: per_second(events, duration),
        event_us: Percentiles::of(&latencies.event_us),
        daemon_bytes_per_participant: grown.map(|bytes| bytes / joined.max(1)),
        daemon_cpu_us_per_join: between(before, inside)
            .map(|cpu| cpu.as_secs_f64() * 1e6 / joined.max(1) as f64),
        events_per_core_second: between(idle, after).map(|cpu| per_second(events, cpu)),
        resumed: load(&measured.resumed),
        ended,
        errors,
    }
}

/// The report for people.
#[must_use]
pub fn table(report: &SignalReport) -> String {
    let mut table = Table::new();
    let mut row = |name: &str, value: String| {
        table.add_row(vec![name.to_owned(), value]);
    };
    let millis = |percentiles: &Option<Percentiles>| {
        percentiles.as_ref().map_or_else(
            || "-".to_owned(),
            |found| {
                let [p50, p99, max] = [found.p50, found.p99, found.max].map(|us| us as f64 / 1_000.0);
                format!("{p50:.2} / {p99:.2} / {max:.2} ms")
            },
        )
    };
    let known = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
    row("meetings", report.meetings.to_string());
    row("participants", format!("{} of {}", report.joined, report.participants));
    row("joins per second", format!("{:.0}", report.joins_per_second));
    row("joins retried", report.joins_retried.to_string());
    row("join: p50 / p99 / max", millis(&report.join_us));
    row("changes", report.changes.to_string());
    row("events delivered per second", format!("{:.0}", report.events_per_second));
    row("event: p50 / p99 / max", millis(&report.event_us));
    row("events per second of daemon CPU", known(report.events_per_core_second));
    row("daemon CPU per join, in us", known(report.daemon_cpu_us_per_join));
    row("daemon bytes per participant", known(report.daemon_bytes_per_participant.map(|bytes| bytes as f64)));
    row("connections resumed / ended", format!("{} / {}", report.resumed, report.ended));
    for (error, count) in &report.errors {
        row(error, count.to_string());
    }
    let verdict = if report.ok { "OK: everybody joined and stayed" } else { "NOT OK" };
    format!("{table}\n{verdict}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each use leaves it whole, whatever panics elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
