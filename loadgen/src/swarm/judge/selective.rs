//! What a scenario promises.

use std::ops::RangeInclusive;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Testimony;
use crate::report::{Percentiles, ReceiverRates, Selective, bits_per_second};
use crate::scenario::Scenario;
use crate::swarm::director::Window;
use crate::swarm::record::new_histogram;

/// 99 of 100 switches take no longer, in milliseconds: the interval of key frame requests.
const MAX_SWITCH_P99_MS: u64 = 500;
/// 99 of 100 first frames take no longer, in milliseconds.
const MAX_FIRST_FRAME_P99_MS: u64 = 300;
/// The share of the time that pictures may be frozen.
const MAX_FREEZE_RATIO: f64 = 0.001;
/// What a receiver gets, by the sum of the layers that are selected for it.
const EGRESS_RATIO: RangeInclusive<f64> = 0.95..=1.05;

/// Adds up what everybody saw.
pub(super) fn sum_up(
    scenario: Scenario,
    window: &Window,
    duration: Duration,
    testimonies: &[Testimony<'_>],
) -> Selective {
    let mut selective = Selective { scenario: scenario.name().to_owned(), ..Selective::default() };
    let mut switch_times = Vec::new();
    selective.layer_switches_fewest = u64::MAX;
    for testimony in testimonies {
        let audits = &testimony.record.audits;
        let switches: u64 = audits.iter().map(|audit| audit.switches).sum();
        selective.layer_switches += switches;
        selective.layer_switches_fewest = selective.layer_switches_fewest.min(switches);
        selective.sequence_gaps += testimony.stats.media.rtp_lost;
        for audit in audits {
            selective.frames_undecodable += audit.undecodable;
            selective.frames_oversized += audit.oversized;
            selective.switches_overdue += audit.overdue;
            selective.source_changes += audit.source_changes;
            switch_times.extend(&audit.switch_times);
        }
    }
    if testimonies.is_empty() {
        selective.layer_switches_fewest = 0;
    }
    selective.switch_ms = percentiles_ms(&switch_times);
    selective.first_frame_ms = percentiles_ms(&window.first_frames);
    selective.freezes = window.freezes.count;
    let watched = window.freezes.watched.as_secs_f64();
    selective.freeze_ratio = if watched > 0.0 { window.freezes.frozen.as_secs_f64() / watched } else { 0.0 };
    selective.uplink_saved_bits_per_second = bits_per_second(window.withheld_bytes, duration);
    let rates = |(testimony, (received, selected)): (&Testimony<'_>, &(u64, u64))| ReceiverRates {
        participant: testimony.number as u64,
        egress_bits_per_second: bits_per_second(*received, duration),
        selected_layers_bits_per_second: bits_per_second(*selected, duration),
        ratio: if *selected > 0 { *received as f64 / *selected as f64 } else { 0.0 },
    };
    selective.receivers = testimonies.iter().zip(&window.bytes).map(rates).collect();
    selective
}

/// What of it breaks a promise, in words.
pub(super) fn broken(
    scenario: Scenario,
    selective: &Selective,
    duration: Duration,
    allow_loss_percent: f64,
) -> Vec<String> {
    let mut errors = Vec::new();
    let mut must = |is_kept: bool, words: String| {
        if !is_kept {
            errors.push(words);
        }
    };
    let &Selective { frames_undecodable, frames_oversized, sequence_gaps, freeze_ratio, .. } = selective;
    let is_lossless = allow_loss_percent <= 0.0;
    must(frames_undecodable == 0 || !is_lossless, format!("{frames_undecodable} frames cannot be decoded"));
    must(frames_oversized == 0, format!("{frames_oversized} frames are of a larger encoding than asked for"));
    must(sequence_gaps == 0 || !is_lossless, format!("{sequence_gaps} RTP packets are missing in sequences"));
    let mut at_most = |what: &str, times: &Option<Percentiles>, limit: u64| {
        if let Some(Percentiles { p99, .. }) = times {
            must(*p99 <= limit, format!("{what} take {p99} ms (p99), more than {limit} ms"));
        }
    };
    if !scenario.is_timed() {
        return errors;
    }
    at_most("switches", &selective.switch_ms, MAX_SWITCH_P99_MS);
    at_most("first frames", &selective.first_frame_ms, MAX_FIRST_FRAME_P99_MS);
    let percent = freeze_ratio * 100.0;
    must(freeze_ratio <= MAX_FREEZE_RATIO, format!("pictures are frozen for {percent:.3} % of the time"));
    for receiver in &selective.receivers {
        let ReceiverRates { participant, ratio, .. } = receiver;
        must(
            EGRESS_RATIO.contains(ratio),
            format!("participant {participant} got {ratio:.3} times the layers that were selected for it"),
        );
    }
    let (switches, wanted) = (selective.layer_switches_fewest, scenario.fewest_switches(duration));
    must(switches >= wanted, format!("somebody saw only {switches} layer switches, not {wanted}"));
    errors
}

fn percentiles_ms(times: &[Duration]) -> Option<Percentiles> {
    let mut histogram: Histogram<u64> = new_histogram()?;
    for time in times {
        histogram.saturating_record(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
    Percentiles::of(&histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Selective {
        Selective {
            layer_switches_fewest: 100,
            switch_ms: Some(Percentiles { p50: 50, p99: 500, max: 900 }),
            first_frame_ms: Some(Percentiles { p50: 50, p99: 300, max: 900 }),
            freeze_ratio: 0.001,
            receivers: vec![ReceiverRates { ratio: 1.05, ..Default::default() }],
            ..Selective::default()
        }
    }

    fn errors(selective: &Selective) -> Vec<String> {
        broken(Scenario::Switches, selective, Duration::from_secs(40), 0.0)
    }

    #[test]
    fn goals_that_are_just_reached_are_reached() {
        assert_eq!(errors(&kept()), [""; 0]);
    }

    #[test]
    fn every_missed_goal_is_told() {
        type Miss = fn(&mut Selective);
        let cases: [(Miss, &str); 9] = [
            (|selective| selective.frames_undecodable = 1, "1 frames cannot be decoded"),
            (|selective| selective.frames_oversized = 2, "2 frames are of a larger encoding"),
            (|selective| selective.sequence_gaps = 3, "3 RTP packets are missing"),
            (|selective| selective.switch_ms.as_mut().unwrap().p99 = 501, "switches take 501 ms"),
            (|selective| selective.first_frame_ms.as_mut().unwrap().p99 = 301, "first frames take 301 ms"),
            (|selective| selective.freeze_ratio = 0.002, "pictures are frozen for 0.200 %"),
            (|selective| selective.receivers[0].ratio = 1.06, "participant 0 got 1.060 times"),
            (|selective| selective.receivers[0].ratio = 0.94, "participant 0 got 0.940 times"),
            (|selective| selective.layer_switches_fewest = 99, "somebody saw only 99 layer switches"),
        ];
        for (miss, words) in cases {
            let mut selective = kept();
            miss(&mut selective);
            let errors = errors(&selective);
            assert!(errors.len() == 1 && errors[0].starts_with(words), "{errors:?}");
        }
    }

    #[test]
    fn a_small_meeting_promises_what_a_busy_machine_keeps() {
        let slow = Selective {
            layer_switches_fewest: 0,
            switch_ms: Some(Percentiles { p50: 900, p99: 9_000, max: 9_000 }),
            first_frame_ms: Some(Percentiles { p50: 900, p99: 9_000, max: 9_000 }),
            freeze_ratio: 0.5,
            receivers: vec![ReceiverRates { ratio: 0.5, ..Default::default() }],
            ..Selective::default()
        };
        let errors =
            |selective: &Selective| broken(Scenario::Small, selective, Duration::from_secs(3), 0.0).len();
        assert_eq!(errors(&slow), 0);
        let wrong = Selective { frames_undecodable: 1, frames_oversized: 1, sequence_gaps: 1, ..slow };
        assert_eq!(errors(&wrong), 3);
    }

    #[test]
    fn where_loss_is_allowed_gaps_are_no_breach() {
        let lossy = Selective { sequence_gaps: 5, frames_undecodable: 2, ..kept() };
        assert_eq!(broken(Scenario::Switches, &lossy, Duration::from_secs(40), 1.0), [""; 0]);
    }
}
