//! RTP payloads to frames: puts packets in order within a bounded window and gives every frame whose packets all arrived,
//! bit for bit as the encoder made it.
//!
//! In-order packets are copied once, straight into the frame. Only packets behind a gap are kept aside.

mod assembly;
mod history;

use std::collections::BTreeMap;

use super::Codec;
use assembly::Assembly;
use history::History;

/// How many packets past a gap are awaited before the gap is given up, for video: about three seconds of a 3 Mbit/s stream,
/// longer than any repair takes, and more than the largest key frames have.
pub const VIDEO_WINDOW_PACKETS: u64 = 1_024;
/// The same for audio: 1.28 s of packets of 20 ms.
pub const AUDIO_WINDOW_PACKETS: u64 = 64;
/// How many payload bytes are kept aside behind a gap: a full video window of the largest datagrams.
pub const MAX_PENDING_BYTES: usize = 1_228_800;
/// The largest frame that is put together: ten times a generous key frame of a 4K screen share is still not a leak.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// Where a packet stands in its frame, as frame marking says (bits S and E of RFC 9626).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameEdges {
    /// First packet of the frame.
    pub start: bool,
    /// Last packet of the frame.
    pub end: bool,
}

/// One received packet of a stream, duplicates and reordering included, padding and header taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaPacket<'a> {
    /// The sequence number, extended so that it never wraps.
    pub index: u64,
    /// The RTP timestamp.
    pub timestamp: u32,
    /// The RTP marker bit.
    pub marker: bool,
    /// Frame marking, if the packet has it. Without, H.264 frames behind a gap are recognised only one frame later, and so is
    /// the stream's first.
    pub edges: Option<FrameEdges>,
    /// The RTP payload.
    pub payload: &'a [u8],
}

/// A frame all of whose packets arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssembledFrame {
    /// The RTP timestamp of its packets.
    pub timestamp: u32,
    /// The index of its first packet.
    pub first_index: u64,
    /// The frame as the encoder made it: a VP8 frame, an access unit with start codes of four bytes, or an Opus packet.
    pub data: Vec<u8>,
    /// Whether decoding can start here.
    pub key: bool,
    /// Whether something is missing between the frame that was given before and this one.
    pub follows_gap: bool,
}

/// What happened to a stream, in numbers since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepacketizerStats {
    /// Frames given.
    pub frames: u64,
    /// Frames of which at least one packet arrived and which could not be put together. Frames that vanished without a trace
    /// are not in it.
    pub broken_frames: u64,
    /// Packets that were given up.
    pub lost_packets: u64,
    /// Packets that arrived again.
    pub duplicate_packets: u64,
    /// Packets that arrived after they had been given up, before the stream's first packet, or too long after.
    pub late_packets: u64,
    /// Packets whose payload breaks its format.
    pub malformed_packets: u64,
}

/// A packet that waits for an earlier one.
#[derive(Clone, Debug)]
struct Pending {
    timestamp: u32,
    marker: bool,
    edges: Option<FrameEdges>,
    payload: Box<[u8]>,
}

/// Puts the frames of one RTP stream together.
#[derive(Clone, Debug)]
pub struct Depacketizer {
    window_packets: u64,
    /// The index that continues the stream; `None` before the first packet.
    next: Option<u64>,
    pending: BTreeMap<u64, Pending>,
    pending_bytes: usize,
    history: History,
    assembly: Assembly,
    stats: DepacketizerStats,
}

