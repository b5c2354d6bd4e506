//! The jitter buffer of sound.
//!
//! Packets go in as they arrive, whatever their order; [`AudioPlayout::poll`] gives at each playout instant what the decoder is to
//! do next, and for how long. The outputs follow each other without a gap: the next instant is where the last output ends.
//!
//! * **A frame that is not there** is bridged in steps of [`CONCEAL_STEP`]. The media position does not move meanwhile: a frame that
//!   comes a little too late is still played, and the delay has grown by as much; one that never comes is bridged for exactly as long
//!   as it would have sounded, as soon as something after it is there. So an outage of 200 ms costs delay, which is taken back by
//!   playing faster, and no words.
//! * **Silence is no loss.** Behind the last packet of a talk spurt (DTX), at a change of the source, and where timestamps jump and
//!   indices do not, nothing is missing; what was bridged before that was known is not counted as concealment afterwards. What
//!   follows silence is played when the target delay says, so silence takes most changes of the delay.
//! * **The delay follows its target** by [`Stretch`]: the decoder plays a frame in three or five quarters of its time; by default one
//!   in 100 ms, every frame when the delay is far off. Clock drift needs nothing else.
//!
//! A straggler that comes after its place was passed is counted and teaches the estimate; retransmissions count as what they are:
//! packets that come late.

mod accounting;
mod buffer;
mod stretch;
#[cfg(test)]
mod tests;

use std::time::Duration;

use sluice_wire::time::Time;

use super::delay::{DelayConfig, DelayEstimator};
use super::unwrap::Unwrapper;
use super::{Arrival, Latency, duration_of, duration_us, micros, ticks_us, time_of};
use accounting::Position;
use buffer::{Buffer, Entry};
use stretch::Stretcher;

pub use accounting::AudioStats;
pub use stretch::Stretch;

/// The least target delay: one usual packet.
pub const MIN_TARGET: Duration = Duration::from_millis(20);
/// The largest: more than this makes people talk over each other.
pub const MAX_TARGET: Duration = Duration::from_millis(200);
/// The target before anything is known of the path.
pub const FIRST_TARGET: Duration = Duration::from_millis(60);
/// Missing sound is bridged in steps of this length, so that a frame that comes 3 ms too late waits no longer than it must. A
/// multiple of Opus' 2.5 ms.
pub const CONCEAL_STEP: Duration = Duration::from_millis(10);
/// What is missing for longer becomes silence: no decoder invents more than this that sounds like anything.
pub const MAX_CONCEALMENT: Duration = Duration::from_millis(120);
/// After so long without a packet nothing is given out until the next one comes.
pub const IDLE_AFTER: Duration = Duration::from_secs(1);
/// Sound of this length beyond the target is played faster; what is above it is skipped: nobody waits for old words for long.
pub const MAX_EXCESS: Duration = Duration::from_millis(300);
/// Most that can be added for lip-sync.
pub const MAX_ADDED: Duration = Duration::from_secs(2);

/// A player that polls later than this has been suspended: it goes on from then, it does not catch up.
const MAX_LATENESS_US: i64 = 500_000;
/// No shorter output is given, so that a rounding error is none.
const MIN_OUTPUT_US: i64 = 1_000;
/// The longest Opus packet (RFC 6716 section 3.2.5).
const MAX_FRAME_US: i64 = 120_000;
/// The shortest.
const MIN_FRAME_US: i64 = 2_500;
/// A timestamp so far before one of an earlier packet begins another timeline; the router's never do.
const RESTART_US: i64 = 5_000_000;

const DELAYS: DelayConfig = DelayConfig {
    bucket: Duration::from_micros(2_500),
    memory: 500,
    fast_memory: 50,
    late_percent_worth: Duration::from_millis(40),
    first: FIRST_TARGET,
    min: MIN_TARGET,
    max: MAX_TARGET,
    growth_per_second: Duration::MAX,
};

