//! What hosts do with others.

use sluice_wire::signaling::{DaemonMessage, ErrorCode, LeftReason, Role};
use sluice_wire::track::ParticipantId;

use super::commands::Actor;
use super::rights::{Outcome, has_role, may_assign, only_if, outranks};
use super::state::refuse;
use super::{Action, CloseCode, Meeting};

impl Meeting {
    pub(super) fn mute_all(&mut self, actor: Actor, out: &mut Vec<Action>) -> Outcome {
        only_if(actor.role.is_host(), "only hosts mute others")?;
        for id in self.inside_where(|member| !member.muted && !member.role.is_host()) {
            let member = self.somebody(id)?;
            member.muted = true;
            let role = member.role;
            self.changed(id, role, out);
        }
        Ok(())
    }

    pub(super) fn ask_to_unmute(
        &mut self,
        actor: Actor,
        whom: ParticipantId,
        out: &mut Vec<Action>,
    ) -> Outcome {
        only_if(actor.role.is_host(), "only hosts ask to unmute")?;
        self.unless_paused()?;
        only_if(self.somebody(whom)?.role.is_on_stage(), "attendees are not heard")?;
        out.push(Action::Send(whom, DaemonMessage::UnmuteAsked { by: actor.id }));
        Ok(())
    }

    pub(super) fn put_before_all(
        &mut self,
        actor: Actor,
        whom: Option<ParticipantId>,
        out: &mut Vec<Action>,
    ) -> Outcome {
        only_if(actor.role.is_host(), "only hosts put somebody before all")?;
        if let Some(whom) = whom {
            only_if(self.somebody(whom)?.role.is_on_stage(), "attendees are not seen")?;
        }
        let before = self.state();
        self.spotlight = whom;
        self.told_if_changed(&before, out);
        Ok(())
    }

    pub(super) fn assign(
        &mut self,
        actor: Actor,
        whom: ParticipantId,
        role: Role,
        out: &mut Vec<Action>,
    ) -> Outcome {
        only_if(actor.role.is_host(), "only hosts give roles")?;
        let target = self.somebody(whom)?.role;
        only_if(has_role(self.settings.kind, role), "this kind of meeting has no such role")?;
        only_if(may_assign(actor.role, target, role), "your role does not allow to give this one")?;
        if role == Role::Host {
            // Handed over, so that there is one at any time.
            self.give_role(actor.id, Role::CoHost, out);
        }
        self.give_role(whom, role, out);
        Ok(())
    }

    pub(super) fn put_out(
        &mut self,
        actor: Actor,
        whom: ParticipantId,
        ban: bool,
        out: &mut Vec<Action>,
    ) -> Outcome {
        only_if(actor.role.is_host(), "only hosts put somebody out")?;
        let member = self.somebody(whom)?;
        let (connection, key, role) = (member.connection, member.ban_key(), member.role);
        only_if(outranks(actor.role, role), "your role does not allow to put this one out")?;
        if ban {
            self.ban(key)?;
        }
        self.remove(whom, LeftReason::Removed, CloseCode::Removed, out);
        if let Some(connection) = connection {
            refuse(connection, ErrorCode::Removed, "a host has put you out", out);
        }
        Ok(())
    }

    pub(super) fn lock(&mut self, actor: Actor, locked: bool, out: &mut Vec<Action>) -> Outcome {
        only_if(actor.role.is_host(), "only hosts lock the meeting")?;
        let before = self.state();
        self.locked = locked;
        self.told_if_changed(&before, out);
        Ok(())
    }

    pub(super) fn end_by_host(&self, actor: Actor, out: &mut Vec<Action>) -> Outcome {
        only_if(actor.role == Role::Host, "only the host ends the meeting")?;
        out.push(Action::EndMeeting);
        Ok(())
    }
}
