//! The speakers state, `proto-spec/spec/04-control.md` section 4.9.

use super::page::are_distinct;
use crate::ext::AudioLevel;
use crate::rtp::{BufferTooSmall, Put};
use crate::track::TrackId;

const ENTRY_BYTES: usize = 8;
const TALKING_BIT: u8 = 0x01;
const DOMINANT_BIT: u8 = 0x02;
const TALKING_WHILE_MUTED_BIT: u8 = 0x04;

/// The most speakers that the state has: more than a layout follows, and one short page.
pub const MAX_SPEAKERS: usize = 16;

/// A recent speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Speaker {
    /// The microphone.
    pub track: TrackId,
    /// Its smoothed loudness in -dBov: 0 is the loudest, [`AudioLevel::SILENCE`] is silence.
    pub level: u8,
    /// Whether it is heard now.
    pub talking: bool,
    /// Whether it is the dominant speaker.
    pub dominant: bool,
    /// Whether its muted participant talks; only that participant is told.
    pub talking_while_muted: bool,
}

impl Speaker {
    fn parse(&[t0, t1, t2, t3, level, flags, _, _]: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let track = TrackId::from_bits(u32::from_be_bytes([t0, t1, t2, t3]))?;
        (level <= AudioLevel::SILENCE).then_some(Self {
            track,
            level,
            talking: flags & TALKING_BIT != 0,
            dominant: flags & DOMINANT_BIT != 0,
            talking_while_muted: flags & TALKING_WHILE_MUTED_BIT != 0,
        })
    }

    pub(super) fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        let flags = bit(self.talking, TALKING_BIT)
            | bit(self.dominant, DOMINANT_BIT)
            | bit(self.talking_while_muted, TALKING_WHILE_MUTED_BIT);
        put.u32(self.track.to_bits())?;
        put.bytes(&[self.level, flags, 0, 0])
    }
}

/// Whether the bytes are `count` well-formed speakers, each named once and at most one dominant.
pub(super) fn are_valid(count: u16, bytes: &[u8]) -> bool {
    let (speakers, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    rest.is_empty()
        && speakers.len() == usize::from(count)
        && speakers.len() <= MAX_SPEAKERS
        && speakers.iter().all(|entry| Speaker::parse(entry).is_some())
        && entries(bytes).filter(|speaker| speaker.dominant).count() <= 1
        && are_distinct(entries(bytes).map(|speaker| speaker.track))
}

/// Iterates over speakers that were checked.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = Speaker> + Clone {
    bytes.as_chunks().0.iter().filter_map(Speaker::parse)
}
