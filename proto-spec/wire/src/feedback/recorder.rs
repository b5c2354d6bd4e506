//! The receiver's end: notes arrivals, makes feedback messages.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::entry::Entry;
use super::{
    APP_HEADER_BYTES, Arrival, Ecn, HEAD_BYTES, MAX_FEEDBACK_BYTES, MAX_FEEDBACK_PACKETS, TICK,
    write_feedback,
};
use crate::rtcp::CompoundWriter;
use crate::rtp::BufferTooSmall;
use crate::time::Time;

/// How many of the last packets a recorder remembers: 4 KiB of arrivals, twice what 100 Mbit/s of full packets bring between two
/// messages. What arrives later than that is not reported.
pub const RECORDED_PACKETS: usize = 1_024;
/// How long a packet waits for its report: an estimator reacts a fraction of a second after the queue began to grow, and 20
/// messages of a few dozen bytes a second cost a receiver nothing.
pub const FEEDBACK_INTERVAL: Duration = Duration::from_millis(50);

/// A message is made before its time when so many packets wait for one: a burst must not overrun the ring.
const EARLY_PACKETS: u64 = RECORDED_PACKETS as u64 / 2;
/// Distance of the first packet from zero, so that earlier numbers exist.
const FIRST_CYCLE: u64 = 1 << 16;

const RECEIVED: u32 = 1 << 31;
const ECN_SHIFT: u32 = 29;
/// The ticks that a slot keeps: 37 hours, of which the ring holds the last few seconds.
const TICKS_MASK: u32 = (1 << ECN_SHIFT) - 1;

/// What a recorder did not report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecorderStats {
    /// Packets that came twice; the first arrival counts.
    pub duplicates: u64,
    /// Packets that came after the ring had gone on.
    pub too_late: u64,
    /// Numbers that the ring went past before they were reported.
    pub unreported: u64,
}

/// Notes the arrivals of a direction's RTP packets and makes feedback messages of them.
///
/// Call [`Self::on_packet`] for each packet that authenticated, [`Self::write`] when [`Self::next_at`] is due, as often as it
/// gives `true`. A packet that arrives after its number was reported lost is reported again, with all behind it. State: a ring of
/// [`RECORDED_PACKETS`] times 4 bytes, allocated once.
#[derive(Clone, Debug)]
pub struct FeedbackRecorder {
    /// A packet's slot is its number modulo the length; 0 if it has not arrived.
    ring: Box<[u32]>,
    /// The highest number that arrived, extended to 64 bits.
    highest: Option<u64>,
    /// The first number that the next message reports. Above `highest` when there is nothing to say.
    next: u64,
    due_at: Option<Time>,
    stats: RecorderStats,
}

impl Default for FeedbackRecorder {
    fn default() -> Self {
        Self::new()
    }
}

