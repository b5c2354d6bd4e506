//! Where the playout is in the stream, and what that did to the listener.

use std::time::Duration;

use super::buffer::Entry;
use super::{MAX_CONCEALMENT, duration_of, duration_us};

/// What happened to a stream of sound, in numbers since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioStats {
    /// Packets handed in.
    pub received: u64,
    /// Packets played.
    pub played: u64,
    /// The media time of these.
    pub played_time: Duration,
    /// Packets that came after something later had been played.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that the buffer had no room for, or that a new timeline left behind.
    pub discarded: u64,
    /// Packets that were skipped, since there was too much to catch up with.
    pub skipped: u64,
    /// How often something was missing. What belongs together counts once; an absence counts when it has ended.
    pub concealment_events: u64,
    /// How long something was missing in all.
    pub concealed: Duration,
    /// How long nothing was played because nobody spoke.
    pub silence: Duration,
    /// By how much playing faster shortened frames.
    pub accelerated: Duration,
    /// By how much playing slower lengthened them.
    pub expanded: Duration,
    /// The sum of the packets' delays: from when each would have been there if it had been as fast as the fastest, until it was
    /// played.
    pub delay_sum: Duration,
}

impl AudioStats {
    /// The mean delay of a packet by this buffer; zero if none was played.
    #[must_use]
    pub fn mean_delay(&self) -> Duration {
        let packets = u32::try_from(self.played).unwrap_or(u32::MAX);
        self.delay_sum.checked_div(packets).unwrap_or_default()
    }

    /// How much of what should have been heard was made up, from 0 to 1.
    #[must_use]
    pub fn concealed_share(&self) -> f64 {
        let all = (self.concealed + self.played_time).as_secs_f64();
        if all > 0.0 { self.concealed.as_secs_f64() / all } else { 0.0 }
    }

    pub(super) fn bridged(&mut self, bridge: Bridge) {
        if bridge.concealed_us > 0 {
            self.concealment_events += 1;
            self.concealed += duration_of(bridge.concealed_us);
        }
        self.silence += duration_of(bridge.silence_us);
    }

    pub(super) fn played(&mut self, media_us: i64, played_us: i64, delay_us: i64) {
        self.played += 1;
        self.played_time += duration_of(media_us);
        self.accelerated += duration_of(media_us - played_us);
        self.expanded += duration_of(played_us - media_us);
        self.delay_sum = self.delay_sum.saturating_add(duration_of(delay_us));
    }
}

/// What the time without a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bridge {
    pub(super) concealed_us: i64,
    pub(super) silence_us: i64,
}

/// What was played last, and what has been waited since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) index: u64,
    /// Where it ends.
    pub(super) next_us: i64,
    duration_us: i64,
    source: u32,
    pub(super) is_silent_after: bool,
    /// How long something else than frames has been played since.
    pub(super) waited_us: i64,
}

impl Position {
    pub(super) fn behind<F>(entry: &Entry<F>) -> Self {
        Self {
            index: entry.index,
            next_us: entry.media_us.saturating_add(entry.duration_us),
            duration_us: entry.duration_us,
            source: entry.source,
            is_silent_after: entry.ends_talk_spurt,
            waited_us: 0,
        }
    }

    /// How much media time lies between; none if the two overlap, as they may where a slot turns to another source.
    pub(super) fn gap_before<F>(&self, next: &Entry<F>) -> i64 {
        next.media_us.saturating_sub(self.next_us).max(0)
    }

    /// Whether nothing is to be heard now, as far as is known without the next frame.
    pub(super) const fn is_silent(&self) -> bool {
        self.is_silent_after || self.waited_us >= MAX_CONCEALMENT.as_micros() as i64
    }

    /// Whether the next frame begins something new, which is played when its delay is right.
    pub(super) fn is_pause_before<F>(&self, next: &Entry<F>) -> bool {
        let is_jump = self.missing_before(next) == 0 && self.gap_before(next) > 0;
        self.is_silent() || is_jump || next.source != self.source
    }

    /// What has been waited for turned out to be this frame.
    pub(super) fn bridge_to<F>(&self, next: &Entry<F>) -> Bridge {
        let missing = i64::try_from(self.missing_before(next)).unwrap_or(i64::MAX);
        let missing_us = missing.saturating_mul(self.duration_us);
        let is_pause = self.is_silent_after
            || next.source != self.source
            || self.gap_before(next) > missing_us.saturating_add(duration_us(super::CONCEAL_STEP));
        let concealed_us = if is_pause { self.waited_us.min(missing_us) } else { self.waited_us };
        Bridge { concealed_us, silence_us: self.waited_us - concealed_us }
    }

    fn missing_before<F>(&self, next: &Entry<F>) -> u64 {
        next.index.saturating_sub(self.index).saturating_sub(1)
    }
}
