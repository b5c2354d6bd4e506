//! Screen shares: one at a time.

use sluice_wire::signaling::{ErrorCode, Role, SharePolicy};

use super::commands::Actor;
use super::rights::{Outcome, only_if, outranks, refusal};
use super::{Action, Meeting};

impl Meeting {
    /// Whether the role may share a screen.
    pub(super) fn may_share(&self, role: Role) -> bool {
        match self.settings.share {
            SharePolicy::Hosts => role.is_host(),
            SharePolicy::Everyone => role.is_on_stage(),
        }
    }

    pub(super) fn share(
        &mut self,
        actor: Actor,
        active: bool,
        take_over: bool,
        out: &mut Vec<Action>,
    ) -> Outcome {
        let before = self.state();
        let other = self.sharer.filter(|&sharer| sharer != actor.id);
        let outranks_other = match other {
            Some(sharer) => outranks(actor.role, self.somebody(sharer)?.role),
            None => true,
        };
        if active {
            only_if(self.may_share(actor.role), "your role does not allow to share here")?;
            self.unless_paused()?;
            if other.is_some() && !(take_over && outranks_other) {
                return Err(refusal(ErrorCode::ShareTaken, "somebody else shares a screen"));
            }
            self.sharer = Some(actor.id);
        } else {
            only_if(outranks_other, "your role does not allow to end this share")?;
            self.sharer = None;
        }
        self.told_if_changed(&before, out);
        Ok(())
    }
}
