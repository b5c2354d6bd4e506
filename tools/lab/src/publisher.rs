//! Somebody's encoders: they make what is wanted, and no more than the uplink carries.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_client::session::Event;
use sluice_simulator::source::{Picture, Source, SourceFrame};
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;

use crate::media::{OVERHEAD, VOICE_BPS};
use crate::scenario::Media;

/// The encodings of a camera capture this much after each other, so that the capture time alone says which a frame is of.
const ENCODING_OFFSET: Duration = Duration::from_micros(2);
/// An encoder makes pictures of some use down to this share of its rate; below it is switched off.
const LEAST_SHARE: f64 = 0.4;
/// What is left of the uplink for everything that is not media.
const MEDIA_SHARE: f64 = 0.95;

/// A frame that is due.
#[derive(Clone, Debug)]
pub struct Made {
    /// The track.
    pub track: TrackNumber,
    /// The encoding's position within the track.
    pub encoding: u8,
    /// When it was captured.
    pub captured_at: Time,
    /// The frame.
    pub frame: SourceFrame,
}

/// The voice and the camera of somebody.
#[derive(Debug)]
pub struct Publisher {
    media: Media,
    sources: Vec<Source>,
    /// Whether anybody wants each encoding of the camera.
    wanted: Vec<bool>,
    /// Whether each is made.
    is_on: Vec<bool>,
    uplink_bps: Option<u64>,
}

impl Publisher {
    /// Somebody who begins now.
    #[must_use]
    pub fn new(media: &Media, now: Time, rng: &mut ChaCha8Rng) -> Self {
        let encodings = media.encodings.len();
        Self {
            media: media.clone(),
            sources: sources(media, now, rng),
            wanted: vec![true; encodings],
            is_on: vec![true; encodings],
            uplink_bps: None,
        }
    }

    /// When the next frame is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.sources.iter().map(Source::next_at).min()
    }

    /// Takes note of what the session says.
    pub fn on_event(&mut self, event: &Event) {
        match event {
            Event::KeyFrameRequested { track, encoding } => self.want_key_frame(*track, *encoding),
            Event::Demand(demand) if demand.track == TrackNumber::CAMERA => {
                if let Some(wanted) = self.wanted.get_mut(usize::from(demand.encoding)) {
                    *wanted = demand.temporal_layers > 0;
                }
                self.share_uplink();
            }
            Event::UplinkBitrate { bits_per_second } => {
                self.uplink_bps = Some(*bits_per_second);
                self.share_uplink();
            }
            _ => {}
        }
    }

    /// The frames that are due.
    pub fn due(&mut self, now: Time) -> Vec<Made> {
        let mut made = Vec::new();
        for source in &mut self.sources {
            while source.next_at() <= now {
                let (track, encoding) = (source.track, source.encoding);
                let captured_at = source.next_at();
                let is_off = track == TrackNumber::CAMERA
                    && self.is_on.get(usize::from(encoding)).is_some_and(|is_on| !is_on);
                let frame = source.next_frame();
                if is_off {
                    // It goes on with a key frame.
                    source.want_key_frame();
                } else {
                    made.push(Made { track, encoding, captured_at, frame });
                }
            }
        }
        made
    }

    fn want_key_frame(&mut self, track: TrackNumber, encoding: u8) {
        let wanted = |source: &&mut Source| source.track == track && source.encoding == encoding;
        if let Some(source) = self.sources.iter_mut().find(wanted) {
            source.want_key_frame();
        }
    }

    /// The voice first, then the encodings that are wanted from the smallest up; the last that has room only in part is made smaller.
    fn share_uplink(&mut self) {
        let Some(uplink_bps) = self.uplink_bps else { return };
        let mut left = uplink_bps as f64 * MEDIA_SHARE - VOICE_BPS as f64;
        for (number, encoding) in self.media.encodings.iter().enumerate() {
            let full = encoding.bps as f64 * OVERHEAD;
            let share = (left / full).clamp(0.0, 1.0);
            // The smallest stays, whatever it takes: the estimate may be wrong.
            let share = if number == 0 { share.max(LEAST_SHARE) } else { share };
            self.is_on[number] = share >= LEAST_SHARE;
            if self.is_on[number] && self.wanted[number] {
                left -= full * share;
            }
            let of_encoding = |source: &&mut Source| {
                source.track == TrackNumber::CAMERA && usize::from(source.encoding) == number
            };
            if let Some(source) = self.sources.iter_mut().find(of_encoding) {
                let bytes = encoding.bps as f64 / 8.0 / f64::from(self.media.fps);
                source.set_mean_bytes((bytes * share.max(LEAST_SHARE)) as usize);
            }
        }
    }
}

