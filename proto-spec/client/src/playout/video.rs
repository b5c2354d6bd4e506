//! When received pictures are shown.
//!
//! Frames that can be decoded go in, in the session's order; each comes out when its capture time, mapped to this machine's clock by
//! the fastest frames of the last seconds, plus the target delay has come. The delay is one number for the whole stream, so motion
//! has the rhythm that it had before the camera, however unevenly frames were completed.
//!
//! * **The target** follows the jitter of completion, within the bounds of the [`Mode`]. It grows by at most
//!   [`GROWTH_PER_SECOND`], so that a worse network shows as slow motion and not as a freeze.
//! * **A frame that comes too late** is shown at once, if nothing newer was shown; else it is gone and counted.
//! * **Of several that are due** only the newest is shown. The others still come out, since the decoder needs them.
//! * **Freezes** are those of [`media::freezes`](crate::media::freezes), of what is shown.
//!
//! A frame's capture time is its absolute capture time; of frames without one it is extrapolated by the RTP timestamp, which the
//! router makes grow by the same. Decoding and the display's own delay are not in the figures: they are the same for all frames.

mod queue;
#[cfg(test)]
mod tests;

use std::time::Duration;

use sluice_wire::time::Time;

use super::delay::{DelayConfig, DelayEstimator};
use super::unwrap::Unwrapper;
use super::{Arrival, Latency, duration_of, duration_us, micros, ticks_us, time_of};
use crate::media::freezes::{FreezeDetector, FreezeStats};
use queue::{Entry, Queue};

pub use queue::{MAX_WAITING_BYTES, MAX_WAITING_FRAMES};

/// How much faster than real time the target grows: a quarter of a second in a second lengthens each frame by a quarter.
pub const GROWTH_PER_SECOND: Duration = Duration::from_millis(250);

/// The RTP clock of all video (RFC 3551 section 5).
const RATE_HZ: u32 = 90_000;

/// What the picture is for: how much delay smoothness is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A conversation: 50 to 100 ms.
    #[default]
    Interactive,
    /// One speaks, others ask now and then: 200 to 500 ms.
    Presentation,
    /// One speaks, all others watch: 1 to 2 s.
    Webinar,
}

impl Mode {
    /// The least and the largest target delay.
    #[must_use]
    pub const fn bounds(self) -> (Duration, Duration) {
        let (min_ms, max_ms) = match self {
            Self::Interactive => (50, 100),
            Self::Presentation => (200, 500),
            Self::Webinar => (1_000, 2_000),
        };
        (Duration::from_millis(min_ms), Duration::from_millis(max_ms))
    }

    const fn delays(self) -> DelayConfig {
        let (min, max) = self.bounds();
        DelayConfig {
            // Two seconds are told apart, whatever the mode: it may change.
            bucket: Duration::from_millis(10),
            memory: 300,
            fast_memory: 60,
            late_percent_worth: Duration::from_millis(15),
            first: min,
            min,
            max,
            growth_per_second: GROWTH_PER_SECOND,
        }
    }
}

/// A received frame that can be decoded.
#[derive(Clone, Copy, Debug)]
pub struct VideoFrame<F> {
    /// The index of its first packet: the slot's sequence number, extended so that it never wraps.
    pub index: u64,
    /// The RTP timestamp.
    pub timestamp: u32,
    /// Whatever tells sources apart: the bits of the track id that the slot shows.
    pub source: u32,
    /// When it was captured, by the sender's clock.
    pub captured_at: Option<Time>,
    /// What it counts for against [`MAX_WAITING_BYTES`].
    pub bytes: usize,
    /// What the decoder takes.
    pub frame: F,
}

/// A frame whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoOutput<F> {
    /// What the decoder takes.
    pub frame: F,
    /// Whether it is to be shown. One that is not is to be decoded all the same.
    pub show: bool,
}

/// What happened to the frames, in numbers since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoStats {
    /// Frames handed in.
    pub received: u64,
    /// Frames shown.
    pub shown: u64,
    /// Frames that were only decoded, since a newer one was due as well.
    pub overtaken: u64,
    /// Frames that came after their time. Most are shown all the same.
    pub late: u64,
    /// Frames that came after something newer had been shown, and are gone.
    pub dropped: u64,
    /// Frames that came again.
    pub duplicates: u64,
    /// Frames that came out before their time, for lack of room.
    pub hurried: u64,
    /// The sum of the shown frames' delays: from when each would have been there if it had been as fast as the fastest.
    pub delay_sum: Duration,
    /// Freezes of what was shown.
    pub freezes: FreezeStats,
}

impl VideoStats {
    /// The mean delay of a shown frame by this buffer; zero if there was none.
    #[must_use]
    pub fn mean_delay(&self) -> Duration {
        let frames = u32::try_from(self.shown).unwrap_or(u32::MAX);
        self.delay_sum.checked_div(frames).unwrap_or_default()
    }
}

/// The jitter buffer of the pictures of one slot.
#[derive(Clone, Debug)]
pub struct VideoPlayout<F> {
    delays: DelayEstimator,
    unwrapper: Unwrapper,
    queue: Queue<F>,
    source: Option<(u32, u64)>,
    /// Media time minus timestamp of the newest frame, in microseconds.
    offset_us: i64,
    has_capture_times: bool,
    added_us: i64,
    /// The index of the last frame that came out.
    last_index: Option<u64>,
    shown_latency_us: Option<i64>,
    freezes: FreezeDetector,
    stats: VideoStats,
}

