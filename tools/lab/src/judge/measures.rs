//! What each measure is, from the columns of a run.

use std::ops::Range;

use crate::SAMPLE_SECONDS;
use crate::record::{PersonRecord, Run};
use crate::scenario::{Measure, Promise, Scenario};

/// What is sent may exceed the capacity by this much and still fit: rates are of whole frames.
const FITS: f64 = 1.05;
/// A rate is looked at over half a second.
const FIT_SAMPLES: usize = 5;
/// And has to stay for a second.
const STAYS_SAMPLES: usize = 5;
/// This much of what the layers allow is as good as all of it.
const RECOVERED: f64 = 0.9;
const RECOVERED_SAMPLES: usize = 10;

type Entry = (String, f64, f64);

/// By person, a numerator and a denominator.
pub(super) fn measure(
    scenario: &Scenario,
    run: &Run,
    baseline: Option<&Run>,
    promise: &Promise,
) -> Vec<Entry> {
    let window = window(scenario, promise);
    let people: Vec<usize> =
        (0..run.people.len()).filter(|number| is_meant(&run.people[*number], promise)).collect();
    let records = || people.iter().map(|number| &run.people[*number]);
    match promise.measure {
        Measure::Jain => vec![("together".to_owned(), jain(records(), &window), 1.0)],
        Measure::TcpShare => tcp_share(run, records(), &window),
        measure if measure.needs_baseline() => people
            .iter()
            .filter_map(|number| Some((&run.people[*number], baseline?.people.get(*number)?)))
            .map(|(person, before)| (person.name.clone(), change(measure, person, before, &window), 1.0))
            .collect(),
        measure => records()
            .filter_map(|person| {
                let (share, of) = of_person(scenario, measure, person, promise, &window)?;
                Some((person.name.clone(), share, of))
            })
            .collect(),
    }
}

fn is_meant(person: &PersonRecord, promise: &Promise) -> bool {
    if !promise.of.is_empty() {
        return promise.of.contains(&person.group);
    }
    match promise.measure {
        Measure::KeyFramesPerMinute => person.publishes,
        Measure::Amplification => person.bad,
        measure if measure.is_of_neighbours() => person.receives && !person.bad,
        _ => person.receives,
    }
}

/// The samples that a promise is about.
fn window(scenario: &Scenario, promise: &Promise) -> Range<usize> {
    let samples = crate::record::samples(scenario);
    let sample = |seconds: f64| ((seconds / SAMPLE_SECONDS).round() as usize).min(samples);
    sample(promise.from_s)..sample(promise.to_s.unwrap_or(scenario.seconds))
}

fn of_person(
    scenario: &Scenario,
    measure: Measure,
    person: &PersonRecord,
    promise: &Promise,
    window: &Range<usize>,
) -> Option<(f64, f64)> {
    let series = &person.series;
    let count = |column: &[u32]| column.get(window.clone()).map_or(0.0, sum_counts);
    let bytes = |column: &[u64]| column.get(window.clone()).map_or(0.0, sum_bytes);
    let minutes = window.len() as f64 * SAMPLE_SECONDS / 60.0;
    Some(match measure {
        Measure::FramesInTime => (count(&series.frames_in_time), count(&series.frames_expected)),
        Measure::FramesComplete => (count(&series.frames_complete), count(&series.frames_expected)),
        Measure::FramesDecodable => {
            let whole = count(&series.frames_whole);
            (whole - count(&series.frames_undecodable), whole)
        }
        Measure::AudioConcealed => (count(&series.audio_concealed), count(&series.audio_expected)),
        Measure::RepairOverhead => {
            (bytes(&series.rtx_bytes) + bytes(&series.fec_bytes), bytes(&series.media_bytes))
        }
        Measure::LongestFreezeS => (freezes(person, window).fold(0.0, f64::max), 1.0),
        Measure::FreezesPerMinute => (freezes(person, window).count() as f64, minutes),
        Measure::KeyFramesPerMinute => {
            (count(&series.key_frames_sent), minutes * scenario.media.encodings.len() as f64)
        }
        Measure::SecondsToFit => (seconds_to_fit(person, window)?, 1.0),
        Measure::SecondsToRecover => (seconds_to_recover(person, window)?, 1.0),
        Measure::QueueP95Ms => (queue_p95_ms(person, window)?, 1.0),
        Measure::Utilisation => {
            let usable: f64 = sum_bytes(series.usable_bps.get(window.clone())?) * SAMPLE_SECONDS;
            (bytes(&series.received_bytes) * 8.0, usable)
        }
        Measure::Jain
        | Measure::TcpShare
        | Measure::NeighbourBytesChange
        | Measure::NeighbourKeyFramesChange
        | Measure::NeighbourFreezesChange
        | Measure::Amplification => {
            debug_assert!(promise.measure != measure, "these are of more than a person");
            return None;
        }
    })
}

fn sum_counts(column: &[u32]) -> f64 {
    column.iter().map(|count| f64::from(*count)).sum()
}

fn sum_bytes(column: &[u64]) -> f64 {
    column.iter().map(|bytes| *bytes as f64).sum()
}

