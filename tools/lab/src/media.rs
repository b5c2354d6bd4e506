//! What people send, and what of it fits a capacity.

use sluice_client::media::Codec;
use sluice_client::session::{EncodingConfig, TrackConfig};
use sluice_wire::track::{TrackKind, TrackNumber};

use crate::scenario::Media;

/// Frames per second of a camera, at most.
pub const MAX_FPS: u8 = 60;
/// Of a voice, datagrams included: 80 bytes and 60 of headers, every 20 ms.
pub(crate) const VOICE_BPS: u64 = 56_000;
/// Headers of video: about 60 bytes on packets of 1,100.
pub(crate) const OVERHEAD: f64 = 1.07;
/// Encoders exceed their mean.
const PEAK_TIMES: u32 = 2;

/// What a publisher declares.
#[must_use]
pub fn tracks(media: &Media) -> [TrackConfig; 2] {
    let audio = EncodingConfig { width: 0, height: 0, fps: 0, temporal_layers: 1, max_bitrate_bps: 64_000 };
    let encodings = media.encodings.iter().map(|encoding| EncodingConfig {
        width: encoding.height / 9 * 16,
        height: encoding.height,
        fps: media.fps,
        temporal_layers: media.temporal_layers,
        max_bitrate_bps: (encoding.bps as u32).saturating_mul(PEAK_TIMES),
    });
    [
        TrackConfig {
            number: TrackNumber::MICROPHONE,
            kind: TrackKind::Microphone,
            codec: Codec::Opus,
            encodings: vec![audio],
        },
        TrackConfig {
            number: TrackNumber::CAMERA,
            kind: TrackKind::Camera,
            codec: Codec::Vp8,
            encodings: encodings.collect(),
        },
    ]
}

/// What a camera can be sent with, in bit/s of datagrams, in ascending order: encodings and their temporal layers up to a height.
#[must_use]
pub fn ladder(media: &Media, max_height: u16) -> Vec<u64> {
    let fits = |height: u16| max_height == 0 || height <= max_height;
    let smallest = media.encodings.first().map_or(0, |encoding| encoding.height);
    let encodings =
        media.encodings.iter().filter(|encoding| fits(encoding.height) || encoding.height == smallest);
    let mut rungs: Vec<u64> = encodings
        .flat_map(|encoding| {
            (0..media.temporal_layers).map(|dropped| (encoding.bps as f64 * OVERHEAD) as u64 >> dropped)
        })
        .collect();
    rungs.sort_unstable();
    rungs
}

/// The most that the layers of so many cameras and voices allow within a capacity, in bit/s: voices first, then every camera a rung
/// up in turn, as long as it fits. Of one camera that is exact; of several, somebody else may find a combination that fits better.
#[must_use]
pub fn usable_bps(ladder: &[u64], cameras: usize, voices: usize, capacity_bps: u64) -> u64 {
    let voices = (voices as u64 * VOICE_BPS).min(capacity_bps);
    let mut left = capacity_bps - voices;
    let mut rungs = vec![0; cameras];
    loop {
        let mut has_moved = false;
        for rung in &mut rungs {
            let have = if *rung == 0 { 0 } else { ladder[*rung - 1] };
            if let Some(next) = ladder.get(*rung)
                && next - have <= left
            {
                left -= next - have;
                *rung += 1;
                has_moved = true;
            }
        }
        if !has_moved {
            break;
        }
    }
    capacity_bps - left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_used() {
        let ladder = [100, 200, 400, 800];
        let with_voice = |bps: u64| usable_bps(&ladder, 1, 1, VOICE_BPS + bps) - VOICE_BPS;
        assert_eq!([0, 99, 100, 399, 400, 5_000].map(with_voice), [0, 0, 100, 200, 400, 800]);
        assert_eq!(usable_bps(&ladder, 2, 0, 650), 600);
        assert_eq!(usable_bps(&ladder, 0, 1, 1_000), 1_000);
    }

    #[test]
    fn the_ladder_is_of_encodings_and_their_layers() {
        let media = Media::default();
        assert_eq!(ladder(&media, 0).len(), 9);
        assert_eq!(ladder(&media, 360).len(), 6);
        assert_eq!(ladder(&media, 90).len(), 3);
        assert_eq!(ladder(&media, 0).last(), Some(&1_819_000));
    }
}
