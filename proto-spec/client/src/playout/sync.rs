//! Lip-sync: sound and picture of one participant with the same delay since capture.
//!
//! Both streams carry capture times of their sender's one clock, so what one of them lags is a difference of two [`Latency`]s; no
//! clock is compared with another. The stream that needs less delay is given the difference in addition, bit by bit
//! ([`CORRECTION_PER_SECOND`]), so that neither the voice nor the motion changes its speed by more than a twentieth. It is never
//! taken from the one that needs more: its delay is what its network demands.
//!
//! The aim is zero; what viewers do not notice is [`MAX_PICTURE_EARLY`] to [`MAX_PICTURE_LATE`].

use std::time::Duration;

use sluice_wire::time::Time;

use super::video::Mode;
use super::{Latency, duration_of, duration_us, micros};

/// The picture may be so much ahead of the sound: EBU R 37 (sound at most 60 ms late); ITU-R BT.1359 has viewers notice 125 ms.
pub const MAX_PICTURE_EARLY: Duration = Duration::from_millis(60);
/// And so much behind it: where viewers notice sound that comes early (ITU-R BT.1359).
pub const MAX_PICTURE_LATE: Duration = Duration::from_millis(45);
/// How fast the added delays change. Slower than what the sound buffer corrects without being heard: 50 ms per second.
pub const CORRECTION_PER_SECOND: Duration = Duration::from_millis(40);
/// The most that is added to a stream, in any mode.
pub const MAX_ADDED: Duration = Duration::from_secs(2);
/// Differences below this are left alone.
const NEGLIGIBLE_US: i64 = 3_000;
/// Updates that are further apart than this count as this.
const MAX_STEP_US: i64 = 1_000_000;

/// What is added to the streams' delays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// For [`AudioPlayout::set_added_delay`](super::audio::AudioPlayout::set_added_delay).
    pub audio: Duration,
    /// For [`VideoPlayout::set_added_delay`](super::video::VideoPlayout::set_added_delay).
    pub video: Duration,
}

/// Keeps one participant's microphone and camera together, or the screen and its sound.
#[derive(Clone, Copy, Debug)]
pub struct LipSync {
    max_added_us: i64,
    /// What is added to sound; of pictures if negative.
    added_us: i64,
    last_us: Option<i64>,
}

impl LipSync {
    /// Nothing is added yet.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { max_added_us: max_added_us(mode), added_us: 0, last_us: None }
    }

    /// Another purpose from now on.
    pub fn set_mode(&mut self, mode: Mode) {
        self.max_added_us = max_added_us(mode);
    }

    /// Says what to add now. To be called some ten times a second, while both are played.
    pub fn update(&mut self, now: Time, audio: Latency, video: Latency) -> Added {
        let now_us = micros(now);
        let step_us = self.last_us.map_or(0, |last| now_us.saturating_sub(last)).clamp(0, MAX_STEP_US);
        self.last_us = Some(now_us);
        let wanted_us = video.needed_us.saturating_sub(audio.needed_us);
        let wanted_us = wanted_us.clamp(-self.max_added_us, self.max_added_us);
        let missing_us = wanted_us - self.added_us;
        if missing_us.abs() > NEGLIGIBLE_US {
            let most_us = duration_us(CORRECTION_PER_SECOND) * step_us / 1_000_000;
            self.added_us += missing_us.clamp(-most_us, most_us);
        }
        self.added()
    }

    /// What is added now.
    #[must_use]
    pub fn added(&self) -> Added {
        Added { audio: duration_of(self.added_us), video: duration_of(-self.added_us) }
    }
}

/// By how much the picture that was shown last lagged the sound that was played last, in microseconds; negative if it led.
#[must_use]
pub const fn picture_lag_us(audio: Latency, video: Latency) -> i64 {
    video.actual_us.saturating_sub(audio.actual_us)
}

/// In a conversation a picture that lags by more than this is better out of sync than the voice late.
fn max_added_us(mode: Mode) -> i64 {
    duration_us(match mode {
        Mode::Interactive => Duration::from_millis(300),
        Mode::Presentation => Duration::from_millis(600),
        Mode::Webinar => MAX_ADDED,
    })
}

#[cfg(test)]
mod together;

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(needed_ms: i64) -> Latency {
        Latency { needed_us: needed_ms * 1_000, actual_us: needed_ms * 1_000 }
    }

    fn run(sync: &mut LipSync, from_ms: u64, to_ms: u64, audio_ms: i64, video_ms: i64) -> Added {
        let mut added = sync.added();
        for tick in (from_ms..=to_ms).step_by(100) {
            let before = added;
            let now = Time::ZERO + Duration::from_millis(tick);
            added = sync.update(now, latency(audio_ms), latency(video_ms));
            let change = added.audio.abs_diff(before.audio) + added.video.abs_diff(before.video);
            assert!(change <= CORRECTION_PER_SECOND / 10, "{change:?}");
        }
        added
    }

    #[test]
    fn the_one_that_needs_less_waits_for_the_other() {
        let mut sync = LipSync::new(Mode::Interactive);
        let ms = Duration::from_millis;
        assert_eq!(run(&mut sync, 0, 1_000, -7_000, -6_920), Added { audio: ms(40), video: ms(0) });
        let added = run(&mut sync, 1_100, 5_000, -7_000, -6_920);
        assert!(added.audio.abs_diff(ms(80)) <= ms(3), "{added:?}");
        let added = run(&mut sync, 5_100, 15_000, -6_800, -6_920);
        assert!(added.audio.is_zero() && added.video.abs_diff(ms(120)) <= ms(3), "{added:?}");
    }

    #[test]
    fn there_is_a_limit_to_politeness() {
        let ms = Duration::from_millis;
        let mut sync = LipSync::new(Mode::Interactive);
        assert_eq!(run(&mut sync, 0, 100_000, 0, 5_000).audio, ms(300));
        sync.set_mode(Mode::Webinar);
        assert_eq!(run(&mut sync, 100_100, 200_000, 0, 5_000).audio, MAX_ADDED);
    }
}
