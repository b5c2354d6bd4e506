//! Synthetic media: frames that parse as their codec's, with random content, so that any mix-up shows in a hash, and with the
//! references that their encoder would have made.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_client::media::packetize::FrameLayer;
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;

/// How many times larger than others key frames are, unless said otherwise.
const KEY_FRAME_TIMES: usize = 3;
/// Of a VP8 key frame's head (RFC 6386 section 9.1): tag, start code, width and height.
const KEY_FRAME_HEAD: [u8; 10] = [0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01];
/// Of another frame's head: the P bit is set.
const INTER_FRAME_HEAD: [u8; 3] = [0x11, 0, 0];
/// Temporal layers of a picture, at most.
pub const MAX_TEMPORAL_LAYERS: u8 = 3;
/// Temporal ids of a group of frames, by number of layers less one.
const GROUPS: [&[u8]; MAX_TEMPORAL_LAYERS as usize] = [&[0], &[0, 1], &[0, 2, 1, 2]];

/// A frame of a source.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Whether decoding can start here.
    pub key: bool,
    /// Its layer.
    pub layer: FrameLayer,
    /// Counts the frames of the source.
    pub number: u64,
    /// The numbers of the frames that it cannot be decoded without.
    pub references: Vec<u64>,
}

/// The shape of a picture's stream.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    /// Frames per second.
    pub fps: u8,
    /// Mean size of a frame.
    pub mean_bytes: usize,
    /// Temporal layers, 1 to [`MAX_TEMPORAL_LAYERS`].
    pub temporal_layers: u8,
}

/// How the frames of a picture lean on each other.
///
/// Every group begins with a frame of the base layer, which refers to the one before. In a group that synchronises, the first
/// frame of each upper layer refers to the base alone; in others also to earlier frames of the layers up to its own.
#[derive(Debug)]
struct Pattern {
    temporal_layers: u8,
    /// Frames of the top layer refer to earlier ones of it.
    top_is_referenced: bool,
    position: usize,
    synchronises: bool,
    /// The newest frame of each layer.
    newest: [Option<u64>; MAX_TEMPORAL_LAYERS as usize],
}

impl Pattern {
    fn next(&mut self, number: u64, key: bool, rng: &mut ChaCha8Rng) -> (FrameLayer, Vec<u64>) {
        let group = GROUPS[usize::from(self.temporal_layers) - 1];
        if key {
            (self.position, self.newest) = (0, [None; MAX_TEMPORAL_LAYERS as usize]);
        }
        if self.position == 0 {
            self.synchronises = key || rng.random_ratio(1, 3);
        }
        let temporal_id = group[self.position];
        let is_first = !group[..self.position].contains(&temporal_id);
        self.position = (self.position + 1) % group.len();
        let top = self.temporal_layers - 1;
        let discardable = temporal_id == top && top > 0 && !self.top_is_referenced;
        let reach = if discardable { temporal_id - 1 } else { temporal_id };
        let reach = if temporal_id > 0 && is_first && self.synchronises { 0 } else { reach };
        let references: Vec<u64> = self.newest[..=usize::from(reach)].iter().copied().flatten().collect();
        self.newest[usize::from(temporal_id)] = Some(number);
        let base_sync = temporal_id > 0 && references.len() == 1;
        (FrameLayer { temporal_id, base_sync, discardable }, references)
    }
}

/// One encoding at its encoder.
#[derive(Debug)]
pub struct Source {
    /// The track.
    pub track: TrackNumber,
    /// The encoding's position within the track.
    pub encoding: u8,
    interval: Duration,
    mean_bytes: usize,
    key_frame_times: usize,
    /// `None` of sound.
    pattern: Option<Pattern>,
    key_wanted: bool,
    next_number: u64,
    next_at: Time,
    rng: ChaCha8Rng,
    /// Draws sizes, if they do not depend on what else is drawn.
    sizes: Option<ChaCha8Rng>,
}

impl Source {
    /// A voice: 20 ms packets.
    #[must_use]
    pub fn voice(track: TrackNumber, now: Time, rng: &mut ChaCha8Rng) -> Self {
        Self::new(track, 0, Duration::from_millis(20), 80, None, now, rng)
    }

    /// An encoding of a picture, whose first frame is due soon after `now`.
    #[must_use]
    pub fn picture(
        track: TrackNumber,
        encoding: u8,
        picture: Picture,
        now: Time,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let pattern = Pattern {
            temporal_layers: picture.temporal_layers.clamp(1, MAX_TEMPORAL_LAYERS),
            top_is_referenced: rng.random(),
            position: 0,
            synchronises: true,
            newest: [None; MAX_TEMPORAL_LAYERS as usize],
        };
        let interval = Duration::from_secs(1) / u32::from(picture.fps);
        Self::new(track, encoding, interval, picture.mean_bytes, Some(pattern), now, rng)
    }

