//! What comes on a slot that may show now this, now that: held against what was sent, whatever track and encoding it is.
//!
//! A [`crate::ledger::Subscription`] knows beforehand what is to come and counts it to the last packet. A [`SlotAudit`] does not: it
//! looks every frame up among all tracks of the room, checks that all that the frame refers to has come before it, and adds up what
//! the layers that it sees have been at their senders, so that what came can be held against it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_client::session::ReceivedFrame;
use sluice_wire::control::ShownSlot;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use crate::ledger::{MAX_LAYERS, Place, TrackLedger, Verdict, lock};

/// The ledgers of all tracks of a room.
pub type Directory = BTreeMap<TrackId, Arc<Mutex<TrackLedger>>>;

/// Frames of which it is remembered whether they could be decoded: more than a group of temporal layers has.
const REMEMBERED_FRAMES: u64 = u64::BITS as u64;

/// How long an encoding may take that is asked for: what the scenarios promise of 99 in 100.
const PATIENCE: Duration = Duration::from_millis(500);

/// How far a picture of another encoding may have got ahead of the key frame that a switch waits for: what a sender or a router
/// makes up for after a pause goes out frame by frame, the large ones at the pace of their packets.
const OVERTAKING: Duration = Duration::from_millis(500);

/// A run of frames of one track and encoding.
#[derive(Debug)]
struct Run {
    track: TrackId,
    encoding: u8,
    last_captured_at: Time,
    layers: u8,
    /// What these layers had been at their sender when the run began.
    bytes_before: u64,
    last_number: u64,
    /// Which of the last frames have come and could be decoded: bit 0 is the last one.
    decodable: u64,
}

impl Run {
    fn bytes_until(&self, total: u64) -> u64 {
        total.saturating_sub(self.bytes_before)
    }

    /// Whether a frame that comes behind this run does not belong there. A picture may come again, or a little late, as the key
    /// frame with which another encoding begins: senders send the small ones first, and meanwhile these flow.
    fn is_past(&self, place: &Place, captured_at: Time) -> bool {
        let begins_another = place.key && place.encoding != self.encoding;
        let lag = self.last_captured_at.saturating_since(captured_at);
        place.number <= self.last_number && !(begins_another && lag <= OVERTAKING)
    }

    /// Notes the next frame. Whether all that it refers to has come.
    fn follow(&mut self, place: &Place, captured_at: Time) -> bool {
        let step = place.number.saturating_sub(self.last_number);
        let before = if step < REMEMBERED_FRAMES { self.decodable << step } else { 0 };
        let has_come = |needed: &u64| {
            let distance = place.number.saturating_sub(*needed);
            distance < REMEMBERED_FRAMES && before & (1 << distance) != 0
        };
        let is_decodable = place.key || place.needs.iter().flatten().all(has_come);
        self.decodable = before | u64::from(is_decodable);
        self.last_number = place.number;
        self.last_captured_at = captured_at;
        is_decodable
    }
}

/// An encoding that was asked for and has not come yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    encoding: u8,
    since: Time,
}

/// A slot under audit.
#[derive(Debug)]
pub struct SlotAudit {
    directory: Arc<Directory>,
    run: Option<Run>,
    /// How many temporal layers the router says that it sends.
    layers: u8,
    past_bytes: u64,
    /// The largest encoding that is asked for; `None` for any.
    asked_encoding: Option<u8>,
    pending: Option<Pending>,
    /// Frames that came as they were sent.
    pub intact: u64,
    /// Frames that came with other bytes, again, or out of order.
    pub corrupt: u64,
    /// Frames that nobody remembers, or of tracks that nobody has.
    pub unknown: u64,
    /// Intact frames that refer to others that did not come, or of which the client says so.
    pub undecodable: u64,
    /// Frames of a larger encoding than asked for.
    pub oversized: u64,
    /// How often the encoding of one track changed.
    pub switches: u64,
    /// How often the track changed.
    pub source_changes: u64,
    /// How long it took from asking for an encoding to its first frame.
    pub switch_times: Vec<Duration>,
    /// Encodings that were asked for and had not come when another was asked for.
    pub overdue: u64,
}

impl SlotAudit {
    /// A slot of a participant of the room with this directory, which asks for no encoding larger than that.
    #[must_use]
    pub const fn new(directory: Arc<Directory>, asked_encoding: Option<u8>) -> Self {
        Self {
            directory,
            run: None,
            layers: MAX_LAYERS as u8,
            past_bytes: 0,
            asked_encoding,
            pending: None,
            intact: 0,
            corrupt: 0,
            unknown: 0,
            undecodable: 0,
            oversized: 0,
            switches: 0,
            source_changes: 0,
            switch_times: Vec::new(),
            overdue: 0,
        }
    }

    /// Whether an intact frame has come.
    #[must_use]
    pub const fn is_flowing(&self) -> bool {
        self.intact > 0
    }

