//! Looped clips of encoded media: what a publisher without camera, microphone and encoder sends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Codec;
use super::annexb;
use super::hash::frame_hash;
use super::ivf::{IvfError, IvfReader};
use super::ogg_opus::{self, OggOpusError};
use super::opus::{level_guessed_from_size, packet_duration_ticks};
use super::packetize::FrameLayer;
use super::vp8::FrameHeader;

/// The largest clip file that is read, in bytes: minutes of camera. Clips are kept in memory.
pub const MAX_CLIP_BYTES: u64 = 64 << 20;
/// Temporal layers of a track (`proto-spec/spec/03-media.md` section 3.2 gives them 3 bits, VP8 has 2).
pub const MAX_TEMPORAL_LAYERS: u8 = 4;
/// The audio packets that the protocol allows: 10 to 60 ms at 48 kHz.
const AUDIO_PACKET_TICKS: std::ops::RangeInclusive<u32> = 480..=2_880;

/// Why a clip cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// The container is not IVF or is cut short.
    #[error(transparent)]
    Ivf(#[from] IvfError),
    /// The container is not Opus in Ogg.
    #[error(transparent)]
    Ogg(#[from] OggOpusError),
    /// The IVF file holds another codec than VP8.
    #[error("the IVF file holds {0:?}, not VP80")]
    NotVp8(String),
    /// There is no frame in it.
    #[error("the clip holds no frame")]
    NoFrame,
    /// A frame has no bytes, or a header that is none of its codec.
    #[error("frame {0} of the clip is not a frame of its codec")]
    BadFrame(usize),
    /// An audio packet is not of 10 to 60 ms.
    #[error("packet {0} of the clip is not of 10 to 60 ms")]
    BadDuration(usize),
    /// Presentation times do not grow.
    #[error("frame {0} of the clip is not later than the one before")]
    BadTime(usize),
    /// A loop of video has to begin with a key frame.
    #[error("the clip does not begin with a key frame")]
    NoKeyFrame,
    /// H.264 byte streams have no frame rate and no size; they come from the manifest.
    #[error("a raw H.264 clip needs its width, height and frame rate (1 to 240) stated")]
    MissingFormat,
    /// The temporal pattern is empty, begins above the base layer, or has more than four layers.
    #[error(
        "the temporal pattern has to begin with layer 0, stay below 4, and have as many base_sync as temporal_ids"
    )]
    BadPattern,
    /// The manifest says another codec or size.
    #[error("the clip is of another codec or size than the manifest says")]
    NotAsStated,
    /// No known container has this file extension.
    #[error("the file extension is none of ivf, h264, 264, ogg, opus")]
    UnknownExtension,
    /// The file is larger than [`MAX_CLIP_BYTES`].
    #[error("the file has {0} bytes, more than a clip may have")]
    TooLarge(u64),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A clip that could not be loaded, with its path.
#[derive(Debug, thiserror::Error)]
#[error("cannot load the clip {path}")]
pub struct LoadClipError {
    path: PathBuf,
    source: ClipError,
}

impl LoadClipError {
    pub(super) fn new(path: &Path, source: ClipError) -> Self {
        Self { path: path.to_owned(), source }
    }
}

/// How a clip's bytes are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// VP8 in IVF.
    Ivf,
    /// An H.264 byte stream.
    AnnexB,
    /// Opus in Ogg.
    OggOpus,
}

impl Container {
    /// The container that a file's extension stands for.
    #[must_use]
    pub fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "ivf" => Some(Self::Ivf),
            "h264" | "264" => Some(Self::AnnexB),
            "ogg" | "opus" => Some(Self::OggOpus),
            _ => None,
        }
    }
}

/// Temporal layers of the frames of a clip, repeated from its first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporalPattern(Vec<FrameLayer>);

impl TemporalPattern {
    /// The pattern with these temporal ids; `base_sync` says which frames of upper layers depend on the base layer alone.
    /// Frames of the highest layer are discardable.
    ///
    /// # Errors
    /// [`ClipError::BadPattern`] if it is empty, does not begin with layer 0, has ids above 3, or lists of unequal length.
    pub fn new(temporal_ids: &[u8], base_sync: &[bool]) -> Result<Self, ClipError> {
        let highest = temporal_ids.iter().copied().max().unwrap_or(0);
        let begins_with_base = temporal_ids.first() == Some(&0);
        if !begins_with_base || highest >= MAX_TEMPORAL_LAYERS || temporal_ids.len() != base_sync.len() {
            return Err(ClipError::BadPattern);
        }
        let layer = |(&temporal_id, &base_sync)| FrameLayer {
            temporal_id,
            base_sync: base_sync && temporal_id > 0,
            discardable: temporal_id > 0 && temporal_id == highest,
        };
        Ok(Self(temporal_ids.iter().zip(base_sync).map(layer).collect()))
    }

    /// Number of layers, 1 to 4.
    #[must_use]
    pub fn layers(&self) -> u8 {
        self.0.iter().map(|layer| layer.temporal_id + 1).max().unwrap_or(1)
    }

