//! Who sees whom, and how changes of the roster are told: at once in a small meeting, gathered in a large one.
//!
//! Lines are whole and idempotent. So a snapshot may be taken at any moment, and what was gathered before it and is told behind
//! it does no harm.

use std::collections::BTreeMap;

use sluice_wire::signaling::{Counts, DaemonMessage, Left, LeftReason, MeetingKind, Participant, Role};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::rights::sees_everybody;
use super::state::broadcast;
use super::timing::{COUNTS_INTERVAL, ROSTER_INTERVAL};
use super::{Action, Meeting};

/// What has changed and has not been told yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    changes: BTreeMap<ParticipantId, Change>,
    /// When the changes are told.
    pub(super) due: Option<Time>,
    /// When the counts are told.
    pub(super) counts_due: Option<Time>,
}

#[derive(Debug)]
struct Change {
    /// Why it left, if it did.
    left: Option<LeftReason>,
    /// Whether it was on stage before any of the changes: a snapshot in between may have shown it so.
    was_on_stage: bool,
}

impl Meeting {
    /// Whether a role sees everybody.
    pub(super) fn sees_all(&self, role: Role) -> bool {
        sees_everybody(self.settings.kind, role)
    }

    /// Those whom one participant sees, by rising number.
    pub(super) fn roster_for(&self, viewer: ParticipantId, role: Role) -> Vec<Participant> {
        let sees_all = self.sees_all(role);
        let seen = self.members.iter().filter(|&(&id, member)| {
            member.is_inside() && (sees_all || member.role.is_on_stage() || id == viewer)
        });
        seen.map(|(&id, member)| member.line(id)).collect()
    }

    /// How many there are, for a role that does not see all of them.
    pub(super) fn counts_for(&self, role: Role) -> Option<Counts> {
        (!self.sees_all(role)).then(|| self.counts())
    }

    fn counts(&self) -> Counts {
        let attendees = self.inside_where(|member| !member.role.is_on_stage()).len();
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Counts { attendees: number(attendees), on_stage: number(self.inside - attendees) }
    }

    /// Who sees somebody of this role, besides itself.
    pub(super) fn viewers(&self, role: Role) -> Vec<ParticipantId> {
        if role.is_on_stage() {
            self.all_inside()
        } else {
            self.inside_where(|member| self.sees_all(member.role))
        }
    }

    /// Who sees the stage only.
    fn audience(&self) -> Vec<ParticipantId> {
        self.inside_where(|member| !self.sees_all(member.role))
    }

    /// Somebody has come in, and has been told `joined`.
    pub(super) fn came(&mut self, id: ParticipantId, out: &mut Vec<Action>) {
        let Some(member) = self.members.get(&id) else { return };
        let (participant, role) = (member.line(id), member.role);
        self.counts_changed();
        if self.gathers() {
            return self.gather(id, None, false);
        }
        let others = without(self.viewers(role), id);
        broadcast(others, DaemonMessage::ParticipantJoined { participant }, out);
    }

    /// The line of somebody inside has changed; before that it had the role `old`.
    pub(super) fn changed(&mut self, id: ParticipantId, old: Role, out: &mut Vec<Action>) {
        self.touch(id);
        let Some(member) = self.members.get(&id) else { return };
        let (participant, role) = (member.line(id), member.role);
        let leaves_stage = old.is_on_stage() && !role.is_on_stage();
        if old.is_on_stage() != role.is_on_stage() {
            self.counts_changed();
        }
        let update = DaemonMessage::ParticipantUpdate { participant };
        if self.gathers() {
            self.gather(id, None, old.is_on_stage());
            // Whoever sees no more than the stage and itself is not told of itself with the others; and what somebody may do
            // it learns before it is told what comes of that.
            if !self.sees_all(role) || old != role {
                out.push(Action::Send(id, update));
            }
            return;
        }
        let mut viewers = self.viewers(role);
        if !viewers.contains(&id) {
            viewers.push(id);
            viewers.sort_unstable();
        }
        broadcast(viewers, update, out);
        if leaves_stage {
            let left = DaemonMessage::ParticipantLeft { participant_id: id, reason: LeftReason::OffStage };
            broadcast(without(self.audience(), id), left, out);
        }
    }

