//! Feedback on what arrived, when, and with which ECN bits: `proto-spec/spec/04-control.md` section 4.10.
//!
//! One message is about the RTP packets of one direction of a session, by transport-wide sequence number. It is what a sender's
//! congestion control lives on. [`FeedbackRecorder`] is the receiver's end: it notes arrivals and makes the messages. The view
//! [`Feedback`] is the sender's: checked whole when it is parsed, walked without a copy.

mod ecn;
mod entry;
mod recorder;
#[cfg(test)]
mod tests;

pub use ecn::Ecn;
pub use recorder::{FEEDBACK_INTERVAL, FeedbackRecorder, RECORDED_PACKETS, RecorderStats};

use std::time::Duration;

use crate::control::{APP_NAME, ControlError};
use crate::rtcp::{App, CompoundWriter};
use crate::rtp::{BufferTooSmall, Put};
use entry::Entry;

/// The subtype of the APP packet.
pub const FEEDBACK_SUBTYPE: u8 = 13;
/// The most packets that a message reports on: what bounds the work for one. It is a second of 10 Mbit/s, and as much as a
/// recorder remembers, so that the longest gap fits one message.
pub const MAX_FEEDBACK_PACKETS: u16 = 1_024;
/// The most bytes that a message has, as for state pages: it rides in one datagram beside other packets.
pub const MAX_FEEDBACK_BYTES: usize = 1_000;
/// The unit of arrival times: 250 us, as transport-cc has it; finer is below the noise of timers and queues.
pub const TICK: Duration = Duration::from_micros(250);

const HEAD_BYTES: usize = 12;
/// What an APP packet has before its data, RFC 3550 section 6.7.
const APP_HEADER_BYTES: usize = 12;

/// How a packet arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// When, in units of [`TICK`] on the receiver's clock, modulo 2^32. Only differences have a meaning.
    pub ticks: u32,
    /// The ECN bits that it arrived with.
    pub ecn: Ecn,
}

/// A view of a feedback message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'a> {
    base: u16,
    count: u16,
    first: Arrival,
    hold_ticks: u16,
    entries: &'a [u8],
}

impl<'a> Feedback<'a> {
    /// Reads a feedback message and checks all of it.
    ///
    /// # Errors
    /// [`ControlError::Name`] and [`ControlError::UnknownSubtype`] if the packet is another; [`ControlError::Malformed`].
    pub fn parse(app: &App<'a>) -> Result<Self, ControlError> {
        match (app.name, app.subtype) {
            (APP_NAME, FEEDBACK_SUBTYPE) => {
                Self::parse_data(app.data).ok_or(ControlError::Malformed { subtype: FEEDBACK_SUBTYPE })
            }
            (APP_NAME, other) => Err(ControlError::UnknownSubtype(other)),
            _ => Err(ControlError::Name),
        }
    }

    fn parse_data(data: &'a [u8]) -> Option<Self> {
        let (&[b0, b1, c0, c1, t0, t1, t2, t3, h0, h1, ecn, _], entries) =
            data.split_first_chunk::<HEAD_BYTES>()?;
        let feedback = Self {
            base: u16::from_be_bytes([b0, b1]),
            count: u16::from_be_bytes([c0, c1]),
            first: Arrival { ticks: u32::from_be_bytes([t0, t1, t2, t3]), ecn: Ecn::from_bits(ecn) },
            hold_ticks: u16::from_be_bytes([h0, h1]),
            entries,
        };
        let known = (1..=MAX_FEEDBACK_PACKETS).contains(&feedback.count) && data.len() <= MAX_FEEDBACK_BYTES;
        (known && feedback.is_whole()).then_some(feedback)
    }

    /// Whether the entries are of exactly `count` packets, end with one that arrived, and only padding is behind them.
    fn is_whole(&self) -> bool {
        let (mut rest, mut remaining) = (self.entries, self.count);
        loop {
            let Some((entry, behind)) = Entry::parse(rest) else { return false };
            let Some(left) = remaining.checked_sub(entry.packets()) else { return false };
            (rest, remaining) = (behind, left);
            if remaining == 0 {
                return rest.len() < 4 && !matches!(entry, Entry::Lost(_));
            }
        }
    }

    /// The transport-wide sequence number of the first packet.
    #[must_use]
    pub const fn base(&self) -> u16 {
        self.base
    }

