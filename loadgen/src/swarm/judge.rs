//! From what everybody saw to a verdict.

mod selective;

use std::time::Duration;

use hdrhistogram::Histogram;
use sluice_client::driver::{EndCause, ParticipantStats};

use super::config::SwarmConfig;
use super::director::Window;
use super::record::{Record, new_histogram};
use crate::ledger::Expected;
use crate::report::{Percentiles, Report, bits_per_second};

/// Broken promises that are told one by one; the rest is a number.
const MAX_ERRORS: usize = 20;

/// What a run gave, before it is judged.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) duration: Duration,
    pub(super) tracks_published: u64,
    pub(super) join_times: Vec<Duration>,
    /// UDP payload bytes that were sent and received while it was measured.
    pub(super) measured_bytes: (u64, u64),
    /// What a scenario measured.
    pub(super) window: Option<Window>,
    /// What went wrong on the way, in words.
    pub(super) errors: Vec<String>,
}

/// What one participant saw, when all is over.
pub(super) struct Testimony<'a> {
    pub(super) number: usize,
    pub(super) stats: ParticipantStats,
    pub(super) record: &'a Record,
}

/// Adds everything up and judges it.
pub(super) fn judge(config: &SwarmConfig, outcome: Outcome, testimonies: &[Testimony<'_>]) -> Report {
    let mut report = Report {
        duration_s: outcome.duration.as_secs_f64(),
        rooms: config.rooms.into(),
        participants: config.participants.into(),
        participants_connected: outcome.join_times.len() as u64,
        publishers: config.publishers.into(),
        tracks_published: outcome.tracks_published,
        join_ms: join_percentiles(&outcome.join_times),
        uplink_bps: bits_per_second(outcome.measured_bytes.0, outcome.duration),
        downlink_bps: bits_per_second(outcome.measured_bytes.1, outcome.duration),
        errors: outcome.errors.clone(),
        ..Report::default()
    };
    let (mut latency, mut pacing) = (new_histogram(), new_histogram());
    for testimony in testimonies {
        add_up(&mut report, testimony);
        merge(&mut latency, testimony.record.latency_us.as_ref());
        merge(&mut pacing, testimony.record.pacing_us.as_ref());
    }
    report.latency_us = latency.as_ref().and_then(Percentiles::of);
    report.pacing_us = pacing.as_ref().and_then(Percentiles::of);
    if let (Some(scenario), Some(window)) = (config.scenario, &outcome.window) {
        let selective = selective::sum_up(scenario, window, outcome.duration, testimonies);
        report.errors.extend(selective::broken(
            scenario,
            &selective,
            outcome.duration,
            config.allow_loss_percent,
        ));
        report.selective = Some(selective);
    }
    hold_against_promises(&mut report, config.allow_loss_percent);
    shorten(&mut report.errors);
    report.ok = report.errors.is_empty();
    report
}

fn add_up(report: &mut Report, testimony: &Testimony<'_>) {
    let Testimony { number, stats, record } = testimony;
    let media = &stats.media;
    let mut expected = Expected::default();
    for (slot, audit) in record.audits.iter().enumerate() {
        // What is to come depends on what the router selects: what came is held against that elsewhere.
        expected.frames += audit.intact;
        report.frames_received_intact += audit.intact;
        report.frames_corrupt += audit.corrupt;
        report.frames_unknown += audit.unknown;
        if !audit.is_flowing() {
            report.errors.push(format!("participant {number}: slot {slot} never showed anything"));
        }
    }
    if !record.audits.is_empty() {
        expected.packets = media.rtp_received + media.rtp_lost;
    }
    for (slot, subscription) in record.subscriptions.iter().enumerate() {
        let due = subscription.expected();
        expected.frames += due.frames;
        expected.packets += due.packets;
        report.frames_received_intact += subscription.intact;
        report.frames_corrupt += subscription.corrupt;
        report.frames_unknown += subscription.unknown;
        report.frames_missing += due.frames.saturating_sub(subscription.intact);
        if !subscription.is_flowing() {
            let (publisher, track) = (subscription.track.participant().get(), subscription.track.number().0);
            report.errors.push(format!(
                "participant {number}: slot {slot} never showed track {track} of participant id {publisher}"
            ));
        }
    }
    // Gaps in the sequences do not show what is missing at their ends; what was sent and what came does.
    let lost = media.rtp_lost.max(expected.packets.saturating_sub(media.rtp_received));
    if lost == 0 && media.rtp_received > expected.packets {
        let excess = media.rtp_received - expected.packets;
        report
            .errors
            .push(format!("participant {number} got {excess} RTP packets more than were sent to it"));
    }
    report.subscriptions += (record.subscriptions.len() + record.audits.len()) as u64;
    report.subscriptions_flowing += record.flowing as u64;
    report.rtp_sent += media.rtp_sent;
    report.rtp_expected += expected.packets;
    report.rtp_received += media.rtp_received;
    report.rtp_lost += lost;
    report.frames_sent += record.frames_sent;
    report.frames_expected += expected.frames;
    report.frames_corrupt += record.misplaced;
    report.auth_failures += media.auth_failures;
    report.datagrams_dropped += media.replayed + media.malformed;
    report.key_frame_requests += media.key_frame_requests_received;
    report.sessions_lost += stats.sessions_lost;
    if let Some(cause) = record.ended.as_ref().filter(|cause| **cause != EndCause::Left) {
        report.errors.push(format!("participant {number} was put out: {cause:?}"));
    }
    let unsent = stats.sends_failed + media.transmits_lost;
    if unsent > 0 {
        report.errors.push(format!(
            "participant {number} could not send {unsent} datagrams: this machine is too small"
        ));
    }
}

fn hold_against_promises(report: &mut Report, allow_loss_percent: f64) {
    let mut errors = Vec::new();
    let mut must_be_none = |count: u64, what: &str| {
        if count > 0 {
            errors.push(format!("{count} {what}"));
        }
    };
    must_be_none(
        report.participants.saturating_sub(report.participants_connected),
        "participants did not get in",
    );
    must_be_none(
        report.subscriptions.saturating_sub(report.subscriptions_flowing),
        "subscriptions never showed a frame",
    );
    must_be_none(report.frames_corrupt, "frames came otherwise than they were sent");
    must_be_none(report.frames_unknown, "frames came that nobody sent");
    must_be_none(report.auth_failures, "datagrams did not authenticate");
    must_be_none(report.sessions_lost, "media sessions were lost");
    // A lost packet breaks one frame at most, so that without loss not a single frame may be missing.
    must_be_none(
        report.frames_missing.saturating_sub(report.rtp_lost),
        "frames are missing that no lost packet explains",
    );
    let lost_percent = 100.0 * report.rtp_lost as f64 / (report.rtp_expected.max(1)) as f64;
    if report.rtp_lost > 0 && lost_percent > allow_loss_percent {
        errors.push(format!(
            "{} of {} RTP packets were lost ({lost_percent:.3} %, allowed are {allow_loss_percent} %)",
            report.rtp_lost, report.rtp_expected
        ));
    }
    if report.subscriptions == 0 || report.rtp_received == 0 {
        errors.push("nobody received anything".to_owned());
    }
    // The sums say more than the single cases, so they come first.
    errors.append(&mut report.errors);
    report.errors = errors;
}

fn shorten(errors: &mut Vec<String>) {
    let more = errors.len().saturating_sub(MAX_ERRORS);
    if more > 0 {
        errors.truncate(MAX_ERRORS);
        errors.push(format!("and {more} more"));
    }
}

fn join_percentiles(times: &[Duration]) -> Percentiles {
    let Some(mut histogram) = new_histogram() else { return Percentiles::default() };
    for time in times {
        histogram.saturating_record(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
    Percentiles::of(&histogram).unwrap_or_default()
}

fn merge(all: &mut Option<Histogram<u64>>, one: Option<&Histogram<u64>>) {
    if let (Some(all), Some(one)) = (all, one) {
        // All have the same bounds, so there is nothing that does not fit.
        all.add(one).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
