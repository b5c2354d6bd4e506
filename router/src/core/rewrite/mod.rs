//! Continuity of a slot's RTP stream: sequence numbers, timestamps and picture numbers go on, whatever the slot shows and
//! whatever of it is left out.
//!
//! Input indices stand for output indices in runs: within a run both count up together. What is left out ends a run, what is
//! lost before the router does not: its output indices stay open, so that it may still come. In order, which is nearly always,
//! a packet is a subtraction; only the other cases look at the history.
//!
//! No output index is given twice: those in order only grow, and one that was left open is taken once.

mod history;
#[cfg(test)]
mod tests;

use std::time::Duration;

use sluice_wire::ext::CaptureTime;
use sluice_wire::time::Time;

use self::history::{History, Run, Segment, WINDOW};
use super::ids::EncodingRef;
use super::limits::MAX_FORWARDED_GAP;

/// First indices stay below this, so that a receiver's roll-over guess starts right (spec 2.4).
pub(crate) const FIRST_INDEX_MASK: u32 = 0x3FFF;
/// The longest jump in time that a switch shows to a receiver; a slot that was empty for longer continues after this.
const MAX_SWITCH_GAP: Duration = Duration::from_secs(10);

/// The running numbers of a VP8 payload (RFC 7741 section 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PictureNumbers {
    /// PictureID, of 15 bits or 7.
    pub(crate) picture_id: u16,
    pub(crate) tl0_pic_idx: u8,
}

impl PictureNumbers {
    /// These numbers less `offset`. The excess over 15 or 7 bits of a PictureID means nothing.
    pub(crate) const fn lowered_by(self, offset: Self) -> Self {
        Self {
            picture_id: self.picture_id.wrapping_sub(offset.picture_id),
            tl0_pic_idx: self.tl0_pic_idx.wrapping_sub(offset.tl0_pic_idx),
        }
    }
}

/// A packet as it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming {
    /// 48-bit index on the uplink.
    pub(crate) index: u64,
    pub(crate) timestamp: u32,
    pub(crate) arrival: Time,
    pub(crate) capture: Option<CaptureTime>,
    /// The first and the last packet of a frame.
    pub(crate) start: bool,
    pub(crate) end: bool,
    /// TL0PICIDX of its frame marking.
    pub(crate) tl0_pic_idx: u8,
    pub(crate) vp8: Option<PictureNumbers>,
}

/// What a forwarded packet gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// 48-bit index of the packet on the slot: roll-over counter and sequence number.
    pub(crate) index: u64,
    pub(crate) timestamp: u32,
    /// TL0PICIDX of its frame marking.
    pub(crate) tl0_pic_idx: u8,
    /// What its VP8 payload's numbers have to be lowered by, modulo their ranges.
    pub(crate) vp8_offset: PictureNumbers,
}

/// What an output index stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) encoding: EncodingRef,
    /// 48-bit index on the uplink.
    pub(crate) index: u64,
    /// 48-bit index on the slot.
    pub(crate) out: u64,
    timestamp_offset: u32,
    tl0_offset: u8,
    vp8_offset: PictureNumbers,
}

impl Origin {
    /// The packet with the numbers that it got, or would have got, when it was new.
    pub(crate) const fn rewrite(&self, packet: &Incoming) -> Rewritten {
        Rewritten {
            index: self.out,
            timestamp: packet.timestamp.wrapping_add(self.timestamp_offset),
            tl0_pic_idx: packet.tl0_pic_idx.wrapping_sub(self.tl0_offset),
            vp8_offset: self.vp8_offset,
        }
    }
}

/// The newest packet that was taken in, for what is lost behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    Forwarded,
    /// Left out, and the last packet of its frame.
    SkippedEnd,
    /// Left out, and more of its frame was to come.
    SkippedOpen {
        timestamp: u32,
    },
}

/// The forwarded packet with the highest index, as it left.
#[derive(Clone, Copy, Debug)]
struct Last {
    index: u64,
    timestamp: u32,
    arrival: Time,
    capture: Option<CaptureTime>,
    ends_frame: bool,
    tl0_pic_idx: u8,
}

