//! Who is the host, and what becomes of a meeting whose host has left.

use std::cmp::Reverse;

use sluice_wire::signaling::{DaemonMessage, HostLeaves, RecordAction, RecordingState, Role};
use sluice_wire::track::ParticipantId;

use super::member::Phase;
use super::{Action, Meeting, Note};

impl Meeting {
    /// The host, if one is inside.
    pub(super) fn host(&self) -> Option<ParticipantId> {
        let mut members = self.members.iter();
        members.find(|(_, member)| member.is_inside() && member.role == Role::Host).map(|(&id, _)| id)
    }

    /// Somebody of this role has left.
    pub(super) fn host_may_have_left(&mut self, role: Role, out: &mut Vec<Action>) {
        if role != Role::Host || self.inside == 0 {
            return;
        }
        match self.settings.when_host_leaves {
            HostLeaves::Successor => self.succeed(out),
            HostLeaves::Pause => self.pause(out),
        }
    }

    /// A co-host takes over, else whoever of the others who may speak was there first; rather one who is connected.
    fn succeed(&mut self, out: &mut Vec<Action>) {
        let candidates = self.members.iter().filter_map(|(&id, member)| match member.phase {
            Phase::Inside(order) if member.role.is_on_stage() => {
                Some((member.role == Role::CoHost, member.connection.is_some(), Reverse(order), id))
            }
            _ => None,
        });
        let Some((.., id)) = candidates.max() else { return };
        out.push(Action::Record(Note::Audit { by: None, action: "host.succeeded", whom: Some(id) }));
        self.give_role(id, Role::Host, out);
    }

    fn pause(&mut self, out: &mut Vec<Action>) {
        let before = self.state();
        self.paused = true;
        self.sharer = None;
        if self.recording == RecordingState::On {
            self.recording = RecordingState::Paused;
            out.push(Action::Record(Note::Recording {
                by: None,
                action: RecordAction::Pause,
                goes_on: true,
            }));
        }
        self.told_if_changed(&before, out);
    }

    /// Gives somebody who is inside another role, with all that follows from it.
    pub(super) fn give_role(&mut self, id: ParticipantId, role: Role, out: &mut Vec<Action>) {
        let before = self.state();
        let Some(member) = self.members.get_mut(&id) else { return };
        let old = std::mem::replace(&mut member.role, role);
        if old == role {
            return;
        }
        if !role.is_on_stage() {
            (member.muted, member.video, member.consent) = (true, false, None);
        }
        if !role.is_on_stage() {
            self.let_go(id);
        }
        if self.sharer == Some(id) && !self.may_share(role) {
            self.sharer = None;
        }
        if role.is_host() {
            self.paused = false;
        }
        self.renew_rights(id, out);
        self.changed(id, old, out);
        if self.sees_all(old) != self.sees_all(role) {
            self.send_snapshot(id, out);
        } else if role.is_host() && !old.is_host() && self.waiting > 0 {
            out.push(Action::Send(id, DaemonMessage::WaitingList { waiting: self.waiting_list() }));
        }
        if role.is_on_stage() && !old.is_on_stage() {
            self.ask_consent(id, out);
        }
        self.told_if_changed(&before, out);
        self.admit_who_need_not_wait(out);
    }
}
