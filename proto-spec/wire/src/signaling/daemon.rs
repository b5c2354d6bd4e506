//! What the daemon says on the WebSocket: section 6.2.

use serde::{Deserialize, Serialize};

use super::names::{DisplayName, MeetingId};
use crate::ticket::Ticket;
use crate::track::ParticipantId;

/// A message from the daemon to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DaemonMessage {
    /// The client is inside.
    Joined(Box<Joined>),
    /// Somebody else came.
    ParticipantJoined {
        /// Who.
        participant: Participant,
    },
    /// Somebody else went.
    ParticipantLeft {
        /// Who.
        participant_id: ParticipantId,
        /// Why.
        reason: LeftReason,
    },
    /// A new media ticket; the session of the one before has ended.
    Ticket {
        /// The ticket.
        ticket: Box<Ticket>,
    },
    /// The media session ended; the client asks for a new ticket or leaves.
    MediaLost {
        /// Why.
        reason: MediaLostReason,
    },
    /// The meeting is over. The connection closes.
    MeetingEnded {
        /// Why.
        reason: EndedReason,
    },
    /// Answers a ping.
    Pong {
        /// The ping's token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<u64>,
    },
    /// Something that the client asked for was refused.
    Error(ErrorMessage),
}

/// The answer to a join that was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Version of the signaling protocol that the connection speaks.
    pub version: u32,
    /// The meeting.
    pub meeting_id: MeetingId,
    /// The client's own number.
    pub participant_id: ParticipantId,
    /// The room of the meeting that the client is in.
    pub room: String,
    /// Everybody inside, this client included, by rising number.
    pub roster: Vec<Participant>,
    /// The media ticket.
    pub ticket: Ticket,
}

/// A line of the roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The participant's number.
    pub participant_id: ParticipantId,
    /// The participant's name.
    pub display_name: DisplayName,
}

/// Why a participant left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftReason {
    /// It sent `leave`.
    Left,
    /// Its WebSocket broke.
    Disconnected,
    /// It had no media session for too long.
    MediaTimeout,
    /// It was removed.
    Removed,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

/// Why a media session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaLostReason {
    /// The client closed it in-band.
    Closed,
    /// Nothing authenticated came for too long.
    Idle,
    /// Nothing authenticated ever came.
    Unclaimed,
    /// The router shut down, died or lost the session.
    RouterGone,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

/// Why a meeting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedReason {
    /// The host ended it.
    EndedByHost,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

/// Why something was refused, in words and in a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// Whether the daemon closes the connection behind this message.
    pub fatal: bool,
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No such meeting, or the password is wrong.
    JoinRefused,
    /// As many participants as the meeting takes are inside.
    MeetingFull,
    /// The meeting is over.
    MeetingEnded,
    /// The version is not supported.
    UnsupportedVersion,
    /// No router can take the session now.
    NoRouter,
    /// The first message was not a join, or came too late.
    JoinExpected,
    /// Not JSON, unknown type or wrong field.
    BadMessage,
    /// A second join.
    AlreadyJoined,
    /// A message above the limit.
    TooLarge,
    /// Too many messages.
    RateLimited,
    /// No media session for too long.
    MediaTimeout,
    /// The daemon failed.
    Internal,
    /// A code of a later version.
    #[serde(other)]
    Other,
}
