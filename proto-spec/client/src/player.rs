//! Plays clips as a real-time track: what stands in for a camera and an encoder. Sans-IO: the caller brings the time.

use std::time::Duration;

use sluice_wire::time::Time;
use sluice_wire::track::{TrackKind, TrackNumber};

use crate::media::clip::{Clip, LoopedClip, MediaFrame};
use crate::session::{EncodingConfig, TrackConfig};

/// A player that is later than this does not catch up: the clip pauses for as long instead, as a camera does whose machine was
/// suspended. Below it, late frames follow at once, so that the track keeps its rate.
const MAX_LATENESS: Duration = Duration::from_millis(500);
/// Encoders exceed their mean for a while; a declared maximum leaves room for that.
const PEAK_PER_MEAN: u64 = 2;

/// A frame that a player gives out.
#[derive(Clone, Copy, Debug)]
pub struct PlayedFrame<'a> {
    /// The encoding's position within the track.
    pub encoding: u8,
    /// The frame of the clip.
    pub frame: &'a MediaFrame,
    /// RFC 6464 level of audio, in -dBov.
    pub audio_level: Option<u8>,
    /// When it counts as captured.
    pub captured_at: Time,
}

/// Why clips cannot be played together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayerError {
    /// There is none.
    #[error("a player needs at least one clip")]
    NoClip,
    /// The clips of one track have one codec, and frames of the same durations.
    #[error("the clips of one track differ in codec or timing")]
    NotInLockstep,
}

/// A track at play. All encodings run in lockstep: their frames have the same capture times. Each goes on with a key frame of its
/// own when asked for one, the nearest of its clip, so that encodings show nearly the same moment all the time.
#[derive(Clone, Debug)]
pub struct Player {
    config: TrackConfig,
    encodings: Vec<Encoding>,
    /// How long each frame is shown, in ticks; the same of all encodings.
    durations: Vec<u32>,
    rate_hz: u32,
    delay: Duration,
    /// When tick 0 is.
    origin: Option<Time>,
    /// Where the next frames are due, in ticks.
    next_ticks: u64,
    /// How many frames have been played.
    played: usize,
    level: Option<u8>,
}

/// An encoding at play.
#[derive(Clone, Debug)]
struct Encoding {
    clip: LoopedClip,
    wants_key_frame: bool,
}

impl Player {
    /// A player of track `number`, with a clip for each encoding in order of growing height.
    ///
    /// # Errors
    /// [`PlayerError`] if the clips do not run in lockstep. Whether they fit the kind is for
    /// [`publish`](crate::session::ClientSession::publish) to say.
    pub fn new(number: TrackNumber, kind: TrackKind, clips: &[Clip]) -> Result<Self, PlayerError> {
        let first = clips.first().ok_or(PlayerError::NoClip)?;
        if !clips.iter().all(|clip| in_lockstep(first, clip)) {
            return Err(PlayerError::NotInLockstep);
        }
        Ok(Self {
            config: TrackConfig {
                number,
                kind,
                codec: first.codec(),
                encodings: clips.iter().map(declare).collect(),
            },
            encodings: clips
                .iter()
                .map(|clip| Encoding { clip: clip.looped_from(0), wants_key_frame: false })
                .collect(),
            durations: first.frames().iter().map(|frame| frame.duration_ticks).collect(),
            rate_hz: first.codec().clock_rate_hz(),
            delay: Duration::ZERO,
            origin: None,
            next_ticks: 0,
            played: 0,
            level: None,
        })
    }

    /// The same player, whose first frame comes so much later, so that many players do not send in the same instant.
    #[must_use]
    pub fn delayed_by(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// How the track is to be declared.
    #[must_use]
    pub const fn config(&self) -> &TrackConfig {
        &self.config
    }

    /// Begins to play.
    pub fn start(&mut self, now: Time) {
        self.origin = Some(now + self.delay);
        self.next_ticks = 0;
    }

    /// When [`Self::play`] has something to do; `None` before the start.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.origin.map(|origin| origin + self.since_origin())
    }

    /// The router wants a key frame: the encoding goes on with one. Nothing happens if there is no such encoding.
    pub fn request_key_frame(&mut self, encoding: u8) {
        if let Some(encoding) = self.encodings.get_mut(usize::from(encoding)) {
            encoding.wants_key_frame = true;
        }
    }

