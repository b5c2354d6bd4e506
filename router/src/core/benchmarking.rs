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
    /// A slot that waits for its first packet.
    #[must_use]
    pub fn new() -> Self {
        let selection = Selection::new(TrackKey::default(), Layers::whole(0));
        Self { selection, rewriter: Rewriter::new(7) }
    }

    /// Admits and rewrites a packet; `None` if it is not for the slot. Gives the packet's index and timestamp on the slot.
    pub fn decide(
        &mut self,
        encoding: u8,
        is_entry: bool,
        index: u64,
        timestamp: u32,
        now: Time,
    ) -> Option<(u64, u32)> {
        let marking =
            FrameMarking { start: is_entry, independent: is_entry, end: true, ..FrameMarking::default() };
        let packet = Incoming {
            index,
            timestamp,
            arrival: now,
            capture: None,
            start: is_entry,
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
}

impl Default for Decision {
    fn default() -> Self {
        Self::new()
    }
}