    fn at(&self, frame: usize) -> FrameLayer {
        self.0[frame % self.0.len()]
    }
}

impl Default for TemporalPattern {
    /// One layer.
    fn default() -> Self {
        Self(vec![FrameLayer::default()])
    }
}

/// What a container does not say about its clip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClipOptions {
    /// Temporal layers of video.
    pub temporal: TemporalPattern,
    /// Width in pixels, needed for H.264.
    pub width: Option<u16>,
    /// Height in pixels, needed for H.264.
    pub height: Option<u16>,
    /// Frames per second, needed for H.264.
    pub frames_per_second: Option<u32>,
}

/// An encoded frame of a clip. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaFrame {
    /// A VP8 frame, an H.264 access unit with start codes of four bytes, or an Opus packet.
    pub data: Arc<[u8]>,
    /// [`frame_hash`] of `data`.
    pub hash: u64,
    /// Whether decoding can start here; always of audio.
    pub key: bool,
    /// Temporal layer and what depends on the frame.
    pub layer: FrameLayer,
    /// Until the next frame, in ticks of the codec's RTP clock; not 0.
    pub duration_ticks: u32,
    /// RFC 6464 audio level, in -dBov, of audio: [a guess](level_guessed_from_size).
    pub audio_level: Option<u8>,
}

/// A clip in memory. Clones share the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    codec: Codec,
    width: u16,
    height: u16,
    temporal_layers: u8,
    frames: Arc<[MediaFrame]>,
}

impl Clip {
    /// Reads a clip from the bytes of a file.
    ///
    /// # Errors
    /// [`ClipError`] if the bytes are not a playable clip: not the container, a broken frame, no key frame at the beginning.
    pub fn from_bytes(container: Container, file: &[u8], options: &ClipOptions) -> Result<Self, ClipError> {
        let clip = match container {
            Container::Ivf => read_ivf(file, options)?,
            Container::AnnexB => read_annexb(file, options)?,
            Container::OggOpus => read_ogg_opus(file)?,
        };
        match clip.frames.first() {
            None => Err(ClipError::NoFrame),
            Some(first) if !first.key => Err(ClipError::NoKeyFrame),
            Some(_) => Ok(clip),
        }
    }

    /// Reads a clip from a file; its extension says which container it is. Blocks.
    ///
    /// # Errors
    /// [`LoadClipError`] with the path, and [`ClipError`] as its source.
    pub fn load(path: &Path, options: &ClipOptions) -> Result<Self, LoadClipError> {
        let load = || {
            let container = Container::from_extension(path).ok_or(ClipError::UnknownExtension)?;
            let size = std::fs::metadata(path)?.len();
            if size > MAX_CLIP_BYTES {
                return Err(ClipError::TooLarge(size));
            }
            Self::from_bytes(container, &std::fs::read(path)?, options)
        };
        load().map_err(|source| LoadClipError::new(path, source))
    }

    /// The codec of all frames.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Width in pixels; 0 of audio.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Height in pixels; 0 of audio.
    #[must_use]
    pub const fn height(&self) -> u16 {
        self.height
    }

    /// Number of temporal layers, 1 to 4.
    #[must_use]
    pub const fn temporal_layers(&self) -> u8 {
        self.temporal_layers
    }

    /// The frames, at least one; the first is a key frame.
    #[must_use]
    pub fn frames(&self) -> &[MediaFrame] {
        &self.frames
    }

    /// How long one round takes, in ticks of the codec's RTP clock.
    #[must_use]
    pub fn duration_ticks(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.duration_ticks)).sum()
    }

    /// The mean bit rate of the frames up to this temporal layer, in bits per second, without any headers.
    #[must_use]
    pub fn bits_per_second(&self, highest_temporal_id: u8) -> u64 {
        let counted = self.frames.iter().filter(|frame| frame.layer.temporal_id <= highest_temporal_id);
        let bits: u64 = counted.map(|frame| frame.data.len() as u64 * 8).sum();
        bits.saturating_mul(u64::from(self.codec.clock_rate_hz())) / self.duration_ticks().max(1)
    }

    /// An endless source of the clip's frames, which begins at the latest key frame not after frame `start` (taken modulo the
    /// number of frames), so that many sources of one clip need not speak in unison.
    #[must_use]
    pub fn looped_from(&self, start: usize) -> LoopedClip {
        let start = start % self.frames.len();
        let next = self.frames[..=start].iter().rposition(|frame| frame.key).unwrap_or(0);
        LoopedClip { frames: Arc::clone(&self.frames), next }
    }
}

/// An endless source of a clip's frames. Cheap: all sources of a clip share its frames.
#[derive(Clone, Debug)]
pub struct LoopedClip {
    frames: Arc<[MediaFrame]>,
    next: usize,
}

impl LoopedClip {
    /// The next frame.
    pub fn next_frame(&mut self) -> &MediaFrame {
        let frame = &self.frames[self.next];
        self.next = (self.next + 1) % self.frames.len();
        frame
    }

