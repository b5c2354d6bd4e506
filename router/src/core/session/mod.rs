//! A participant's media transport: keys, addresses, states, slots.

mod duties;
mod keys;
mod listed;
mod slot;

use std::time::Duration;

use sluice_wire::control::{CloseCode, DemandStatus, PublishedTrack, SHOWN_PER_PAGE, WantedSlot};
use sluice_wire::feedback::FeedbackRecorder;
use sluice_wire::srtp::{InboundSrtp, OutboundSrtp};
use sluice_wire::ssrc::SsrcBlock;
use sluice_wire::state_sync::PageOutbox;
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackNumber};

pub(crate) use self::duties::{Duties, Echo};
pub(crate) use self::keys::{SessionKeys, draw_keys};
pub(crate) use self::listed::Listed;
pub(crate) use self::slot::{Share, Slot};
use super::allocation::RaisePause;
use super::downlink::Downlink;
use super::ids::{EncodingRef, RoomKey, SessionName, TrackKey};
use super::path::Paths;
use super::resends::Resends;
use super::shard::Rights;

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its ticket was handed out; nothing authenticated came yet.
    Unclaimed,
    Live,
    /// It is over; the close is repeated this many times more.
    Closing {
        repeats: u8,
    },
}

/// The bitrate that a receiver can take, over all its slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// What the receiver said that it takes, bit/s; `u64::MAX` is no limit.
    pub(crate) stated_bps: u64,
    /// What its slots share, bit/s, by its word and by its path; `u64::MAX` is no limit.
    pub(crate) limit_bps: u64,
    /// What all that its slots could be sent costs, bit/s, as it was shared last.
    pub(crate) wanted_bps: u64,
    pub(crate) pause: RaisePause,
}

/// A track that a client lists and that is not published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusedTrack {
    pub(crate) published: PublishedTrack,
    pub(crate) status: DemandStatus,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) name: SessionName,
    pub(crate) participant: ParticipantId,
    pub(crate) room: RoomKey,
    pub(crate) rights: Rights,
    pub(crate) uplink: SsrcBlock,
    pub(crate) downlink: SsrcBlock,
    pub(crate) inbound: InboundSrtp,
    pub(crate) outbound: OutboundSrtp,
    pub(crate) paths: Paths,
    pub(crate) phase: Phase,
    pub(crate) opened_at: Time,
    pub(crate) last_heard: Time,
    pub(crate) last_sent: Time,
    /// The newest transport-wide sequence number of the uplink.
    pub(crate) newest_transport_in: Option<u16>,
    pub(crate) next_transport_out: u16,
    pub(crate) next_padding_index: u64,
    /// What its path carries; there once it was sent media.
    pub(crate) down: Option<Box<Downlink>>,
    /// What came of it, for the feedback that it is given; there once something came.
    pub(crate) arrivals: Option<FeedbackRecorder>,
    pub(crate) published: Listed<PublishedTrack>,
    pub(crate) tracks: Vec<(TrackNumber, TrackKey)>,
    /// Each stays refused until the client ceases to list it.
    pub(crate) refused: Vec<RefusedTrack>,
    /// The encoding that each stream of the uplink carries.
    pub(crate) streams: Box<[Option<EncodingRef>]>,
    pub(crate) wanted: Listed<WantedSlot>,
    /// Slots by number.
    pub(crate) slots: Vec<Option<Slot>>,
    pub(crate) shown: PageOutbox,
    /// What of its tracks is wanted.
    pub(crate) demand: PageOutbox,
    /// The room's recent speakers.
    pub(crate) speakers: PageOutbox,
    /// The level at which it talks while muted, -dBov, as it is told.
    pub(crate) muted_talk: Option<u8>,
    pub(crate) budget: Budget,
    /// It asks for more videos than the room's policy gives.
    pub(crate) is_crowded: bool,
    /// Its budget is to be shared anew at its next tick.
    pub(crate) share_is_due: bool,
    pub(crate) duties: Duties,
    /// What it asked to be sent again.
    pub(crate) resends: Resends,
    /// Smoothed round-trip time by sender and receiver reports.
    pub(crate) rtt: Option<Duration>,
    /// The close code once it is over.
    pub(crate) close_code: CloseCode,
}

impl Session {
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// Slots that a receiver may name.
    pub(crate) fn slot_limit(&self) -> u16 {
        self.downlink.streams() - 1
    }

    pub(crate) fn slot(&self, number: u16) -> Option<&Slot> {
        self.slots.get(usize::from(number))?.as_ref()
    }

    pub(crate) fn slot_mut(&mut self, number: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(number))?.as_mut()
    }

    /// Whether a packet with this transport-wide sequence number is newer than all before; if so it is noted.
    pub(crate) fn note_transport_sequence(&mut self, sequence: u16) -> bool {
        let newer = self.newest_transport_in.is_none_or(|newest| {
            let ahead = sequence.wrapping_sub(newest);
            ahead != 0 && ahead < 0x8000
        });
        if newer {
            self.newest_transport_in = Some(sequence);
        }
        newer
    }

    /// Numbers of the slots that the receiver's state names, in order.
    pub(crate) fn listed_slots(&self) -> impl Iterator<Item = (u16, &Slot)> {
        self.slots.iter().enumerate().filter_map(|(number, slot)| {
            let slot = slot.as_ref().filter(|slot| slot.wanted.is_some())?;
            Some((number as u16, slot))
        })
    }

    /// Whether its slots compete: for bitrate, or for being shown at all.
    pub(crate) fn shares(&self) -> bool {
        self.budget.limit_bps != u64::MAX || self.is_crowded
    }

    /// What is wanted of its tracks changed, or what becomes of them.
    pub(crate) fn touch_demand(&mut self) {
        touch_only_page(&mut self.demand);
    }

    /// The list of recent speakers changed, or that it talks while muted.
    pub(crate) fn touch_speakers(&mut self) {
        touch_only_page(&mut self.speakers);
    }

    /// What `number` shows changed: its page of `shown` is new.
    pub(crate) fn touch_shown(&mut self, number: u16) {
        let before = self.listed_slots().take_while(|(other, _)| *other < number).count();
        self.shown.touch((before / SHOWN_PER_PAGE) as u8);
    }

    /// The list of slots itself changed: every page of `shown` is new.
    pub(crate) fn renew_shown(&mut self) {
        let pages = self.listed_slots().count().div_ceil(SHOWN_PER_PAGE).max(1) as u8;
        self.shown.set_pages(pages);
        for page in 0..pages {
            self.shown.touch(page);
        }
    }

    /// Notes an RTP packet of `len` bytes that was sealed with the next transport-wide sequence number.
    #[inline]
    pub(crate) fn on_rtp_sent(&mut self, now: Time, len: usize) {
        if let Some(down) = self.down.as_deref_mut() {
            down.on_sent(now, self.next_transport_out, len);
        }
        self.next_transport_out = self.next_transport_out.wrapping_add(1);
        self.last_sent = now;
    }

    /// Takes a round-trip sample into the smoothed value (RFC 6298 section 2).
    pub(crate) fn note_rtt(&mut self, sample: Duration) {
        self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
    }
}

/// Renews the one page of a state.
fn touch_only_page(state: &mut PageOutbox) {
    if state.pages() == 0 {
        state.set_pages(1);
    } else {
        state.touch(0);
    }
}
