//! Passwords and tokens: wiped on drop, never printed.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// The longest password, in bytes: far above what people type, and it bounds what a hash is fed.
pub const MAX_PASSWORD_BYTES: usize = 256;

/// A meeting's password: 1 to 256 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

/// A bearer token, as the host of a meeting gets one.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Password {
    /// A password; `None` if it is empty or longer than [`MAX_PASSWORD_BYTES`].
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let text = Zeroizing::new(text);
        (1..=MAX_PASSWORD_BYTES).contains(&text.len()).then_some(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Token {
    /// Takes the text in.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom(format_args!("password has 1 to {MAX_PASSWORD_BYTES} bytes"));
        Self::new(String::deserialize(deserializer)?).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