/// A received packet of sound, which is a frame.
#[derive(Clone, Copy, Debug)]
pub struct AudioPacket<F> {
    /// The slot's sequence number, extended so that it never wraps.
    pub index: u64,
    /// The RTP timestamp.
    pub timestamp: u32,
    /// How long it sounds, in ticks of the RTP clock; of Opus see [`packet_duration_ticks`](crate::media::opus::packet_duration_ticks).
    pub duration_ticks: u32,
    /// Whatever tells sources apart: the bits of the track id that the slot shows.
    pub source: u32,
    /// Whether silence follows: see [`ends_talk_spurt`].
    pub ends_talk_spurt: bool,
    /// When it was captured, by the sender's clock; what lip-sync lives on.
    pub captured_at: Option<Time>,
    /// What the decoder takes.
    pub frame: F,
}

/// What is to be heard next. `duration` is how long it takes by this machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioOutput<F> {
    /// A frame.
    Frame {
        /// What the decoder takes.
        frame: F,
        /// Whether it is to be played faster or slower.
        stretch: Stretch,
        /// With the stretch.
        duration: Duration,
    },
    /// Something is missing: the decoder makes it up (packet loss concealment).
    Conceal {
        /// At most [`CONCEAL_STEP`].
        duration: Duration,
    },
    /// Nothing is to be heard: silence or comfort noise.
    Silence {
        /// At most [`CONCEAL_STEP`].
        duration: Duration,
    },
}

impl<F> AudioOutput<F> {
    /// How long it takes.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        match self {
            Self::Frame { duration, .. } | Self::Conceal { duration } | Self::Silence { duration } => {
                *duration
            }
        }
    }
}

/// Whether an Opus packet says that its sender is silent from here on: with DTX an encoder makes packets of at most two bytes,
/// which carry no sound (RFC 6716 section 2.1.9, RFC 7587 section 3.1.3).
#[must_use]
pub const fn ends_talk_spurt(opus_packet: &[u8]) -> bool {
    opus_packet.len() <= 2
}

/// The jitter buffer of one slot.
#[derive(Clone, Debug)]
pub struct AudioPlayout<F> {
    rate_hz: u32,
    delays: DelayEstimator,
    unwrapper: Unwrapper,
    buffer: Buffer<F>,
    /// The newest source, and its first packet.
    source: Option<(u32, u64)>,
    added_us: i64,
    /// When the next output begins; `None` while nothing is to come.
    due_us: Option<i64>,
    /// Where the last output ended.
    ended_us: i64,
    position: Option<Position>,
    stretcher: Stretcher,
    /// Capture time minus media time of the newest packet that had it.
    capture_offset_us: Option<i64>,
    played_latency_us: Option<i64>,
    stats: AudioStats,
}