    /// Another encoding is asked for: how long it takes is measured.
    pub fn ask(&mut self, now: Time, encoding: u8) {
        self.give_up(now);
        self.asked_encoding = Some(encoding);
        if self.run.as_ref().is_some_and(|run| run.encoding != encoding) {
            self.pending = Some(Pending { encoding, since: now });
        }
    }

    /// The end: an encoding that was asked for so long ago that it should have come counts as having come now. Of another nobody
    /// can tell.
    pub fn finish(&mut self, now: Time) {
        if self.pending.is_some_and(|pending| now.saturating_since(pending.since) >= PATIENCE) {
            self.give_up(now);
        }
        self.pending = None;
    }

    /// An encoding that was asked for and has not come counts as having come now.
    fn give_up(&mut self, now: Time) {
        if let Some(pending) = self.pending.take() {
            self.overdue += 1;
            self.switch_times.push(now.saturating_since(pending.since));
        }
    }

    /// The router says what it sends.
    pub fn on_shown(&mut self, shown: &ShownSlot) {
        if shown.temporal_layers == 0 || shown.temporal_layers == self.layers {
            return;
        }
        self.layers = shown.temporal_layers;
        if let Some(mut run) = self.run.take() {
            self.past_bytes += run.bytes_until(self.bytes_now(&run));
            run.layers = self.layers;
            run.bytes_before = self.bytes_now(&run);
            self.run = Some(run);
        }
    }

    /// Judges a frame with this hash that was received at `now`.
    pub fn on_frame(&mut self, now: Time, frame: &ReceivedFrame, hash: u64) -> Verdict {
        let directory = Arc::clone(&self.directory);
        let found = directory.get(&frame.track).zip(frame.captured_at);
        let verdict = found.map_or(Verdict::Unknown, |(ledger, time)| lock(ledger).find(time, hash));
        let of_track = self.run.as_ref().filter(|run| run.track == frame.track);
        let is_past =
            |place: &Place, captured_at| of_track.is_some_and(|run| run.is_past(place, captured_at));
        match (verdict, found) {
            (Verdict::Intact(place), Some((ledger, captured_at))) if !is_past(&place, captured_at) => {
                self.intact += 1;
                let is_decodable = self.follow(frame.track, captured_at, &place, ledger);
                self.note(now, &place, is_decodable && frame.is_decodable);
                verdict
            }
            // Frames come in order, each once.
            (Verdict::Intact(_) | Verdict::Corrupt, _) => {
                self.corrupt += 1;
                Verdict::Corrupt
            }
            (Verdict::Unknown, _) => {
                self.unknown += 1;
                verdict
            }
        }
    }

    /// What the layers that the slot showed were at their senders until now, while it showed them, in bytes.
    #[must_use]
    pub fn selected_bytes(&self) -> u64 {
        self.past_bytes + self.run.as_ref().map_or(0, |run| run.bytes_until(self.bytes_now(run)))
    }

    fn bytes_now(&self, run: &Run) -> u64 {
        let ledger = self.directory.get(&run.track);
        ledger.map_or(0, |ledger| lock(ledger).bytes(run.encoding, run.layers))
    }

    fn follow(
        &mut self,
        track: TrackId,
        captured_at: Time,
        place: &Place,
        ledger: &Mutex<TrackLedger>,
    ) -> bool {
        let goes_on =
            self.run.as_ref().is_some_and(|run| (run.track, run.encoding) == (track, place.encoding));
        if !goes_on {
            if let Some(ended) = self.run.take() {
                self.switches += u64::from(ended.track == track);
                self.source_changes += u64::from(ended.track != track);
                // The pictures that were out already are not taken back.
                let is_same_track = ended.track == track;
                let shown_until = ended.last_captured_at + Duration::from_nanos(1);
                let until = if is_same_track { captured_at.max(shown_until) } else { captured_at };
                let ledger = self.directory.get(&ended.track);
                let total =
                    ledger.map_or(0, |ledger| lock(ledger).bytes_before(until, ended.encoding, ended.layers));
                self.past_bytes += ended.bytes_until(total);
            }
            self.run = Some(Run {
                track,
                encoding: place.encoding,
                layers: self.layers,
                bytes_before: lock(ledger).bytes_before(captured_at, place.encoding, self.layers),
                last_number: place.number,
                last_captured_at: captured_at,
                decodable: 0,
            });
        }
        self.run.as_mut().is_some_and(|run| run.follow(place, captured_at))
    }

    fn note(&mut self, now: Time, place: &Place, is_decodable: bool) {
        if !is_decodable {
            self.undecodable += 1;
        }
        match self.pending {
            Some(pending) if pending.encoding == place.encoding && is_decodable => {
                self.switch_times.push(now.saturating_since(pending.since));
                self.pending = None;
            }
            // Until the switch what flowed before goes on.
            Some(_) => {}
            None => {
                let is_oversized = self.asked_encoding.is_some_and(|asked| place.encoding > asked);
                self.oversized += u64::from(is_oversized);
            }
        }
    }
}

#[cfg(test)]
mod tests;
