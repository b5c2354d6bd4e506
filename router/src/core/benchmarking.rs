//! Parts of the core's inside that are measured alone. No interface: it changes with what it shows.

use std::time::Duration;

use slotmap::SlotMap;
use sluice_wire::ext::{AudioLevel, FrameMarking};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::ids::{EncodingRef, TrackKey};
use super::layers::{Admission, Layers, Selection};
use super::limits::{ROOM_TICK_PHASES, TICK, TICK_PHASES};
use super::policy::DEFAULT_VOICES;
use super::rewrite::{Incoming, Rewriter};
use super::speakers::{LevelMeter, QUIETEST, Speakers};

/// A slot that shows one encoding: what is decided about each packet that comes for it.
#[derive(Debug)]
pub struct Decision {
    selection: Selection,
    rewriter: Rewriter,
}

impl Decision {
    /// A slot that waits for its first packet and shows temporal layers up to `temporal`.
    #[must_use]
    pub fn new(temporal: u8) -> Self {
        let layers = Layers { temporal, ..Layers::whole(0) };
        Self { selection: Selection::new(TrackKey::default(), layers), rewriter: Rewriter::new(7) }
    }

    /// Admits and rewrites a frame of one packet; `None` if it is not for the slot. The first must be of temporal layer 0. Gives
    /// the packet's index and timestamp on the slot.
    pub fn decide(
        &mut self,
        encoding: u8,
        temporal_id: u8,
        index: u64,
        timestamp: u32,
        now: Time,
    ) -> Option<(u64, u32)> {
        let is_first = self.selection.current().is_none();
        let marking = FrameMarking {
            start: true,
            independent: is_first,
            end: true,
            temporal_id,
            ..FrameMarking::default()
        };
        let packet = Incoming {
            index,
            timestamp,
            arrival: now,
            capture: None,
            start: true,
            end: true,
            tl0_pic_idx: 0,
            vp8: None,
        };
        match self.selection.admit(encoding, marking, timestamp) {
            Admission::Ignore => return None,
            Admission::Skip => {
                self.rewriter.skip(&packet);
                return None;
            }
            Admission::Forward { .. } => {}
            Admission::Switch { .. } => {
                let source = EncodingRef { track: self.selection.track, encoding };
                self.rewriter.switch(source, &packet, 90_000);
            }
        }
        let rewritten = self.rewriter.rewrite(&packet)?;
        Some((rewritten.index, rewritten.timestamp))
    }

    /// The index on the uplink of what left with this sequence number: what a NACK asks for.
    #[must_use]
    pub fn look_up(&self, sequence_number: u16) -> Option<u64> {
        self.rewriter.source_of(sequence_number).map(|origin| origin.index)
    }
}

/// The time between two ticks of a room.
const ROOM_TICK: Duration =
    Duration::from_millis(TICK.as_millis() as u64 * ROOM_TICK_PHASES as u64 / TICK_PHASES as u64);
/// People of a room who talk at once.
const TALKERS: usize = 4;
/// Ticks for which the same people talk: four seconds.
const TURN_TICKS: u64 = 100;

/// A room whose people all have their microphones open: what is decided of them once per tick.
#[derive(Debug)]
pub struct Listening {
    microphones: SlotMap<TrackKey, LevelMeter>,
    /// In order of participant.
    keys: Vec<TrackKey>,
    speakers: Speakers,
    now: Time,
    ticks: u64,
}

impl Listening {
    /// A room of so many people.
    #[must_use]
    pub fn new(people: u32) -> Self {
        let mut room = Self {
            microphones: SlotMap::with_key(),
            keys: Vec::new(),
            speakers: Speakers::new(DEFAULT_VOICES),
            now: Time::from_nanos(1_800_000_000_000_000_000),
            ticks: 0,
        };
        for participant in (1..=people).filter_map(|number| ParticipantId::new(number).ok()) {
            let microphone = room.microphones.insert(LevelMeter::default());
            room.keys.push(microphone);
            room.speakers.set(participant, microphone, false);
        }
        room
    }

    /// Everybody is heard once: a few talk, in turns, the others are silent.
    pub fn hear(&mut self) {
        let turn = (self.ticks / TURN_TICKS) as usize;
        for (number, key) in self.keys.iter().enumerate() {
            let behind = (number + turn) % self.keys.len();
            let level = if behind < TALKERS { 20 + 5 * behind as u8 } else { QUIETEST };
            if let Some(meter) = self.microphones.get_mut(*key) {
                meter.note(AudioLevel { voice: true, level }, self.now);
            }
        }
        self.now += ROOM_TICK;
        self.ticks += 1;
    }

    /// A tick of the room. Gives whether anything changed that somebody is told or sent.
    pub fn tick(&mut self) -> bool {
        let (now, microphones) = (self.now, &mut self.microphones);
        let changes =
            self.speakers.tick(now, |key| microphones.get_mut(key).map_or(0, |meter| meter.read(now)));
        changes.lanes != 0 || changes.dominant || changes.recent
    }
}
