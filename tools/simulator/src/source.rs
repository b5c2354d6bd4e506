//! Synthetic media: frames that parse as their codec's, with random content, so that any mix-up shows in a hash.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_client::media::packetize::FrameLayer;
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;

/// Of a VP8 key frame's head (RFC 6386 section 9.1): tag, start code, width and height.
const KEY_FRAME_HEAD: [u8; 10] = [0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01];
/// Of another frame's head: the P bit is set.
const INTER_FRAME_HEAD: [u8; 3] = [0x11, 0, 0];

/// A frame of a source.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Whether decoding can start here.
    pub key: bool,
    /// Its layer; synthetic video has one.
    pub layer: FrameLayer,
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
    is_video: bool,
    key_wanted: bool,
    next_at: Time,
    rng: ChaCha8Rng,
}

impl Source {
    /// A voice: 20 ms packets.
    #[must_use]
    pub fn voice(track: TrackNumber, now: Time, rng: &mut ChaCha8Rng) -> Self {
        Self::new(track, 0, Duration::from_millis(20), 80, false, now, rng)
    }

    /// A picture of `mean_bytes` a frame at `fps`.
    #[must_use]
    pub fn picture(
        track: TrackNumber,
        encoding: u8,
        fps: u32,
        mean_bytes: usize,
        now: Time,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        Self::new(track, encoding, Duration::from_secs(1) / fps, mean_bytes, true, now, rng)
    }

    fn new(
        track: TrackNumber,
        encoding: u8,
        interval: Duration,
        mean_bytes: usize,
        is_video: bool,
        now: Time,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let mut rng = ChaCha8Rng::from_seed(rng.random());
        let next_at = now + interval.mul_f64(rng.random());
        Self { track, encoding, interval, mean_bytes, is_video, key_wanted: true, next_at, rng }
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
        let key = !self.is_video || std::mem::replace(&mut self.key_wanted, false);
        let larger = if key && self.is_video { 3 } else { 1 };
        let bytes = self.rng.random_range(self.mean_bytes / 2..=self.mean_bytes * 3 / 2) * larger;
        let mut data = vec![0; bytes.max(KEY_FRAME_HEAD.len() + 1)];
        self.rng.fill_bytes(&mut data);
        match (self.is_video, key) {
            (true, true) => data[..KEY_FRAME_HEAD.len()].copy_from_slice(&KEY_FRAME_HEAD),
            (true, false) => data[..INTER_FRAME_HEAD.len()].copy_from_slice(&INTER_FRAME_HEAD),
            // An Opus TOC of 20 ms, one frame (RFC 6716 section 3.1).
            (false, _) => data[0] = 0x78,
        }
        SourceFrame { data, key, layer: FrameLayer { temporal_id: 0, base_sync: false, discardable: false } }
    }
}
