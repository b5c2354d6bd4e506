//! What people write to one another: section 6.5.

use serde::{Deserialize, Serialize};

use super::names::{DisplayName, InvalidName};
use crate::track::ParticipantId;

/// The longest text of a chat message, in bytes of UTF-8.
pub const MAX_CHAT_BYTES: usize = 4_096;

/// The text of a chat message: 1 to [`MAX_CHAT_BYTES`] bytes; of the control characters only line feed and tab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChatText(String);

/// To whom something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatTo {
    /// To all who are inside.
    Everyone,
    /// To host and co-hosts.
    Hosts,
    /// To one.
    Participant(ParticipantId),
}

/// Something that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Its number within the meeting, rising.
    pub message_id: u64,
    /// Who wrote it.
    pub from: ParticipantId,
    /// What its writer was called then.
    pub from_name: DisplayName,
    /// To whom.
    pub to: ChatTo,
    /// What.
    pub text: ChatText,
    /// When, in milliseconds since the Unix epoch.
    pub sent_at_ms: u64,
}

impl ChatText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChatText {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let what = "text";
        if !(1..=MAX_CHAT_BYTES).contains(&text.len()) {
            return Err(InvalidName::Length { what, min: 1, max: MAX_CHAT_BYTES });
        }
        if text.chars().any(|char| char.is_control() && char != '\n' && char != '\t') {
            return Err(InvalidName::ControlCharacter { what });
        }
        Ok(Self(text))
    }
}

impl From<ChatText> for String {
    fn from(text: ChatText) -> Self {
        text.0
    }
}
