//! What a received session is worth: scores from 1 (bad) to 5 (excellent), and whether the connection counts as unstable.
//!
//! **Sound** is scored by the E-model (ITU-T G.107) reduced to what a receiver can know: everything but delay and loss has its default
//! value, which leaves *R* = 93.2 - *Id* - *Ie,eff*.
//!
//! * *Id* for an echo-free call: 0.024 *d* + 0.11 (*d* - 177.3) above 177.3 ms, *d* being the delay from mouth to ear (R. G. Cole, J. H.
//!   Rosenbluth: Voice over IP Performance Monitoring, 2001).
//! * *Ie,eff* = *Ie* + (95 - *Ie*) *Ppl* / (*Ppl* + *Bpl*), where *Ppl* is the percentage of sound that was made up. *Ie* = 0 and
//!   *Bpl* = 25.1 are G.113's of G.711 with concealment; Opus has none that were agreed on.
//! * *R* becomes a mean opinion score by G.107 annex B; it never exceeds 4.41 here.
//!
//! **Pictures** have no such standard that works without looking at them. The score takes from 4.5: for each halving of the height
//! that was asked for, for frames that are missing from the rate that was asked for, for the time that the picture stood still, and
//! for each time that it did. It orders sessions; it is not calibrated by viewers.

mod stability;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::audio::AudioStats;
use super::video::VideoStats;

pub use stability::{Change, Stability};

/// *R* without delay and loss: G.107 with all defaults.
const BEST_R: f64 = 93.2;
/// *Bpl* of G.711 with packet loss concealment and random loss (G.113 appendix I).
const LOSS_ROBUSTNESS: f64 = 25.1;
/// Where delay begins to hurt a conversation, in milliseconds.
const DELAY_KNEE_MS: f64 = 177.3;
/// Recording, encoding and playing a packet of 20 ms: the packet, Opus' look-ahead of 6.5 ms, and 20 ms in sound cards' buffers.
const ENDS_DELAY: Duration = Duration::from_micros(46_500);

/// Both scores begin from about the same best.
const BEST_VIDEO: f64 = 4.5;
/// For each halving of the height: 180 lines instead of 720 are 1.2 less.
const PER_HALVING: f64 = 0.6;
const MAX_FOR_SIZE: f64 = 1.5;
/// For no frame rate at all; half of the rate is half of it.
const FOR_ALL_FRAMES: f64 = 1.5;
/// For each percent of the time that the picture stood still,
const PER_FROZEN_PERCENT: f64 = 0.2;
/// for each freeze of the interval,
const PER_FREEZE: f64 = 0.15;
/// and for freezes in all.
const MAX_FOR_FREEZES: f64 = 3.0;

/// Sound in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AudioQuality {
    /// The part that was made up, from 0 to 1.
    pub concealed: f64,
    /// How often something was made up.
    pub concealment_events: u64,
    /// From mouth to ear, estimated.
    pub delay: Duration,
}

impl AudioQuality {
    /// What happened between two readings of a buffer's figures; `network` is the time that packets take from the sender, half of
    /// the round-trip times on the way.
    #[must_use]
    pub fn between(before: &AudioStats, after: &AudioStats, network: Duration) -> Self {
        let interval = AudioStats {
            played: after.played.saturating_sub(before.played),
            played_time: after.played_time.saturating_sub(before.played_time),
            concealed: after.concealed.saturating_sub(before.concealed),
            delay_sum: after.delay_sum.saturating_sub(before.delay_sum),
            ..AudioStats::default()
        };
        Self {
            concealed: interval.concealed_share(),
            concealment_events: after.concealment_events.saturating_sub(before.concealment_events),
            delay: network.saturating_add(interval.mean_delay()).saturating_add(ENDS_DELAY),
        }
    }

    /// From 1 to 4.41.
    #[must_use]
    pub fn score(&self) -> f64 {
        let delay_ms = self.delay.as_secs_f64() * 1_000.0;
        let for_delay = 0.024 * delay_ms + 0.11 * (delay_ms - DELAY_KNEE_MS).max(0.0);
        let percent = share(self.concealed) * 100.0;
        let for_loss = 95.0 * percent / (percent + LOSS_ROBUSTNESS);
        mean_opinion(BEST_R - for_delay - for_loss)
    }
}

/// A picture in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VideoQuality {
    /// The part of the time that it stood still, from 0 to 1.
    pub frozen: f64,
    /// How often it did.
    pub freezes: u64,
    /// Frames that were shown per second.
    pub fps: f64,
    /// Frames per second that were asked for, or as many as the sender has, if that is less.
    pub asked_fps: f64,
    /// Its height in pixels.
    pub height: u16,
    /// The height that was asked for, or what the sender has, if that is less.
    pub asked_height: u16,
}

impl VideoQuality {
    /// What happened between two readings of a buffer's figures that are `interval` apart, of a picture of `height` lines, where
    /// `asked` is the height and the frame rate that was asked for.
    #[must_use]
    pub fn between(
        before: &VideoStats,
        after: &VideoStats,
        interval: Duration,
        height: u16,
        asked: (u16, f64),
    ) -> Self {
        let seconds = interval.as_secs_f64();
        let per_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
        let frozen = after.freezes.frozen.saturating_sub(before.freezes.frozen);
        Self {
            frozen: share(per_second(frozen.as_secs_f64())),
            freezes: after.freezes.count.saturating_sub(before.freezes.count),
            fps: per_second(after.shown.saturating_sub(before.shown) as f64),
            asked_fps: asked.1,
            height,
            asked_height: asked.0,
        }
    }

    /// From 1 to 4.5.
    #[must_use]
    pub fn score(&self) -> f64 {
        let halvings = (f64::from(self.asked_height) / f64::from(self.height.max(1))).log2();
        let for_size = (halvings.max(0.0) * PER_HALVING).min(MAX_FOR_SIZE);
        let missing = if self.asked_fps > 0.0 { 1.0 - share(self.fps / self.asked_fps) } else { 0.0 };
        let still = share(self.frozen) * 100.0 * PER_FROZEN_PERCENT + self.freezes as f64 * PER_FREEZE;
        (BEST_VIDEO - for_size - missing * FOR_ALL_FRAMES - still.min(MAX_FOR_FREEZES)).max(1.0)
    }
}

/// What a receiver knows of an interval of a session, best of a second or two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QualityReport {
    /// Sound, if there was any.
    pub audio: Option<AudioQuality>,
    /// The picture that matters most, if any is wanted.
    pub video: Option<VideoQuality>,
    /// The round-trip time to the router.
    pub rtt: Duration,
    /// Packets that did not come, before repair, from 0 to 1.
    pub loss: f64,
    /// Interarrival jitter (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// What the path is believed to carry, in bits per second; 0 if nobody knows.
    pub estimate_bps: u64,
    /// What it carried.
    pub actual_bps: u64,
}

impl QualityReport {
    /// From 1 to 4.5: two thirds the worse of sound and picture, since that is what is remembered, and one third the better;
    /// `None` if there is neither.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        let audio = self.audio.as_ref().map(AudioQuality::score);
        let video = self.video.as_ref().map(VideoQuality::score);
        let both = audio.zip(video).map(|(audio, video)| (2.0 * audio.min(video) + audio.max(video)) / 3.0);
        both.or(audio).or(video)
    }
}

/// G.107 annex B.
fn mean_opinion(r: f64) -> f64 {
    let r = r.clamp(0.0, 100.0);
    // Between 0 and 6.5 the polynomial falls below 1.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// Within 0 to 1, whatever came in.
fn share(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}
