//! The states that the router synchronises: what slots show, what of this end's tracks is wanted, who speaks.

use std::collections::BTreeSet;

use sluice_wire::control::{AckEntry, AckStatus, Demand, ShownSlot, StateKind, StatePage};
use sluice_wire::state_sync::{Arrival, PageInbox};

use super::{ClientSession, Event};

/// Acknowledgements that wait at once: more than the states have pages.
const MAX_ACKS: usize = 32;

/// Versions of the pages of each state.
#[derive(Debug, Default)]
pub(super) struct Inboxes {
    shown: PageInbox,
    demand: PageInbox,
    speakers: PageInbox,
}

impl Inboxes {
    /// `None` for states that only clients say.
    const fn of(&mut self, kind: StateKind) -> Option<&mut PageInbox> {
        match kind {
            StateKind::Shown => Some(&mut self.shown),
            StateKind::Demand => Some(&mut self.demand),
            StateKind::Speakers => Some(&mut self.speakers),
            StateKind::Published | StateKind::Wanted => None,
        }
    }
}

impl ClientSession {
    /// A page of a state came whose entries make no sense.
    pub(super) fn refuse_page(&mut self, kind: StateKind, page: u8, version: u32) {
        if self.inboxes.of(kind).is_some() {
            self.acknowledge(kind, page, version, AckStatus::Malformed);
        }
    }

    pub(super) fn handle_page(&mut self, page: &StatePage<'_>) {
        let Some(inbox) = self.inboxes.of(page.kind) else {
            self.stats.malformed += 1;
            return;
        };
        match inbox.judge(page.page, page.pages, page.version) {
            Arrival::Known(version) => self.acknowledge(page.kind, page.page, version, AckStatus::Applied),
            Arrival::OutOfRange => {
                self.acknowledge(page.kind, page.page, page.version, AckStatus::Malformed);
            }
            Arrival::New => {
                inbox.accept(page.page, page.version);
                self.acknowledge(page.kind, page.page, page.version, AckStatus::Applied);
                match page.kind {
                    StateKind::Shown => self.apply_shown(page),
                    StateKind::Demand => page.demand().for_each(|demand| self.apply_demand(demand)),
                    StateKind::Speakers => self.emit(Event::Speakers(page.speakers().collect())),
                    StateKind::Published | StateKind::Wanted => {}
                }
            }
        }
    }

    fn apply_shown(&mut self, page: &StatePage<'_>) {
        let listed: BTreeSet<u16> = page.shown().map(|slot| slot.slot).collect();
        self.shown.retain(|slot, (of, _)| *of < page.pages && (*of != page.page || listed.contains(slot)));
        for slot in page.shown() {
            self.show(page.page, slot);
        }
    }

    fn show(&mut self, page: u8, slot: ShownSlot) {
        if slot.slot < self.slot_limit() {
            let before = self.shown.insert(slot.slot, (page, slot));
            if before.is_none_or(|(_, before)| before != slot) {
                if let Some(receiver) = self.receivers.get_mut(&slot.slot) {
                    receiver.on_shown(&slot);
                }
                self.emit(Event::Shown(slot));
            }
        }
    }

    fn apply_demand(&mut self, demand: Demand) {
        let track = self.tracks.iter_mut().find(|track| track.declared.number == demand.track);
        let publication = track.and_then(|track| track.encodings.get_mut(usize::from(demand.encoding)));
        // What is wanted of a track that was taken back meanwhile is nothing.
        let Some(publication) = publication else { return };
        if publication.demand.replace(demand) == Some(demand) {
            return;
        }
        let restarts = publication.gate.want(demand.temporal_layers);
        self.emit(Event::Demand(demand));
        if restarts {
            self.emit(Event::KeyFrameRequested { track: demand.track, encoding: demand.encoding });
        }
    }

    fn acknowledge(&mut self, kind: StateKind, page: u8, version: u32, status: AckStatus) {
        self.acks.retain(|ack| (ack.kind, ack.page) != (kind, page));
        if self.acks.len() < MAX_ACKS {
            self.acks.push(AckEntry { kind, page, status, version });
        }
    }
}
