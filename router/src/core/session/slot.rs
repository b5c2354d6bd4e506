//! A slot: what it was asked to show, what it shows, and the continuity of its stream.

use sluice_wire::control::{SlotStatus, Want, WantedSlot};
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use crate::core::ids::TrackKey;
use crate::core::layers::{Layers, Selection};
use crate::core::rewrite::{FIRST_INDEX_MASK, Rewriter};

/// What a slot has of its receiver's bitrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// What it wants is new: nothing was decided yet.
    Fresh,
    /// It goes without.
    Nothing,
    /// These layers, at this many bit/s when they were given.
    Layers(Layers, u64),
}

/// A lane on which the receiver is sent a track. It lives as long as its session, since its SSRC's packet indices must go on.
#[derive(Debug)]
pub(crate) struct Slot {
    /// What the receiver asked for; `None` if its wanted state does not name the slot.
    pub(crate) wanted: Option<WantedSlot>,
    /// The track that it shows or would show, whether or not it is published.
    pub(crate) subject: Option<TrackId>,
    /// That track, if the slot may show it.
    pub(crate) source: Option<TrackKey>,
    pub(crate) share: Share,
    pub(crate) selection: Option<Selection>,
    pub(crate) status: SlotStatus,
    /// The status once what it waits for flows.
    pub(crate) flows_as: SlotStatus,
    /// The layers that flowed when its page of `shown` was touched last.
    pub(crate) told: Option<Layers>,
    pub(crate) rewriter: Rewriter,
    /// 48-bit index of the next packet on the slot's RTX SSRC.
    pub(crate) next_rtx: u64,
    pub(crate) packets_sent: u32,
    pub(crate) octets_sent: u32,
    pub(crate) clock_rate_hz: u32,
    /// When a packet was sent last: silent slots are not reported on.
    pub(crate) last_sent: Option<Time>,
}

impl Slot {
    /// `random` places its first sequence numbers.
    pub(crate) fn new(random: u32) -> Self {
        Self {
            wanted: None,
            subject: None,
            source: None,
            share: Share::Fresh,
            selection: None,
            status: SlotStatus::NotPublished,
            flows_as: SlotStatus::Flowing,
            told: None,
            rewriter: Rewriter::new(random),
            next_rtx: u64::from(random >> 16 & FIRST_INDEX_MASK),
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
