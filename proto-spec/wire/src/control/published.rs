//! The published state, `proto-spec/spec/04-control.md` section 4.5.

use super::page::HEADER_BYTES;
use super::{MAX_ENCODINGS, MAX_LAYERS, MAX_PAGE_BODY_BYTES, MAX_TRACKS};
use crate::payload_type::PayloadType;
use crate::rtp::{BufferTooSmall, Put};
use crate::ssrc::StreamIndex;
use crate::track::{TrackKind, TrackNumber};

const TRACK_BYTES: usize = 8;
const ENCODING_BYTES: usize = 12;
const MUTED_BIT: u8 = 0x01;

/// One RTP stream of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublishedEncoding {
    /// The stream that carries it, 1 to 255.
    pub stream: StreamIndex,
    /// Temporal layers, at most [`MAX_LAYERS`]; 0 is unknown.
    pub temporal_layers: u8,
    /// Spatial layers, at most [`MAX_LAYERS`]; 0 is unknown.
    pub spatial_layers: u8,
    /// Frames per second; 0 is unknown, and for audio.
    pub fps: u8,
    /// Pixels; 0 is unknown, and for audio.
    pub width: u16,
    /// Pixels; 0 is unknown, and for audio.
    pub height: u16,
    /// The most that the encoder makes, bit/s.
    pub max_bitrate_bps: u32,
}

impl PublishedEncoding {
    /// Fills the unused places of [`Encodings`].
    const UNUSED: Self = Self {
        stream: StreamIndex::CONTROL,
        temporal_layers: 0,
        spatial_layers: 0,
        fps: 0,
        width: 0,
        height: 0,
        max_bitrate_bps: 0,
    };

    fn parse(bytes: &[u8; ENCODING_BYTES]) -> Self {
        let &[stream, temporal_layers, spatial_layers, fps, w0, w1, h0, h1, b0, b1, b2, b3] = bytes;
        Self {
            stream: StreamIndex(u16::from(stream)),
            temporal_layers,
            spatial_layers,
            fps,
            width: u16::from_be_bytes([w0, w1]),
            height: u16::from_be_bytes([h0, h1]),
            max_bitrate_bps: u32::from_be_bytes([b0, b1, b2, b3]),
        }
    }

    fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        let stream = u8::try_from(self.stream.0).map_err(|_| BufferTooSmall)?;
        put.bytes(&[stream, self.temporal_layers, self.spatial_layers, self.fps])?;
        put.u16(self.width)?;
        put.u16(self.height)?;
        put.u32(self.max_bitrate_bps)
    }

    const fn has_no_picture(&self) -> bool {
        self.width == 0 && self.height == 0 && self.fps == 0
    }
}

/// The encodings of a track in order of growing height, at most [`MAX_ENCODINGS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encodings {
    list: [PublishedEncoding; MAX_ENCODINGS],
    len: u8,
}

impl Encodings {
    /// Copies the encodings; `None` for none and for more than [`MAX_ENCODINGS`].
    #[must_use]
    pub fn from_slice(encodings: &[PublishedEncoding]) -> Option<Self> {
        let mut list = [PublishedEncoding::UNUSED; MAX_ENCODINGS];
        if encodings.is_empty() {
            return None;
        }
        list.get_mut(..encodings.len())?.copy_from_slice(encodings);
        Some(Self { list, len: encodings.len() as u8 })
    }

    /// The encodings, at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[PublishedEncoding] {
        &self.list[..usize::from(self.len)]
    }
}

/// One published track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublishedTrack {
    /// Its number within the participant, below [`MAX_TRACKS`].
    pub number: TrackNumber,
    /// What it shows or sounds.
    pub kind: TrackKind,
    /// Its codec.
    pub payload_type: PayloadType,
    /// Whether the sender sends nothing.
    pub muted: bool,
    /// Its encodings; audio has one.
    pub encodings: Encodings,
}

impl PublishedTrack {
    /// Bytes on the wire.
    const fn wire_len(&self) -> usize {
        TRACK_BYTES + self.encodings.len as usize * ENCODING_BYTES
    }

    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&[number, kind, payload_type, flags, count, ..], rest) =
            bytes.split_first_chunk::<TRACK_BYTES>()?;
        let (listed, rest) = rest.split_at_checked(usize::from(count) * ENCODING_BYTES)?;
        let mut list = [PublishedEncoding::UNUSED; MAX_ENCODINGS];
        for (place, bytes) in list.get_mut(..usize::from(count))?.iter_mut().zip(listed.as_chunks().0) {
            *place = PublishedEncoding::parse(bytes);
        }
        let track = Self {
            number: TrackNumber(number),
            kind: TrackKind::from_u8(kind)?,
            payload_type: PayloadType::from_u8(payload_type)?,
            muted: flags & MUTED_BIT != 0,
            encodings: Encodings { list, len: count },
        };
        Some((track, rest))
    }

    pub(super) fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        let flags = if self.muted { MUTED_BIT } else { 0 };
        put.bytes(&[self.number.0, self.kind as u8, self.payload_type as u8, flags])?;
        put.bytes(&[self.encodings.len, 0, 0, 0])?;
        self.encodings.as_slice().iter().try_for_each(|encoding| encoding.put(put))
    }

    /// All that can be said of a track by itself.
    fn is_valid(&self) -> bool {
        let encodings = self.encodings.as_slice();
        let layers_fit = |encoding: &PublishedEncoding| {
            encoding.temporal_layers <= MAX_LAYERS && encoding.spatial_layers <= MAX_LAYERS
        };
        let shape = if self.kind.is_audio() {
            self.payload_type.is_audio_codec()
                && encodings.len() == 1
                && encodings.iter().all(PublishedEncoding::has_no_picture)
        } else {
            let heights = encodings.iter().map(|encoding| encoding.height).filter(|height| *height > 0);
            self.payload_type.is_video_codec() && !encodings.is_empty() && heights.is_sorted()
        };
        shape && usize::from(self.number.0) < MAX_TRACKS && encodings.iter().all(layers_fit)
    }
}

/// How many of the first tracks fit one page.
#[must_use]
pub fn published_fitting(tracks: &[PublishedTrack]) -> usize {
    let mut free = MAX_PAGE_BODY_BYTES - HEADER_BYTES;
    let fits = |track: &&PublishedTrack| {
        let rest = free.checked_sub(track.wire_len());
        free = rest.unwrap_or(free);
        rest.is_some()
    };
    tracks.iter().take_while(fits).count()
}

/// Whether the bytes are `count` well-formed tracks, each with a number and streams of its own.
pub(super) fn are_valid(count: u16, bytes: &[u8]) -> bool {
    let mut numbers = 0u16;
    let mut streams = [false; 256];
    // The control stream is nobody's.
    streams[0] = true;
    let mut rest = bytes;
    for _ in 0..count {
        let Some((track, behind)) = PublishedTrack::split(rest) else { return false };
        if !track.is_valid() {
            return false;
        }
        let bit = 1u16 << track.number.0;
        let repeated = track
            .encodings
            .as_slice()
            .iter()
            .any(|encoding| std::mem::replace(&mut streams[usize::from(encoding.stream.0)], true));
        if numbers & bit != 0 || repeated {
            return false;
        }
        numbers |= bit;
        rest = behind;
    }
    rest.is_empty()
}

/// Iterates over tracks that were checked.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = PublishedTrack> + Clone {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (track, behind) = PublishedTrack::split(rest)?;
        rest = behind;
        Some(track)
    })
}
