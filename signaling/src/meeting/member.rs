//! Somebody who joined: waiting, entering or inside.

use sluice_wire::signaling::{DisplayName, Participant, Role, Token, Waiting, WaitingReason};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::timing::{MeetingTiming, OWN_CHAT_RATE};
use super::{Arrival, ConnectionId, MediaRights, RequestId};
use crate::rate::Limiter;
use crate::secrets::TokenHash;

/// How far somebody has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Must be let in first.
    Waiting(WaitingReason),
    /// Waits for its first media session.
    Entering,
    /// `joined` was sent. The number says who came before whom.
    Inside(u64),
}

/// Somebody who joined.
#[derive(Debug)]
pub(super) struct Member {
    /// Its connection; none while it may resume.
    pub(super) connection: Option<ConnectionId>,
    pub(super) phase: Phase,
    pub(super) display_name: DisplayName,
    pub(super) role: Role,
    /// Whether it was vouched for as the host.
    pub(super) is_granted_host: bool,
    pub(super) identity: Option<String>,
    /// The token in the clear until `joined` has told it.
    pub(super) entry_token: Option<Token>,
    pub(super) resume_token: TokenHash,
    /// The session's name, while there is one.
    pub(super) session: Option<String>,
    /// What the router was told that the session may do.
    pub(super) session_rights: Option<MediaRights>,
    /// The request for the next session, while it is under way, and what that one may do.
    pub(super) opening: Option<(RequestId, MediaRights)>,
    /// Since when there is no session.
    pub(super) lost_at: Option<Time>,
    /// Since when there is no connection.
    pub(super) away_since: Option<Time>,
    pub(super) muted: bool,
    pub(super) video: bool,
    pub(super) hand: Option<u64>,
    pub(super) consent: Option<bool>,
    pub(super) pinned: Option<ParticipantId>,
    pub(super) chat: Limiter,
}

impl Member {
    pub(super) fn new(arrival: Arrival, role: Role, phase: Phase) -> Self {
        Self {
            connection: Some(arrival.connection),
            phase,
            display_name: arrival.display_name,
            role,
            is_granted_host: arrival.grant.role == Some(Role::Host),
            identity: arrival.grant.identity,
            resume_token: TokenHash::of(&arrival.resume_token),
            entry_token: Some(arrival.resume_token),
            session: None,
            session_rights: None,
            opening: None,
            lost_at: None,
            away_since: None,
            muted: false,
            video: false,
            hand: None,
            consent: None,
            pinned: None,
            chat: Self::chat_limiter(),
        }
    }

    /// What a fast writer may write.
    pub(super) const fn chat_limiter() -> Limiter {
        Limiter::new(OWN_CHAT_RATE)
    }

    pub(super) const fn is_inside(&self) -> bool {
        matches!(self.phase, Phase::Inside(_))
    }

    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }

    /// The line of the roster.
    pub(super) fn line(&self, id: ParticipantId) -> Participant {
        Participant {
            participant_id: id,
            display_name: self.display_name.clone(),
            role: self.role,
            muted: self.muted,
            video: self.video,
            hand: self.hand,
            consent: self.consent,
        }
    }

    /// The line of the waiting room.
    pub(super) fn waiting_line(&self, id: ParticipantId) -> Waiting {
        Waiting { participant_id: id, display_name: self.display_name.clone() }
    }

    /// When it is removed for having no session. Not while one is being opened: its answer decides first.
    pub(super) fn media_deadline(&self, timing: &MeetingTiming) -> Option<Time> {
        if self.opening.is_some() { None } else { self.lost_at.map(|at| at + timing.media_timeout) }
    }

    /// When it is removed for having no connection.
    pub(super) fn away_deadline(&self, timing: &MeetingTiming) -> Option<Time> {
        self.away_since.map(|at| at + timing.resume_timeout)
    }

    /// What a ban of this one keeps out.
    pub(super) fn ban_key(&self) -> String {
        ban_key(self.identity.as_deref(), &self.display_name)
    }
}

/// What a ban keeps out: an identity, else a name however it is written.
pub(super) fn ban_key(identity: Option<&str>, display_name: &DisplayName) -> String {
    match identity {
        Some(identity) => format!("identity:{identity}"),
        None => format!("name:{}", display_name.as_str().trim().to_lowercase()),
    }
}
