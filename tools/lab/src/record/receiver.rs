//! What happens to one person while it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_client::media::freezes::FreezeDetector;
use sluice_client::session::{Event, ReceivedFrame};
use sluice_wire::control::{ShownSlot, SlotStatus};
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackNumber};

use super::expected::expected;
use super::playout::concealed;
use super::published::Published;
use super::{Freeze, Series, Sort};
use crate::SAMPLE;

/// What a frame may take beyond the network's own delay.
const IN_TIME: Duration = Duration::from_millis(150);
/// What is captured within the last second may still be on its way at the end.
const TAIL: Duration = Duration::from_secs(1);

/// The network of a person at a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Network {
    /// See [`Series::estimate_bps`].
    pub estimate_bps: Option<u64>,
    /// See [`Series::capacity_bps`].
    pub capacity_bps: Option<u64>,
    /// See [`Series::usable_bps`].
    pub usable_bps: u64,
    /// See [`Series::loss`].
    pub loss: f64,
}

/// A track that is received.
#[derive(Debug, Default)]
struct Track {
    /// Capture times of what the router forwarded.
    forwarded: Vec<Time>,
    /// Capture and arrival of what came whole.
    whole: Vec<(Time, Time)>,
    picture: FreezeDetector,
    shown_at: Option<Time>,
    /// Something of it was shown at least once.
    was_shown: bool,
    /// Told not to flow, for whatever reason.
    is_paused: bool,
}

/// Notes what happens to one person.
#[derive(Debug)]
pub struct Receiver {
    start: Time,
    joined_at: Time,
    series: Series,
    freezes: Vec<Freeze>,
    tracks: BTreeMap<TrackId, Track>,
}

impl Receiver {
    /// A run of so many samples from `start`, of a person who receives `tracks` from `joined_at` on.
    #[must_use]
    pub fn new(start: Time, samples: usize, joined_at: Time, tracks: &[TrackId]) -> Self {
        let tracks = tracks.iter().map(|track| (*track, Track::default())).collect();
        Self { start, joined_at, series: Series::new(samples), freezes: Vec::new(), tracks }
    }

    /// The person receives one more track.
    pub fn watch(&mut self, track: TrackId) {
        self.tracks.entry(track).or_default();
    }

    /// The sample that a time is of; none before the start and behind the end.
    #[must_use]
    pub fn sample_of(&self, at: Time) -> Option<usize> {
        let sample = (at.saturating_since(self.start).as_nanos() / SAMPLE.as_nanos()) as usize;
        (at >= self.start && sample < self.series.sent_bytes.len()).then_some(sample)
    }

    /// The middle of a sample.
    #[must_use]
    pub fn time_of(&self, sample: usize) -> Time {
        self.start + SAMPLE * sample as u32 + SAMPLE / 2
    }

    /// The router sent a datagram of `len` bytes.
    pub fn on_sent(&mut self, now: Time, len: usize, sort: Sort) {
        let Some(sample) = self.sample_of(now) else { return };
        self.series.sent_bytes[sample] += len as u64;
        if let Some(column) = self.series.column_of(sort) {
            column[sample] += len as u64;
        }
    }

    /// The router sent the first packet of a frame.
    pub fn on_forwarded(&mut self, track: TrackId, captured_at: Time) {
        if let Some(track) = self.tracks.get_mut(&track) {
            track.forwarded.push(captured_at);
        }
    }

    /// A datagram of `len` bytes came.
    pub fn on_received(&mut self, now: Time, len: usize) {
        if let Some(sample) = self.sample_of(now) {
            self.series.received_bytes[sample] += len as u64;
        }
    }

    /// The person sent a datagram of `len` bytes.
    pub fn on_up(&mut self, now: Time, len: usize) {
        if let Some(sample) = self.sample_of(now) {
            self.series.up_bytes[sample] += len as u64;
        }
    }

    /// The person sent a key frame.
    pub fn on_key_frame_sent(&mut self, now: Time) {
        if let Some(sample) = self.sample_of(now) {
            self.series.key_frames_sent[sample] += 1;
        }
    }

    /// The person's client asked for so many key frames.
    pub fn on_key_frame_requests(&mut self, now: Time, count: u64) {
        if let Some(sample) = self.sample_of(now) {
            self.series.key_frame_requests[sample] += count as u32;
        }
    }

    /// The queue of the person's bottleneck is so long.
    pub fn on_queue(&mut self, now: Time, delay: Duration) {
        if let Some(sample) = self.sample_of(now) {
            let delay_ms = delay.as_secs_f64() * 1_000.0;
            let longest = &mut self.series.queue_ms[sample];
            *longest = longest.max(delay_ms);
            self.series.queue_often.push((sample, delay_ms as f32));
        }
    }

    /// The network is so, over a sample.
    pub fn on_network(&mut self, sample: usize, network: Network) {
        if sample < self.series.loss.len() {
            self.series.estimate_bps[sample] = network.estimate_bps;
            self.series.capacity_bps[sample] = network.capacity_bps;
            self.series.usable_bps[sample] = network.usable_bps;
            self.series.loss[sample] = network.loss;
        }
    }

