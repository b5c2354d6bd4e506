//! The shown state, `proto-spec/spec/04-control.md` section 4.7.

use super::MAX_PAGE_BODY_BYTES;
use super::page::{HEADER_BYTES, are_distinct};
use crate::rtp::{BufferTooSmall, Put};
use crate::track::TrackId;

const ENTRY_BYTES: usize = 16;

/// How many slots fit one page.
pub const SHOWN_PER_PAGE: usize = (MAX_PAGE_BODY_BYTES - HEADER_BYTES) / ENTRY_BYTES;

/// How it stands with a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotStatus {
    /// The track flows.
    Flowing = 0,
    /// It flows from the next key frame on.
    WaitingForKeyFrame = 1,
    /// Nobody publishes it.
    NotPublished = 2,
    /// Its publisher sends nothing.
    Muted = 3,
    /// The receiver's bandwidth does not suffice for what was asked; what flows is less, or nothing.
    NoBandwidth = 4,
    /// The receiver may not have it.
    NotAllowed = 5,
    /// The router cannot do what is wanted.
    Unsupported = 6,
    /// The receiver paused it.
    Paused = 7,
    /// It flows, with less than was asked, for the room's policy has no more.
    Limited = 8,
    /// It flows, with less than was asked, for its sender does not send what was asked.
    NotSent = 9,
}

impl SlotStatus {
    /// The status of a byte from the wire.
    #[must_use]
    pub const fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Flowing),
            1 => Some(Self::WaitingForKeyFrame),
            2 => Some(Self::NotPublished),
            3 => Some(Self::Muted),
            4 => Some(Self::NoBandwidth),
            5 => Some(Self::NotAllowed),
            6 => Some(Self::Unsupported),
            7 => Some(Self::Paused),
            8 => Some(Self::Limited),
            9 => Some(Self::NotSent),
            _ => None,
        }
    }
}

/// One slot of the shown state. Numbers that do not apply are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShownSlot {
    /// The slot.
    pub slot: u16,
    /// How it stands with it.
    pub status: SlotStatus,
    /// The payload type of the track.
    pub payload_type: u8,
    /// The track.
    pub track: Option<TrackId>,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// Frames per second.
    pub fps: u8,
    /// Which of the track's encodings, from 0.
    pub encoding: u8,
    /// How many of the encoding's temporal layers.
    pub temporal_layers: u8,
}

impl ShownSlot {
    fn parse(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let &[
            s0,
            s1,
            status,
            payload_type,
            t0,
            t1,
            t2,
            t3,
            w0,
            w1,
            h0,
            h1,
            fps,
            encoding,
            temporal_layers,
            _,
        ] = bytes;
        let track = match u32::from_be_bytes([t0, t1, t2, t3]) {
            0 => None,
            bits => Some(TrackId::from_bits(bits)?),
        };
        Some(Self {
            slot: u16::from_be_bytes([s0, s1]),
            status: SlotStatus::from_u8(status)?,
            payload_type,
            track,
            width: u16::from_be_bytes([w0, w1]),
            height: u16::from_be_bytes([h0, h1]),
            fps,
            encoding,
            temporal_layers,
        })
    }

    pub(super) fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        put.u16(self.slot)?;
        put.bytes(&[self.status as u8, self.payload_type])?;
        put.u32(self.track.map_or(0, TrackId::to_bits))?;
        put.u16(self.width)?;
        put.u16(self.height)?;
        put.bytes(&[self.fps, self.encoding, self.temporal_layers, 0])
    }
}

/// Whether the bytes are `count` well-formed slots, each named once.
pub(super) fn are_valid(count: u16, bytes: &[u8]) -> bool {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    let slots = entries.iter().map(|&[s0, s1, ..]| u16::from_be_bytes([s0, s1]));
    rest.is_empty()
        && entries.len() == usize::from(count)
        && entries.iter().all(|entry| ShownSlot::parse(entry).is_some())
        && are_distinct(slots)
}

/// Iterates over slots that were checked.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = ShownSlot> + Clone {
    bytes.as_chunks().0.iter().filter_map(ShownSlot::parse)
}
