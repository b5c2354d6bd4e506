//! The writer of control messages.

use super::{
    APP_NAME, AckEntry, CloseCode, Demand, PageHeader, PublishedTrack, ShownSlot, Speaker, StateKind,
    WantedSlot, subtype,
};
use crate::rtcp::CompoundWriter;
use crate::rtp::{BufferTooSmall, Put};

/// A control message to be written. What is written is what is given: the entries of a page are not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutMessage<'a> {
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
    Ack(&'a [AckEntry]),
    /// A page of the published state; see [`super::published_fitting`].
    Published(PageHeader, &'a [PublishedTrack]),
    /// A page of the wanted state, at most [`super::WANTED_PER_PAGE`] slots.
    Wanted(PageHeader, &'a [WantedSlot]),
    /// A page of the shown state, at most [`super::SHOWN_PER_PAGE`] slots.
    Shown(PageHeader, &'a [ShownSlot]),
    /// A page of the demand state, at most [`super::DEMAND_PER_PAGE`] encodings.
    Demand(PageHeader, &'a [Demand]),
    /// The page of the speakers state, at most [`super::MAX_SPEAKERS`].
    Speakers(PageHeader, &'a [Speaker]),
}

impl OutMessage<'_> {
    const fn subtype(&self) -> u8 {
        match self {
            Self::Ping(_) => subtype::PING,
            Self::Pong(_) => subtype::PONG,
            Self::PathChallenge(_) => subtype::PATH_CHALLENGE,
            Self::PathResponse(_) => subtype::PATH_RESPONSE,
            Self::Move => subtype::MOVE,
            Self::Close(_) => subtype::CLOSE,
            Self::Ack(_) => subtype::ACK,
            Self::Published(..) => StateKind::Published as u8,
            Self::Wanted(..) => StateKind::Wanted as u8,
            Self::Shown(..) => StateKind::Shown as u8,
            Self::Demand(..) => StateKind::Demand as u8,
            Self::Speakers(..) => StateKind::Speakers as u8,
        }
    }

    fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        match self {
            Self::Ping(token) | Self::Pong(token) => put.u64(*token),
            Self::PathChallenge(bytes) | Self::PathResponse(bytes) => put.bytes(bytes),
            Self::Move => Ok(()),
            Self::Close(code) => put.u32(u32::from(code.to_u16()) << 16),
            Self::Ack(entries) => entries.iter().try_for_each(|entry| entry.put(put)),
            Self::Published(header, tracks) => header.put_page(put, tracks, PublishedTrack::put),
            Self::Wanted(header, slots) => header.put_page(put, slots, WantedSlot::put),
            Self::Shown(header, slots) => header.put_page(put, slots, ShownSlot::put),
            Self::Demand(header, encodings) => header.put_page(put, encodings, Demand::put),
            Self::Speakers(header, speakers) => header.put_page(put, speakers, Speaker::put),
        }
    }
}

/// Appends a control message to a compound. `control_ssrc` is that of the direction.
///
/// # Errors
/// [`BufferTooSmall`] if it does not fit the compound's buffer, if a page's body exceeds [`super::MAX_PAGE_BODY_BYTES`], or if
/// a stream's number exceeds 8 bits. The compound is then what it was before.
pub fn write_message(
    compound: &mut CompoundWriter<'_>,
    control_ssrc: u32,
    message: &OutMessage<'_>,
) -> Result<(), BufferTooSmall> {
    compound.app_with(message.subtype(), control_ssrc, APP_NAME, |put| message.put(put))
}