    /// Overrides the audio level of the clip, in -dBov, as if the speaker were louder, quieter or silent; `None` takes the clip's
    /// again. Nothing but the level changes.
    pub const fn set_level(&mut self, level: Option<u8>) {
        self.level = level;
    }

    /// Gives the frames that are due to `send`, with the encoding and the time at which they count as captured: the time at
    /// which they were due, whenever this is called.
    pub fn play(&mut self, now: Time, mut send: impl FnMut(PlayedFrame<'_>)) {
        while let Some(due) = self.next_at().filter(|due| *due <= now) {
            let lateness = now.saturating_since(due);
            if lateness > MAX_LATENESS {
                self.origin = self.origin.map(|origin| origin + lateness);
                continue;
            }
            let level = self.level;
            for (number, encoding) in (0..).zip(&mut self.encodings) {
                if std::mem::take(&mut encoding.wants_key_frame) {
                    encoding.clip.jump_to_key_frame_near(self.played);
                }
                let frame = encoding.clip.next_frame();
                let audio_level = frame.audio_level.map(|of_clip| level.unwrap_or(of_clip));
                send(PlayedFrame { encoding: number, frame, audio_level, captured_at: due });
            }
            self.next_ticks += u64::from(self.durations[self.played % self.durations.len()]);
            self.played += 1;
        }
    }

    /// Counted from the origin each time, so that roundings do not add up.
    fn since_origin(&self) -> Duration {
        let nanos = u128::from(self.next_ticks) * 1_000_000_000 / u128::from(self.rate_hz);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn in_lockstep(first: &Clip, other: &Clip) -> bool {
    let durations = |clip: &Clip| clip.frames().iter().map(|frame| frame.duration_ticks).collect::<Vec<_>>();
    let keys = |clip: &Clip| clip.frames().iter().map(|frame| frame.key).collect::<Vec<_>>();
    first.codec() == other.codec() && durations(first) == durations(other) && keys(first) == keys(other)
}

fn declare(clip: &Clip) -> EncodingConfig {
    let rate_hz = u64::from(clip.codec().clock_rate_hz());
    let is_video = clip.codec().is_video();
    let fps = (rate_hz * clip.frames().len() as u64).div_ceil(clip.duration_ticks().max(1));
    let peak_bps = clip.bits_per_second(clip.temporal_layers()).saturating_mul(PEAK_PER_MEAN);
    EncodingConfig {
        width: clip.width(),
        height: clip.height(),
        fps: if is_video { u8::try_from(fps).unwrap_or(u8::MAX) } else { 0 },
        temporal_layers: clip.temporal_layers(),
        max_bitrate_bps: u32::try_from(peak_bps).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Codec;
    use crate::media::manifest::Manifest;
    use std::path::Path;

    fn clip(file: &str) -> Clip {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen/media");
        let manifest = Manifest::load(&directory).unwrap();
        manifest.clips.iter().find(|entry| entry.file == file).unwrap().load(&directory).unwrap()
    }

    fn camera() -> Player {
        Player::new(TrackNumber::CAMERA, TrackKind::Camera, &[clip("camera-180p30.ivf")]).unwrap()
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    /// Capture times of the frames that are due, in microseconds.
    fn played(player: &mut Player, now: Time) -> Vec<u64> {
        let mut times = Vec::new();
        player.play(now, |played| times.push(played.captured_at.as_nanos() / 1_000));
        times
    }

    #[test]
    fn a_clip_becomes_a_declaration() {
        let config = camera().config().clone();
        assert_eq!((config.codec, config.encodings.len()), (Codec::Vp8, 1));
        let encoding = config.encodings[0];
        assert_eq!(
            (encoding.width, encoding.height, encoding.fps, encoding.temporal_layers),
            (320, 180, 30, 3)
        );
        assert!((100_000..1_000_000).contains(&encoding.max_bitrate_bps), "{}", encoding.max_bitrate_bps);
        let voice =
            Player::new(TrackNumber::MICROPHONE, TrackKind::Microphone, &[clip("speech-1.ogg")]).unwrap();
        assert_eq!(voice.config().encodings[0].fps, 0);
    }

    #[test]
    fn deadlines_do_not_drift_however_late_the_calls_are() {
        let mut player = camera().delayed_by(Duration::from_millis(7));
        assert_eq!(player.next_at(), None);
        player.start(at(1_000));
        assert_eq!(played(&mut player, at(1_006)), [0_u64; 0]);
        assert_eq!(played(&mut player, at(1_008)), [1_007_000]);
        assert_eq!(played(&mut player, at(1_110)), [1_040_333, 1_073_666, 1_107_000]);
        let mut frames = 0;
        for step in 0..10_000 {
            frames += played(&mut player, at(1_120 + step * 9)).len();
        }
        assert_eq!(frames, (90_000 - 7 + 120) * 30 / 1_000 + 1 - 4);
    }

    #[test]
    fn after_a_long_stall_the_clip_goes_on_where_it_was() {
        let mut player = camera();
        player.start(at(0));
        assert_eq!(played(&mut player, at(0)), [0]);
        assert_eq!(played(&mut player, at(10_000)), [10_000_000]);
        assert_eq!(played(&mut player, at(10_034)), [10_033_333]);
    }

    /// Which frame of its clip each encoding shows at each of so many steps; before each, `before` may do something.
    fn shown(
        clips: &[Clip],
        steps: usize,
        mut before: impl FnMut(&mut Player, usize),
    ) -> Vec<Vec<(usize, Time)>> {
        let mut player = Player::new(TrackNumber::CAMERA, TrackKind::Camera, clips).unwrap();
        player.start(at(0));
        let mut shown = vec![Vec::new(); clips.len()];
        for step in 0..steps {
            before(&mut player, step);
            let now = player.next_at().unwrap();
            player.play(now, |played| {
                let encoding = usize::from(played.encoding);
                let same = |frame: &MediaFrame| frame.hash == played.frame.hash;
                let position = clips[encoding].frames().iter().position(same).unwrap();
                shown[encoding].push((position, played.captured_at));
            });
        }
        shown
    }

    #[test]
    fn a_requested_key_frame_is_the_next_one_of_that_encoding_alone() {
        let clips = ["camera-180p30.ivf", "camera-360p30.ivf"].map(clip);
        let shown = shown(&clips, 6, |player, step| {
            if step == 3 {
                player.request_key_frame(1);
                player.request_key_frame(7);
            }
        });
        let positions = |encoding: usize| shown[encoding].iter().map(|shown| shown.0).collect::<Vec<_>>();
        assert_eq!((positions(0), positions(1)), (vec![0, 1, 2, 3, 4, 5], vec![0, 1, 2, 0, 1, 2]));
    }

    #[test]
    fn however_often_key_frames_are_requested_encodings_show_nearly_the_same_moment() {
        let clips = ["camera-180p30.ivf", "camera-360p30.ivf"].map(clip);
        let shown = shown(&clips, 1_000, |player, step| {
            if step % 17 == 3 {
                player.request_key_frame(1);
            }
        });
        for ((small, captured_at), (large, also_captured_at)) in shown[0].iter().zip(&shown[1]) {
            let apart = small.abs_diff(*large);
            assert!(apart.min(128 - apart) <= 32, "{small} {large}");
            assert_eq!(captured_at, also_captured_at);
        }
    }

    #[test]
    fn simulcast_runs_in_lockstep() {
        let clips = ["camera-180p30.ivf", "camera-360p30.ivf"].map(clip);
        let second = Time::from_nanos(33_333_333);
        let expected = vec![(0, at(0)), (1, second)];
        assert_eq!(shown(&clips, 2, |_, _| {}), [expected.clone(), expected]);
    }

    #[test]
    fn a_speaker_can_be_silent() {
        let mut player =
            Player::new(TrackNumber::MICROPHONE, TrackKind::Microphone, &[clip("speech-1.ogg")]).unwrap();
        player.start(at(0));
        let mut levels = Vec::new();
        for (step, level) in [None, Some(127), Some(20), None].into_iter().enumerate() {
            player.set_level(level);
            player.play(at(20 * step as u64), |played| {
                levels.push((played.audio_level, played.frame.audio_level))
            });
        }
        assert_eq!(levels[1].0, Some(127));
        assert_eq!(levels[2].0, Some(20));
        assert!(levels[0].0 == levels[0].1 && levels[3].0 == levels[3].1);
    }

    #[test]
    fn clips_that_cannot_run_together_are_refused() {
        let refused =
            |clips: &[Clip]| Player::new(TrackNumber::CAMERA, TrackKind::Camera, clips).unwrap_err();
        assert_eq!(refused(&[]), PlayerError::NoClip);
        let mixed = [clip("camera-180p30.ivf"), clip("screen-720p5.ivf")];
        assert_eq!(refused(&mixed), PlayerError::NotInLockstep);
    }
}
