//! One meeting as a pure state machine: `(state, event, now) -> actions`.
//!
//! No I/O, no clock, no randomness: the same events give the same actions. The shell in [`crate::live`] feeds it and does what it
//! says. A *connection* is a participant's WebSocket; it becomes a participant with its join, and stops being one with its
//! last message. Every `OpenSession` action is answered by exactly one `SessionOpened` or `SessionRefused` event.

mod settings;
mod state;
mod timing;

pub use settings::{
    ChatPolicy, HostLeaves, InvalidSettings, MeetingKind, MeetingSettings, QualityPreset, RecordingPolicy,
    SharePolicy,
};
pub use state::{Meeting, NUMBERS_PER_BLOCK};
pub use timing::{EMPTY_LINGER, MeetingTiming};

use std::ops::Range;

use sluice_wire::signaling::{DaemonMessage, DisplayName, EndedReason, MediaLostReason};
use sluice_wire::ticket::Ticket;
use sluice_wire::track::ParticipantId;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

/// A participant's WebSocket. Unique over the daemon's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A request for a session. Unique over the life of a [`Meeting`] value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What happens to a meeting.
#[derive(Clone, Debug)]
pub enum Event {
    /// Participant numbers that nobody else will ever give out.
    NumbersReserved(Range<u32>),
    /// A connection that knew the password wants in.
    Join {
        /// Whose.
        connection: ConnectionId,
        /// As whom.
        display_name: DisplayName,
    },
    /// The participant wants out.
    Leave(ConnectionId),
    /// The connection broke, or was broken because it did not read.
    Disconnected(ConnectionId),
    /// The participant wants a new media ticket.
    NewTicket(ConnectionId),
    /// A router opened the session that was asked for.
    SessionOpened(RequestId, Box<Ticket>),
    /// No router did.
    SessionRefused(RequestId),
    /// A session ended and nobody here asked for it.
    SessionLost {
        /// Whose.
        participant: ParticipantId,
        /// Its name.
        session: String,
        /// Why.
        reason: MediaLostReason,
    },
    /// The time of [`Meeting::next_timeout`] has come.
    TimedOut,
    /// The meeting is over.
    End(EndedReason),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send a message to one connection.
    Send(ConnectionId, DaemonMessage),
    /// Send one message to several connections, by rising participant number.
    Broadcast(Vec<ConnectionId>, DaemonMessage),
    /// Close a connection behind what was sent to it. Its `Disconnected` need not come.
    Close(ConnectionId, CloseKind),
    /// Ask the meeting's router for a session.
    OpenSession(RequestId, ParticipantId),
    /// End a session.
    CloseSession {
        /// Whose.
        participant: ParticipantId,
        /// Its name.
        session: String,
        /// What the client is told.
        code: CloseCode,
    },
    /// End every session of the meeting's room.
    CloseRoom(CloseCode),
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseKind {
    /// All was well: 1000.
    Normal,
    /// Behind a fatal error: 1008.
    Fatal,
}

/// In-band close codes that signaling gives: `proto-spec/spec/07-limits.md` section 7.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// The participant left.
    Left = 0,
    /// The participant was removed, or the meeting is over.
    Removed = 1,
}
