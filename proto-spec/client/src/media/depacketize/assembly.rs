//! Frames from packets that come in order, without duplicates, with interruptions announced.

use super::super::Codec;
use super::super::annexb::START_CODE;
use super::super::h264::{self, NalType};
use super::super::vp8::{Descriptor, FrameHeader};
use super::{AssembledFrame, DepacketizerStats, MAX_FRAME_BYTES, MediaPacket};

/// The frame that is being put together.
#[derive(Clone, Copy, Debug)]
struct Open {
    timestamp: u32,
    first_index: u64,
}

/// A payload that breaks its format.
struct Malformed;

#[derive(Clone, Debug)]
pub(super) struct Assembly {
    codec: Codec,
    open: Option<Open>,
    data: Vec<u8>,
    /// An IDR slice is in `data`.
    idr: bool,
    /// The NAL unit at the end of `data` lacks its last fragment.
    unit_open: bool,
    /// The packet before ended a frame, so the next begins one.
    aligned: bool,
    /// The timestamp of the latest broken frame, so that its further packets do not count it again.
    broken: Option<u32>,
    follows_gap: bool,
}

impl Assembly {
    pub(super) const fn new(codec: Codec) -> Self {
        Self {
            codec,
            open: None,
            data: Vec::new(),
            idr: false,
            unit_open: false,
            aligned: false,
            broken: None,
            follows_gap: false,
        }
    }

    /// Packets are missing here, for good.
    pub(super) fn interrupt(&mut self, stats: &mut DepacketizerStats) {
        if let Some(open) = self.open {
            self.break_frame(open.timestamp, stats);
        }
        self.aligned = false;
        self.follows_gap = true;
    }

    pub(super) fn push(
        &mut self,
        packet: &MediaPacket<'_>,
        stats: &mut DepacketizerStats,
        sink: &mut impl FnMut(AssembledFrame),
    ) {
        if let Some(open) = self.open.filter(|open| open.timestamp != packet.timestamp) {
            if packet.edges.is_some() {
                // A marked frame without an end was cut off: a router switches at the first packet of the new encoding's frame.
                self.break_frame(open.timestamp, stats);
            } else {
                // RFC 6184 section 5.1 does not let receivers rely on the marker alone: a new timestamp ends a frame too.
                self.finish(open, stats, sink);
            }
            self.aligned = true;
        }
        let end = self.codec == Codec::Opus || packet.marker || packet.edges.is_some_and(|edges| edges.end);
        if self.append(packet, stats).is_err() {
            stats.malformed_packets += 1;
            self.break_frame(packet.timestamp, stats);
        } else if let Some(open) = self.open.filter(|_| end) {
            self.finish(open, stats, sink);
        }
        self.aligned = end;
    }

    /// Opens a frame if the packet begins one, and puts the packet's content behind what the open frame has.
    fn append(&mut self, packet: &MediaPacket<'_>, stats: &mut DepacketizerStats) -> Result<(), Malformed> {
        let (starts, content) = match self.codec {
            Codec::Opus => (true, packet.payload),
            Codec::Vp8 => {
                let (descriptor, content) = Descriptor::parse(packet.payload).ok_or(Malformed)?;
                (descriptor.start_of_frame, content)
            }
            Codec::H264 => {
                let inferred = self.open.is_none() && self.aligned;
                (packet.edges.map_or(inferred, |edges| edges.start), packet.payload)
            }
        };
        if content.is_empty() {
            return Err(Malformed);
        }
        if starts {
            if let Some(open) = self.open {
                self.break_frame(open.timestamp, stats);
            }
            self.open = Some(Open { timestamp: packet.timestamp, first_index: packet.index });
        } else if self.open.is_none() {
            self.break_frame(packet.timestamp, stats);
            return Ok(());
        }
        match self.codec {
            Codec::H264 => self.append_units(content)?,
            Codec::Opus | Codec::Vp8 => self.data.extend_from_slice(content),
        }
        if self.data.len() > MAX_FRAME_BYTES { Err(Malformed) } else { Ok(()) }
    }

    /// Undoes the payload structures of RFC 6184 packetization-mode 1.
    fn append_units(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let &header = payload.first().ok_or(Malformed)?;
        let kind = NalType::of(header);
        if kind == h264::FU_A {
            let fragment = h264::Fragment::parse(payload).ok_or(Malformed)?;
            if fragment.start == self.unit_open {
                return Err(Malformed);
            }
            if fragment.start {
                self.begin_unit(fragment.nal_header);
                self.data.push(fragment.nal_header);
            }
            self.data.extend_from_slice(fragment.body);
            self.unit_open = !fragment.end;
            return Ok(());
        }
        if self.unit_open {
            return Err(Malformed);
        }
        if kind == h264::STAP_A {
            for unit in h264::aggregated_units(payload) {
                self.append_unit(unit.ok_or(Malformed)?)?;
            }
            return Ok(());
        }
        if kind.is_carried_by_rtp() { self.append_unit(payload) } else { Err(Malformed) }
    }

    fn append_unit(&mut self, unit: &[u8]) -> Result<(), Malformed> {
        self.begin_unit(*unit.first().ok_or(Malformed)?);
        self.data.extend_from_slice(unit);
        Ok(())
    }

    fn begin_unit(&mut self, nal_header: u8) {
        self.data.extend_from_slice(&START_CODE);
        self.idr |= NalType::of(nal_header) == h264::IDR_SLICE;
    }

    fn finish(&mut self, open: Open, stats: &mut DepacketizerStats, sink: &mut impl FnMut(AssembledFrame)) {
        if self.unit_open || self.data.is_empty() {
            stats.malformed_packets += 1;
            self.break_frame(open.timestamp, stats);
            return;
        }
        let capacity = self.data.len();
        let data = std::mem::replace(&mut self.data, Vec::with_capacity(capacity));
        let key = match self.codec {
            Codec::Opus => true,
            Codec::Vp8 => matches!(FrameHeader::parse(&data), Some(FrameHeader::Key { .. })),
            Codec::H264 => self.idr,
        };
        self.open = None;
        self.idr = false;
        stats.frames += 1;
        sink(AssembledFrame {
            timestamp: open.timestamp,
            first_index: open.first_index,
            data,
            key,
            follows_gap: std::mem::take(&mut self.follows_gap),
        });
    }

    /// The frame of this timestamp will not be whole.
    fn break_frame(&mut self, timestamp: u32, stats: &mut DepacketizerStats) {
        if self.broken != Some(timestamp) {
            stats.broken_frames += 1;
            self.broken = Some(timestamp);
        }
        self.open = None;
        self.data.clear();
        self.idr = false;
        self.unit_open = false;
        self.follows_gap = true;
    }
}
