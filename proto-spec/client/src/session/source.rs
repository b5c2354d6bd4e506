//! What a slot shows: the packets of one track become frames.

use std::collections::VecDeque;

use sluice_wire::ext::{FrameMarking, MediaExtensions};
use sluice_wire::rtp::RtpPacket;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use super::ReceivedFrame;
use crate::media::Codec;
use crate::media::depacketize::{AssembledFrame, Depacketizer, FrameEdges, MediaPacket};
use crate::media::dependencies::{Dependencies, FrameFacts};

/// Frames of which something is remembered until they are whole.
const MAX_OPEN_FRAMES: usize = 128;

/// What is known of a frame from its packets' headers.
#[derive(Clone, Copy, Debug)]
struct FrameHead {
    timestamp: u32,
    captured_at: Option<Time>,
    received_at: Time,
    /// Of any of its packets, with the highest spatial layer of all.
    marking: Option<FrameMarking>,
}

/// A run of packets of one track on a slot.
#[derive(Debug)]
pub(super) struct Source {
    slot: u16,
    pub(super) track: TrackId,
    pub(super) codec: Codec,
    /// No packet before this one is of the source.
    pub(super) first_index: u64,
    depacketizer: Depacketizer,
    heads: VecDeque<FrameHead>,
    dependencies: Dependencies,
}

impl Source {
    /// A source whose first packet is that of `first_index`.
    pub(super) fn new(slot: u16, track: TrackId, codec: Codec, first_index: u64) -> Self {
        Self {
            slot,
            track,
            codec,
            first_index,
            depacketizer: Depacketizer::starting_at(codec, first_index),
            heads: VecDeque::new(),
            dependencies: Dependencies::default(),
        }
    }

    pub(super) fn broken_frames(&self) -> u64 {
        self.depacketizer.stats().broken_frames
    }

    /// Whether nothing can be decoded before a key frame comes. While the first frame is coming in there is no reason to think so.
    pub(super) const fn needs_key_frame(&self) -> bool {
        let stats = self.depacketizer.stats();
        let has_begun = stats.frames > 0 || stats.broken_frames > 0;
        self.codec.is_video() && has_begun && self.dependencies.needs_key_frame()
    }

    /// Takes in a packet; frames that it completes go to `frames`.
    pub(super) fn push(
        &mut self,
        now: Time,
        index: u64,
        rtp: &RtpPacket<'_>,
        extensions: &MediaExtensions,
        frames: &mut Vec<ReceivedFrame>,
    ) {
        self.note_head(now, rtp.timestamp(), extensions);
        let packet = MediaPacket {
            index,
            timestamp: rtp.timestamp(),
            marker: rtp.marker(),
            edges: extensions
                .frame_marking
                .map(|marking| FrameEdges { start: marking.start, end: marking.end }),
            payload: rtp.payload(),
        };
        let mut assembled = Vec::new();
        self.depacketizer.push(packet, &mut |frame| assembled.push(frame));
        self.deliver(assembled, frames);
    }

    /// Gives up packets that will not come, by `is_hopeless`; frames behind them go to `frames`.
    pub(super) fn give_up_gaps(
        &mut self,
        is_hopeless: impl Fn(u64) -> bool,
        frames: &mut Vec<ReceivedFrame>,
    ) {
        let mut assembled = Vec::new();
        while let Some(missing) = self.depacketizer.missing_since().filter(|index| is_hopeless(*index)) {
            self.depacketizer.give_up_before(missing + 1, &mut |frame| assembled.push(frame));
        }
        self.deliver(assembled, frames);
    }

    fn note_head(&mut self, now: Time, timestamp: u32, extensions: &MediaExtensions) {
        let marking = extensions.frame_marking;
        if let Some(head) = self.heads.iter_mut().rev().find(|head| head.timestamp == timestamp) {
            head.received_at = now;
            if let (Some(known), Some(marking)) = (&mut head.marking, marking) {
                known.layer_id = known.layer_id.max(marking.layer_id);
            }
            return;
        }
        if self.heads.len() >= MAX_OPEN_FRAMES {
            self.heads.pop_front();
        }
        let captured_at = extensions.capture_time.and_then(|time| Time::from_ntp(time.0));
        self.heads.push_back(FrameHead { timestamp, captured_at, received_at: now, marking });
    }

    fn deliver(&mut self, assembled: Vec<AssembledFrame>, frames: &mut Vec<ReceivedFrame>) {
        for frame in assembled {
            let position = self.heads.iter().position(|head| head.timestamp == frame.timestamp);
            let head = position.and_then(|position| self.heads.remove(position)).unwrap_or(FrameHead {
                timestamp: frame.timestamp,
                captured_at: None,
                received_at: Time::ZERO,
                marking: None,
            });
            let facts = FrameFacts { key: frame.key, follows_gap: frame.follows_gap, marking: head.marking };
            frames.push(ReceivedFrame {
                slot: self.slot,
                track: self.track,
                codec: self.codec,
                frame,
                is_decodable: !self.codec.is_video() || self.dependencies.judge(&facts),
                temporal_id: head.marking.map_or(0, |marking| marking.temporal_id),
                captured_at: head.captured_at,
                received_at: head.received_at,
            });
        }
    }
}
