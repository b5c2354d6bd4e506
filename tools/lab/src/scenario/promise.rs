//! What is promised: a measure, a bound, and of whom and when it holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A promise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// What is measured.
    pub measure: Measure,
    /// It is kept if the measure is at least this.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// It is kept if the measure is at most this.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// The groups that it is about; all who receive unless said.
    #[serde(default)]
    pub of: Vec<String>,
    /// From when on it is measured; for the two measures of time, the moment from which time counts.
    #[serde(default = "default_from_s")]
    pub from_s: f64,
    /// Until when; to the end unless said.
    #[serde(default)]
    pub to_s: Option<f64>,
    /// The variants that it holds for: each name must have one of the values listed.
    #[serde(default)]
    pub when: BTreeMap<String, Vec<toml::Value>>,
}

/// People join and first key frames come before this.
const fn default_from_s() -> f64 {
    5.0
}

impl Promise {
    /// The promise in words: `frames_in_time >= 0.999`.
    #[must_use]
    pub fn text(&self) -> String {
        let lower = self.at_least.map(|bound| format!(" >= {bound}"));
        let upper = self.at_most.map(|bound| format!(" <= {bound}"));
        let of = if self.of.is_empty() { String::new() } else { format!(" of {}", self.of.join(", ")) };
        let name = self.measure.name();
        let window = match self.to_s {
            Some(to_s) => format!(", {} to {to_s} s", self.from_s),
            None if self.from_s != default_from_s() => format!(", from {} s", self.from_s),
            None => String::new(),
        };
        format!("{name}{}{}{of}{window}", lower.unwrap_or_default(), upper.unwrap_or_default())
    }

    /// Whether `value` is within the bounds.
    #[must_use]
    pub fn is_kept_by(&self, value: f64) -> bool {
        self.at_least.is_none_or(|bound| value >= bound) && self.at_most.is_none_or(|bound| value <= bound)
    }
}

/// What can be measured. Where several people are meant, the one who has it worst counts, except where something else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of the video frames of the selected layers that were complete within 150 ms of capture plus network delay.
    FramesInTime,
    /// Share of them that were complete at all.
    FramesComplete,
    /// Share of the frames that arrived whole and could be decoded.
    FramesDecodable,
    /// Share of the audio packets that were missing when they were to be played.
    AudioConcealed,
    /// Bytes of retransmissions and FEC towards the receiver per byte of media.
    RepairOverhead,
    /// The longest freeze of any picture, in seconds.
    LongestFreezeS,
    /// Freezes of all pictures per minute.
    FreezesPerMinute,
    /// Key frames that publishers sent per minute and encoding, the first of each not counted.
    KeyFramesPerMinute,
    /// Seconds from `from_s` until what is sent to the receiver fits its capacity, and stays so for a second.
    SecondsToFit,
    /// Seconds from `from_s` until what is received, over a second, is 90 % of what the layers allow within the capacity.
    SecondsToRecover,
    /// 95th percentile of the delay in the bottleneck's queue, in ms.
    QueueP95Ms,
    /// What is received, as a share of what the layers allow within the capacity.
    Utilisation,
    /// Jain's index of what the people in question received.
    Jain,
    /// The transfers' share of what got over the shared link of the people in question.
    TcpShare,
    /// The largest change of a neighbour's received bytes by those who are bad, as a share.
    NeighbourBytesChange,
    /// The largest growth of the key frames that a neighbour received per minute by those who are bad.
    NeighbourKeyFramesChange,
    /// The largest growth of a neighbour's number of freezes by those who are bad.
    NeighbourFreezesChange,
    /// Bytes that the router sent more to the person for each byte that the person sent more than an honest one.
    Amplification,
}

/// How the runs of several seeds become one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Counts of all runs together.
    Pooled,
    /// The largest.
    Largest,
    /// The smallest.
    Smallest,
}

impl Measure {
    /// The name as in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FramesInTime => "frames_in_time",
            Self::FramesComplete => "frames_complete",
            Self::FramesDecodable => "frames_decodable",
            Self::AudioConcealed => "audio_concealed",
            Self::RepairOverhead => "repair_overhead",
            Self::LongestFreezeS => "longest_freeze_s",
            Self::FreezesPerMinute => "freezes_per_minute",
            Self::KeyFramesPerMinute => "key_frames_per_minute",
            Self::SecondsToFit => "seconds_to_fit",
            Self::SecondsToRecover => "seconds_to_recover",
            Self::QueueP95Ms => "queue_p95_ms",
            Self::Utilisation => "utilisation",
            Self::Jain => "jain",
            Self::TcpShare => "tcp_share",
            Self::NeighbourBytesChange => "neighbour_bytes_change",
            Self::NeighbourKeyFramesChange => "neighbour_key_frames_change",
            Self::NeighbourFreezesChange => "neighbour_freezes_change",
            Self::Amplification => "amplification",
        }
    }

    /// Shares of counts are pooled over seeds; everything else is judged by the seed that has it worst.
    #[must_use]
    pub const fn aggregation(self) -> Aggregation {
        match self {
            Self::FramesInTime
            | Self::FramesComplete
            | Self::FramesDecodable
            | Self::AudioConcealed
            | Self::RepairOverhead => Aggregation::Pooled,
            Self::Utilisation | Self::Jain => Aggregation::Smallest,
            Self::LongestFreezeS
            | Self::FreezesPerMinute
            | Self::KeyFramesPerMinute
            | Self::SecondsToFit
            | Self::SecondsToRecover
            | Self::QueueP95Ms
            | Self::TcpShare
            | Self::NeighbourBytesChange
            | Self::NeighbourKeyFramesChange
            | Self::NeighbourFreezesChange
            | Self::Amplification => Aggregation::Largest,
        }
    }

    /// Whether it compares with a run without faults.
    #[must_use]
    pub const fn needs_baseline(self) -> bool {
        matches!(
            self,
            Self::NeighbourBytesChange
                | Self::NeighbourKeyFramesChange
                | Self::NeighbourFreezesChange
                | Self::Amplification
        )
    }

    /// Whether those who are bad are meant where no group is named, or those who are not.
    #[must_use]
    pub const fn is_of_neighbours(self) -> bool {
        matches!(
            self,
            Self::NeighbourBytesChange | Self::NeighbourKeyFramesChange | Self::NeighbourFreezesChange
        )
    }
}
