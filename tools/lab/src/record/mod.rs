//! What happened in a run: per person, every 100 ms.

mod expected;
mod playout;
mod published;
mod receiver;

use serde::Serialize;
use sluice_wire::ssrc::{StreamIndex, StreamRole};

pub use published::{Published, PublishedFrame};
pub use receiver::{Network, Receiver};

use crate::scenario::Scenario;

/// One run of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// The seed that brings it back.
    pub seed: u64,
    /// Everybody.
    pub people: Vec<PersonRecord>,
    /// The shared links.
    pub shared: Vec<SharedRecord>,
}

/// What happened to one person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonRecord {
    /// Who.
    pub name: String,
    /// The group.
    pub group: String,
    /// Whether others must not notice them.
    pub bad: bool,
    /// Whether they send camera and voice.
    pub publishes: bool,
    /// Whether they receive anything.
    pub receives: bool,
    /// The shared link that they are behind, by number.
    pub behind: Option<usize>,
    /// Everything over time.
    pub series: Series,
    /// Freezes of pictures.
    pub freezes: Vec<Freeze>,
}

/// A freeze: the time between two pictures that could be shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Freeze {
    /// When the picture before was shown, in seconds of the run.
    pub from_s: f64,
    /// How long it stayed, in seconds.
    pub seconds: f64,
}

/// What happened on a shared link.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SharedRecord {
    /// Which.
    pub name: String,
    /// Bytes per sample that the transfers got over it.
    pub tcp_bytes: Vec<u64>,
}

/// Columns with one entry per sample. Frames and audio packets count where they were captured, everything else where it happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// What the router sent to the person, all together, in bytes of UDP payload.
    pub sent_bytes: Vec<u64>,
    /// Of these, media.
    pub media_bytes: Vec<u64>,
    /// Of these, retransmissions.
    pub rtx_bytes: Vec<u64>,
    /// Of these, FEC.
    pub fec_bytes: Vec<u64>,
    /// Of these, padding that probes the path.
    pub padding_bytes: Vec<u64>,
    /// What came to the person.
    pub received_bytes: Vec<u64>,
    /// What the person sent.
    pub up_bytes: Vec<u64>,
    /// What the router thinks that it may send to the person, in bit/s; nothing where it does not estimate.
    pub estimate_bps: Vec<Option<u64>>,
    /// What the person's bottleneck carries, in bit/s; nothing where there is none. An equal share of it where several are behind it.
    pub capacity_bps: Vec<Option<u64>>,
    /// What the layers of all that the person wants allow within that, in bit/s.
    pub usable_bps: Vec<u64>,
    /// The longest that a packet would have had to wait in the bottleneck's queue, in ms.
    pub queue_ms: Vec<f64>,
    /// The same every 10 ms, with its sample.
    #[serde(skip)]
    pub queue_often: Vec<(usize, f32)>,
    /// Share of the packets towards the person that the network lost.
    pub loss: Vec<f64>,
    /// Video frames of the layers that were selected for the person.
    pub frames_expected: Vec<u32>,
    /// Of these, complete within 150 ms of capture plus network delay.
    pub frames_in_time: Vec<u32>,
    /// Of these, complete at any time.
    pub frames_complete: Vec<u32>,
    /// Frames that came whole.
    pub frames_whole: Vec<u32>,
    /// Of these, such that could not be decoded.
    pub frames_undecodable: Vec<u32>,
    /// Whole frames that a decoder can begin with.
    pub key_frames: Vec<u32>,
    /// Audio packets that were published for the person.
    pub audio_expected: Vec<u32>,
    /// Of these, missing when they were to be played.
    pub audio_concealed: Vec<u32>,
    /// Key frames that the person's client asked for.
    pub key_frame_requests: Vec<u32>,
    /// Key frames that the person sent, the first of each encoding not counted.
    pub key_frames_sent: Vec<u32>,
}

impl Series {
    /// Empty columns of `samples` entries.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        let (bytes, counts) = (vec![0; samples], vec![0; samples]);
        Self {
            sent_bytes: bytes.clone(),
            media_bytes: bytes.clone(),
            rtx_bytes: bytes.clone(),
            fec_bytes: bytes.clone(),
            padding_bytes: bytes.clone(),
            received_bytes: bytes.clone(),
            up_bytes: bytes.clone(),
            estimate_bps: vec![None; samples],
            capacity_bps: vec![None; samples],
            usable_bps: bytes,
            queue_ms: vec![0.0; samples],
            queue_often: Vec::new(),
            loss: vec![0.0; samples],
            frames_expected: counts.clone(),
            frames_in_time: counts.clone(),
            frames_complete: counts.clone(),
            frames_whole: counts.clone(),
            frames_undecodable: counts.clone(),
            key_frames: counts.clone(),
            audio_expected: counts.clone(),
            audio_concealed: counts.clone(),
            key_frame_requests: counts.clone(),
            key_frames_sent: counts,
        }
    }

    pub(crate) const fn column_of(&mut self, sort: Sort) -> Option<&mut Vec<u64>> {
        match sort {
            Sort::Media => Some(&mut self.media_bytes),
            Sort::Rtx => Some(&mut self.rtx_bytes),
            Sort::Fec => Some(&mut self.fec_bytes),
            Sort::Padding => Some(&mut self.padding_bytes),
            Sort::Control => None,
        }
    }
}

/// What a datagram carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Media, sent for the first time.
    Media,
    /// A retransmission.
    Rtx,
    /// Forward error correction.
    Fec,
    /// Padding.
    Padding,
    /// Anything else.
    #[default]
    Control,
}

impl Sort {
    /// By the place of its SSRC in the block. Padding is on the RTX SSRC of the control stream.
    #[must_use]
    pub const fn of(stream: StreamIndex, role: StreamRole) -> Self {
        match role {
            StreamRole::Rtx if stream.0 == StreamIndex::CONTROL.0 => Self::Padding,
            StreamRole::Media => Self::Media,
            StreamRole::Rtx => Self::Rtx,
            StreamRole::Fec => Self::Fec,
        }
    }
}

/// How many samples a scenario has.
#[must_use]
pub fn samples(scenario: &Scenario) -> usize {
    (scenario.seconds / crate::SAMPLE_SECONDS).round().max(1.0) as usize
}
