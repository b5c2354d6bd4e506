use std::sync::{Arc, Mutex};

use sluice_client::driver::SentFrame;
use sluice_client::media::packetize::FrameLayer;
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackNumber};

use super::*;
use crate::ledger::{Subscription, TrackLedger, lock};

fn config() -> SwarmConfig {
    SwarmConfig::one_room("http://127.0.0.1:1", 2, 1).unwrap()
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// Ten frames of two packets were sent; these came, and so many packets.
fn testimony(frames: &[u64], packets: u64) -> (Record, ParticipantStats) {
    let ledger = Arc::new(Mutex::new(TrackLedger::default()));
    for number in 0..10 {
        let (captured_at, handed_at) = (at(number * 20), at(number * 20 + 1));
        let frame = SentFrame {
            track: TrackNumber::CAMERA,
            encoding: 0,
            captured_at,
            handed_at,
            hash: number,
            packets: 2,
            bytes: 1_500,
            key: number == 0,
            layer: FrameLayer::default(),
        };
        lock(&ledger).record(&frame);
    }
    let mut record = Record::new();
    let mut subscription = Subscription::new(TrackId::from_bits(0x101).unwrap(), ledger);
    for number in frames {
        subscription.on_frame(Time::from_ntp(at(number * 20).to_ntp()), *number);
    }
    record.flowing = usize::from(subscription.is_flowing());
    record.subscriptions.push(subscription);
    let mut stats = ParticipantStats::default();
    stats.media.rtp_received = packets;
    (record, stats)
}

fn judged(config: &SwarmConfig, record: &Record, stats: ParticipantStats) -> Report {
    let outcome = Outcome {
        duration: Duration::from_secs(1),
        tracks_published: 1,
        join_times: vec![Duration::from_millis(12); 2],
        ..Outcome::default()
    };
    judge(config, outcome, &[Testimony { number: 1, stats, record }])
}

#[test]
fn all_that_was_sent_came() {
    let (record, stats) = testimony(&[2, 3, 4, 5, 6, 7, 8, 9], 16);
    let report = judged(&config(), &record, stats);
    assert_eq!(report.errors, [""; 0]);
    assert!(report.ok);
    assert_eq!((report.rtp_expected, report.rtp_received, report.rtp_lost), (16, 16, 0));
    assert_eq!((report.frames_expected, report.frames_received_intact, report.frames_missing), (8, 8, 0));
    assert_eq!(report.join_ms, Percentiles { p50: 12, p99: 12, max: 12 });
    assert_eq!(report.latency_us, None);
}

#[test]
fn what_is_lost_at_the_end_shows_too() {
    let (record, stats) = testimony(&[0, 1, 2, 3, 4, 5, 6, 7, 8], 18);
    let report = judged(&config(), &record, stats);
    assert_eq!((report.ok, report.rtp_lost, report.frames_missing), (false, 2, 1));
    assert_eq!(report.errors, ["2 of 20 RTP packets were lost (10.000 %, allowed are 0 %)"]);
    let lenient = SwarmConfig { allow_loss_percent: 10.0, ..config() };
    assert!(judged(&lenient, &record, stats).ok);
    let strict = SwarmConfig { allow_loss_percent: 9.9, ..config() };
    assert!(!judged(&strict, &record, stats).ok);
}

#[test]
fn frames_must_not_vanish_when_packets_do_not() {
    let (record, stats) = testimony(&[0, 1, 2, 5, 6, 7, 8, 9], 20);
    let report = judged(&config(), &record, stats);
    assert_eq!(report.errors, ["2 frames are missing that no lost packet explains"]);
}

#[test]
fn packets_that_nobody_sent_are_suspicious() {
    let (record, stats) = testimony(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 21);
    let report = judged(&config(), &record, stats);
    assert_eq!(report.errors, ["participant 1 got 1 RTP packets more than were sent to it"]);
}

#[test]
fn every_broken_promise_is_named() {
    type Break = fn(&mut Record, &mut ParticipantStats);
    let cases: [(Break, &str); 7] = [
        (|record, _| record.misplaced = 1, "1 frames came otherwise"),
        (|record, _| record.subscriptions[0].corrupt = 2, "2 frames came otherwise"),
        (|record, _| record.subscriptions[0].unknown = 3, "3 frames came that nobody sent"),
        (|_, stats| stats.media.auth_failures = 4, "4 datagrams did not authenticate"),
        (|_, stats| stats.sessions_lost = 1, "1 media sessions were lost"),
        (|record, _| record.ended = Some(EndCause::MeetingEnded), "participant 1 was put out: MeetingEnded"),
        (|_, stats| stats.sends_failed = 5, "participant 1 could not send 5 datagrams"),
    ];
    for (break_it, words) in cases {
        let (mut record, mut stats) = testimony(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 20);
        break_it(&mut record, &mut stats);
        let report = judged(&config(), &record, stats);
        assert!(!report.ok);
        assert!(report.errors.len() == 1 && report.errors[0].starts_with(words), "{:?}", report.errors);
    }
}

#[test]
fn a_subscription_without_a_frame_is_a_broken_promise() {
    let (record, stats) = testimony(&[], 0);
    let report = judged(&config(), &record, stats);
    assert_eq!(
        report.errors,
        [
            "1 subscriptions never showed a frame",
            "nobody received anything",
            "participant 1: slot 0 never showed track 1 of participant id 1"
        ]
    );
}

#[test]
fn whoever_did_not_get_in_is_missed_and_long_lists_are_cut() {
    let (record, stats) = testimony(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 20);
    let errors = (0..30).map(|number| format!("participant {number}: no")).collect();
    let outcome = Outcome { errors, ..Outcome::default() };
    let report = judge(&config(), outcome, &[Testimony { number: 0, stats, record: &record }]);
    assert_eq!(report.errors.len(), 21);
    assert_eq!(report.errors[0], "2 participants did not get in");
    assert_eq!(report.errors[20], "and 11 more");
}
