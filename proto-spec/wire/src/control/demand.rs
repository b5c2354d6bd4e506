//! The demand state, `proto-spec/spec/04-control.md` section 4.8.

use super::page::{HEADER_BYTES, are_distinct};
use super::{MAX_ENCODINGS, MAX_LAYERS, MAX_PAGE_BODY_BYTES, MAX_TRACKS};
use crate::rtp::{BufferTooSmall, Put};
use crate::track::TrackNumber;

const ENTRY_BYTES: usize = 8;

/// How many encodings fit one page; all that a session may publish ([`MAX_TRACKS`] of [`MAX_ENCODINGS`]) do.
pub const DEMAND_PER_PAGE: usize = (MAX_PAGE_BODY_BYTES - HEADER_BYTES) / ENTRY_BYTES;

const _: () = assert!(DEMAND_PER_PAGE >= MAX_TRACKS * MAX_ENCODINGS, "one page holds the whole state");

/// Whether a track may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DemandStatus {
    /// It is offered to the room.
    Granted = 0,
    /// Another participant shares a screen, and the room has one at a time.
    OtherShares = 1,
    /// The participant may not publish it, as an attendee of a webinar.
    NotAllowed = 2,
    /// It was offered until another participant took the screen share over.
    TakenOver = 3,
}

impl DemandStatus {
    /// The status of a byte from the wire.
    #[must_use]
    pub const fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Granted),
            1 => Some(Self::OtherShares),
            2 => Some(Self::NotAllowed),
            3 => Some(Self::TakenOver),
            _ => None,
        }
    }
}

/// What anyone wants of one encoding of a published track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Demand {
    /// The track.
    pub track: TrackNumber,
    /// Which of the track's encodings, from 0.
    pub encoding: u8,
    /// Whether the track may be published; the same for all its encodings.
    pub status: DemandStatus,
    /// How many temporal layers are wanted, at most [`MAX_LAYERS`]; 0: nobody wants the encoding.
    pub temporal_layers: u8,
    /// How many spatial layers are wanted, at most [`MAX_LAYERS`]; 0: nobody wants the encoding.
    pub spatial_layers: u8,
}

impl Demand {
    fn parse(
        &[track, encoding, status, temporal_layers, spatial_layers, ..]: &[u8; ENTRY_BYTES],
    ) -> Option<Self> {
        let is_valid = usize::from(track) < MAX_TRACKS
            && usize::from(encoding) < MAX_ENCODINGS
            && temporal_layers <= MAX_LAYERS
            && spatial_layers <= MAX_LAYERS
            && (temporal_layers == 0) == (spatial_layers == 0);
        let status = DemandStatus::from_u8(status)?;
        is_valid.then_some(Self {
            track: TrackNumber(track),
            encoding,
            status,
            temporal_layers,
            spatial_layers,
        })
    }

    pub(super) fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        let Self { track, encoding, status, temporal_layers, spatial_layers } = *self;
        put.bytes(&[track.0, encoding, status as u8, temporal_layers, spatial_layers, 0, 0, 0])
    }
}

/// Whether the bytes are `count` well-formed encodings, each named once.
pub(super) fn are_valid(count: u16, bytes: &[u8]) -> bool {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    let names = entries.iter().map(|&[track, encoding, ..]| (track, encoding));
    rest.is_empty()
        && entries.len() == usize::from(count)
        && entries.iter().all(|entry| Demand::parse(entry).is_some())
        && are_distinct(names)
}

/// Iterates over encodings that were checked.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = Demand> + Clone {
    bytes.as_chunks().0.iter().filter_map(Demand::parse)
}
