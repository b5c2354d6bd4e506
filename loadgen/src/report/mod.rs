//! The outcome of a run: numbers, and whether every promise was kept.

mod file;
mod selective;
mod table;

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

pub use self::file::{ReportFile, ReportFileError};
pub use self::selective::{ReceiverRates, Selective};
pub use self::table::table;

/// Percentiles of something measured; the unit is in the name of the field that holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: u64,
    /// 99 of 100 are not above it.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Percentiles {
    /// The percentiles of a histogram; `None` if it is empty.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            p50: histogram.value_at_quantile(0.50),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        })
    }
}

/// The outcome of a run. The counts are of the whole run, from the first join to the last packet; `latency_us` and `pacing_us`
/// are of the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether every promise was kept; if not, `errors` says which was broken.
    pub ok: bool,
    /// How long it was measured, in seconds.
    pub duration_s: f64,
    /// Meetings.
    pub rooms: u64,
    /// Participants who were to join.
    pub participants: u64,
    /// Participants whom signaling let in and the router answered.
    pub participants_connected: u64,
    /// Participants who were to publish.
    pub publishers: u64,
    /// Tracks published.
    pub tracks_published: u64,
    /// Slots that were to show a track.
    pub subscriptions: u64,
    /// Of these, how many showed at least one frame.
    pub subscriptions_flowing: u64,
    /// RTP packets that publishers sent.
    pub rtp_sent: u64,
    /// RTP packets that receivers were to get: for each subscription what its publisher sent from the subscription's first
    /// frame on.
    pub rtp_expected: u64,
    /// RTP packets that receivers got and that authenticated.
    pub rtp_received: u64,
    /// RTP packets that did not arrive: those that the receivers' sequences lack, or those expected and not received,
    /// whichever are more.
    pub rtp_lost: u64,
    /// Frames that publishers sent.
    pub frames_sent: u64,
    /// Frames that receivers were to get, from each subscription's first on.
    pub frames_expected: u64,
    /// Frames that arrived bit for bit as they were sent.
    pub frames_received_intact: u64,
    /// Frames that arrived otherwise, or on a slot that is not theirs.
    pub frames_corrupt: u64,
    /// Frames that nobody remembers to have sent.
    pub frames_unknown: u64,
    /// Frames that are missing.
    pub frames_missing: u64,
    /// Datagrams whose tag did not verify, at the clients.
    pub auth_failures: u64,
    /// Datagrams that the clients dropped for another reason: seen before, or none of the protocol's.
    pub datagrams_dropped: u64,
    /// Key frames that the router asked publishers for.
    pub key_frame_requests: u64,
    /// Media sessions that were lost and replaced during the run.
    pub sessions_lost: u64,
    /// From the first byte of the WebSocket's connection to the first authenticated answer of the router, in milliseconds.
    pub join_ms: Percentiles,
    /// From the moment that a frame is handed to its sender's session to the arrival of its last packet at a receiver, in
    /// microseconds. The capture time in the packets says which frame it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<Percentiles>,
    /// How late the load tester itself was: from a frame's capture time to when it was handed to its session, in
    /// microseconds. If this is large, the machine is busy and the run says little about the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pacing_us: Option<Percentiles>,
    /// What publishers sent on average while they published, in UDP payload bits per second, all together.
    pub uplink_bps: u64,
    /// What receivers got on average during that time, in UDP payload bits per second, all together.
    pub downlink_bps: u64,
    /// What a scenario adds; its fields stand beside the others.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub selective: Option<Selective>,
    /// Broken promises, in words.
    pub errors: Vec<String>,
}

/// Bits per second of so many bytes in a time; 0 if there was no time.
#[must_use]
pub(crate) fn bits_per_second(bytes: u64, during: Duration) -> u64 {
    let millis = u64::try_from(during.as_millis()).unwrap_or(u64::MAX);
    bytes.saturating_mul(8_000).checked_div(millis).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        assert_eq!(Percentiles::of(&histogram), None);
        (1..=100).for_each(|value| histogram.record(value).unwrap());
        assert_eq!(Percentiles::of(&histogram), Some(Percentiles { p50: 50, p99: 99, max: 100 }));
    }

    #[test]
    fn what_cannot_be_measured_is_absent_from_the_json() {
        let json = serde_json::to_value(Report::default()).unwrap();
        assert!(json.get("latency_us").is_none());
        for field in ["ok", "participants", "tracks_published", "subscriptions", "rtp_sent", "rtp_received"] {
            assert!(json.get(field).is_some(), "{field}");
        }
        for field in ["rtp_lost", "frames_sent", "frames_received_intact", "frames_corrupt", "auth_failures"]
        {
            assert_eq!(json[field], 0, "{field}");
        }
        assert_eq!(json["join_ms"]["p99"], 0);
    }

    #[test]
    fn a_scenarios_figures_stand_beside_the_others() {
        let receiver = ReceiverRates {
            participant: 3,
            egress_bits_per_second: 101,
            selected_layers_bits_per_second: 100,
            ratio: 1.01,
        };
        let selective = Selective {
            scenario: "gallery25".to_owned(),
            switch_ms: Some(Percentiles::default()),
            first_frame_ms: Some(Percentiles::default()),
            receivers: vec![receiver, ReceiverRates { ratio: 0.99, ..receiver }],
            ..Selective::default()
        };
        assert_eq!((selective.ratios(), selective.mean_rates()), (Some((0.99, 1.01)), (101, 100)));
        let report = Report { selective: Some(selective), ..Report::default() };
        let json = serde_json::to_value(&report).unwrap();
        for field in ["frames_undecodable", "sequence_gaps", "freeze_ratio", "uplink_saved_bits_per_second"] {
            assert_eq!(json[field], 0.0, "{field}");
        }
        assert_eq!((&json["switch_ms"]["p99"], &json["first_frame_ms"]["p50"]), (&0.into(), &0.into()));
        assert_eq!(json["receivers"][0]["egress_bits_per_second"], 101);
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
        let plain = serde_json::to_value(Report::default()).unwrap();
        assert!(plain.get("frames_undecodable").is_none());
        assert_eq!(serde_json::from_value::<Report>(plain).unwrap(), Report::default());
    }

    #[test]
    fn rates_are_bits_per_second() {
        assert_eq!(bits_per_second(1_000, Duration::from_secs(2)), 4_000);
        assert_eq!(bits_per_second(1_000, Duration::ZERO), 0);
    }
}