    /// Somebody who was inside in this role has left.
    pub(super) fn went(&mut self, id: ParticipantId, role: Role, reason: LeftReason, out: &mut Vec<Action>) {
        self.counts_changed();
        if self.gathers() {
            return self.gather(id, Some(reason), role.is_on_stage());
        }
        broadcast(self.viewers(role), DaemonMessage::ParticipantLeft { participant_id: id, reason }, out);
    }

    /// Whether changes are gathered now. What has been gathered is told before anything is told at once again.
    fn gathers(&self) -> bool {
        self.inside >= self.large_from || self.gathered.due.is_some()
    }

    fn gather(&mut self, id: ParticipantId, left: Option<LeftReason>, was_on_stage: bool) {
        let change = self.gathered.changes.entry(id).or_insert(Change { left: None, was_on_stage });
        change.left = left;
        change.was_on_stage |= was_on_stage;
        self.gathered.due.get_or_insert(self.now + ROSTER_INTERVAL);
    }

    fn counts_changed(&mut self) {
        if self.settings.kind == MeetingKind::Webinar {
            self.gathered.counts_due.get_or_insert(self.now + COUNTS_INTERVAL);
        }
    }

    /// Tells what has been gathered, if it is time.
    pub(super) fn tell_gathered(&mut self, out: &mut Vec<Action>) {
        if self.gathered.due.is_some_and(|due| due <= self.now) {
            self.gathered.due = None;
            self.tell_roster(out);
        }
        if self.gathered.counts_due.is_some_and(|due| due <= self.now) {
            self.gathered.counts_due = None;
            let audience = self.audience();
            if !audience.is_empty() {
                broadcast(audience, DaemonMessage::Counts(self.counts()), out);
            }
        }
    }

    fn tell_roster(&mut self, out: &mut Vec<Action>) {
        let changes = std::mem::take(&mut self.gathered.changes);
        let (mut all, mut stage) = (Delta::default(), Delta::default());
        let mut own = Vec::new();
        for (id, Change { left, was_on_stage }) in changes {
            match self.members.get(&id).filter(|_| left.is_none()) {
                Some(member) => {
                    all.set.push(member.line(id));
                    if member.role.is_on_stage() {
                        stage.set.push(member.line(id));
                    } else if was_on_stage {
                        stage.left.push(Left { participant_id: id, reason: LeftReason::OffStage });
                        own.push(id);
                    }
                }
                None => {
                    let gone = Left { participant_id: id, reason: left.unwrap_or(LeftReason::Other) };
                    all.left.push(gone);
                    if was_on_stage {
                        stage.left.push(gone);
                    }
                }
            }
        }
        let audience = self.audience();
        all.tell(self.inside_where(|member| self.sees_all(member.role)), out);
        stage.tell(audience, out);
        // The stage has lost them, but they have not lost themselves.
        for id in own {
            if let Some(member) = self.members.get(&id).filter(|member| !self.sees_all(member.role)) {
                let participant = member.line(id);
                out.push(Action::Send(id, DaemonMessage::ParticipantUpdate { participant }));
            }
        }
    }
}

#[derive(Default)]
struct Delta {
    set: Vec<Participant>,
    left: Vec<Left>,
}

impl Delta {
    fn tell(self, to: Vec<ParticipantId>, out: &mut Vec<Action>) {
        let Self { set, left } = self;
        if !set.is_empty() || !left.is_empty() {
            broadcast(to, DaemonMessage::RosterDelta { set, left }, out);
        }
    }
}

fn without(mut ids: Vec<ParticipantId>, id: ParticipantId) -> Vec<ParticipantId> {
    ids.retain(|&other| other != id);
    ids
}
