//! Scores are ordered as they should be, and the mark does not blink.

use sluice_wire::time::Time;

use super::stability::{BAD_FOR, GOOD_FOR};
use super::*;
use crate::media::freezes::FreezeStats;

fn audio(percent: f64, delay_ms: u64) -> AudioQuality {
    AudioQuality { concealed: percent / 100.0, concealment_events: 0, delay: Duration::from_millis(delay_ms) }
}

const PERFECT: VideoQuality =
    VideoQuality { frozen: 0.0, freezes: 0, fps: 30.0, asked_fps: 30.0, height: 720, asked_height: 720 };

#[test]
fn the_e_model_has_its_published_values() {
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 0.01, "{value} {expected}");
    near(mean_opinion(93.2), 4.41);
    near(mean_opinion(50.0), 2.58);
    near(mean_opinion(0.0), 1.0);
    near(audio(0.0, 0).score(), 4.41);
    near(audio(0.0, 400).score(), mean_opinion(93.2 - 9.6 - 24.497));
    near(audio(5.0, 100).score(), mean_opinion(93.2 - 2.4 - 15.78));
}

#[test]
fn less_is_worse() {
    let falls = |scores: &[f64]| assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
    falls(&[0.0, 0.5, 1.0, 5.0, 20.0, 60.0].map(|percent| audio(percent, 100).score()));
    falls(&[0, 150, 300, 600].map(|delay| audio(0.0, delay).score()));
    falls(&[720, 360, 180].map(|height| VideoQuality { height, ..PERFECT }.score()));
    falls(&[30.0, 15.0, 7.5].map(|fps| VideoQuality { fps, ..PERFECT }.score()));
    falls(&[0.0, 0.01, 0.1].map(|frozen| VideoQuality { frozen, ..PERFECT }.score()));
    falls(&[0, 1, 4].map(|freezes| VideoQuality { freezes, ..PERFECT }.score()));
    assert_eq!(VideoQuality { height: 1_080, fps: 60.0, ..PERFECT }.score(), PERFECT.score());
}

#[test]
fn no_input_leaves_the_scale() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
        let audio = AudioQuality { concealed: value, concealment_events: 0, delay: Duration::MAX };
        let video = VideoQuality {
            frozen: value,
            freezes: u64::MAX,
            fps: value,
            asked_fps: value,
            height: 0,
            asked_height: u16::MAX,
        };
        let report = QualityReport { audio: Some(audio), video: Some(video), ..QualityReport::default() };
        assert!((1.0..=4.5).contains(&report.score().unwrap()), "{report:?}");
    }
    assert_eq!(QualityReport::default().score(), None);
}

#[test]
fn intervals_are_differences_of_totals() {
    let ms = Duration::from_millis;
    let before = AudioStats {
        played: 50,
        played_time: ms(1_000),
        concealed: ms(500),
        concealment_events: 7,
        delay_sum: ms(50 * 200),
        ..AudioStats::default()
    };
    let after = AudioStats {
        played: 98,
        played_time: ms(1_960),
        concealed: ms(540),
        concealment_events: 8,
        delay_sum: ms(50 * 200 + 48 * 30),
        ..AudioStats::default()
    };
    let quality = AudioQuality::between(&before, &after, ms(40));
    assert_eq!((quality.concealed, quality.concealment_events), (0.04, 1));
    assert_eq!(quality.delay, ms(40) + ms(30) + ENDS_DELAY);

    let freezes = FreezeStats { count: 1, frozen: ms(300), watched: ms(2_000) };
    let after = VideoStats { shown: 48, freezes, ..VideoStats::default() };
    let quality = VideoQuality::between(&VideoStats::default(), &after, ms(2_000), 360, (720, 30.0));
    assert_eq!(quality, VideoQuality { frozen: 0.15, freezes: 1, fps: 24.0, height: 360, ..PERFECT });
}

/// The change at each second, of reports that conceal so many percent.
fn changes(stability: &mut Stability, from: u64, percents: &[f64]) -> Vec<(u64, Change)> {
    let mut changes = Vec::new();
    for (second, percent) in (from..).zip(percents) {
        let report = QualityReport { audio: Some(audio(*percent, 100)), ..QualityReport::default() };
        let now = Time::ZERO + Duration::from_secs(second);
        changes.extend(stability.on_report(now, &report).map(|change| (second, change)));
    }
    changes
}

#[test]
fn a_bad_second_is_forgiven_and_a_good_one_not_believed() {
    let mut stability = Stability::default();
    assert_eq!(changes(&mut stability, 0, &[20.0, 20.0, 0.0, 20.0, 20.0, 0.0]), []);
    let became = changes(&mut stability, 10, &[20.0; 8]);
    assert_eq!(became, [(10 + BAD_FOR.as_secs(), Change::BecameUnstable)]);
    assert_eq!(changes(&mut stability, 20, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0]), []);
    assert!(stability.is_unstable());
    assert_eq!(changes(&mut stability, 30, &[4.0; 60]), [], "neither good nor bad");
    let became = changes(&mut stability, 100, &[0.0; 30]);
    assert_eq!(became, [(100 + GOOD_FOR.as_secs(), Change::BecameStable)]);
}

#[test]
fn each_measure_alone_makes_a_connection_unstable() {
    let good = QualityReport::default();
    let frozen = VideoQuality { frozen: 0.11, ..PERFECT };
    for bad in [
        QualityReport { loss: 0.2, ..good },
        QualityReport { rtt: Duration::from_millis(700), ..good },
        QualityReport { video: Some(frozen), ..good },
        QualityReport { audio: Some(audio(6.0, 0)), ..good },
        QualityReport { audio: Some(audio(0.0, 700)), ..good },
    ] {
        let mut stability = Stability::default();
        assert_eq!(stability.on_report(Time::ZERO, &bad), None);
        let change = stability.on_report(Time::ZERO + BAD_FOR, &bad);
        assert_eq!(change, Some(Change::BecameUnstable), "{bad:?}");
    }
    let mut stability = Stability::default();
    assert_eq!(stability.on_silence(Time::ZERO), None);
    assert_eq!(stability.on_silence(Time::ZERO + BAD_FOR), Some(Change::BecameUnstable));
    assert_eq!(stability.on_silence(Time::ZERO + BAD_FOR * 9), None);
}
