//! What people do about themselves; some of it hosts may do for them.

use sluice_wire::signaling::{DaemonMessage, DisplayName, ErrorCode, Reaction};
use sluice_wire::track::ParticipantId;

use super::commands::Actor;
use super::rights::{Outcome, only_if, outranks, refusal};
use super::state::broadcast;
use super::{Action, Meeting};

impl Meeting {
    pub(super) fn mute(
        &mut self,
        actor: Actor,
        whom: Option<ParticipantId>,
        muted: bool,
        out: &mut Vec<Action>,
    ) -> Outcome {
        let id = self.own_or_lower(actor, whom, "only hosts mute others")?;
        only_if(muted || id == actor.id, "nobody is unmuted by somebody else: ask")?;
        if !muted {
            only_if(actor.role.is_on_stage(), "attendees are not heard")?;
            self.unless_paused()?;
        }
        let member = self.somebody(id)?;
        let role = member.role;
        if std::mem::replace(&mut member.muted, muted) != muted {
            self.changed(id, role, out);
        }
        Ok(())
    }

    pub(super) fn video(&mut self, actor: Actor, on: bool, out: &mut Vec<Action>) -> Outcome {
        if on {
            only_if(actor.role.is_on_stage(), "attendees are not seen")?;
            self.unless_paused()?;
        }
        let member = self.somebody(actor.id)?;
        if std::mem::replace(&mut member.video, on) != on {
            self.changed(actor.id, actor.role, out);
        }
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        actor: Actor,
        whom: Option<ParticipantId>,
        display_name: DisplayName,
        out: &mut Vec<Action>,
    ) -> Outcome {
        let id = self.own_or_lower(actor, whom, "only hosts rename others")?;
        let member = self.somebody(id)?;
        let role = member.role;
        if member.display_name != display_name {
            member.display_name = display_name;
            self.changed(id, role, out);
        }
        Ok(())
    }

    pub(super) fn hand(
        &mut self,
        actor: Actor,
        whom: Option<ParticipantId>,
        raised: bool,
        out: &mut Vec<Action>,
    ) -> Outcome {
        let id = self.own_or_lower(actor, whom, "only hosts lower the hands of others")?;
        only_if(!raised || id == actor.id, "nobody raises the hand of somebody else")?;
        let order = self.next_hand;
        let member = self.somebody(id)?;
        let role = member.role;
        if member.hand.is_some() != raised {
            member.hand = raised.then_some(order);
            self.next_hand += u64::from(raised);
            self.changed(id, role, out);
        }
        Ok(())
    }

    pub(super) fn react(&mut self, actor: Actor, reaction: Reaction, out: &mut Vec<Action>) -> Outcome {
        if !self.reactions.take(self.now) {
            return Err(refusal(ErrorCode::RateLimited, "too many reactions at once"));
        }
        let message = DaemonMessage::Reaction { participant_id: actor.id, reaction };
        broadcast(self.viewers(actor.role), message, out);
        Ok(())
    }

    pub(super) fn pin(&mut self, actor: Actor, whom: Option<ParticipantId>) -> Outcome {
        if let Some(whom) = whom {
            let sees_all = self.sees_all(actor.role);
            let is_seen = self.somebody(whom)?.role.is_on_stage() || sees_all;
            if !is_seen {
                return Err(refusal(ErrorCode::NoSuchParticipant, "nobody of this number is inside"));
            }
        }
        self.somebody(actor.id)?.pinned = whom;
        self.touch(actor.id);
        Ok(())
    }

    /// Whom a command is about: oneself, or somebody whom one outranks.
    fn own_or_lower(
        &mut self,
        actor: Actor,
        whom: Option<ParticipantId>,
        message: &'static str,
    ) -> Result<ParticipantId, super::rights::Refusal> {
        let Some(id) = whom.filter(|&id| id != actor.id) else { return Ok(actor.id) };
        only_if(actor.role.is_host(), message)?;
        let target = self.somebody(id)?.role;
        only_if(outranks(actor.role, target), message)?;
        Ok(id)
    }
}