impl FeedbackRecorder {
    /// A recorder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        let ring = vec![0; RECORDED_PACKETS].into_boxed_slice();
        Self { ring, highest: None, next: 0, due_at: None, stats: RecorderStats::default() }
    }

    /// Notes a packet. `arrived_at` should be the kernel's receive time; the packet must be authenticated.
    pub fn on_packet(&mut self, transport_sequence: u16, arrived_at: Time, ecn: Ecn) {
        let sequence = self.advance(transport_sequence);
        let Some(sequence) = sequence else { return };
        let slot = &mut self.ring[sequence as usize % RECORDED_PACKETS];
        if *slot & RECEIVED != 0 {
            self.stats.duplicates += 1;
            return;
        }
        *slot = RECEIVED | u32::from(ecn.bits()) << ECN_SHIFT | ticks(arrived_at) & TICKS_MASK;
        self.next = self.next.min(sequence);
        let waiting = self.highest.map_or(0, |highest| highest + 1 - self.next);
        let interval = if waiting >= EARLY_PACKETS { Duration::ZERO } else { FEEDBACK_INTERVAL };
        let due_at = arrived_at + interval;
        self.due_at = Some(self.due_at.map_or(due_at, |at| at.min(due_at)));
    }

    /// When the next message is due; `None` while there is nothing to say.
    #[must_use]
    pub const fn next_at(&self) -> Option<Time> {
        self.due_at
    }

    /// What was not reported, and why.
    #[must_use]
    pub const fn stats(&self) -> RecorderStats {
        self.stats
    }

    /// Appends a message of what was not reported yet, or of as much of it as fits; `false` if there is nothing to say. Call it
    /// again, with another compound if need be, until it says so.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if the compound has no room for even one packet. Nothing has changed then.
    pub fn write(
        &mut self,
        now: Time,
        compound: &mut CompoundWriter<'_>,
        control_ssrc: u32,
    ) -> Result<bool, BufferTooSmall> {
        let Some(highest) = self.highest.filter(|highest| self.next <= *highest) else { return Ok(false) };
        let room = compound.remaining().saturating_sub(APP_HEADER_BYTES).min(MAX_FEEDBACK_BYTES) & !3;
        let now_ticks = ticks(now);
        let room = room.checked_sub(HEAD_BYTES).ok_or(BufferTooSmall)?;
        let (last, arrival) = self.last_fitting(highest, room, now_ticks).ok_or(BufferTooSmall)?;
        // A clock that stepped back between arrival and now makes no hold of 12 days.
        let hold = now_ticks.wrapping_sub(arrival.ticks).cast_signed().max(0).cast_unsigned();
        let packets = (self.next..=last).map(|sequence| self.arrival(sequence, now_ticks));
        write_feedback(compound, control_ssrc, self.next as u16, TICK * hold, packets)?;
        self.next = last + 1;
        self.due_at = (self.next <= highest).then_some(now);
        Ok(true)
    }

    /// Extends a number to 64 bits and moves the window to hold it; `None` if it is older than the window.
    fn advance(&mut self, transport_sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else {
            let first = FIRST_CYCLE + u64::from(transport_sequence);
            self.highest = Some(first);
            self.next = first;
            return Some(first);
        };
        let distance = transport_sequence.wrapping_sub(highest as u16).cast_signed();
        let sequence = highest.saturating_add_signed(distance.into());
        if sequence + RECORDED_PACKETS as u64 <= highest {
            self.stats.too_late += 1;
            return None;
        }
        if sequence > highest {
            let fresh = (sequence - highest).min(RECORDED_PACKETS as u64);
            for number in sequence + 1 - fresh..=sequence {
                self.ring[number as usize % RECORDED_PACKETS] = 0;
            }
            self.highest = Some(sequence);
            let oldest = sequence + 1 - RECORDED_PACKETS as u64;
            self.stats.unreported += oldest.saturating_sub(self.next);
            self.next = self.next.max(oldest);
        }
        Some(sequence)
    }

    /// The last packet from `next` on that arrived and that fits a message whose entries take `room` bytes, and its arrival.
    fn last_fitting(&self, highest: u64, room: usize, now_ticks: u32) -> Option<(u64, Arrival)> {
        let (mut used, mut lost, mut last) = (0, 0, None);
        for sequence in self.next..=highest.min(self.next + u64::from(MAX_FEEDBACK_PACKETS) - 1) {
            let Some(arrival) = self.arrival(sequence, now_ticks) else {
                lost += 1;
                continue;
            };
            let previous = last.map_or(arrival, |(_, arrival)| arrival);
            let Some(entry) = Entry::between(previous, arrival) else { break };
            used += Entry::lost_len(lost) + entry.len();
            if used > room {
                break;
            }
            lost = 0;
            last = Some((sequence, arrival));
        }
        last
    }

    fn arrival(&self, sequence: u64, now_ticks: u32) -> Option<Arrival> {
        let slot = self.ring[sequence as usize % RECORDED_PACKETS];
        if slot & RECEIVED == 0 {
            return None;
        }
        let unused = u32::BITS - ECN_SHIFT;
        // The age in as many bits as the slot has, with its sign.
        let age = (now_ticks.wrapping_sub(slot) << unused).cast_signed() >> unused;
        let ticks = now_ticks.wrapping_sub(age.cast_unsigned());
        Some(Arrival { ticks, ecn: Ecn::from_bits((slot >> ECN_SHIFT) as u8) })
    }
}

/// A time in ticks, modulo 2^32.
const fn ticks(time: Time) -> u32 {
    (time.as_nanos() / TICK.as_nanos() as u64) as u32
}