/// The state of one slot's output.
#[derive(Debug)]
pub(crate) struct Rewriter {
    /// The newest input index that was taken in.
    head: u64,
    /// What is taken off the index of a packet that comes in order.
    offset: u64,
    /// The input index at which the source began.
    segment_start: u64,
    timestamp_offset: u32,
    tl0_offset: u8,
    vp8_offset: PictureNumbers,
    newest: Newest,
    last: Option<Last>,
    /// The newest picture numbers that were sent.
    last_vp8: Option<PictureNumbers>,
    /// The picture that was left out last.
    skipped_picture: Option<u16>,
    source: EncodingRef,
    /// How many sources there were, modulo 256.
    segment: u8,
    history: Option<Box<History>>,
}

impl Rewriter {
    /// `random` places the first sequence number.
    pub(crate) fn new(random: u32) -> Self {
        // As if a source had come to its end: no index is ahead.
        Self {
            head: u64::MAX - 1,
            offset: u64::MAX - u64::from(random & FIRST_INDEX_MASK),
            segment_start: u64::MAX,
            timestamp_offset: 0,
            tl0_offset: 0,
            vp8_offset: PictureNumbers::default(),
            newest: Newest::Forwarded,
            last: None,
            last_vp8: None,
            skipped_picture: None,
            source: EncodingRef::default(),
            segment: 0,
            history: None,
        }
    }

    /// The output index that comes next in order.
    const fn next_out(&self) -> u64 {
        self.head.wrapping_add(1).wrapping_sub(self.offset)
    }

    /// Continues with another source, on a clock of `rate_hz`, whose first packet is `first`.
    pub(crate) fn switch(&mut self, source: EncodingRef, first: &Incoming, rate_hz: u32) {
        let next_out = self.next_out();
        if self.last.is_some() {
            self.remember();
        }
        if let Some(last) = self.last {
            let ticks = ticks_between(&last, first, self.source.track == source.track, rate_hz);
            self.timestamp_offset = last.timestamp.wrapping_add(ticks).wrapping_sub(first.timestamp);
            self.tl0_offset = first.tl0_pic_idx.wrapping_sub(last.tl0_pic_idx.wrapping_add(1));
        }
        if let (Some(now), Some(before)) = (first.vp8, self.last_vp8) {
            self.vp8_offset = PictureNumbers {
                picture_id: now.picture_id.wrapping_sub(before.picture_id.wrapping_add(1)),
                tl0_pic_idx: now.tl0_pic_idx.wrapping_sub(before.tl0_pic_idx.wrapping_add(1)),
            };
        }
        self.head = first.index.wrapping_sub(1);
        self.offset = first.index.wrapping_sub(next_out);
        self.segment_start = first.index;
        self.source = source;
        self.segment = self.segment.wrapping_add(1);
        self.newest = Newest::Forwarded;
        self.skipped_picture = None;
        self.begin_run(first.index, next_out);
    }

    /// What the packet becomes on the slot. `None` for one that must not be sent: from before the switch, of what was left out,
    /// sent already, or too late.
    #[inline]
    pub(crate) fn rewrite(&mut self, packet: &Incoming) -> Option<Rewritten> {
        if packet.index != self.head.wrapping_add(1) {
            if packet.index <= self.head {
                return self.rewrite_late(packet);
            }
            self.leave_gap(packet, false);
        }
        self.head = packet.index;
        self.newest = Newest::Forwarded;
        let rewritten = Rewritten {
            index: packet.index.wrapping_sub(self.offset),
            timestamp: packet.timestamp.wrapping_add(self.timestamp_offset),
            tl0_pic_idx: packet.tl0_pic_idx.wrapping_sub(self.tl0_offset),
            vp8_offset: self.vp8_offset,
        };
        self.note_last(packet, &rewritten);
        Some(rewritten)
    }

    /// What comes next goes on from this packet.
    fn note_last(&mut self, packet: &Incoming, rewritten: &Rewritten) {
        if let Some(numbers) = packet.vp8 {
            self.last_vp8 = Some(numbers.lowered_by(rewritten.vp8_offset));
        }
        self.last = Some(Last {
            index: rewritten.index,
            timestamp: rewritten.timestamp,
            arrival: packet.arrival,
            capture: packet.capture,
            ends_frame: packet.end,
            tl0_pic_idx: rewritten.tl0_pic_idx,
        });
    }

