//! The media ticket: `proto-spec/spec/02-session.md` section 2.1.

use std::fmt;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::ssrc::SsrcBlock;

/// The version of the media protocol that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// An SRTP crypto suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// AES-128 in Galois counter mode, RFC 7714.
    #[default]
    #[serde(rename = "AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    /// AES-256 in Galois counter mode, RFC 7714.
    #[serde(rename = "AEAD_AES_256_GCM")]
    AeadAes256Gcm,
    /// AES-128 in counter mode with an 80-bit HMAC-SHA1, RFC 3711.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_80")]
    AesCm128HmacSha1_80,
}

impl Suite {
    /// Bytes of the master key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::AesCm128HmacSha1_80 => 14,
        }
    }

    /// Bytes of the authentication tag.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::AesCm128HmacSha1_80 => 10,
        }
    }
}

/// Secret bytes: wiped on drop, never printed, base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes in.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64.encode(self.expose())))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        BASE64.decode(text.as_bytes()).map(Self::new).map_err(serde::de::Error::custom)
    }
}

/// An SRTP master key with its salt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterKey {
    /// The master key; its length is the suite's.
    #[serde(rename = "master_key")]
    pub key: Secret,
    /// The master salt; its length is the suite's.
    #[serde(rename = "master_salt")]
    pub salt: Secret,
}

/// Keys and SSRCs of one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direction {
    /// Master key and salt.
    #[serde(flatten)]
    pub master: MasterKey,
    /// The SSRCs that this direction uses.
    #[serde(flatten)]
    pub ssrcs: SsrcBlock,
}

/// All that a client needs to open a media session. A secret as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Version of the media protocol.
    pub protocol_version: u32,
    /// The session's name in logs: 16 hexadecimal digits.
    pub session: String,
    /// UDP addresses of the router, most preferred first.
    pub addresses: Vec<SocketAddr>,
    /// The SRTP suite of both directions.
    pub suite: Suite,
    /// Client to router.
    pub uplink: Direction,
    /// Router to client.
    pub downlink: Direction,
    /// A warm alternate router.
    #[serde(default)]
    pub alternate: Option<Box<Self>>,
}
