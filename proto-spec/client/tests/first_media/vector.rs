//! The file, as types.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;

use crate::says::Says;

/// Where the file is, from this crate.
pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/session/first-media.json");

/// Bytes that are hexadecimal digits in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl Hex {
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.0.as_slice().try_into().expect("a seed has 32 bytes")
    }
}

impl From<u32> for Hex {
    fn from(number: u32) -> Self {
        Self(number.to_be_bytes().to_vec())
    }
}

impl From<u64> for Hex {
    fn from(number: u64) -> Self {
        Self(number.to_be_bytes().to_vec())
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_hex(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not whole bytes in hexadecimal"))
    }
}

/// The bytes of a text of hexadecimal digits.
pub(crate) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// The whole example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Example {
    pub(crate) source: String,
    pub(crate) protocol_version: u32,
    /// Times in the file are milliseconds after this one.
    pub(crate) start_unix_ms: u64,
    pub(crate) end_ms: u64,
    pub(crate) router: Router,
    /// In the order in which the router opens their sessions.
    pub(crate) participants: Vec<Participant>,
    /// In the order in which they were sent.
    pub(crate) datagrams: Vec<Datagram>,
}

impl Example {
    pub(crate) fn load() -> Self {
        let text = std::fs::read_to_string(PATH).expect("the file is there");
        serde_json::from_str(&text).expect("the file is what its types say")
    }

    pub(crate) fn time(&self, ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(self.start_unix_ms + ms)
    }

    pub(crate) fn participant(&self, number: u32) -> &Participant {
        self.participants.iter().find(|one| one.participant == number).expect("a participant of the file")
    }

    /// The datagrams of one direction, of one session or of all.
    pub(crate) fn sent(&self, direction: Direction, of: Option<u32>) -> Vec<&Datagram> {
        let is_meant =
            |one: &&Datagram| one.direction == direction && of.is_none_or(|of| one.participant == of);
        self.datagrams.iter().filter(is_meant).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Router {
    pub(crate) seed: Hex,
    pub(crate) shard: u8,
    pub(crate) address: SocketAddr,
    pub(crate) room: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Participant {
    pub(crate) participant: u32,
    pub(crate) seed: Hex,
    pub(crate) address: SocketAddr,
    /// When the router makes the ticket.
    pub(crate) opens_at_ms: u64,
    /// When the client begins: its tracks, its wishes and its frames are known then.
    pub(crate) starts_at_ms: u64,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) session_keys: Option<BothKeys>,
    pub(crate) publishes: Vec<Track>,
    pub(crate) wants: Vec<Want>,
    pub(crate) frames: Vec<Frame>,
}

impl Participant {
    pub(crate) fn ticket(&self) -> &Ticket {
        self.ticket.as_ref().expect("a ticket")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BothKeys {
    pub(crate) uplink: SessionKeys,
    pub(crate) downlink: SessionKeys,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionKeys {
    pub(crate) rtp_key: Hex,
    pub(crate) rtp_salt: Hex,
    pub(crate) rtcp_key: Hex,
    pub(crate) rtcp_salt: Hex,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Track {
    pub(crate) track: u8,
    pub(crate) payload_type: u8,
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) fps: u8,
    pub(crate) max_bitrate: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Want {
    pub(crate) slot: u16,
    pub(crate) track_id: Hex,
    pub(crate) max_height: u16,
    pub(crate) max_fps: u8,
    pub(crate) priority: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub(crate) track: u8,
    /// An independent picture.
    pub(crate) key: bool,
    pub(crate) audio_level: Option<u8>,
    pub(crate) data: Hex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    Uplink,
    Downlink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    Srtp,
    Srtcp,
}

/// A datagram, sealed and in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Datagram {
    /// From 1.
    pub(crate) number: usize,
    /// Whose session.
    pub(crate) participant: u32,
    pub(crate) direction: Direction,
    pub(crate) sent_at_ms: u64,
    pub(crate) received_at_ms: u64,
    pub(crate) class: Class,
    /// The 48-bit index of SRTP, the 31-bit index of SRTCP.
    pub(crate) index: u64,
    pub(crate) plaintext: Hex,
    pub(crate) sealed: Hex,
    pub(crate) says: Says,
}