impl<F> VideoPlayout<F> {
    /// A buffer without frames.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            delays: DelayEstimator::new(mode.delays()),
            unwrapper: Unwrapper::default(),
            queue: Queue::default(),
            source: None,
            offset_us: 0,
            has_capture_times: false,
            added_us: 0,
            last_index: None,
            shown_latency_us: None,
            freezes: FreezeDetector::default(),
            stats: VideoStats::default(),
        }
    }

    /// Another purpose from now on. A longer delay is approached by [`GROWTH_PER_SECOND`], while a shorter one holds at once: the
    /// frames that are too old for it are only decoded.
    pub fn set_mode(&mut self, mode: Mode) {
        let (min, max) = mode.bounds();
        self.delays.set_bounds(min, max);
    }

    /// A frame is complete, and all that it needs was handed in before.
    pub fn push(&mut self, now: Time, frame: VideoFrame<F>) -> Arrival {
        self.stats.received += 1;
        if self.last_index == Some(frame.index) || self.queue.has(frame.index) {
            self.stats.duplicates += 1;
            return Arrival::Duplicate;
        }
        let timestamp_us = ticks_us(self.unwrapper.extend(frame.timestamp), RATE_HZ);
        let media_us = self.media_us(timestamp_us, frame.captured_at);
        if self.is_of_newest_source(frame.source, frame.index) {
            self.delays.on_arrival(now, media_us);
            self.offset_us = media_us.saturating_sub(timestamp_us);
        }
        if self.last_index.is_some_and(|last| frame.index < last) {
            self.stats.dropped += 1;
            return Arrival::Late;
        }
        let entry = Entry {
            index: frame.index,
            media_us,
            arrived_us: micros(now),
            bytes: frame.bytes,
            is_captured: frame.captured_at.is_some(),
            frame: frame.frame,
        };
        self.stats.late += u64::from(self.due_us(&entry) < micros(now));
        self.queue.insert(entry);
        Arrival::Buffered
    }

    /// When [`Self::poll`] has a frame, if none comes before; `None` without any.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        let front = self.queue.get(0)?;
        Some(time_of(if self.queue.is_over_full() { front.arrived_us } else { self.due_us(front) }))
    }

    /// The next frame whose time has come. To be called until it gives `None`.
    pub fn poll(&mut self, now: Time) -> Option<VideoOutput<F>> {
        let now_us = micros(now);
        let due_us = self.due_us(self.queue.get(0)?);
        let is_hurried = due_us > now_us && self.queue.is_over_full();
        if due_us > now_us && !is_hurried {
            return None;
        }
        let entry = self.queue.pop()?;
        self.stats.hurried += u64::from(is_hurried);
        self.last_index = Some(entry.index);
        let is_overtaken = self.queue.get(0).is_some_and(|next| self.due_us(next) <= now_us);
        if is_overtaken {
            self.stats.overtaken += 1;
        } else {
            self.note_shown(now, &entry);
        }
        Some(VideoOutput { frame: entry.frame, show: !is_overtaken })
    }

    /// Nothing is to come for a while, on purpose: what is until the next frame is no freeze.
    pub const fn pause(&mut self) {
        self.freezes.pause();
    }

    /// Holds everything back by so much more than the mode asks for.
    pub fn set_added_delay(&mut self, added: Duration) {
        self.added_us = duration_us(added.min(super::sync::MAX_ADDED));
    }

    /// The target delay, without what is added.
    #[must_use]
    pub fn target(&self) -> Duration {
        self.delays.target()
    }

    /// How the stream stands on its sender's clock; `None` before anything was shown, and without capture times.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        let base_us = self.delays.base_us().filter(|_| self.has_capture_times)?;
        let needed_us = base_us.saturating_add(duration_us(self.delays.target()));
        Some(Latency { needed_us, actual_us: self.shown_latency_us? })
    }

    /// What was counted so far.
    #[must_use]
    pub const fn stats(&self) -> VideoStats {
        VideoStats { freezes: self.freezes.stats(), ..self.stats }
    }

    fn media_us(&mut self, timestamp_us: i64, captured_at: Option<Time>) -> i64 {
        self.has_capture_times |= captured_at.is_some();
        captured_at.map_or_else(|| timestamp_us.saturating_add(self.offset_us), micros)
    }

    /// Whether the frame is of the source that the slot shows now; makes it that if it is new.
    fn is_of_newest_source(&mut self, source: u32, index: u64) -> bool {
        match self.source {
            Some((known, first)) if known != source && index < first => false,
            Some((known, _)) if known == source => true,
            known => {
                if known.is_some() {
                    self.delays.restart_clock();
                }
                self.source = Some((source, index));
                true
            }
        }
    }

    /// When a frame is to be shown. No base is believed that says it came before it did.
    fn due_us(&self, entry: &Entry<F>) -> i64 {
        let fastest_us = self.delays.base_us().unwrap_or(0).saturating_add(entry.media_us);
        let held_us = duration_us(self.delays.target()).saturating_add(self.added_us);
        fastest_us.min(entry.arrived_us).saturating_add(held_us)
    }

    fn note_shown(&mut self, now: Time, entry: &Entry<F>) {
        let transit_us = micros(now).saturating_sub(entry.media_us);
        let delay_us = transit_us.saturating_sub(self.delays.base_us().unwrap_or(transit_us));
        self.stats.shown += 1;
        self.stats.delay_sum = self.stats.delay_sum.saturating_add(duration_of(delay_us));
        if entry.is_captured {
            self.shown_latency_us = Some(transit_us);
        }
        self.freezes.on_frame(now);
    }
}
