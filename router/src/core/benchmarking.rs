//! Parts of the core's inside that are measured alone. No interface: it changes with what it shows.

use sluice_wire::time::Time;

use super::ids::TrackKey;
use super::rewrite::Rewriter;
use super::session::{Admission, Selection};

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
        let selection = Selection { track: TrackKey::default(), current: None, target: 0 };
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
        match self.selection.admit(encoding, is_entry) {
            Admission::Ignore => return None,
            Admission::Forward => {}
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
