//! Names of meetings and people, checked when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters of a meeting id: digits and letters that are hard to mistake for one another.
pub const MEETING_ID_ALPHABET: &[u8; 30] = b"23456789abcdefghjkmnpqrstvwxyz";
/// Length of a meeting id: 12 of 30 characters are 58.9 bits, too many to guess over a network.
pub const MEETING_ID_CHARS: usize = 12;
/// The longest display name, in Unicode scalar values.
pub const MAX_DISPLAY_NAME_CHARS: usize = 64;
/// The longest name of a meeting, in Unicode scalar values.
pub const MAX_MEETING_NAME_CHARS: usize = 128;

/// Why a name is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Not 12 characters of the alphabet.
    #[error("not a meeting id")]
    MeetingId,
    /// Too short or too long.
    #[error("{what} has {min} to {max} characters")]
    Length {
        /// Which name.
        what: &'static str,
        /// The fewest characters that it may have.
        min: usize,
        /// The most characters that it may have.
        max: usize,
    },
    /// A control character.
    #[error("{what} has a control character")]
    ControlCharacter {
        /// Which name.
        what: &'static str,
    },
}

/// A meeting's id: 12 characters of [`MEETING_ID_ALPHABET`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MeetingId(String);

impl MeetingId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MeetingId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let is_one =
            text.len() == MEETING_ID_CHARS && text.bytes().all(|byte| MEETING_ID_ALPHABET.contains(&byte));
        if is_one { Ok(Self(text)) } else { Err(InvalidName::MeetingId) }
    }
}

impl FromStr for MeetingId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        // Checked before it is copied, so that a long text costs nothing.
        if text.len() == MEETING_ID_CHARS {
            Self::try_from(text.to_owned())
        } else {
            Err(InvalidName::MeetingId)
        }
    }
}

impl From<MeetingId> for String {
    fn from(id: MeetingId) -> Self {
        id.0
    }
}

impl fmt::Display for MeetingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What others see of a participant: 1 to 64 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName(String);

/// What a meeting is called: at most 128 characters, none of them a control character; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MeetingName(String);

impl DisplayName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MeetingName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DisplayName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        checked("display_name", 1, MAX_DISPLAY_NAME_CHARS, text).map(Self)
    }
}

impl TryFrom<String> for MeetingName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        checked("name", 0, MAX_MEETING_NAME_CHARS, text).map(Self)
    }
}

impl From<DisplayName> for String {
    fn from(name: DisplayName) -> Self {
        name.0
    }
}

impl From<MeetingName> for String {
    fn from(name: MeetingName) -> Self {
        name.0
    }
}

fn checked(what: &'static str, min: usize, max: usize, text: String) -> Result<String, InvalidName> {
    if text.chars().any(char::is_control) {
        return Err(InvalidName::ControlCharacter { what });
    }
    if (min..=max).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(InvalidName::Length { what, min, max })
    }
}
