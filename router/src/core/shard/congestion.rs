//! What a receiver's path carries becomes what its slots may share; what came of a publisher is told to it.

use sluice_wire::feedback::{Ecn, Feedback, FeedbackRecorder};
use sluice_wire::time::Time;

use super::{DatagramMeta, Shard};
use crate::core::ids::SessionKey;
use crate::core::limits::URGENT_SHARE_PART;

impl Shard {
    /// Takes a receiver's feedback on what it was sent.
    pub(super) fn handle_feedback(
        &mut self,
        now: Time,
        key: SessionKey,
        meta: DatagramMeta,
        feedback: &Feedback<'_>,
    ) {
        self.counters.feedback_in += 1;
        let Some(down) = self.sessions.get_mut(key).and_then(|session| session.down.as_deref_mut()) else {
            return;
        };
        down.on_feedback(meta.received_at, feedback);
        if down.probe(now) {
            self.needs_pacing(now, key);
        }
        self.renew_budget(now, key, false);
    }

    /// Puts the bitrate that a receiver's slots may share in line with its path. A small change waits for the tick.
    pub(super) fn renew_budget(&mut self, now: Time, key: SessionKey, is_tick: bool) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(down) = session.down.as_deref_mut() else { return };
        let limit_bps = down.budget_bps(now).min(session.budget.stated_bps);
        let before_bps = session.budget.limit_bps;
        let step_bps = before_bps / URGENT_SHARE_PART;
        let is_lower = limit_bps < before_bps.saturating_sub(step_bps);
        let is_higher = is_tick && limit_bps > before_bps.saturating_add(step_bps);
        if is_lower || is_higher {
            session.budget.limit_bps = limit_bps;
            self.needs_share(key);
        }
    }

    /// Does what the clock asks for about a receiver's path.
    pub(super) fn tick_downlink(&mut self, now: Time, key: SessionKey) {
        let Some(down) = self.sessions.get_mut(key).and_then(|session| session.down.as_deref_mut()) else {
            return;
        };
        down.on_tick(now);
        if down.probe(now) {
            self.needs_pacing(now, key);
        }
        self.renew_budget(now, key, true);
    }

    /// Notes a packet of a publisher that authenticated, for the feedback that it is given.
    pub(super) fn note_arrival(&mut self, key: SessionKey, meta: DatagramMeta, sequence: u16) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let recorder = session.arrivals.get_or_insert_with(FeedbackRecorder::new);
        let was_due = recorder.next_at();
        recorder.on_packet(sequence, meta.received_at, Ecn::from_bits(meta.ecn));
        if was_due.is_none()
            && let Some(due) = recorder.next_at()
        {
            self.reporting.push_back((due, key));
        }
    }

    /// Lets the publishers to whom feedback is due be told.
    pub(super) fn report_arrivals(&mut self, now: Time) {
        while let Some((_, key)) = self.reporting.pop_front_if(|(due, _)| *due <= now) {
            self.has_something_to_say(key);
        }
    }
}
