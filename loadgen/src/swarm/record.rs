//! What one participant saw and did, written in its task and read when the run is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use sluice_client::clock::Clock;
use sluice_client::driver::{EndCause, Event, Observer, ParticipantStats, SentFrame};
use sluice_client::media::hash::frame_hash;
use sluice_client::session::{self, ReceivedFrame};
use sluice_wire::control::ShownSlot;
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;
use tokio::sync::oneshot;

use crate::audit::SlotAudit;
use crate::dump::Dump;
use crate::ledger::{Subscription, TrackLedger, Verdict, lock};
use crate::progress::{Progress, add};

/// What histograms tell apart, in digits: 1 percent. Another digit would be eight times the memory, per participant.
const HISTOGRAM_DIGITS: u8 = 2;
/// The longest time that a histogram tells from longer ones, in microseconds: a minute.
const MAX_MICROS: u64 = 60_000_000;

/// What all participants of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) progress: Arc<Progress>,
    clock: Clock,
    /// Frames that are captured from then on are measured: nanoseconds since the Unix epoch.
    measured_from: AtomicU64,
}

impl Shared {
    pub(super) fn new(progress: Arc<Progress>, clock: Clock) -> Self {
        Self { progress, clock, measured_from: AtomicU64::new(u64::MAX) }
    }

    pub(super) fn measure_from(&self, time: Time) {
        self.measured_from.store(time.as_nanos(), Ordering::Relaxed);
    }

    fn is_measured(&self, captured_at: Time) -> bool {
        captured_at.as_nanos() >= self.measured_from.load(Ordering::Relaxed)
    }
}

/// What one participant saw and did.
#[derive(Debug)]
pub(super) struct Record {
    /// By slot.
    pub(super) subscriptions: Vec<Subscription>,
    /// By slot, instead of subscriptions, in a scenario.
    pub(super) audits: Vec<SlotAudit>,
    pub(super) dump: Option<Dump>,
    pub(super) flowing: usize,
    /// Frames on a slot that is not their track's.
    pub(super) misplaced: u64,
    /// `None` until something is measured.
    pub(super) latency_us: Option<Histogram<u64>>,
    /// `None` until something is measured.
    pub(super) pacing_us: Option<Histogram<u64>>,
    pub(super) frames_sent: u64,
    pub(super) stats: ParticipantStats,
    pub(super) ended: Option<EndCause>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            subscriptions: Vec::new(),
            audits: Vec::new(),
            dump: None,
            flowing: 0,
            misplaced: 0,
            latency_us: None,
            pacing_us: None,
            frames_sent: 0,
            stats: ParticipantStats::default(),
            ended: None,
        }
    }
}

/// Writes the record.
pub(super) struct Recorder {
    shared: Arc<Shared>,
    record: Arc<Mutex<Record>>,
    ledgers: Vec<(TrackNumber, Arc<Mutex<TrackLedger>>)>,
    connected: Option<oneshot::Sender<()>>,
    told: ParticipantStats,
}

impl Recorder {
    /// A recorder for the publisher of these tracks; the receiver hears when the router has answered.
    pub(super) fn new(
        shared: Arc<Shared>,
        record: Arc<Mutex<Record>>,
        ledgers: Vec<(TrackNumber, Arc<Mutex<TrackLedger>>)>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (connected, when_connected) = oneshot::channel();
        let told = ParticipantStats::default();
        (Self { shared, record, ledgers, connected: Some(connected), told }, when_connected)
    }

    fn on_frame(&self, frame: &ReceivedFrame) {
        let hash = frame_hash(&frame.frame.data);
        let progress = &self.shared.progress;
        let mut record = lock(&self.record);
        let record = &mut *record;
        if let Some(dump) = &mut record.dump {
            dump.write(frame);
        }
        let slot = usize::from(frame.slot);
        let subscription = record.subscriptions.get_mut(slot).filter(|of| of.track == frame.track);
        let (was_flowing, verdict) = match (subscription, record.audits.get_mut(slot)) {
            (Some(subscription), _) => {
                (subscription.is_flowing(), subscription.on_frame(frame.captured_at, hash))
            }
            (None, Some(audit)) => (audit.is_flowing(), audit.on_frame(self.shared.clock.now(), frame, hash)),
            (None, None) => {
                record.misplaced += 1;
                add(&progress.frames_corrupt, 1);
                return;
            }
        };
        match verdict {
            Verdict::Intact(place) => {
                add(&progress.frames_intact, 1);
                if !was_flowing {
                    record.flowing += 1;
                    add(&progress.subscriptions_flowing, 1);
                }
                if frame.captured_at.is_some_and(|time| self.shared.is_measured(time)) {
                    note(&mut record.latency_us, frame.received_at.saturating_since(place.handed_at));
                }
            }
            Verdict::Corrupt | Verdict::Unknown => add(&progress.frames_corrupt, 1),
        }
    }

    fn on_shown(&self, shown: &ShownSlot) {
        if let Some(audit) = lock(&self.record).audits.get_mut(usize::from(shown.slot)) {
            audit.on_shown(shown);
        }
    }
}

impl Observer for Recorder {
    fn on_event(&mut self, event: Event) {
        match event {
            Event::Media(session::Event::Frame(frame)) => self.on_frame(&frame),
            Event::Media(session::Event::Shown(shown)) => self.on_shown(&shown),
            Event::Media(session::Event::Connected) => {
                if let Some(connected) = self.connected.take() {
                    add(&self.shared.progress.connected, 1);
                    // Whoever does not wait any more has given up on the participant.
                    connected.send(()).unwrap_or_default();
                }
            }
            Event::Ended(cause) => lock(&self.record).ended = Some(cause),
            Event::Media(_) | Event::SessionOpened { .. } | Event::SessionLost | Event::Signaling(_) => {}
        }
    }

    fn on_frame_sent(&mut self, frame: &SentFrame) {
        if let Some((_, ledger)) = self.ledgers.iter().find(|(number, _)| *number == frame.track) {
            lock(ledger).record(frame);
        }
        add(&self.shared.progress.frames_sent, 1);
        let mut record = lock(&self.record);
        record.frames_sent += 1;
        if self.shared.is_measured(frame.captured_at) {
            note(&mut record.pacing_us, frame.handed_at.saturating_since(frame.captured_at));
        }
    }

    fn on_stats(&mut self, stats: &ParticipantStats) {
        let progress = &self.shared.progress;
        let (new, old) = (&stats.media, &self.told.media);
        add(&progress.rtp_sent, new.rtp_sent.saturating_sub(old.rtp_sent));
        add(&progress.rtp_received, new.rtp_received.saturating_sub(old.rtp_received));
        add(&progress.rtp_lost, new.rtp_lost.saturating_sub(old.rtp_lost));
        add(&progress.bytes_sent, new.bytes_sent.saturating_sub(old.bytes_sent));
        add(&progress.auth_failures, new.auth_failures.saturating_sub(old.auth_failures));
        self.told = *stats;
        lock(&self.record).stats = *stats;
    }
}

fn note(histogram: &mut Option<Histogram<u64>>, time: Duration) {
    if histogram.is_none() {
        *histogram = new_histogram();
    }
    if let Some(histogram) = histogram {
        histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

/// An empty histogram of microseconds, or of something else up to a minute's worth of them.
pub(super) fn new_histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_max(MAX_MICROS, HISTOGRAM_DIGITS).ok()
}