impl<F> AudioPlayout<F> {
    /// A buffer of a stream whose RTP clock runs at `rate_hz`: 48,000 of Opus.
    #[must_use]
    pub fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz,
            delays: DelayEstimator::new(DELAYS),
            unwrapper: Unwrapper::default(),
            buffer: Buffer::default(),
            source: None,
            added_us: 0,
            due_us: None,
            ended_us: 0,
            position: None,
            stretcher: Stretcher::default(),
            capture_offset_us: None,
            played_latency_us: None,
            stats: AudioStats::default(),
        }
    }

    /// A packet arrived. Hand it in at once: sound that waits elsewhere for an earlier packet is late.
    pub fn push(&mut self, now: Time, packet: AudioPacket<F>) -> Arrival {
        self.stats.received += 1;
        if self.buffer.has_seen(packet.index) {
            self.stats.duplicates += 1;
            return Arrival::Duplicate;
        }
        let entry = self.enter(now, packet);
        self.learn(now, &entry);
        self.restart_if_elsewhere(&entry);
        if self.position.is_some_and(|position| entry.index <= position.index) {
            self.buffer.note(entry.index);
            self.stats.late += 1;
            return Arrival::Late;
        }
        let arrived_us = entry.arrived_us;
        self.stats.discarded += self.buffer.insert(entry);
        if self.due_us.is_none() {
            // Whatever the delay should be: what comes in one burst after an outage is to be seen before any of it is played.
            let soon_us = arrived_us.saturating_add(duration_us(MIN_TARGET));
            let ideal_us = self.buffer.front().map_or(soon_us, |front| self.ideal_us(front));
            let first_us = ideal_us.max(soon_us);
            if let Some(position) = &mut self.position {
                position.waited_us += first_us.saturating_sub(self.ended_us).max(0);
            }
            self.due_us = Some(first_us);
        }
        Arrival::Buffered
    }

    /// When [`Self::poll`] has something to say; `None` until a packet comes.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.due_us.map(time_of)
    }

    /// What is to be heard from the instant on that has come by `now`; `None` before it. To be called until it gives `None`.
    pub fn poll(&mut self, now: Time) -> Option<AudioOutput<F>> {
        let now_us = micros(now);
        let mut at_us = self.due_us.filter(|due| *due <= now_us)?;
        if now_us.saturating_sub(at_us) > MAX_LATENESS_US {
            at_us = now_us;
        }
        self.skip_excess();
        let output = match self.buffer.front() {
            None => self.fill(duration_us(CONCEAL_STEP), false),
            Some(front) => match self.wait_before(front, at_us) {
                (wait_us, _) if wait_us < MIN_OUTPUT_US => self.play(at_us)?,
                (wait_us, is_pause) => self.fill(wait_us, is_pause),
            },
        };
        let is_idle = self.waited_us() >= duration_us(IDLE_AFTER) && self.buffer.front().is_none();
        self.ended_us = at_us.saturating_add(duration_us(output.duration()));
        self.due_us = (!is_idle).then_some(self.ended_us);
        Some(output)
    }

    /// The last output took `actual` instead of what was asked: no algorithm stretches by exactly what one wants.
    pub fn correct(&mut self, asked: Duration, actual: Duration) {
        let difference_us = duration_us(actual).saturating_sub(duration_us(asked));
        self.due_us = self.due_us.map(|due| due.saturating_add(difference_us));
    }

    /// Holds everything back by so much more than the jitter asks for, at most [`MAX_ADDED`].
    pub fn set_added_delay(&mut self, added: Duration) {
        self.added_us = duration_us(added.min(MAX_ADDED));
    }

    /// The target delay, without what is added.
    #[must_use]
    pub fn target(&self) -> Duration {
        self.delays.target()
    }

    /// How the stream stands on its sender's clock; `None` before anything was played, and without capture times.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        let base_us = self.delays.base_us()?.saturating_sub(self.capture_offset_us?);
        let needed_us = base_us.saturating_add(duration_us(self.delays.target()));
        Some(Latency { needed_us, actual_us: self.played_latency_us? })
    }

    /// What was counted so far.
    #[must_use]
    pub const fn stats(&self) -> AudioStats {
        self.stats
    }

    fn enter(&mut self, now: Time, packet: AudioPacket<F>) -> Entry<F> {
        let media_us = ticks_us(self.unwrapper.extend(packet.timestamp), self.rate_hz);
        let duration_us = ticks_us(i64::from(packet.duration_ticks), self.rate_hz);
        Entry {
            index: packet.index,
            media_us,
            duration_us: duration_us.clamp(MIN_FRAME_US, MAX_FRAME_US),
            arrived_us: micros(now),
            source: packet.source,
            ends_talk_spurt: packet.ends_talk_spurt,
            capture_offset_us: packet.captured_at.map(|at| micros(at).saturating_sub(media_us)),
            frame: packet.frame,
        }
    }

    /// What the arrival says about the path; a straggler of an earlier source says nothing.
    fn learn(&mut self, now: Time, entry: &Entry<F>) {
        match self.source {
            Some((source, first)) if entry.index < first && entry.source != source => return,
            Some((source, _)) if entry.source == source => {}
            known => {
                if known.is_some() {
                    self.delays.restart_clock();
                }
                self.source = Some((entry.source, entry.index));
                self.capture_offset_us = None;
            }
        }
        self.delays.on_arrival(now, entry.media_us);
        self.capture_offset_us = entry.capture_offset_us.or(self.capture_offset_us);
    }

    fn restart_if_elsewhere(&mut self, entry: &Entry<F>) {
        let Some(position) = &mut self.position else { return };
        if entry.index > position.index && position.next_us.saturating_sub(entry.media_us) > RESTART_US {
            self.stats.discarded += self.buffer.clear();
            position.next_us = entry.media_us;
            position.is_silent_after = true;
        }
    }

    fn target_us(&self) -> i64 {
        duration_us(self.delays.target()).saturating_add(self.added_us)
    }

    /// When the frame would be played if the delay were what it should be. No base is believed that says it came before it did.
    fn ideal_us(&self, entry: &Entry<F>) -> i64 {
        let fastest_us = self.delays.base_us().unwrap_or(0).saturating_add(entry.media_us);
        fastest_us.min(entry.arrived_us).saturating_add(self.target_us())
    }

    fn waited_us(&self) -> i64 {
        self.position.as_ref().map_or(0, |position| position.waited_us)
    }

    /// How long the next frame has to wait yet, and whether what is before it is a pause.
    fn wait_before(&self, front: &Entry<F>, at_us: i64) -> (i64, bool) {
        let Some(position) = &self.position else { return (0, false) };
        if position.is_pause_before(front) {
            return (self.ideal_us(front).saturating_sub(at_us), true);
        }
        (position.gap_before(front).saturating_sub(position.waited_us), false)
    }

    /// Nothing is played for a step.
    fn fill(&mut self, wait_us: i64, is_pause: bool) -> AudioOutput<F> {
        let step_us = wait_us.clamp(MIN_OUTPUT_US, duration_us(CONCEAL_STEP));
        let duration = duration_of(step_us);
        let is_silent = match &mut self.position {
            Some(position) => {
                let is_silent = is_pause || position.is_silent();
                position.waited_us += step_us;
                is_silent
            }
            None => true,
        };
        if is_silent { AudioOutput::Silence { duration } } else { AudioOutput::Conceal { duration } }
    }

    /// Plays the next frame; `None` only if there is none.
    fn play(&mut self, at_us: i64) -> Option<AudioOutput<F>> {
        let entry = self.buffer.pop()?;
        self.move_behind(&entry);
        let transit_us = at_us.saturating_sub(entry.media_us);
        let delay_us = transit_us.saturating_sub(self.delays.base_us().unwrap_or(transit_us));
        let excess_us = delay_us.saturating_sub(self.target_us());
        let (stretch, played_us) = self.stretcher.decide(at_us, entry.duration_us, excess_us);
        self.played_latency_us = entry
            .capture_offset_us
            .map(|offset| transit_us.saturating_sub(offset))
            .or(self.played_latency_us);
        self.stats.played(entry.duration_us, played_us, delay_us);
        Some(AudioOutput::Frame { frame: entry.frame, stretch, duration: duration_of(played_us) })
    }

    fn move_behind(&mut self, entry: &Entry<F>) {
        if let Some(position) = self.position.replace(Position::behind(entry)) {
            self.stats.bridged(position.bridge_to(entry));
        }
    }

    /// Skips what is too old to be caught up with by playing faster.
    fn skip_excess(&mut self) {
        let target_us = self.target_us();
        if self.buffer.span_us() <= target_us.saturating_add(duration_us(MAX_EXCESS)) {
            return;
        }
        while self.buffer.span_us() > target_us
            && self.buffer.len() > 1
            && let Some(entry) = self.buffer.pop()
        {
            self.stats.skipped += 1;
            self.move_behind(&entry);
        }
    }
}
