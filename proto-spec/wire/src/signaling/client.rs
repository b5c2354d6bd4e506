//! What clients say on the WebSocket: section 6.2.

use serde::{Deserialize, Serialize};

use super::chat::{ChatText, ChatTo};
use super::names::DisplayName;
use super::people::{Reaction, Role, is_false};
use super::secrets::{Password, Token};
use super::settings::QualityPreset;
use crate::track::ParticipantId;

/// The most versions that a `join` may list.
pub const MAX_VERSIONS: usize = 16;
/// The most capabilities that a `join` may list.
pub const MAX_CAPABILITIES: usize = 32;

/// A message with the number by which its sender wants to hear of it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRequest {
    /// Any number that the client likes; `done` and `error` give it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// The message.
    #[serde(flatten)]
    pub message: ClientMessage,
}

/// A message from a client to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Enter a meeting, or go on in it. The first message, once.
    Join(Box<Join>),
    /// The media session was lost; answered by `ticket`.
    NewTicket,
    /// Leave the meeting.
    Leave,
    /// Answered by a pong with the same token.
    Ping {
        /// Any number that the client likes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<u64>,
    },
    /// Mute or unmute: oneself, or somebody else by a host, who may only mute.
    Mute {
        /// Whom; oneself when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        participant_id: Option<ParticipantId>,
        /// Whether to be silent.
        muted: bool,
    },
    /// A host mutes everybody who is no host.
    MuteAll,
    /// A host asks somebody to unmute.
    AskToUnmute {
        /// Whom.
        participant_id: ParticipantId,
    },
    /// Camera on or off.
    Video {
        /// Whether it is on.
        on: bool,
    },
    /// Another name: for oneself, or by a host for somebody else.
    Rename {
        /// Whom; oneself when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        participant_id: Option<ParticipantId>,
        /// The name.
        display_name: DisplayName,
    },
    /// Raise or lower a hand: one's own, or a host lowers another's.
    Hand {
        /// Whose; one's own when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        participant_id: Option<ParticipantId>,
        /// Whether it is up.
        raised: bool,
    },
    /// Shows something to everybody for a moment.
    React {
        /// What.
        reaction: Reaction,
    },
    /// A host puts somebody before everybody, or nobody.
    Spotlight {
        /// Whom; nobody when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        participant_id: Option<ParticipantId>,
    },
    /// Puts somebody before oneself alone, or nobody.
    Pin {
        /// Whom; nobody when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        participant_id: Option<ParticipantId>,
    },
    /// A host gives somebody another role.
    SetRole {
        /// Whom.
        participant_id: ParticipantId,
        /// The role.
        role: Role,
    },
    /// A host chooses what the router sends of whom, for as long as the meeting goes on.
    SetPreset {
        /// Which preset; the router's own when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preset: Option<QualityPreset>,
    },
    /// A host puts somebody out.
    Remove {
        /// Whom.
        participant_id: ParticipantId,
        /// Whether for good.
        #[serde(default)]
        ban: bool,
    },
    /// A host locks the meeting or opens it again.
    Lock {
        /// Whether nobody else may come in.
        locked: bool,
    },
    /// A host lets somebody in who waits.
    Admit {
        /// Whom.
        participant_id: ParticipantId,
    },
    /// A host lets everybody in who waits.
    AdmitAll,
    /// A host sends somebody away who waits.
    Deny {
        /// Whom.
        participant_id: ParticipantId,
        /// Whether for good.
        #[serde(default)]
        ban: bool,
    },
    /// Begin or end the sharing of a screen.
    Share {
        /// Whether one's own screen is to be shared. If not: one's own share ends, or, said by a host, whoever's it is.
        active: bool,
        /// A host takes over from whoever shares.
        #[serde(default)]
        take_over: bool,
    },
    /// Write something.
    Chat {
        /// To whom.
        to: ChatTo,
        /// What.
        text: ChatText,
    },
    /// A host records, or stops it.
    Record {
        /// What is to become of the recording.
        action: RecordAction,
    },
    /// Answers `consent_asked`.
    Consent {
        /// Whether the participant may be recorded.
        given: bool,
    },
    /// The host ends the meeting for everybody.
    EndMeeting,
}

/// What is to become of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordAction {
    /// Record, or go on with it.
    Start,
    /// Record nothing for a while.
    Pause,
    /// It is done.
    Stop,
}

/// Asks to enter a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Versions of the signaling protocol that the client speaks, at most [`MAX_VERSIONS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<u32>,
    /// The only one that it speaks. One of the two fields is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The meeting. Not checked here: an id that is no id gets the same answer as one that is unknown.
    pub meeting_id: String,
    /// The meeting's password, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// The host's token, or an access token that vouches for a role and an identity: no password is needed beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// What others see.
    pub display_name: DisplayName,
    /// What the client can do, in words that later versions define; unknown ones are ignored. At most [`MAX_CAPABILITIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The region that the client is near to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// To go on where a connection broke, instead of coming in anew. Where that is not possible, the rest of the join counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

/// Where a connection broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The participant's number.
    pub participant_id: ParticipantId,
    /// `resume_token` of `joined`.
    pub token: Token,
    /// The number of the last event that came in.
    pub seq: u64,
    /// Whether to be refused rather than come in anew as somebody else.
    #[serde(default, skip_serializing_if = "is_false")]
    pub only: bool,
}

impl Join {
    /// A join of this crate's version, with nothing that is optional.
    #[must_use]
    pub const fn new(meeting_id: String, display_name: DisplayName) -> Self {
        Self {
            versions: Vec::new(),
            version: Some(super::SIGNALING_VERSION),
            meeting_id,
            password: None,
            token: None,
            display_name,
            capabilities: Vec::new(),
            region: None,
            resume: None,
        }
    }

    /// Whether the client speaks `version`.
    #[must_use]
    pub fn speaks(&self, version: u32) -> bool {
        self.version == Some(version) || self.versions.contains(&version)
    }
}

impl From<ClientMessage> for ClientRequest {
    fn from(message: ClientMessage) -> Self {
        Self { request: None, message }
    }
}
