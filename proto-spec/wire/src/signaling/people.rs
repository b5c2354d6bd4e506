//! Who is in a meeting, and as what: section 6.3.

use serde::{Deserialize, Serialize};

use super::names::DisplayName;
use crate::track::ParticipantId;

/// What somebody is in a meeting. What each may do is a table of section 6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Watches a webinar.
    Attendee,
    /// Speaks in a webinar.
    Panelist,
    /// Takes part in a meeting.
    Participant,
    /// Helps the host.
    CoHost,
    /// Runs the meeting. There is never more than one.
    Host,
}

impl Role {
    /// Whether it runs the meeting: host and co-hosts.
    #[must_use]
    pub const fn is_host(self) -> bool {
        matches!(self, Self::Host | Self::CoHost)
    }

    /// Whether it may be heard and seen.
    #[must_use]
    pub const fn is_on_stage(self) -> bool {
        !matches!(self, Self::Attendee)
    }
}

/// A line of the roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The participant's number.
    pub participant_id: ParticipantId,
    /// The participant's name.
    pub display_name: DisplayName,
    /// As what it takes part.
    pub role: Role,
    /// Whether its microphone is off.
    #[serde(default, skip_serializing_if = "is_false")]
    pub muted: bool,
    /// Whether its camera is on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub video: bool,
    /// When its hand went up, among all hands of the meeting: the lowest was first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand: Option<u64>,
    /// Whether it may be recorded; absent before it has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<bool>,
}

/// Somebody who waits to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The number that it will have inside.
    pub participant_id: ParticipantId,
    /// Its name.
    pub display_name: DisplayName,
}

/// Somebody who left, in a `roster_delta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Who.
    pub participant_id: ParticipantId,
    /// Why.
    pub reason: LeftReason,
}

/// Why a participant left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftReason {
    /// It sent `leave`.
    Left,
    /// Its WebSocket broke and did not come back.
    Disconnected,
    /// It had no media session for too long.
    MediaTimeout,
    /// It was removed.
    Removed,
    /// It is still inside, but no longer on the webinar's stage.
    OffStage,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

/// Something that is shown to everybody for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// Applause.
    Clap,
    /// Thumbs up.
    ThumbsUp,
    /// A heart.
    Heart,
    /// Laughter.
    Laugh,
    /// An open mouth.
    Surprise,
    /// Confetti.
    Celebrate,
}

pub(super) const fn is_false(value: &bool) -> bool {
    !*value
}
