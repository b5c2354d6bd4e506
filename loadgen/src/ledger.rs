//! Frame integrity: what was sent against what was received.
//!
//! A sender writes each frame into its track's [`TrackLedger`] before the packets leave. A receiver looks a frame up by the
//! capture time that came with it, and by the hash of its bytes. Frames are numbered, so that a [`Subscription`] knows how many
//! frames and packets it should have got since its first one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_client::driver::SentFrame;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

/// How long a sent frame is remembered: longer than any network holds a packet that still arrives.
const RETENTION: Duration = Duration::from_secs(10);
/// Encodings of one track (`proto-spec/spec/07-limits.md`).
const MAX_ENCODINGS: usize = 4;
/// Temporal layers of one encoding (`proto-spec/spec/07-limits.md`).
pub(crate) const MAX_LAYERS: usize = 4;
/// What a packet has beside its payload on its way to a receiver: fixed header, CSRC, extensions and tag, in bytes.
const PACKET_OVERHEAD_BYTES: u64 = 12 + 4 + 20 + 16;

/// One encoding of a frame.
#[derive(Clone, Copy, Debug)]
struct Sent {
    hash: u64,
    handed_at: Time,
    key: bool,
    needs: [Option<u64>; 2],
}

/// Bytes on the way to a receiver, by encoding and temporal layer.
type LayerBytes = [[u64; MAX_LAYERS]; MAX_ENCODINGS];

/// The frames of an encoding that the next ones may refer to, by number.
#[derive(Clone, Copy, Debug, Default)]
struct References {
    base: Option<u64>,
    /// The latest frame of any upper layer since then that is not discardable, by layer.
    upper: [Option<u64>; MAX_LAYERS],
}

impl References {
    /// What a frame refers to: of the base layer the one before; of an upper layer the base layer and, unless it is a sync frame,
    /// the latest of the layers up to its own. Notes the frame.
    fn take(&mut self, number: u64, frame: &SentFrame) -> [Option<u64>; 2] {
        let id = usize::from(frame.layer.temporal_id).min(MAX_LAYERS - 1);
        let upper =
            if frame.layer.base_sync { None } else { self.upper[..=id].iter().copied().max().flatten() };
        let needs = if frame.key { [None; 2] } else { [self.base, upper] };
        if id == 0 {
            *self = Self { base: Some(number), upper: [None; MAX_LAYERS] };
        } else if !frame.layer.discardable {
            self.upper[id] = Some(number);
        }
        needs
    }
}

/// All encodings of a picture, or one packet of sound.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// As it comes out of the wire's format again.
    captured_at: Time,
    sent: [Option<Sent>; MAX_ENCODINGS],
    /// Packets of each encoding before this frame.
    packets_before: [u64; MAX_ENCODINGS],
    bytes_before: LayerBytes,
}

/// What one track has sent. The last ten seconds are remembered frame by frame, all of it in numbers.
#[derive(Debug, Default)]
pub struct TrackLedger {
    entries: VecDeque<Entry>,
    /// The number of the first remembered frame.
    first_number: u64,
    packets: [u64; MAX_ENCODINGS],
    bytes: LayerBytes,
    references: [References; MAX_ENCODINGS],
}

/// Where a received frame stands among the sent ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The frame's number, from 0.
    pub number: u64,
    /// Which encoding of it came.
    pub encoding: u8,
    /// Packets of that encoding before this frame.
    pub packets_before: u64,
    /// When it was handed to the sender's session.
    pub handed_at: Time,
    /// Whether decoding can start with it.
    pub key: bool,
    /// The numbers of the frames of that encoding that it refers to.
    pub needs: [Option<u64>; 2],
}

/// What a ledger says of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was sent.
    Intact(Place),
    /// A frame with that capture time was sent, with other bytes.
    Corrupt,
    /// No frame with that capture time is remembered.
    Unknown,
}

impl TrackLedger {
    /// Writes a frame down. Frames come in order of their capture time; those of one capture time are encodings of one picture.
    pub fn record(&mut self, frame: &SentFrame) {
        let encoding = usize::from(frame.encoding);
        if encoding >= MAX_ENCODINGS {
            return;
        }
        let captured_at = as_on_the_wire(frame.captured_at);
        if self.entries.back().is_none_or(|last| last.captured_at != captured_at) {
            self.forget_before(captured_at - RETENTION);
            self.entries.push_back(Entry {
                captured_at,
                sent: [None; MAX_ENCODINGS],
                packets_before: self.packets,
                bytes_before: self.bytes,
            });
        }
        self.packets[encoding] += frame.packets as u64;
        let layer = usize::from(frame.layer.temporal_id).min(MAX_LAYERS - 1);
        self.bytes[encoding][layer] += frame.bytes as u64 + frame.packets as u64 * PACKET_OVERHEAD_BYTES;
        let number = self.frames().saturating_sub(1);
        let needs = self.references[encoding].take(number, frame);
        if let Some(entry) = self.entries.back_mut() {
            let &SentFrame { hash, handed_at, key, .. } = frame;
            entry.sent[encoding] = Some(Sent { hash, handed_at, key, needs });
        }
    }

    /// Looks a received frame up.
    #[must_use]
    pub fn find(&self, captured_at: Time, hash: u64) -> Verdict {
        let Ok(position) = self.entries.binary_search_by_key(&captured_at, |entry| entry.captured_at) else {
            return Verdict::Unknown;
        };
        let entry = &self.entries[position];
        let same = |sent: &&Sent| sent.hash == hash;
        let found =
            (0..).zip(&entry.sent).find_map(|(encoding, sent)| Some((encoding, sent.as_ref().filter(same)?)));
        let Some((encoding, sent)) = found else { return Verdict::Corrupt };
        Verdict::Intact(Place {
            number: self.first_number + position as u64,
            encoding,
            packets_before: entry.packets_before[usize::from(encoding)],
            handed_at: sent.handed_at,
            key: sent.key,
            needs: sent.needs,
        })
    }