    /// Goes on at once with the key frame of the clip that is nearest to frame `place` (taken modulo the number of frames) round
    /// the loop, as an encoder that was asked for one. Sources that keep to one place stay within half the distance of two key
    /// frames of each other, however often each of them is asked.
    pub fn jump_to_key_frame_near(&mut self, place: usize) {
        let len = self.frames.len();
        let place = place % len;
        let distance = |at: usize| at.abs_diff(place).min(len - at.abs_diff(place));
        self.next = (0..len).filter(|&at| self.frames[at].key).min_by_key(|&at| distance(at)).unwrap_or(0);
    }
}

fn read_ivf(file: &[u8], options: &ClipOptions) -> Result<Clip, ClipError> {
    let reader = IvfReader::new(file)?;
    if &reader.fourcc() != b"VP80" {
        return Err(ClipError::NotVp8(String::from_utf8_lossy(&reader.fourcc()).into_owned()));
    }
    let (rate, scale) = reader.ticks_per_second();
    let (mut width, mut height) = (reader.width(), reader.height());
    // Each time from the beginning, so that roundings do not add up.
    let rtp_time = |pts: u64| {
        u128::from(pts) * u128::from(Codec::Vp8.clock_rate_hz()) * u128::from(scale) / u128::from(rate)
    };
    let mut frames: Vec<MediaFrame> = Vec::new();
    let mut last_pts = None;
    for (position, frame) in reader.enumerate() {
        let frame = frame?;
        if let (Some(before), Some(last)) = (last_pts, frames.last_mut()) {
            let ticks = rtp_time(frame.pts).checked_sub(rtp_time(before)).filter(|&ticks| ticks > 0);
            let ticks = ticks.and_then(|ticks| u32::try_from(ticks).ok());
            last.duration_ticks = ticks.ok_or(ClipError::BadTime(position))?;
        }
        last_pts = Some(frame.pts);
        let header = FrameHeader::parse(frame.data).ok_or(ClipError::BadFrame(position))?;
        if let (0, FrameHeader::Key { width: w, height: h }) = (position, header) {
            (width, height) = (w, h);
        }
        let key = header != FrameHeader::Inter;
        let assumed_ticks = frames.last().map_or_else(|| rtp_time(1), |last| u128::from(last.duration_ticks));
        let assumed_ticks = u32::try_from(assumed_ticks).unwrap_or(u32::MAX).max(1);
        frames.push(video_frame(frame.data.into(), key, options.temporal.at(position), assumed_ticks));
    }
    Ok(video_clip(Codec::Vp8, (width, height), options, frames))
}

fn read_annexb(file: &[u8], options: &ClipOptions) -> Result<Clip, ClipError> {
    let (Some(width), Some(height), Some(rate @ 1..=240)) =
        (options.width, options.height, options.frames_per_second)
    else {
        return Err(ClipError::MissingFormat);
    };
    let rtp_time = |frame: usize| frame as u64 * u64::from(Codec::H264.clock_rate_hz()) / u64::from(rate);
    let frame = |(position, unit): (usize, annexb::AccessUnit)| {
        // At most 90,000 ticks, since the rate is at least 1.
        let ticks = (rtp_time(position + 1) - rtp_time(position)) as u32;
        video_frame(unit.data.into(), unit.idr, options.temporal.at(position), ticks)
    };
    let frames = annexb::access_units(file).into_iter().enumerate().map(frame).collect();
    Ok(video_clip(Codec::H264, (width, height), options, frames))
}

fn video_frame(data: Arc<[u8]>, key: bool, layer: FrameLayer, duration_ticks: u32) -> MediaFrame {
    MediaFrame { hash: frame_hash(&data), data, key, layer, duration_ticks, audio_level: None }
}

fn video_clip(
    codec: Codec,
    (width, height): (u16, u16),
    options: &ClipOptions,
    frames: Vec<MediaFrame>,
) -> Clip {
    Clip { codec, width, height, temporal_layers: options.temporal.layers(), frames: frames.into() }
}

fn read_ogg_opus(file: &[u8]) -> Result<Clip, ClipError> {
    let packets = ogg_opus::read(file)?.packets;
    let mean_bytes = packets.iter().map(Vec::len).sum::<usize>() / packets.len().max(1);
    let frame = |(position, packet): (usize, Vec<u8>)| {
        let duration_ticks = packet_duration_ticks(&packet).ok_or(ClipError::BadFrame(position))?;
        if !AUDIO_PACKET_TICKS.contains(&duration_ticks) {
            return Err(ClipError::BadDuration(position));
        }
        Ok(MediaFrame {
            hash: frame_hash(&packet),
            key: true,
            layer: FrameLayer::default(),
            duration_ticks,
            audio_level: Some(level_guessed_from_size(packet.len(), mean_bytes)),
            data: packet.into(),
        })
    };
    let frames: Result<Vec<_>, _> = packets.into_iter().enumerate().map(frame).collect();
    Ok(Clip { codec: Codec::Opus, width: 0, height: 0, temporal_layers: 1, frames: frames?.into() })
}

#[cfg(test)]
mod tests;