impl Depacketizer {
    /// A depacketizer of a stream that begins with whatever packet arrives first.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self {
            window_packets: if codec.is_video() { VIDEO_WINDOW_PACKETS } else { AUDIO_WINDOW_PACKETS },
            next: None,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            history: History::new(),
            assembly: Assembly::new(codec),
            stats: DepacketizerStats {
                frames: 0,
                broken_frames: 0,
                lost_packets: 0,
                duplicate_packets: 0,
                late_packets: 0,
                malformed_packets: 0,
            },
        }
    }

    /// A depacketizer of a stream that begins with packet `index`, which may be still on its way.
    #[must_use]
    pub const fn starting_at(codec: Codec, index: u64) -> Self {
        let mut depacketizer = Self::new(codec);
        depacketizer.next = Some(index);
        depacketizer
    }

    /// Takes a packet and gives every frame that it completes to `sink`, in order.
    ///
    /// A gap holds back what is behind it until it is filled, until [`Self::give_up_before`], or until the window is full
    /// ([`VIDEO_WINDOW_PACKETS`], [`AUDIO_WINDOW_PACKETS`], [`MAX_PENDING_BYTES`]).
    pub fn push(&mut self, packet: MediaPacket<'_>, sink: &mut impl FnMut(AssembledFrame)) {
        let next = *self.next.get_or_insert(packet.index);
        if packet.index < next {
            self.count_stale(packet.index, next);
        } else if packet.index == next {
            self.take_in_order(packet, sink);
            self.take_pending(sink);
        } else if self.pending.contains_key(&packet.index) {
            self.stats.duplicate_packets += 1;
        } else {
            self.keep(packet);
            self.shrink_to_window(packet.index, sink);
        }
    }

    /// Gives up what is missing before `index`, and gives the frames behind it that are complete. For a caller that knows
    /// that repair comes too late.
    pub fn give_up_before(&mut self, index: u64, sink: &mut impl FnMut(AssembledFrame)) {
        while let Some(next) = self.next.filter(|&next| next < index) {
            let target = self.first_pending().map_or(index, |first| first.min(index));
            self.skip(next, target);
            self.take_pending(sink);
        }
    }

    /// The first index that is missing, with packets behind it waiting; `None` if nothing is missing. What lies before it
    /// has been given or given up.
    #[must_use]
    pub fn missing_since(&self) -> Option<u64> {
        if self.pending.is_empty() { None } else { self.next }
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> &DepacketizerStats {
        &self.stats
    }

    fn first_pending(&self) -> Option<u64> {
        self.pending.first_key_value().map(|(&index, _)| index)
    }

    fn count_stale(&mut self, index: u64, next: u64) {
        if self.history.mark_received(index, next) {
            self.stats.duplicate_packets += 1;
        } else {
            self.stats.late_packets += 1;
        }
    }

    fn take_in_order(&mut self, packet: MediaPacket<'_>, sink: &mut impl FnMut(AssembledFrame)) {
        self.history.advance(packet.index, true);
        self.next = Some(packet.index.saturating_add(1));
        self.assembly.push(&packet, &mut self.stats, sink);
    }

    fn take_pending(&mut self, sink: &mut impl FnMut(AssembledFrame)) {
        while let Some(entry) = self.pending.first_entry().filter(|entry| Some(*entry.key()) == self.next) {
            let (index, Pending { timestamp, marker, edges, payload }) = entry.remove_entry();
            self.pending_bytes -= payload.len();
            self.take_in_order(MediaPacket { index, timestamp, marker, edges, payload: &payload }, sink);
        }
    }

    fn keep(&mut self, packet: MediaPacket<'_>) {
        let MediaPacket { index, timestamp, marker, edges, payload } = packet;
        self.pending_bytes += payload.len();
        self.pending.insert(index, Pending { timestamp, marker, edges, payload: payload.into() });
    }

    /// Gives up gaps, the oldest first, until the window holds what came.
    fn shrink_to_window(&mut self, newest: u64, sink: &mut impl FnMut(AssembledFrame)) {
        while let (Some(next), Some(first)) = (self.next, self.first_pending()) {
            let too_far = newest.saturating_sub(next) >= self.window_packets;
            if !too_far && self.pending_bytes <= MAX_PENDING_BYTES {
                return;
            }
            self.skip(next, first);
            self.take_pending(sink);
        }
    }

    /// Gives up the indices from `from` to before `to`.
    fn skip(&mut self, from: u64, to: u64) {
        self.stats.lost_packets = self.stats.lost_packets.saturating_add(to - from);
        self.history.skip(from, to);
        self.next = Some(to);
        self.assembly.interrupt(&mut self.stats);
    }
}

#[cfg(test)]
mod tests;
