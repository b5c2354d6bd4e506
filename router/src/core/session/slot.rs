//! A slot: what it was asked to show, what it shows, and the continuity of its stream.

use sluice_wire::control::{SlotStatus, Want, WantedSlot};
use sluice_wire::time::Time;

use crate::core::ids::TrackKey;
use crate::core::rewrite::Rewriter;

/// The encoding that a slot shows and the one it should show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    pub(crate) track: TrackKey,
    /// Flows now.
    pub(crate) current: Option<u8>,
    /// Is to flow; differs from `current` until a packet comes at which a receiver may start.
    pub(crate) target: u8,
}

/// What to do with a packet for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Forward,
    /// Forward, as the first packet of another encoding. `leaves` is the encoding that the slot gives up.
    Switch {
        leaves: Option<u8>,
    },
    Ignore,
}

impl Selection {
    /// Whether the encoding that should flow does not flow yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.current != Some(self.target)
    }

    /// Judges a packet of `encoding` of the selected track; a switch counts as made.
    pub(crate) fn admit(&mut self, encoding: u8, is_entry: bool) -> Admission {
        if self.current == Some(encoding) {
            return Admission::Forward;
        }
        if self.target == encoding && is_entry {
            return Admission::Switch { leaves: self.current.replace(encoding) };
        }
        Admission::Ignore
    }
}

/// A lane on which the receiver is sent a track. It lives as long as its session, since its SSRC's packet indices must go on.
#[derive(Debug)]
pub(crate) struct Slot {
    /// What the receiver asked for; `None` if its wanted state does not name the slot.
    pub(crate) wanted: Option<WantedSlot>,
    pub(crate) selection: Option<Selection>,
    pub(crate) status: SlotStatus,
    pub(crate) rewriter: Rewriter,
    pub(crate) packets_sent: u32,
    pub(crate) octets_sent: u32,
    pub(crate) clock_rate_hz: u32,
    /// When a packet was sent last: silent slots are not reported on.
    pub(crate) last_sent: Option<Time>,
}

impl Slot {
    pub(crate) const fn new(rewriter: Rewriter) -> Self {
        Self {
            wanted: None,
            selection: None,
            status: SlotStatus::NotPublished,
            rewriter,
            packets_sent: 0,
            octets_sent: 0,
            clock_rate_hz: 0,
            last_sent: None,
        }
    }

    pub(crate) fn want(&self) -> Want {
        self.wanted.map_or(Want::Nothing, |wanted| wanted.want)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(current: Option<u8>, target: u8) -> Selection {
        Selection { track: TrackKey::default(), current, target }
    }

    #[test]
    fn the_current_encoding_flows_until_the_target_may_start() {
        let mut selection = selection(Some(0), 2);
        assert_eq!(selection.admit(2, false), Admission::Ignore);
        assert_eq!(selection.admit(0, false), Admission::Forward);
        assert_eq!(selection.admit(2, true), Admission::Switch { leaves: Some(0) });
        assert_eq!(selection.admit(0, true), Admission::Ignore);
        assert_eq!(selection.admit(2, false), Admission::Forward);
    }

    #[test]
    fn an_empty_slot_starts_at_an_entry_and_leaves_nothing() {
        let mut selection = selection(None, 1);
        assert_eq!(selection.admit(0, true), Admission::Ignore);
        assert_eq!(selection.admit(1, false), Admission::Ignore);
        assert_eq!(selection.admit(1, true), Admission::Switch { leaves: None });
    }
}