/// The voice and the camera's encodings of a publisher.
#[must_use]
fn sources(media: &Media, now: Time, rng: &mut ChaCha8Rng) -> Vec<Source> {
    let mut sources = vec![Source::voice(TrackNumber::MICROPHONE, now, rng)];
    for (number, encoding) in media.encodings.iter().enumerate() {
        let mean_bytes = (encoding.bps / 8 / u64::from(media.fps)) as usize;
        let picture = Picture { fps: media.fps, mean_bytes, temporal_layers: media.temporal_layers };
        let mut source = Source::picture(TrackNumber::CAMERA, number as u8, picture, now, rng);
        source.set_key_frame_times(media.key_frame_times);
        source.set_sizes(ChaCha8Rng::from_seed(rng.random()));
        if let Some(before) = sources.get(number).filter(|_| number > 0) {
            source.follow(before, ENCODING_OFFSET);
        }
        sources.push(source);
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes per second of each encoding of the camera with this uplink.
    fn rates(uplink_bps: u64, wanted: &[bool]) -> Vec<u64> {
        let media = Media::default();
        let mut publisher = Publisher::new(&media, Time::ZERO, &mut ChaCha8Rng::seed_from_u64(1));
        publisher.due(Time::ZERO + Duration::from_secs(1));
        publisher.wanted = wanted.to_vec();
        publisher.on_event(&Event::UplinkBitrate { bits_per_second: uplink_bps });
        let mut bits = vec![0; media.encodings.len()];
        for made in publisher.due(Time::ZERO + Duration::from_secs(21)) {
            if made.track == TrackNumber::CAMERA && !made.frame.key {
                bits[usize::from(made.encoding)] += made.frame.data.len() as u64 * 8 / 20;
            }
        }
        bits
    }

    #[test]
    fn what_does_not_fit_is_smaller_or_off() {
        let near = |rate: u64, expected: u64| rate.abs_diff(expected) <= expected / 10;
        let all = rates(10_000_000, &[true; 3]);
        assert!(near(all[0], 150_000) && near(all[1], 500_000) && near(all[2], 1_700_000), "{all:?}");
        let two = rates(800_000, &[true; 3]);
        assert!(near(two[0], 150_000) && near(two[1], 500_000) && two[2] == 0, "{two:?}");
        let less = rates(600_000, &[true; 3]);
        assert!(near(less[0], 150_000) && near(less[1], 330_000) && less[2] == 0, "{less:?}");
        let one = rates(100_000, &[true; 3]);
        assert!(near(one[0], 60_000) && one[1] == 0, "{one:?}");
    }

    #[test]
    fn what_nobody_wants_takes_no_share() {
        let rates = rates(2_000_000, &[false, false, true]);
        assert!(rates[2] > 1_500_000, "{rates:?}");
    }

    #[test]
    fn what_comes_back_begins_with_a_key_frame() {
        let mut publisher = Publisher::new(&Media::default(), Time::ZERO, &mut ChaCha8Rng::seed_from_u64(1));
        let mut step = |uplink_bps: u64, second: u64| {
            publisher.on_event(&Event::UplinkBitrate { bits_per_second: uplink_bps });
            let made = publisher.due(Time::ZERO + Duration::from_secs(second));
            made.into_iter().find(|made| made.encoding == 2).map(|made| made.frame.key)
        };
        assert_eq!(step(5_000_000, 1), Some(true));
        assert_eq!(step(5_000_000, 2), Some(false));
        assert_eq!(step(500_000, 3), None);
        assert_eq!(step(5_000_000, 4), Some(true));
    }
}