    /// Leaves a packet out: the slot's numbers close over it.
    pub(crate) fn skip(&mut self, packet: &Incoming) {
        // What was left open for a late one stays open: the receiver may have seen what is behind it.
        if packet.index <= self.head {
            return;
        }
        self.remember();
        if packet.index != self.head.wrapping_add(1) {
            self.leave_gap(packet, true);
        }
        self.head = packet.index;
        self.offset = self.offset.wrapping_add(1);
        self.newest =
            if packet.end { Newest::SkippedEnd } else { Newest::SkippedOpen { timestamp: packet.timestamp } };
        self.skip_picture(packet);
        self.begin_run(packet.index + 1, self.next_out());
    }

    /// Closes the picture ids over a picture that is left out, once.
    fn skip_picture(&mut self, packet: &Incoming) {
        let Some(numbers) = packet.vp8 else { return };
        let as_sent = numbers.lowered_by(self.vp8_offset).picture_id;
        let was_sent = self.last_vp8.is_some_and(|last| last.picture_id == as_sent);
        if !was_sent && self.skipped_picture.replace(numbers.picture_id) != Some(numbers.picture_id) {
            self.vp8_offset.picture_id = self.vp8_offset.picture_id.wrapping_add(1);
        }
    }

    /// Accounts for the indices between the newest packet and `packet`, which is ahead of it. Those that the flags give to frames
    /// that are left out vanish like these; the others stay open.
    #[cold]
    fn leave_gap(&mut self, packet: &Incoming, is_skipped: bool) {
        let next_out = self.next_out();
        let gap = packet.index - self.head.wrapping_add(1);
        let (before, behind) =
            if gap > MAX_FORWARDED_GAP { (gap, 0) } else { self.vanished(packet, is_skipped, gap) };
        self.remember();
        if before > 0 {
            self.offset = self.offset.wrapping_add(before);
            self.begin_run(self.head.wrapping_add(1) + before, next_out);
        }
        let open = gap - before - behind;
        if let Some(history) = self.history.as_deref_mut().filter(|_| open > 0) {
            history.leave_open(next_out, open);
        }
        // The run of what is behind begins with the packet that is left out itself.
        self.offset = self.offset.wrapping_add(behind);
        self.head = packet.index - 1;
    }

    /// How many of `gap` lost packets belong to frames that are left out: at the beginning and at the end of the gap.
    fn vanished(&self, packet: &Incoming, is_skipped: bool, gap: u64) -> (u64, u64) {
        let tail_of = match self.newest {
            Newest::SkippedOpen { timestamp } => Some(timestamp),
            Newest::Forwarded | Newest::SkippedEnd => None,
        };
        let has_head = !packet.start;
        let is_cut = self.newest == Newest::Forwarded && self.is_within_frame();
        if is_skipped && has_head && tail_of == Some(packet.timestamp) {
            return (gap, 0);
        }
        match (tail_of.is_some(), has_head, is_skipped) {
            // One packet cannot be the end of one frame and the start of another.
            (true, true, false) => (u64::from(gap > 1), 0),
            (true, true, true) if gap > 1 => (1, 1),
            (true, ..) => (1, 0),
            (false, true, true) => (0, u64::from(gap > 1 || !is_cut)),
            (false, ..) => (0, 0),
        }
    }

    #[cold]
    fn rewrite_late(&mut self, packet: &Incoming) -> Option<Rewritten> {
        let next_out = self.next_out();
        if packet.index < self.segment_start {
            return None;
        }
        let history = self.history.as_deref_mut()?;
        let (index, picture_offset) = history.output_of(packet.index, self.segment, next_out)?;
        let rewritten = history.fill(index, next_out).then(|| Rewritten {
            index,
            timestamp: packet.timestamp.wrapping_add(self.timestamp_offset),
            tl0_pic_idx: packet.tl0_pic_idx.wrapping_sub(self.tl0_offset),
            vp8_offset: PictureNumbers { picture_id: picture_offset, ..self.vp8_offset },
        })?;
        // All that came since was left out: it is late, and yet the newest that the receiver has.
        if self.last.is_none_or(|last| last.index < index) {
            self.note_last(packet, &rewritten);
        }
        Some(rewritten)
    }

