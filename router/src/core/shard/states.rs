//! The states that clients synchronise. What they want is here, what they publish in `publish.rs`.

use std::collections::BTreeSet;

use sluice_wire::control::{AckEntry, AckStatus, StateKind, StatePage, Want, WantedSlot};
use sluice_wire::state_sync::Arrival;
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;

use super::Shard;
use super::subscribe::Tell;
use crate::core::counters::DropReason;
use crate::core::ids::{SessionKey, SlotRef};
use crate::core::session::{Share, Slot};
use rand::Rng;

/// Slots that a session may list, in or out of its downlink block's range: a full gallery and then some.
const MAX_LISTED_SLOTS: usize = 256;

impl Shard {
    /// Takes in a page of a state and acknowledges it.
    pub(super) fn handle_page(
        &mut self,
        now: Time,
        key: SessionKey,
        page: &StatePage<'_>,
    ) -> Result<(), DropReason> {
        let session = self.sessions.get(key).ok_or(DropReason::UnknownSsrc)?;
        let arrival = match page.kind {
            StateKind::Published => session.published.judge(page.page, page.pages, page.version),
            StateKind::Wanted => session.wanted.judge(page.page, page.pages, page.version),
            StateKind::Shown | StateKind::Demand | StateKind::Speakers => {
                return Err(DropReason::Misdirected);
            }
        };
        let (version, status) = match arrival {
            Arrival::Known(version) => (version, AckStatus::Applied),
            Arrival::OutOfRange => (page.version, AckStatus::Malformed),
            Arrival::New => {
                let status = match page.kind {
                    StateKind::Published => self.apply_published(now, key, page),
                    _ => self.apply_wanted(now, key, page),
                };
                (page.version, status)
            }
        };
        self.acknowledge(key, AckEntry { kind: page.kind, page: page.page, status, version })
    }

    /// Queues an acknowledgement for a session.
    pub(super) fn acknowledge(&mut self, key: SessionKey, ack: AckEntry) -> Result<(), DropReason> {
        let session = self.sessions.get_mut(key).ok_or(DropReason::UnknownSsrc)?;
        let fits = session.duties.acknowledge(ack);
        self.has_something_to_say(key);
        if fits { Ok(()) } else { Err(DropReason::ControlFlood) }
    }

    fn apply_wanted(&mut self, now: Time, key: SessionKey, page: &StatePage<'_>) -> AckStatus {
        let Some(session) = self.sessions.get_mut(key) else { return AckStatus::NotAllowed };
        let entries = session.wanted.with_page(page.page, page.pages, page.wanted());
        if entries.len() > MAX_LISTED_SLOTS {
            return AckStatus::LimitExceeded;
        }
        let numbers: BTreeSet<u16> = entries.iter().map(|(_, wanted)| wanted.slot).collect();
        if numbers.len() != entries.len() {
            return AckStatus::Malformed;
        }
        if numbers.last().is_some_and(|last| *last >= session.slot_limit()) {
            return AckStatus::LimitExceeded;
        }
        let wished: Vec<WantedSlot> = entries.iter().map(|(_, wanted)| *wanted).collect();
        session.wanted.accept(page.page, page.version, entries);
        self.synchronise_slots(now, key, &wished);
        AckStatus::Applied
    }

    fn synchronise_slots(&mut self, now: Time, key: SessionKey, wished: &[WantedSlot]) {
        let Some(session) = self.sessions.get(key) else { return };
        let listed: Vec<u16> = session.listed_slots().map(|(number, _)| number).collect();
        for number in listed {
            if !wished.iter().any(|wanted| wanted.slot == number) {
                self.set_wanted(now, SlotRef { session: key, slot: number }, None);
            }
        }
        for wanted in wished {
            self.set_wanted(now, SlotRef { session: key, slot: wanted.slot }, Some(*wanted));
        }
        if self.note_crowd(key) {
            // From now on, or from now on no more, slots compete.
            self.resolve_session(now, key, Tell::Now);
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.renew_shown();
        }
        self.has_something_to_say(key);
    }

    /// Changes what a slot is asked to show.
    fn set_wanted(&mut self, now: Time, slot: SlotRef, wanted: Option<WantedSlot>) {
        let Some(session) = self.sessions.get_mut(slot.session) else { return };
        let number = usize::from(slot.slot);
        if session.slots.len() <= number {
            session.slots.resize_with(number + 1, || None);
        }
        let rng = &mut self.rng;
        let state = session.slots[number].get_or_insert_with(|| Slot::new(rng.next_u32()));
        if state.wanted == wanted {
            return;
        }
        let before = state.want();
        state.wanted = wanted;
        state.share = Share::Fresh;
        let after = state.want();
        if let Some(room) = self.rooms.get_mut(session.room).filter(|_| before != after) {
            room.unwant(before, slot);
            room.want(after, slot);
        }
        self.resolve(now, slot, Tell::Now);
    }

    /// Notes whether a session asks for more videos than it is sent; `true` if that changed.
    pub(super) fn note_crowd(&mut self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let videos = self.rooms.get(session.room).map_or(0, |room| room.policy.videos());
        let may_be_video = |want| match want {
            Want::Nothing | Want::Voice(_) => false,
            Want::Track(track) => {
                ![TrackNumber::MICROPHONE, TrackNumber::SCREEN_AUDIO].contains(&track.number())
            }
            Want::Speaker(_) => true,
        };
        let wanted = session.listed_slots().filter_map(|(_, slot)| slot.wanted);
        let count = wanted.filter(|wanted| !wanted.paused && may_be_video(wanted.want)).count();
        std::mem::replace(&mut session.is_crowded, count > videos) != (count > videos)
    }

    /// Takes a session's wishes out of its room.
    pub(super) fn forget_wishes(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(key) else { return };
        let Some(room) = self.rooms.get_mut(session.room) else { return };
        for (number, slot) in session.listed_slots() {
            room.unwant(slot.want(), SlotRef { session: key, slot: number });
        }
    }
}
