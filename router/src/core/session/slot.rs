//! A slot: what it was asked to show, what it shows, and the continuity of its stream.

use sluice_wire::control::{SlotStatus, Want, WantedSlot};
use sluice_wire::time::Time;

use crate::core::layers::Selection;
use crate::core::rewrite::Rewriter;

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
