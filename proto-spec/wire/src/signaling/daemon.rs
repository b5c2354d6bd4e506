//! What the daemon says on the WebSocket: section 6.2.

use serde::{Deserialize, Serialize};

use super::chat::ChatMessage;
use super::names::MeetingId;
use super::people::{Left, LeftReason, Participant, Reaction, Waiting};
use super::secrets::Token;
use super::settings::{ChatPolicy, MeetingKind, QualityPreset, SharePolicy};
use crate::ticket::Ticket;
use crate::track::ParticipantId;

/// A message with its number, if it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// 1 for `joined`, and one more for each message of the meeting behind it. Messages about the connection have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The message.
    #[serde(flatten)]
    pub message: DaemonMessage,
}

/// A message from the daemon to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DaemonMessage {
    /// The client is inside.
    Joined(Box<Joined>),
    /// The client waits to be let in; `joined` or an error follows.
    Waiting {
        /// For what.
        reason: WaitingReason,
    },
    /// The client goes on where its connection broke. What it missed follows, or a `snapshot` if that is too much.
    Resumed {
        /// The client's own number.
        participant_id: ParticipantId,
        /// The number of the last message that the client has, as it said.
        after: u64,
    },
    /// How things stand now: it takes the place of everything that earlier messages said.
    Snapshot(Box<Snapshot>),
    /// Somebody else came.
    ParticipantJoined {
        /// Who.
        participant: Participant,
    },
    /// A line of the roster is new or has changed, one's own included.
    ParticipantUpdate {
        /// The whole line.
        participant: Participant,
    },
    /// Somebody else went.
    ParticipantLeft {
        /// Who.
        participant_id: ParticipantId,
        /// Why.
        reason: LeftReason,
    },
    /// What has become of the roster of a large meeting.
    RosterDelta {
        /// Lines that are new or have changed, one's own included, by rising number.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        set: Vec<Participant>,
        /// Who left, by rising number; some may never have been told of.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Left>,
    },
    /// How many are inside, for those who do not see all of them.
    Counts(Counts),
    /// How the meeting stands.
    MeetingUpdate {
        /// All of it.
        meeting: MeetingState,
    },
    /// For hosts: somebody waits.
    WaitingJoined {
        /// Who.
        waiting: Waiting,
    },
    /// For hosts: somebody waits no longer.
    WaitingLeft {
        /// Who.
        participant_id: ParticipantId,
    },
    /// For those who became hosts: who waits.
    WaitingList {
        /// Everybody, by rising number.
        waiting: Vec<Waiting>,
    },
    /// A host asks the client to unmute.
    UnmuteAsked {
        /// Which host.
        by: ParticipantId,
    },
    /// Somebody shows something to everybody.
    Reaction {
        /// Who.
        participant_id: ParticipantId,
        /// What.
        reaction: Reaction,
    },
    /// Somebody wrote something.
    ChatMessage(ChatMessage),
    /// What was written to everyone before the client came, oldest first.
    ChatHistory {
        /// The messages.
        messages: Vec<ChatMessage>,
    },
    /// The meeting is recorded, and the client has not said whether it may be.
    ConsentAsked,
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
    /// What the client asked for was done.
    Done {
        /// The client's number for it.
        request: u64,
    },
    /// The daemon stops. The connection closes.
    GoingAway {
        /// How long to wait before coming back, in milliseconds.
        retry_after_ms: u64,
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
    /// How the meeting stands.
    pub meeting: MeetingState,
    /// Everybody whom the client sees, itself included, by rising number.
    pub roster: Vec<Participant>,
    /// How many there are, for those who do not see all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// For hosts: who waits, by rising number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// What a `join` shows to go on when the connection has broken.
    pub resume_token: Token,
    /// For how long it may, in milliseconds.
    pub resume_within_ms: u64,
    /// The media ticket.
    pub ticket: Ticket,
}

/// How things stand for one participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// How the meeting stands.
    pub meeting: MeetingState,
    /// Everybody whom the client sees, itself included, by rising number.
    pub roster: Vec<Participant>,
    /// How many there are, for those who do not see all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// For hosts: who waits, by rising number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// Whom the client has pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<ParticipantId>,
    /// The name of the client's media session. A client with another one asks for a new ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// How a meeting stands, apart from who is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingState {
    /// Whether everybody sees everybody.
    pub kind: MeetingKind,
    /// Whether nobody else may come in.
    pub locked: bool,
    /// Whether it waits for a host to come back.
    pub paused: bool,
    /// Whether those who come wait to be let in.
    pub waiting_room: bool,
    /// Who may share a screen.
    pub share: SharePolicy,
    /// Who may write to whom.
    pub chat: ChatPolicy,
    /// Whether it is recorded.
    pub recording: RecordingState,
    /// Who shares a screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharer: Option<ParticipantId>,
    /// Whom a host has put before everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spotlight: Option<ParticipantId>,
    /// What the router sends of whom, where the meeting says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<QualityPreset>,
}

/// How many are inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Those who watch.
    pub attendees: u32,
    /// All the others.
    pub on_stage: u32,
}

/// Whether a meeting is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// It is not.
    #[default]
    Off,
    /// It is.
    On,
    /// Not now, but it has been and will be.
    Paused,
    /// A state of a later version.
    #[serde(other)]
    Other,
}

/// What somebody waits for who is not let in yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingReason {
    /// To be admitted.
    WaitingRoom,
    /// For a host to come.
    NoHost,
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
    /// What it answers, if the client numbered that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// How long to wait before trying again, in milliseconds, where that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
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
    /// Too many messages, or too many who come at once.
    RateLimited,
    /// The meeting is locked.
    MeetingLocked,
    /// The meeting waits for its host.
    MeetingPaused,
    /// Who was banned does not come in again.
    Banned,
    /// A host sent somebody away who waited.
    Denied,
    /// A host put somebody out.
    Removed,
    /// The participant's role or the meeting's settings do not allow it.
    NotAllowed,
    /// There is nobody of this number.
    NoSuchParticipant,
    /// The connection cannot go on where another broke.
    ResumeRefused,
    /// Somebody else shares a screen.
    ShareTaken,
    /// The participant goes on by another connection.
    Replaced,
    /// The daemon cannot do it now.
    Unavailable,
    /// No media session for too long.
    MediaTimeout,
    /// The daemon failed.
    Internal,
    /// A code of a later version.
    #[serde(other)]
    Other,
}

impl ErrorMessage {
    /// An error that answers nothing in particular.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>, fatal: bool) -> Self {
        Self { code, message: message.into(), fatal, request: None, retry_after_ms: None }
    }
}
