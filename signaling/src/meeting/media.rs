//! What routers are told of the meeting's rules: who may publish what, and the room's preset.

use sluice_wire::signaling::{QualityPreset, Role};
use sluice_wire::track::ParticipantId;

use super::commands::Actor;
use super::rights::{Outcome, only_if};
use super::{Action, Meeting};

/// What a participant's media session may do beside watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaRights {
    /// Publish at all.
    pub may_publish: bool,
    /// Share a screen, if nobody else does.
    pub may_share: bool,
    /// Share a screen in place of somebody else.
    pub may_take_screen: bool,
}

/// What a session is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaTerms {
    /// What it may do.
    pub rights: MediaRights,
    /// What its room has, which may be made for it; the router's own where there is none.
    pub preset: Option<QualityPreset>,
}

impl Meeting {
    /// What the media of somebody of this role may do now.
    pub(super) fn media_rights(&self, role: Role) -> MediaRights {
        MediaRights {
            may_publish: role.is_on_stage(),
            may_share: self.may_share(role),
            may_take_screen: role.is_host(),
        }
    }

    /// Tells the router what somebody's session may do, if it was told otherwise. While a session is being opened the router is told
    /// when it is open.
    pub(super) fn renew_rights(&mut self, id: ParticipantId, out: &mut Vec<Action>) {
        let Some(role) = self.members.get(&id).map(|member| member.role) else { return };
        let rights = self.media_rights(role);
        let Some(member) = self.members.get_mut(&id) else { return };
        if let Some(session) = member.session.clone().filter(|_| member.session_rights != Some(rights)) {
            member.session_rights = Some(rights);
            out.push(Action::SetRights { participant: id, session, rights });
        }
    }

    /// The same for everybody: a rule has changed.
    pub(super) fn renew_all_rights(&mut self, out: &mut Vec<Action>) {
        for id in self.all_inside() {
            self.renew_rights(id, out);
        }
    }

    pub(super) fn set_preset(
        &mut self,
        actor: Actor,
        preset: Option<QualityPreset>,
        out: &mut Vec<Action>,
    ) -> Outcome {
        only_if(actor.role.is_host(), "only hosts choose the preset")?;
        let before = self.state();
        self.change_preset(preset, out);
        self.told_if_changed(&before, out);
        Ok(())
    }

    pub(super) fn change_preset(&mut self, preset: Option<QualityPreset>, out: &mut Vec<Action>) {
        if std::mem::replace(&mut self.preset, preset) != preset {
            out.push(Action::SetPreset(preset));
        }
    }
}