    /// How many frames have been sent; encodings of one picture count once.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.first_number + self.entries.len() as u64
    }

    /// How many packets of an encoding have been sent.
    #[must_use]
    pub fn packets(&self, encoding: u8) -> u64 {
        self.packets.get(usize::from(encoding)).copied().unwrap_or(0)
    }

    /// How many bytes so many temporal layers of an encoding have been by now, on the way to a receiver: frames, and headers and tag of
    /// their packets.
    #[must_use]
    pub fn bytes(&self, encoding: u8, layers: u8) -> u64 {
        sum_layers(&self.bytes, encoding, layers)
    }

    /// The same until before the frame of this capture time, or until now if there is none yet.
    #[must_use]
    pub fn bytes_before(&self, captured_at: Time, encoding: u8, layers: u8) -> u64 {
        let position = self.entries.partition_point(|entry| entry.captured_at < captured_at);
        let bytes = self.entries.get(position).map_or(&self.bytes, |entry| &entry.bytes_before);
        sum_layers(bytes, encoding, layers)
    }

    fn forget_before(&mut self, time: Time) {
        while self.entries.front().is_some_and(|entry| entry.captured_at < time) {
            self.entries.pop_front();
            self.first_number += 1;
        }
    }
}

fn sum_layers(bytes: &LayerBytes, encoding: u8, layers: u8) -> u64 {
    let of_encoding = bytes.get(usize::from(encoding));
    of_encoding.map_or(0, |layer| layer.iter().take(usize::from(layers)).sum())
}

/// The 64-bit NTP format rounds.
fn as_on_the_wire(time: Time) -> Time {
    Time::from_ntp(time.to_ntp()).unwrap_or(time)
}

/// Takes a lock; what it protects is whole between two calls, whatever panicked.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run of frames of one encoding.
#[derive(Clone, Copy, Debug)]
struct Run {
    encoding: u8,
    packets_before: u64,
}

/// A slot that is to show one track, and what came of it.
#[derive(Debug)]
pub struct Subscription {
    /// The track.
    pub track: TrackId,
    ledger: Arc<Mutex<TrackLedger>>,
    first_number: u64,
    last_number: Option<u64>,
    run: Option<Run>,
    packets_of_past_runs: u64,
    /// Frames that came as they were sent.
    pub intact: u64,
    /// Frames that came with other bytes, or again.
    pub corrupt: u64,
    /// Frames that nobody remembers.
    pub unknown: u64,
}

/// What a subscription should have got since its first frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Frames.
    pub frames: u64,
    /// RTP packets.
    pub packets: u64,
}

impl Subscription {
    /// A subscription to the track that writes into `ledger`.
    #[must_use]
    pub const fn new(track: TrackId, ledger: Arc<Mutex<TrackLedger>>) -> Self {
        Self {
            track,
            ledger,
            first_number: 0,
            last_number: None,
            run: None,
            packets_of_past_runs: 0,
            intact: 0,
            corrupt: 0,
            unknown: 0,
        }
    }

    /// Whether an intact frame has come.
    #[must_use]
    pub const fn is_flowing(&self) -> bool {
        self.last_number.is_some()
    }

    /// Judges a frame. A frame without capture time is unknown.
    pub fn on_frame(&mut self, captured_at: Option<Time>, hash: u64) -> Verdict {
        let verdict = captured_at.map_or(Verdict::Unknown, |time| lock(&self.ledger).find(time, hash));
        let verdict = match verdict {
            // Frames come in order, each once: another one is not what was sent.
            Verdict::Intact(place) if self.last_number.is_some_and(|last| place.number <= last) => {
                Verdict::Corrupt
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Intact(place) => self.follow(&place),
            Verdict::Corrupt => self.corrupt += 1,
            Verdict::Unknown => self.unknown += 1,
        }
        verdict
    }

    fn follow(&mut self, place: &Place) {
        self.intact += 1;
        if self.last_number.is_none() {
            self.first_number = place.number;
        }
        self.last_number = Some(place.number);
        let run = self.run.filter(|run| run.encoding == place.encoding);
        if run.is_none() {
            // The run before ended with the frame before this one: what its encoding sent beside is not for this slot.
            self.packets_of_past_runs += self.packets_of_run_until(place.number);
            self.run = Some(Run { encoding: place.encoding, packets_before: place.packets_before });
        }
    }

    fn packets_of_run_until(&self, number: u64) -> u64 {
        let Some(run) = self.run else { return 0 };
        let ledger = lock(&self.ledger);
        let position = number.checked_sub(ledger.first_number).and_then(|at| usize::try_from(at).ok());
        let entry = position.and_then(|position| ledger.entries.get(position));
        entry.map_or(0, |entry| entry.packets_before[usize::from(run.encoding)] - run.packets_before)
    }

    /// What should have come from the first frame until now. Exact as long as the router forwards every layer of an encoding, as
    /// it does when it is asked for no less, and sends to a slot from a first frame's first packet on.
    #[must_use]
    pub fn expected(&self) -> Expected {
        let Some(run) = self.run else { return Expected::default() };
        let ledger = lock(&self.ledger);
        let of_run = ledger.packets(run.encoding).saturating_sub(run.packets_before);
        Expected {
            frames: ledger.frames().saturating_sub(self.first_number),
            packets: self.packets_of_past_runs + of_run,
        }
    }
}

#[cfg(test)]
mod tests;
