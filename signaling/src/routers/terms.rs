//! What routers are told of meetings' rules: rights of sessions, policies of rooms.
//!
//! A session is opened with its rights and its room's policy. What changes later is said at once and kept: a router without a stream
//! hears it when it is back, and one whose stream broke may hear it twice.

use sluice_proto::v1::{self, SetPolicy, SetRights, signaling_message};
use sluice_wire::signaling::QualityPreset;
use sluice_wire::track::ParticipantId;

use super::records::AttachmentId;
use super::registry::Registry;
use crate::meeting::MediaRights;

impl Registry {
    /// Changes what a known session may do.
    pub(super) fn set_rights(
        &mut self,
        room: &str,
        participant: ParticipantId,
        session: &str,
        rights: MediaRights,
    ) {
        let attachment = self.attachment_of(room).flatten();
        let Some(bound) = self.rooms.get_mut(room) else { return };
        if bound.sessions.get(&participant).is_none_or(|known| known != session) {
            return;
        }
        let rights = rights_of(rights);
        bound.rights.insert(participant, rights);
        if let Some(attachment) = attachment {
            self.say_rights(attachment, room.to_owned(), participant, session.to_owned(), rights);
        }
    }

    /// Changes the preset of a room.
    pub(super) fn set_preset(&mut self, room: &str, preset: Option<QualityPreset>) {
        let attachment = self.attachment_of(room).flatten();
        let Some(bound) = self.rooms.get_mut(room) else { return };
        let policy = policy_of(preset);
        bound.policy = Some(policy);
        if let Some(attachment) = attachment {
            self.say_policy(attachment, room.to_owned(), policy);
        }
    }

    /// Says again what has changed in the rooms of a router that is back: its stream may have broken before it heard.
    pub(super) fn say_terms_again(&mut self, attachment: AttachmentId, router: &str) {
        let (mut policies, mut rights) = (Vec::new(), Vec::new());
        for (name, room) in self.rooms.iter().filter(|(_, room)| room.router == router) {
            policies.extend(room.policy.map(|policy| (name.clone(), policy)));
            rights.extend(room.rights.iter().filter_map(|(&participant, &rights)| {
                let session = room.sessions.get(&participant)?.clone();
                Some((name.clone(), participant, session, rights))
            }));
        }
        for (room, policy) in policies {
            self.say_policy(attachment, room, policy);
        }
        for (room, participant, session, rights) in rights {
            self.say_rights(attachment, room, participant, session, rights);
        }
    }

    fn say_rights(
        &mut self,
        attachment: AttachmentId,
        room: String,
        participant: ParticipantId,
        session: String,
        rights: v1::Rights,
    ) {
        let set = SetRights { room, participant: participant.get(), session, rights: Some(rights) };
        self.send(attachment, signaling_message::Kind::SetRights(set));
    }

    fn say_policy(&mut self, attachment: AttachmentId, room: String, policy: v1::RoomPolicy) {
        let set = SetPolicy { room, policy: Some(policy) };
        self.send(attachment, signaling_message::Kind::SetPolicy(set));
    }
}

pub(super) const fn rights_of(rights: MediaRights) -> v1::Rights {
    v1::Rights {
        receive_only: !rights.may_publish,
        may_take_screen: rights.may_take_screen,
        no_screen: !rights.may_share,
    }
}

/// Numbers of voices and videos are the router's own.
pub(super) fn policy_of(preset: Option<QualityPreset>) -> v1::RoomPolicy {
    let preset = match preset {
        None => v1::Preset::Unspecified,
        Some(QualityPreset::SmallMeeting) => v1::Preset::SmallMeeting,
        Some(QualityPreset::MediumGallery) => v1::Preset::MediumGallery,
        Some(QualityPreset::LargeGallery) => v1::Preset::LargeGallery,
        Some(QualityPreset::Presentation) => v1::Preset::Presentation,
        Some(QualityPreset::Webinar) => v1::Preset::Webinar,
        Some(QualityPreset::AudioOnly) => v1::Preset::AudioOnly,
    };
    v1::RoomPolicy { preset: preset.into(), ..v1::RoomPolicy::default() }
}
