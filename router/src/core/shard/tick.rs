//! Periodic duties. Every session is visited once per tick, a tenth of them at a time.

use sluice_wire::control::{CloseCode, SlotStatus};
use sluice_wire::time::Time;

use super::{EndReason, Shard};
use crate::core::ids::{EncodingRef, SessionKey};
use crate::core::layers::Selection;
use crate::core::limits::{
    IDLE_TIMEOUT, KEEPALIVE_AFTER, REPORT_INTERVAL, ROOM_TICK_PHASES, TICK, TICK_PHASES, UNCLAIMED_TIMEOUT,
};
use crate::core::session::{Phase, Session};

impl Shard {
    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        // After a long stall one round over all sessions is enough: what is overdue is judged by the clock.
        let mut rounds = TICK_PHASES;
        while self.next_tick <= now && rounds > 0 {
            rounds -= 1;
            self.tick_phase(now);
            self.next_tick += TICK / TICK_PHASES as u32;
        }
        if self.next_tick <= now {
            self.next_tick = now + TICK / TICK_PHASES as u32;
        }
        self.tend_losses(now);
        self.settle(now);
    }

    fn tick_phase(&mut self, now: Time) {
        self.tick_rooms(now, self.next_room_phase);
        self.next_room_phase = (self.next_room_phase + 1) % ROOM_TICK_PHASES;
        let phase = self.next_phase;
        self.next_phase = (phase + 1) % TICK_PHASES;
        let mut position = 0;
        while let Some(key) = self.phases[phase].get(position).copied() {
            if self.tick_session(now, key) {
                position += 1;
            } else {
                self.phases[phase].swap_remove(position);
            }
        }
    }

    /// Visits a session; `false` if it is gone.
    fn tick_session(&mut self, now: Time, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        match session.phase {
            Phase::Closing { repeats: 0 } => {
                self.remove_session(key);
                return false;
            }
            Phase::Closing { repeats } => {
                session.phase = Phase::Closing { repeats: repeats - 1 };
                session.duties.close = Some(session.close_code);
            }
            Phase::Unclaimed if now.saturating_since(session.opened_at) >= UNCLAIMED_TIMEOUT => {
                self.end_session(now, key, CloseCode::IdleTimeout, EndReason::Unclaimed);
            }
            Phase::Unclaimed => return true,
            Phase::Live if now.saturating_since(session.last_heard) >= IDLE_TIMEOUT => {
                self.end_session(now, key, CloseCode::IdleTimeout, EndReason::Idle);
            }
            Phase::Live => {
                self.tick_downlink(now, key);
                let Some(session) = self.sessions.get_mut(key) else { return false };
                // Bitrates and pauses have changed by the time that reports are due.
                let reports_are_due = note_duties(now, session);
                if session.share_is_due || (reports_are_due && session.shares()) {
                    self.share(now, key);
                }
                if reports_are_due {
                    self.gather_report_blocks(now, key);
                }
                self.tick_tracks(now, key);
                self.note_layers(key);
                self.ask_for_key_frames(now, key);
            }
        }
        self.has_something_to_say(key);
        true
    }

    /// What flows on a slot may have changed with a frame: its receiver is told.
    fn note_layers(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        for number in 0..session.slots.len() as u16 {
            let Some(slot) = session.slot_mut(number).filter(|slot| slot.wanted.is_some()) else { continue };
            let current = slot.selection.and_then(|selection| selection.current());
            if std::mem::replace(&mut slot.told, current) != current {
                session.touch_shown(number);
            }
        }
    }

    /// Asks again for key frames that a session's slots wait for, and for those that receivers of its own tracks wait for.
    fn ask_for_key_frames(&mut self, now: Time, key: SessionKey) {
        let Some((slots, streams)) = self.sessions.get(key).map(|s| (s.slots.len(), s.streams.len())) else {
            return;
        };
        for number in 0..slots {
            let slot = self.sessions.get(key).and_then(|session| session.slot(number as u16));
            // A slot that flows may wait too: for the encoding that it is to change to.
            if let Some(slot) = slot.filter(|slot| slot.status != SlotStatus::Muted)
                && let Some(selection) = slot.selection.filter(Selection::is_waiting)
                && self.tracks.get(selection.track).is_some_and(|track| !track.kind.is_audio())
            {
                let waits_for = EncodingRef { track: selection.track, encoding: selection.target().encoding };
                self.request_key_frame(now, waits_for);
            }
        }
        for stream in 0..streams {
            let carries = self.sessions.get(key).and_then(|session| *session.streams.get(stream)?);
            if let Some(owed) = carries
                && self.encoding_mut(owed).is_some_and(|encoding| encoding.key_frames.is_wanted())
            {
                self.request_key_frame(now, owed);
            }
        }
    }
}

/// Notes what is due by the clock; `true` if reports are.
fn note_duties(now: Time, session: &mut Session) -> bool {
    session.paths.on_tick(now);
    session.resends.on_tick();
    session.duties.ping |= now.saturating_since(session.last_sent) >= KEEPALIVE_AFTER;
    let reports_are_due = now >= session.duties.next_report;
    if reports_are_due {
        session.duties.next_report = now + REPORT_INTERVAL;
        session.duties.reports_from_slot = Some(0);
    }
    reports_are_due
}
