//! Parts of the core's inside that are measured alone. No interface: it changes with what it shows.

use sluice_wire::ext::FrameMarking;
use sluice_wire::time::Time;

use super::ids::{EncodingRef, TrackKey};
use super::layers::{Admission, Layers, Selection};
use super::rewrite::{Incoming, Rewriter};

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
        self.rewriter.source_of(sequence_number).map(|(_, index)| index)
    }
}