    /// How many packets it reports on, 1 to [`MAX_FEEDBACK_PACKETS`].
    #[must_use]
    pub const fn packet_count(&self) -> u16 {
        self.count
    }

    /// How long the receiver held the last packet before it sent the message: not part of the round-trip time.
    #[must_use]
    pub fn hold(&self) -> Duration {
        TICK * u32::from(self.hold_ticks)
    }

    /// The packets in order of sequence number, the last of which arrived: the number, and how it arrived; `None` if it has not.
    #[must_use]
    pub const fn packets(&self) -> Packets<'a> {
        Packets {
            sequence: self.base,
            remaining: self.count,
            previous: self.first,
            lost: 0,
            entries: self.entries,
        }
    }
}

/// The iterator of [`Feedback::packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    sequence: u16,
    remaining: u16,
    /// The packet that arrived before the next one, by which entries are relative.
    previous: Arrival,
    /// Packets left of a run of lost ones.
    lost: u16,
    entries: &'a [u8],
}

impl Packets<'_> {
    fn next_status(&mut self) -> Option<Option<Arrival>> {
        if let Some(left) = self.lost.checked_sub(1) {
            self.lost = left;
            return Some(None);
        }
        let (entry, rest) = Entry::parse(self.entries)?;
        self.entries = rest;
        match entry {
            Entry::Lost(count) => {
                self.lost = count.saturating_sub(1);
                return Some(None);
            }
            Entry::Near(delta) => self.previous.ticks = self.previous.ticks.wrapping_add(delta.into()),
            Entry::Far(ecn, delta) => {
                let ticks = self.previous.ticks.wrapping_add_signed(delta.into());
                self.previous = Arrival { ticks, ecn };
            }
        }
        Some(Some(self.previous))
    }
}

impl Iterator for Packets<'_> {
    type Item = (u16, Option<Arrival>);

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let status = self.next_status()?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Some((sequence, status))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.remaining), Some(usize::from(self.remaining)))
    }
}

impl ExactSizeIterator for Packets<'_> {}

/// Appends a feedback message to a compound: packets from `base` on, of which the last must have arrived. `control_ssrc` is
/// that of the direction that the message takes; `hold` is capped at what the format can say, 16 s.
///
/// # Errors
/// [`BufferTooSmall`] if it does not fit the compound's buffer or [`MAX_FEEDBACK_BYTES`], if there are no packets, if there
/// are more than [`MAX_FEEDBACK_PACKETS`], if the last is lost, or if two that follow each other arrived more than 511 ms
/// apart. The compound is then what it was before.
pub fn write_feedback(
    compound: &mut CompoundWriter<'_>,
    control_ssrc: u32,
    base: u16,
    hold: Duration,
    packets: impl Iterator<Item = Option<Arrival>> + Clone,
) -> Result<(), BufferTooSmall> {
    let count = packets.clone().take(usize::from(MAX_FEEDBACK_PACKETS) + 1).count();
    let first = packets.clone().flatten().next().ok_or(BufferTooSmall)?;
    if count > usize::from(MAX_FEEDBACK_PACKETS) || packets.clone().last().flatten().is_none() {
        return Err(BufferTooSmall);
    }
    compound.app_with(FEEDBACK_SUBTYPE, control_ssrc, APP_NAME, |put| {
        let start = put.len();
        put.u16(base)?;
        put.u16(count as u16)?;
        put.u32(first.ticks)?;
        put.u16(u16::try_from(hold.as_micros() / TICK.as_micros()).unwrap_or(u16::MAX))?;
        put.bytes(&[first.ecn.bits(), 0])?;
        put_entries(put, first, packets)?;
        if (put.len() - start).next_multiple_of(4) > MAX_FEEDBACK_BYTES {
            Err(BufferTooSmall)
        } else {
            Ok(())
        }
    })
}

fn put_entries(
    put: &mut Put<'_>,
    first: Arrival,
    packets: impl Iterator<Item = Option<Arrival>>,
) -> Result<(), BufferTooSmall> {
    let (mut previous, mut lost) = (first, 0);
    for packet in packets {
        let Some(arrival) = packet else {
            lost += 1;
            continue;
        };
        Entry::put_lost(put, lost)?;
        lost = 0;
        Entry::between(previous, arrival).ok_or(BufferTooSmall)?.put(put)?;
        previous = arrival;
    }
    Ok(())
}