    /// The person's session says something.
    pub fn on_event(&mut self, now: Time, event: &Event) {
        // Behind the end people leave, which is none of the run's business.
        if self.sample_of(now).is_none() {
            return;
        }
        match event {
            Event::Frame(frame) => self.on_frame(now, frame),
            Event::Shown(shown) => self.on_shown(shown),
            _ => {}
        }
    }

    fn on_frame(&mut self, now: Time, frame: &ReceivedFrame) {
        let Some(captured_at) = frame.captured_at else { return };
        let sample = self.sample_of(captured_at);
        let start = self.start;
        let Some(track) = self.tracks.get_mut(&frame.track) else { return };
        track.whole.push((captured_at, frame.received_at));
        if !frame.codec.is_video() {
            return;
        }
        if let Some(sample) = sample {
            self.series.frames_whole[sample] += 1;
            self.series.frames_undecodable[sample] += u32::from(!frame.is_decodable);
            self.series.key_frames[sample] += u32::from(frame.frame.key);
        }
        if frame.is_decodable {
            track.is_paused = false;
            self.freezes.extend(track.show(start, now));
        }
    }

    fn on_shown(&mut self, shown: &ShownSlot) {
        let flows = match shown.status {
            SlotStatus::Flowing
            | SlotStatus::WaitingForKeyFrame
            | SlotStatus::Limited
            | SlotStatus::NotSent => true,
            SlotStatus::NoBandwidth => shown.temporal_layers > 0,
            SlotStatus::NotPublished
            | SlotStatus::Muted
            | SlotStatus::NotAllowed
            | SlotStatus::Unsupported
            | SlotStatus::Paused => false,
        };
        let track = shown.track.and_then(|track| self.tracks.get_mut(&track));
        if let Some(track) = track {
            track.is_paused = !flows;
            if !flows {
                track.picture.pause();
                track.shown_at = None;
            }
        }
    }

    /// The run ends. `network_delay` is the delay from a track's publisher to here of what is captured at a time.
    #[must_use]
    pub fn finish(
        mut self,
        end: Time,
        published: &Published,
        network_delay: impl Fn(TrackId, Time) -> Duration,
    ) -> (Series, Vec<Freeze>) {
        let judged_until = Time::from_nanos(end.as_nanos() - TAIL.as_nanos() as u64);
        for (id, mut track) in std::mem::take(&mut self.tracks) {
            let mut whole = BTreeMap::new();
            for (captured_at, received_at) in &track.whole {
                if let Some(frame) = published.find(id, *captured_at) {
                    whole.entry(frame.captured_at).or_insert(*received_at);
                }
            }
            if id.number() == TrackNumber::MICROPHONE {
                self.hear(id, &whole, published, judged_until);
                continue;
            }
            if track.forwarded.is_empty() {
                track.forwarded = whole.keys().copied().collect();
            }
            for frame in expected(published, id, &track.forwarded) {
                let Some(sample) =
                    self.sample_of(frame.captured_at).filter(|_| frame.captured_at < judged_until)
                else {
                    continue;
                };
                let deadline = frame.captured_at + network_delay(id, frame.captured_at) + IN_TIME;
                let received_at = whole.get(&frame.captured_at);
                self.series.frames_expected[sample] += 1;
                self.series.frames_complete[sample] += u32::from(received_at.is_some());
                self.series.frames_in_time[sample] +=
                    u32::from(received_at.is_some_and(|at| *at <= deadline));
            }
            if !track.is_paused {
                // Who never saw anything saw nothing since joining.
                let never = (!track.was_shown).then(|| freeze(self.start, self.joined_at, end));
                self.freezes.extend(never.or_else(|| track.show(self.start, end)));
            }
        }
        self.freezes.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
        (self.series, self.freezes)
    }

    /// Counts the audio packets of a track, from the first that came on.
    fn hear(&mut self, id: TrackId, whole: &BTreeMap<Time, Time>, published: &Published, until: Time) {
        // Who never heard anything heard nothing since joining.
        let first = whole.keys().next().copied().unwrap_or(self.joined_at);
        let packets: Vec<(Time, Option<Time>)> = published
            .between(id, first, until)
            .iter()
            .map(|packet| (packet.captured_at, whole.get(&packet.captured_at).copied()))
            .collect();
        for ((captured_at, _), is_concealed) in packets.iter().zip(concealed(&packets)) {
            if let Some(sample) = self.sample_of(*captured_at) {
                self.series.audio_expected[sample] += 1;
                self.series.audio_concealed[sample] += u32::from(is_concealed);
            }
        }
    }
}

impl Track {
    /// A picture can be shown. Gives the freeze that it ends.
    fn show(&mut self, start: Time, now: Time) -> Option<Freeze> {
        self.was_shown = true;
        let before = self.shown_at.replace(now);
        let is_frozen = self.picture.on_frame(now);
        before.filter(|_| is_frozen).map(|before| freeze(start, before, now))
    }
}

fn freeze(start: Time, from: Time, to: Time) -> Freeze {
    Freeze {
        from_s: from.saturating_since(start).as_secs_f64(),
        seconds: to.saturating_since(from).as_secs_f64(),
    }
}