    /// What an output sequence number stands for, of the last [`WINDOW`] that were used or left open.
    pub(crate) fn source_of(&self, out_sequence: u16) -> Option<Origin> {
        let next_out = self.next_out();
        let newest = next_out.checked_sub(1).filter(|_| self.last.is_some())?;
        let age = u64::from((newest as u16).wrapping_sub(out_sequence));
        let out = newest.checked_sub(age).filter(|_| age < WINDOW)?;
        let (segment, index, picture_id) = match self.history.as_deref() {
            Some(history) => history.source_of(out, self.segment, next_out)?,
            None => {
                let index = out.wrapping_add(self.offset);
                let is_known = index >= self.segment_start && index <= self.head;
                (is_known.then_some(self.current())?, index, self.vp8_offset.picture_id)
            }
        };
        Some(Origin {
            encoding: segment.source,
            index,
            out,
            timestamp_offset: segment.timestamp_offset,
            tl0_offset: segment.tl0_offset,
            vp8_offset: PictureNumbers { picture_id, tl0_pic_idx: segment.vp8_tl0_offset },
        })
    }

    /// The source and its offsets as they are now.
    const fn current(&self) -> Segment {
        Segment {
            source: self.source,
            timestamp_offset: self.timestamp_offset,
            tl0_offset: self.tl0_offset,
            vp8_tl0_offset: self.vp8_offset.tl0_pic_idx,
        }
    }

    /// Makes the history, which until then was one run.
    fn remember(&mut self) {
        if self.history.is_none() {
            let run = self.run(self.segment_start, self.segment_start.wrapping_sub(self.offset));
            self.history = Some(Box::new(History::new(run, self.current())));
        }
    }

    fn begin_run(&mut self, in_start: u64, out_start: u64) {
        let (run, segment) = (self.run(in_start, out_start), self.current());
        if let Some(history) = self.history.as_deref_mut() {
            history.begin(run, segment);
        }
    }

    const fn run(&self, in_start: u64, out_start: u64) -> Run {
        Run { in_start, out_start, segment: self.segment, picture_offset: self.vp8_offset.picture_id }
    }

    /// Whether the newest frame that was forwarded lacks its end.
    pub(crate) fn is_within_frame(&self) -> bool {
        self.last.is_some_and(|last| !last.ends_frame)
    }

    /// Whether a packet of the current source goes on with the newest frame that was forwarded.
    pub(crate) fn goes_on_with(&self, packet: &Incoming) -> bool {
        let timestamp = packet.timestamp.wrapping_add(self.timestamp_offset);
        packet.index > self.head && self.last.is_some_and(|last| last.timestamp == timestamp)
    }

    /// The slot's timestamp at `now`, for sender reports; `None` before the first packet.
    pub(crate) fn timestamp_at(&self, now: Time, rate_hz: u32) -> Option<u32> {
        let last = self.last?;
        let elapsed = now.saturating_since(last.arrival);
        Some(last.timestamp.wrapping_add(ticks_of(elapsed, rate_hz) as u32))
    }
}

/// The ticks between the newest frame that was sent and the first of another source. Encodings of one track were captured by
/// one clock; what was captured on different ones is related by when it came. At least one tick: two frames never share a
/// timestamp.
fn ticks_between(last: &Last, first: &Incoming, is_same_track: bool, rate_hz: u32) -> u32 {
    let elapsed = match (last.capture, first.capture) {
        (Some(before), Some(now)) if is_same_track => since(before, now),
        _ => first.arrival.saturating_since(last.arrival),
    };
    ticks_of(elapsed.min(MAX_SWITCH_GAP), rate_hz).max(1) as u32
}

/// The time from one capture to another; zero if that was not later.
fn since(before: CaptureTime, now: CaptureTime) -> Duration {
    let elapsed = now.0.saturating_sub(before.0);
    let nanos = (u128::from(elapsed) * 1_000_000_000) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A duration on a clock of `rate_hz`.
fn ticks_of(elapsed: Duration, rate_hz: u32) -> u64 {
    let ticks = (elapsed.as_nanos() * u128::from(rate_hz) + 500_000_000) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
