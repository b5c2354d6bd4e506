//! Parts of the core's inside that are measured alone. No interface: it changes with what it shows.

use sluice_wire::ext::FrameMarking;
use sluice_wire::time::Time;

use super::ids::TrackKey;
use super::layers::{Admission, Layers, Selection};
use super::rewrite::Rewriter;

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
        match self.selection.admit(encoding, marking, timestamp) {
            Admission::Ignore | Admission::Skip => return None,
            Admission::Forward { .. } => {}
            Admission::Switch { .. } => self.rewriter.switch(index, timestamp, now, 90_000),
        }
        let rewritten = self.rewriter.rewrite(index, timestamp, now)?;
        Some((rewritten.index, rewritten.timestamp))
    }
}

impl Default for Decision {
    fn default() -> Self {
        Self::new()
    }
}