    fn new(
        track: TrackNumber,
        encoding: u8,
        interval: Duration,
        mean_bytes: usize,
        pattern: Option<Pattern>,
        now: Time,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let mut rng = ChaCha8Rng::from_seed(rng.random());
        let next_at = now + interval.mul_f64(rng.random());
        Self {
            track,
            encoding,
            interval,
            mean_bytes,
            key_frame_times: KEY_FRAME_TIMES,
            pattern,
            key_wanted: true,
            next_number: 0,
            next_at,
            rng,
            sizes: None,
        }
    }

    /// Captures at the same moments as another source, as the encodings of one camera do.
    pub const fn align_with(&mut self, other: &Self) {
        self.next_at = other.next_at;
    }

    /// Captures so much later than another source: close enough to be of one camera, and told apart by the capture time alone.
    pub fn follow(&mut self, other: &Self, by: Duration) {
        self.next_at = other.next_at + by;
    }

    /// Makes key frames so many times larger than others.
    pub const fn set_key_frame_times(&mut self, times: usize) {
        self.key_frame_times = times;
    }

    /// Draws sizes from a generator of their own: then a key frame more or less changes the size of no other frame.
    pub fn set_sizes(&mut self, rng: ChaCha8Rng) {
        self.sizes = Some(rng);
    }

    /// Makes frames of this mean size from now on.
    pub const fn set_mean_bytes(&mut self, bytes: usize) {
        self.mean_bytes = bytes;
    }

    /// When the next frame is due.
    #[must_use]
    pub const fn next_at(&self) -> Time {
        self.next_at
    }

    /// The encoder is asked for a key frame.
    pub const fn want_key_frame(&mut self) {
        self.key_wanted = true;
    }

    /// Makes the frame that is due.
    pub fn next_frame(&mut self) -> SourceFrame {
        self.next_at += self.interval;
        let number = self.next_number;
        self.next_number += 1;
        let Some(pattern) = &mut self.pattern else {
            let mut data = self.content(1);
            // An Opus TOC of 20 ms, one frame (RFC 6716 section 3.1).
            data[0] = 0x78;
            let layer = FrameLayer { temporal_id: 0, base_sync: false, discardable: false };
            return SourceFrame { data, key: true, layer, number, references: Vec::new() };
        };
        let key = std::mem::replace(&mut self.key_wanted, false);
        let (layer, references) = pattern.next(number, key, &mut self.rng);
        let mut data = self.content(if key { self.key_frame_times } else { 1 });
        let head = if key { &KEY_FRAME_HEAD[..] } else { &INTER_FRAME_HEAD };
        data[..head.len()].copy_from_slice(head);
        SourceFrame { data, key, layer, number, references }
    }

    fn content(&mut self, times: usize) -> Vec<u8> {
        let sizes = self.sizes.as_mut().unwrap_or(&mut self.rng);
        let bytes = sizes.random_range(self.mean_bytes / 2..=self.mean_bytes * 3 / 2) * times;
        let mut data = vec![0; bytes.max(KEY_FRAME_HEAD.len() + 1)];
        self.rng.fill_bytes(&mut data);
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(temporal_layers: u8, seed: u64) -> Vec<SourceFrame> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let picture = Picture { fps: 16, mean_bytes: 100, temporal_layers };
        let mut source = Source::picture(TrackNumber::CAMERA, 0, picture, Time::ZERO, &mut rng);
        (0..200)
            .map(|number| {
                if number == 101 {
                    source.want_key_frame();
                }
                source.next_frame()
            })
            .collect()
    }

    #[test]
    fn frames_refer_to_what_their_marks_say() {
        for seed in 0..20 {
            for temporal_layers in 1..=MAX_TEMPORAL_LAYERS {
                let frames = frames(temporal_layers, seed);
                let of = |number: &u64| &frames[*number as usize];
                let mut is_referenced = vec![false; frames.len()];
                for frame in &frames {
                    assert_eq!(frame.key, frame.number == 0 || frame.number == 101);
                    assert_eq!(frame.key, frame.references.is_empty());
                    assert!(frame.references.iter().all(|number| *number < frame.number));
                    let lower = |number| of(number).layer.temporal_id <= frame.layer.temporal_id;
                    assert!(frame.references.iter().all(lower));
                    let on_base = frame.references.iter().all(|number| of(number).layer.temporal_id == 0);
                    assert_eq!(frame.layer.base_sync, on_base && frame.layer.temporal_id > 0);
                    frame.references.iter().for_each(|number| is_referenced[*number as usize] = true);
                }
                assert!(frames.iter().all(|f| !f.layer.discardable || !is_referenced[f.number as usize]));
                let tops = frames.iter().filter(|frame| frame.layer.temporal_id == temporal_layers - 1);
                assert!(tops.count() >= frames.len() / 2 - 2);
            }
        }
    }

    #[test]
    fn not_every_upper_frame_synchronises() {
        let all: Vec<SourceFrame> = (0..20).flat_map(|seed| frames(3, seed)).collect();
        for temporal_id in 1..3 {
            let of_layer = || all.iter().filter(|frame| frame.layer.temporal_id == temporal_id);
            let synced = of_layer().filter(|frame| frame.layer.base_sync).count();
            assert!(synced > 0 && synced < of_layer().count());
        }
    }
}
