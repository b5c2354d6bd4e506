//! What clients say on the WebSocket: section 6.2.

use serde::{Deserialize, Serialize};

use super::names::DisplayName;
use super::secrets::Password;

/// A message from a client to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Enter a meeting. The first message, once.
    Join(Join),
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
}

/// Asks to enter a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Version of the signaling protocol.
    pub version: u32,
    /// The meeting. Not checked here: an id that is no id gets the same answer as one that is unknown.
    pub meeting_id: String,
    /// The meeting's password, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// What others see.
    pub display_name: DisplayName,
}
