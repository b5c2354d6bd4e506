//! What a scenario adds to a report.

use serde::{Deserialize, Serialize};

use super::Percentiles;

/// What one receiver got while it was measured, and what its layers were at their senders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReceiverRates {
    /// Position among all participants, from 0.
    pub participant: u64,
    /// What came, in UDP payload bits per second, control included.
    pub egress_bits_per_second: u64,
    /// What the layers that its slots showed were at their senders: frames, and headers and tag of their packets.
    pub selected_layers_bits_per_second: u64,
    /// The first by the second; 0 without a second.
    pub ratio: f64,
}

/// The figures of selective forwarding. Counts are of the whole run; ratios and rates of the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selective {
    /// The scenario.
    pub scenario: String,
    /// Frames that came whole and cannot be decoded: something that they refer to did not come.
    pub frames_undecodable: u64,
    /// Frames of a larger encoding than the slot asked for.
    pub frames_oversized: u64,
    /// RTP packets that the slots' sequences lack.
    pub sequence_gaps: u64,
    /// Changes of the encoding that a slot shows of a track.
    pub layer_switches: u64,
    /// The same of whom had the fewest.
    pub layer_switches_fewest: u64,
    /// Encodings that had not come when another was asked for in their slot, or the run ended.
    pub switches_overdue: u64,
    /// From asking for another encoding to its first frame, in milliseconds; one that did not come counts with the time that it was
    /// waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_ms: Option<Percentiles>,
    /// From asking for what a slot is to show to its first frame, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_frame_ms: Option<Percentiles>,
    /// Changes of the track in slots that follow speakers or play voices.
    pub source_changes: u64,
    /// Freezes of pictures, as the W3C's WebRTC statistics define them.
    pub freezes: u64,
    /// The share of the watched time in which a picture was frozen.
    pub freeze_ratio: f64,
    /// What publishers did not send since nobody wanted it, in bits per second, without headers, all together.
    pub uplink_saved_bits_per_second: u64,
    /// For every receiver what came against what was selected.
    pub receivers: Vec<ReceiverRates>,
}

impl Selective {
    /// The smallest and the largest ratio of what came to what was selected.
    #[must_use]
    pub fn ratios(&self) -> Option<(f64, f64)> {
        let ratios = || self.receivers.iter().map(|receiver| receiver.ratio);
        ratios().reduce(f64::min).zip(ratios().reduce(f64::max))
    }

    /// What receivers got and what was selected for them on average, in bits per second.
    #[must_use]
    pub fn mean_rates(&self) -> (u64, u64) {
        let mean = |of: fn(&ReceiverRates) -> u64| {
            self.receivers.iter().map(of).sum::<u64>().checked_div(self.receivers.len() as u64).unwrap_or(0)
        };
        (
            mean(|receiver| receiver.egress_bits_per_second),
            mean(|receiver| receiver.selected_layers_bits_per_second),
        )
    }
}
