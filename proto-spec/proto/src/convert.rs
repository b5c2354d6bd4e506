//! Conversions between the tickets of the control stream and those of signaling.

use std::net::SocketAddr;

use sluice_wire::ssrc::{InvalidBlock, SsrcBlock};
use sluice_wire::ticket::{Direction, MasterKey, Secret, Suite, Ticket};

use crate::v1;

/// The most addresses that a ticket may list: one per address family, path and port that a router could sensibly have.
pub const MAX_ADDRESSES: usize = 16;
/// Hexadecimal digits of a session's name.
const SESSION_NAME_DIGITS: usize = 16;

/// Why a ticket from the control stream is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTicket {
    /// A message is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The suite is unspecified or unknown.
    #[error("unknown suite {0}")]
    UnknownSuite(i32),
    /// The session's name is not 16 hexadecimal digits.
    #[error("the session's name is not 16 hexadecimal digits")]
    SessionName,
    /// There is no address, or there are more than [`MAX_ADDRESSES`].
    #[error("{0} addresses; 1 to {MAX_ADDRESSES} are allowed")]
    AddressCount(usize),
    /// An address is not `ip:port`.
    #[error("{0:?} is not an address with a port")]
    Address(String),
    /// A key or salt is not as long as the suite has it.
    #[error("the {what} has {actual} bytes where {suite:?} has {expected}")]
    KeyLength {
        /// Which one.
        what: &'static str,
        /// The suite of the ticket.
        suite: Suite,
        /// Bytes that the suite asks for.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// An SSRC block is not one.
    #[error(transparent)]
    Block(#[from] InvalidBlock),
}

impl From<Suite> for v1::Suite {
    fn from(suite: Suite) -> Self {
        match suite {
            Suite::AeadAes128Gcm => Self::AeadAes128Gcm,
            Suite::AeadAes256Gcm => Self::AeadAes256Gcm,
            Suite::AesCm128HmacSha1_80 => Self::AesCm128HmacSha180,
        }
    }
}

/// The suite of its number on the control stream.
///
/// # Errors
/// [`InvalidTicket::UnknownSuite`] for 0 and for numbers of later versions.
pub fn suite_from_proto(number: i32) -> Result<Suite, InvalidTicket> {
    match v1::Suite::try_from(number) {
        Ok(v1::Suite::AeadAes128Gcm) => Ok(Suite::AeadAes128Gcm),
        Ok(v1::Suite::AeadAes256Gcm) => Ok(Suite::AeadAes256Gcm),
        Ok(v1::Suite::AesCm128HmacSha180) => Ok(Suite::AesCm128HmacSha1_80),
        Ok(v1::Suite::Unspecified) | Err(_) => Err(InvalidTicket::UnknownSuite(number)),
    }
}

impl From<&Direction> for v1::Direction {
    fn from(direction: &Direction) -> Self {
        Self {
            master_key: direction.master.key.expose().to_vec(),
            master_salt: direction.master.salt.expose().to_vec(),
            ssrc_base: direction.ssrcs.base(),
            ssrc_count: direction.ssrcs.count(),
        }
    }
}

/// The alternate, if there is one, stays behind: each router grants its own tickets.
impl From<&Ticket> for v1::Ticket {
    fn from(ticket: &Ticket) -> Self {
        Self {
            protocol_version: ticket.protocol_version,
            session: ticket.session.clone(),
            addresses: ticket.addresses.iter().map(ToString::to_string).collect(),
            suite: v1::Suite::from(ticket.suite).into(),
            uplink: Some((&ticket.uplink).into()),
            downlink: Some((&ticket.downlink).into()),
        }
    }
}

impl TryFrom<v1::Ticket> for Ticket {
    type Error = InvalidTicket;

    fn try_from(ticket: v1::Ticket) -> Result<Self, InvalidTicket> {
        let suite = suite_from_proto(ticket.suite)?;
        Ok(Self {
            protocol_version: ticket.protocol_version,
            session: session_name(ticket.session)?,
            addresses: addresses(&ticket.addresses)?,
            suite,
            uplink: direction(suite, ticket.uplink.ok_or(InvalidTicket::Missing("uplink"))?)?,
            downlink: direction(suite, ticket.downlink.ok_or(InvalidTicket::Missing("downlink"))?)?,
            alternate: None,
        })
    }
}

fn session_name(name: String) -> Result<String, InvalidTicket> {
    let is_one = name.len() == SESSION_NAME_DIGITS && name.bytes().all(|b| b.is_ascii_hexdigit());
    is_one.then_some(name).ok_or(InvalidTicket::SessionName)
}

fn addresses(texts: &[String]) -> Result<Vec<SocketAddr>, InvalidTicket> {
    if texts.is_empty() || texts.len() > MAX_ADDRESSES {
        return Err(InvalidTicket::AddressCount(texts.len()));
    }
    texts.iter().map(|text| text.parse().map_err(|_| InvalidTicket::Address(text.clone()))).collect()
}

fn direction(suite: Suite, direction: v1::Direction) -> Result<Direction, InvalidTicket> {
    Ok(Direction {
        ssrcs: SsrcBlock::new(direction.ssrc_base, direction.ssrc_count)?,
        master: MasterKey {
            key: secret("master key", suite, suite.key_len(), direction.master_key)?,
            salt: secret("master salt", suite, suite.salt_len(), direction.master_salt)?,
        },
    })
}

fn secret(
    what: &'static str,
    suite: Suite,
    expected: usize,
    bytes: Vec<u8>,
) -> Result<Secret, InvalidTicket> {
    let actual = bytes.len();
    let secret = Secret::new(bytes);
    if actual == expected {
        Ok(secret)
    } else {
        Err(InvalidTicket::KeyLength { what, suite, expected, actual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(suite: Suite) -> Ticket {
        let direction = |base: u32, byte: u8| Direction {
            master: MasterKey {
                key: Secret::new(vec![byte; suite.key_len()]),
                salt: Secret::new(vec![byte + 1; suite.salt_len()]),
            },
            ssrcs: SsrcBlock::new(base, 64).unwrap(),
        };
        Ticket {
            protocol_version: 1,
            session: "6f3c1f0a9b2e4d58".into(),
            addresses: vec!["203.0.113.7:5004".parse().unwrap(), "[2001:db8::7]:5004".parse().unwrap()],
            suite,
            uplink: direction(0x0100_0000, 3),
            downlink: direction(0x0100_0040, 5),
            alternate: None,
        }
    }

    #[test]
    fn tickets_survive_the_way_there_and_back() {
        for suite in [Suite::AeadAes128Gcm, Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80] {
            let original = ticket(suite);
            assert_eq!(Ticket::try_from(v1::Ticket::from(&original)), Ok(original));
        }
    }

    #[test]
    fn an_alternate_stays_behind() {
        let mut original = ticket(Suite::AeadAes128Gcm);
        original.alternate = Some(Box::new(original.clone()));
        assert_eq!(Ticket::try_from(v1::Ticket::from(&original)).unwrap().alternate, None);
    }

    #[test]
    fn each_wrong_field_has_its_error() {
        type Spoil = fn(&mut v1::Ticket);
        let cases: [(Spoil, InvalidTicket); 9] = [
            (|t| t.suite = 0, InvalidTicket::UnknownSuite(0)),
            (|t| t.suite = 99, InvalidTicket::UnknownSuite(99)),
            (|t| t.session = "6f3c".into(), InvalidTicket::SessionName),
            (|t| t.session = "zzzzzzzzzzzzzzzz".into(), InvalidTicket::SessionName),
            (|t| t.addresses.clear(), InvalidTicket::AddressCount(0)),
            (|t| t.addresses = vec!["[::1]:1".into(); 17], InvalidTicket::AddressCount(17)),
            (|t| t.addresses.push("router.example".into()), InvalidTicket::Address("router.example".into())),
            (|t| t.uplink = None, InvalidTicket::Missing("uplink")),
            (|t| t.downlink = None, InvalidTicket::Missing("downlink")),
        ];
        for (spoil, expected) in cases {
            let mut message = v1::Ticket::from(&ticket(Suite::AeadAes128Gcm));
            spoil(&mut message);
            assert_eq!(Ticket::try_from(message), Err(expected));
        }
    }

    #[test]
    fn keys_are_as_long_as_the_suite_has_them() {
        let mut message = v1::Ticket::from(&ticket(Suite::AeadAes128Gcm));
        message.suite = v1::Suite::AeadAes256Gcm.into();
        let error = Ticket::try_from(message).unwrap_err();
        assert!(matches!(error, InvalidTicket::KeyLength { expected: 32, actual: 16, .. }), "{error:?}");
    }

    #[test]
    fn blocks_are_blocks() {
        let mut message = v1::Ticket::from(&ticket(Suite::AeadAes128Gcm));
        message.downlink.as_mut().unwrap().ssrc_base = 7;
        assert!(matches!(Ticket::try_from(message), Err(InvalidTicket::Block(_))));
    }
}
