//! The wanted state, `proto-spec/spec/04-control.md` section 4.6.

use super::MAX_PAGE_BODY_BYTES;
use super::page::{HEADER_BYTES, are_distinct};
use crate::rtp::{BufferTooSmall, Put};
use crate::track::TrackId;

const ENTRY_BYTES: usize = 12;
const PAUSED_BIT: u8 = 0x01;

/// How many slots fit one page.
pub const WANTED_PER_PAGE: usize = (MAX_PAGE_BODY_BYTES - HEADER_BYTES) / ENTRY_BYTES;

/// Modes, which say what the subject of a slot is.
mod mode {
    pub(super) const NOTHING: u8 = 0;
    pub(super) const TRACK: u8 = 1;
    pub(super) const SPEAKER: u8 = 2;
    pub(super) const VOICE: u8 = 3;
}

/// What a client wants in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// Nothing.
    Nothing,
    /// This track.
    Track(TrackId),
    /// The camera of the n-th active speaker.
    Speaker(u32),
    /// The n-th loudest voice.
    Voice(u32),
}

impl Want {
    fn parse(mode: u8, subject: u32) -> Option<Self> {
        match mode {
            mode::NOTHING => Some(Self::Nothing),
            mode::TRACK => TrackId::from_bits(subject).map(Self::Track),
            mode::SPEAKER => Some(Self::Speaker(subject)),
            mode::VOICE => Some(Self::Voice(subject)),
            _ => None,
        }
    }

    const fn mode_and_subject(self) -> (u8, u32) {
        match self {
            Self::Nothing => (mode::NOTHING, 0),
            Self::Track(track) => (mode::TRACK, track.to_bits()),
            Self::Speaker(number) => (mode::SPEAKER, number),
            Self::Voice(number) => (mode::VOICE, number),
        }
    }
}

/// One slot of the wanted state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WantedSlot {
    /// The slot.
    pub slot: u16,
    /// What shall be in it.
    pub want: Want,
    /// Whether nothing shall be sent for now.
    pub paused: bool,
    /// The most pixels of height that are of use; 0 is no limit.
    pub max_height: u16,
    /// The most frames per second that are of use; 0 is no limit.
    pub max_fps: u8,
    /// 255 is the most important.
    pub priority: u8,
}

impl WantedSlot {
    fn parse(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let &[s0, s1, mode, flags, t0, t1, t2, t3, h0, h1, max_fps, priority] = bytes;
        Some(Self {
            slot: u16::from_be_bytes([s0, s1]),
            want: Want::parse(mode, u32::from_be_bytes([t0, t1, t2, t3]))?,
            paused: flags & PAUSED_BIT != 0,
            max_height: u16::from_be_bytes([h0, h1]),
            max_fps,
            priority,
        })
    }

    pub(super) fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        let (mode, subject) = self.want.mode_and_subject();
        put.u16(self.slot)?;
        put.bytes(&[mode, if self.paused { PAUSED_BIT } else { 0 }])?;
        put.u32(subject)?;
        put.u16(self.max_height)?;
        put.bytes(&[self.max_fps, self.priority])
    }
}

/// Whether the bytes are `count` well-formed slots, each named once.
pub(super) fn are_valid(count: u16, bytes: &[u8]) -> bool {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    let slots = entries.iter().map(|&[s0, s1, ..]| u16::from_be_bytes([s0, s1]));
    rest.is_empty()
        && entries.len() == usize::from(count)
        && entries.iter().all(|entry| WantedSlot::parse(entry).is_some())
        && are_distinct(slots)
}

/// Iterates over slots that were checked.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = WantedSlot> + Clone {
    bytes.as_chunks().0.iter().filter_map(WantedSlot::parse)
}