/// The lengths of the freezes that touch the window.
fn freezes(person: &PersonRecord, window: &Range<usize>) -> impl Iterator<Item = f64> {
    let (from, to) = (window.start as f64 * SAMPLE_SECONDS, window.end as f64 * SAMPLE_SECONDS);
    let touches =
        move |freeze: &&crate::record::Freeze| freeze.from_s < to && freeze.from_s + freeze.seconds > from;
    person.freezes.iter().filter(touches).map(|freeze| freeze.seconds)
}

/// Until what is sent fits; the length of the window if it never does.
fn seconds_to_fit(person: &PersonRecord, window: &Range<usize>) -> Option<f64> {
    let fits = |sample: usize| {
        let bytes = person.series.sent_bytes.get(sample..sample + FIT_SAMPLES).map(sum_bytes)?;
        let capacity = (*person.series.capacity_bps.get(sample)?)? as f64;
        Some(bytes * 8.0 <= capacity * FITS * FIT_SAMPLES as f64 * SAMPLE_SECONDS)
    };
    person.series.capacity_bps.get(window.start).copied().flatten()?;
    let stays =
        |sample: &usize| (*sample..=sample + STAYS_SAMPLES).all(|sample| fits(sample).unwrap_or(false));
    let first = window.clone().find(stays).unwrap_or(window.end);
    Some((first - window.start) as f64 * SAMPLE_SECONDS)
}

/// Until the end of the first second in which enough is received; the length of the window if there is none.
fn seconds_to_recover(person: &PersonRecord, window: &Range<usize>) -> Option<f64> {
    let series = &person.series;
    let has_recovered = |first: &usize| {
        let second = *first..*first + RECOVERED_SAMPLES;
        let received = series.received_bytes.get(second.clone()).map(sum_bytes);
        let usable = series.usable_bps.get(second).map(sum_bytes);
        received.zip(usable).is_some_and(|(bytes, usable)| bytes * 8.0 >= RECOVERED * usable * SAMPLE_SECONDS)
    };
    let first = window.clone().find(has_recovered).map_or(window.end, |first| first + RECOVERED_SAMPLES);
    Some((first.min(window.end) - window.start) as f64 * SAMPLE_SECONDS)
}

fn queue_p95_ms(person: &PersonRecord, window: &Range<usize>) -> Option<f64> {
    let often = person.series.queue_often.iter().filter(|(sample, _)| window.contains(sample));
    let mut delays: Vec<f32> = often.map(|(_, delay)| *delay).collect();
    if delays.is_empty() {
        delays = person.series.queue_ms.get(window.clone())?.iter().map(|delay| *delay as f32).collect();
    }
    percentile(&mut delays, 0.95)
}

/// The smallest value that so many of the values do not exceed.
pub(crate) fn percentile(values: &mut [f32], share: f64) -> Option<f64> {
    values.sort_unstable_by(f32::total_cmp);
    let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
    values.get(rank - 1).map(|value| f64::from(*value))
}

fn jain<'a>(people: impl Iterator<Item = &'a PersonRecord>, window: &Range<usize>) -> f64 {
    let bytes =
        |person: &PersonRecord| person.series.received_bytes.get(window.clone()).map_or(0.0, sum_bytes);
    let received: Vec<f64> = people.map(bytes).collect();
    let sum: f64 = received.iter().sum();
    let squares: f64 = received.iter().map(|bytes| bytes * bytes).sum();
    if squares > 0.0 { sum * sum / (received.len() as f64 * squares) } else { 0.0 }
}

/// By shared link that people in question are behind.
fn tcp_share<'a>(
    run: &Run,
    people: impl Iterator<Item = &'a PersonRecord>,
    window: &Range<usize>,
) -> Vec<Entry> {
    let links: std::collections::BTreeSet<usize> = people.filter_map(|person| person.behind).collect();
    let share = |number: usize| {
        let link = run.shared.get(number)?;
        let tcp = link.tcp_bytes.get(window.clone()).map_or(0.0, sum_bytes);
        let behind = run.people.iter().filter(|person| person.behind == Some(number));
        let media: f64 = behind
            .map(|person| person.series.received_bytes.get(window.clone()).map_or(0.0, sum_bytes))
            .sum();
        Some((link.name.clone(), tcp, tcp + media))
    };
    links.into_iter().filter_map(share).collect()
}

/// What the faults of those who are bad changed for a person.
fn change(measure: Measure, person: &PersonRecord, before: &PersonRecord, window: &Range<usize>) -> f64 {
    let bytes = |column: &[u64]| column.get(window.clone()).map_or(0.0, sum_bytes);
    let minutes = window.len() as f64 * SAMPLE_SECONDS / 60.0;
    match measure {
        Measure::NeighbourBytesChange => {
            let (now, then) = (bytes(&person.series.received_bytes), bytes(&before.series.received_bytes));
            (now - then).abs() / then.max(1.0)
        }
        Measure::NeighbourKeyFramesChange => {
            let keys = |of: &PersonRecord| of.series.key_frames.get(window.clone()).map_or(0.0, sum_counts);
            (keys(person) - keys(before)) / minutes
        }
        Measure::NeighbourFreezesChange => {
            freezes(person, window).count() as f64 - freezes(before, window).count() as f64
        }
        _ => {
            let more_sent = bytes(&person.series.sent_bytes) - bytes(&before.series.sent_bytes);
            let more_asked = bytes(&person.series.up_bytes) - bytes(&before.series.up_bytes);
            more_sent.max(0.0) / more_asked.max(1.0)
        }
    }
}
