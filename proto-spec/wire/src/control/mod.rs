//! In-band control messages, RTCP APP packets named `SLCE`: `proto-spec/spec/04-control.md`.
//!
//! [`Message::parse`] checks a message whole, down to the last entry of a page; the iterators over entries cannot fail.

mod ack;
mod close;
mod demand;
mod page;
mod published;
mod shown;
mod speakers;
#[cfg(test)]
mod tests;
mod wanted;
mod writer;

pub use ack::{AckEntry, AckStatus, Acks};
pub use close::CloseCode;
pub use demand::{DEMAND_PER_PAGE, Demand, DemandStatus};
pub use page::{PageHeader, StateKind, StatePage};
pub use published::{Encodings, PublishedEncoding, PublishedTrack, published_fitting};
pub use shown::{SHOWN_PER_PAGE, ShownSlot, SlotStatus};
pub use speakers::{MAX_SPEAKERS, Speaker};
pub use wanted::{WANTED_PER_PAGE, Want, WantedSlot};
pub use writer::{OutMessage, write_message};

use crate::feedback::{FEEDBACK_SUBTYPE, Feedback};
use crate::rtcp::App;

/// The name of the APP packets that carry control messages.
pub const APP_NAME: [u8; 4] = *b"SLCE";
/// The most bytes that the body of a state page has, its header included: a page rides in one datagram beside other packets.
pub const MAX_PAGE_BODY_BYTES: usize = 1_000;
/// The most pages that a state has.
pub const MAX_PAGES: u8 = 16;
/// The most tracks that a session publishes; also the bound of a track's number.
pub const MAX_TRACKS: usize = 16;
/// The most encodings that a track has.
pub const MAX_ENCODINGS: usize = 4;
/// The most temporal layers, and the most spatial layers, that an encoding has.
pub const MAX_LAYERS: u8 = 4;

/// Subtypes of the small messages, section 4.1; those of state pages are in [`StateKind`].
mod subtype {
    pub(super) const PING: u8 = 0;
    pub(super) const PONG: u8 = 1;
    pub(super) const PATH_CHALLENGE: u8 = 2;
    pub(super) const PATH_RESPONSE: u8 = 3;
    pub(super) const MOVE: u8 = 4;
    pub(super) const CLOSE: u8 = 5;
    pub(super) const ACK: u8 = 6;
}

/// Why an APP packet is no control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ControlError {
    /// It has another name.
    #[error("not a control message")]
    Name,
    /// The subtype is not known to this version.
    #[error("unknown control message {0}")]
    UnknownSubtype(u8),
    /// The message is not what its subtype says. It cannot be acknowledged.
    #[error("malformed control message {subtype}")]
    Malformed {
        /// The subtype.
        subtype: u8,
    },
    /// A state page whose header is well-formed and whose entries are not; to be acknowledged as malformed.
    #[error("malformed entries in version {version} of page {page} of {kind:?}")]
    MalformedPage {
        /// The state.
        kind: StateKind,
        /// The number of the page.
        page: u8,
        /// The version of the page.
        version: u32,
    },
}

/// A control message as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Asks for a pong with the same token.
    Ping(u64),
    /// Answers a ping.
    Pong(u64),
    /// Asks whoever is at an address for a response with the same bytes.
    PathChallenge([u8; 8]),
    /// Answers a path challenge.
    PathResponse([u8; 8]),
    /// Asks that the path of this datagram becomes the session's.
    Move,
    /// Ends the session.
    Close(CloseCode),
    /// Acknowledges state pages.
    Ack(Acks<'a>),
    /// A page of a synchronised state.
    Page(StatePage<'a>),
    /// What arrived of the other direction.
    Feedback(Feedback<'a>),
}

impl<'a> Message<'a> {
    /// Reads a control message and checks all of it.
    ///
    /// # Errors
    /// [`ControlError`]; [`ControlError::MalformedPage`] alone is to be answered, with an ack.
    pub fn parse(app: &App<'a>) -> Result<Self, ControlError> {
        let &App { subtype, name, data, .. } = app;
        if name != APP_NAME {
            return Err(ControlError::Name);
        }
        let message = match subtype {
            subtype::PING => exact(data).map(|token| Self::Ping(u64::from_be_bytes(token))),
            subtype::PONG => exact(data).map(|token| Self::Pong(u64::from_be_bytes(token))),
            subtype::PATH_CHALLENGE => exact(data).map(Self::PathChallenge),
            subtype::PATH_RESPONSE => exact(data).map(Self::PathResponse),
            subtype::MOVE => data.is_empty().then_some(Self::Move),
            subtype::CLOSE => exact(data)
                .map(|[c0, c1, _, _]| Self::Close(CloseCode::from_u16(u16::from_be_bytes([c0, c1])))),
            subtype::ACK => Acks::parse(data).map(Self::Ack),
            FEEDBACK_SUBTYPE => return Feedback::parse(app).map(Self::Feedback),
            _ => {
                let kind = StateKind::from_u8(subtype).ok_or(ControlError::UnknownSubtype(subtype))?;
                return StatePage::parse(kind, data).map(Self::Page);
            }
        };
        message.ok_or(ControlError::Malformed { subtype })
    }
}

/// The bytes, if there are exactly `N`.
fn exact<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}
