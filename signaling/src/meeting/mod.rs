//! One meeting as a pure state machine: `(state, event, now) -> actions`.
//!
//! No I/O, no clock, no randomness: the same events give the same actions. The shell in [`crate::live`] feeds it and does what it
//! says. A *connection* is a WebSocket; with its join it becomes the connection of a *member*, who waits, enters and then is a
//! participant. Connections come and go while the member stays: that is what resuming is. Every `OpenSession` action is answered by
//! exactly one `SessionOpened` or `SessionRefused` event.

mod chat;
mod commands;
mod entry;
mod media;
mod member;
mod moderation;
mod own;
mod recording;
mod remains;
mod rights;
mod roster;
mod sessions;
mod settings;
mod share;
mod state;
mod stream;
mod succession;
mod timing;

pub use media::{MediaRights, MediaTerms};
pub use remains::{Remains, Sitter};
pub use settings::{
    ChatPolicy, HostLeaves, InvalidSettings, MeetingKind, MeetingSettings, QualityPreset, RecordingPolicy,
    SharePolicy,
};
pub use state::{Meeting, NUMBERS_PER_BLOCK};
pub use stream::{Numbering, Stream};
pub use timing::{EMPTY_LINGER, LARGE_MEETING_PARTICIPANTS, MeetingTiming, ROSTER_INTERVAL};

use std::ops::Range;

use sluice_wire::signaling::{
    ChatMessage, ClientRequest, DaemonMessage, DisplayName, EndedReason, MediaLostReason, RecordAction, Role,
    Token,
};
use sluice_wire::ticket::Ticket;
use sluice_wire::track::ParticipantId;

#[cfg(test)]
mod tests;

/// A WebSocket. Unique over the daemon's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A request for a session. Unique over the life of a [`Meeting`] value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What somebody who joins has been vouched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The role; that of a guest when absent.
    pub role: Option<Role>,
    /// Who it is, to whoever vouches. A ban holds for an identity; without one, for a name.
    pub identity: Option<String>,
}

/// Somebody who may come in as far as the password goes.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// By which connection.
    pub connection: ConnectionId,
    /// As whom.
    pub display_name: DisplayName,
    /// What it has been vouched for.
    pub grant: Grant,
    /// What it will show to resume.
    pub resume_token: Token,
}

/// What happens to a meeting.
#[derive(Clone, Debug)]
pub enum Event {
    /// Participant numbers that nobody else will ever give out.
    NumbersReserved(Range<u32>),
    /// Somebody wants in.
    Join(Box<Arrival>),
    /// Somebody whose connection broke goes on by a new one.
    Resume {
        /// The new one.
        connection: ConnectionId,
        /// Who it says it is.
        participant: ParticipantId,
        /// What shows it.
        token: Token,
        /// The number of the last event that it has.
        seq: u64,
        /// Whether all events behind that are kept.
        can_replay: bool,
    },
    /// The client of a connection says something.
    Said(ConnectionId, Box<ClientRequest>),
    /// The connection is over.
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// Whether the client did nothing wrong, and may come back.
        may_resume: bool,
    },
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
    /// A session of a participant goes on under another name than the last owner had written down.
    SessionFound {
        /// Whose.
        participant: ParticipantId,
        /// Its name.
        session: String,
    },
    /// All sessions that the last owner left are known: the router hears what they may do now.
    SessionsAdopted,
    /// The meeting's maker changed the settings.
    SettingsChanged(Box<MeetingSettings>),
    /// The time of [`Meeting::next_timeout`] has come.
    TimedOut,
    /// The meeting is over.
    End(EndedReason),
}

/// What is to be done, in this order; only the [`Action::Record`]s of a list come before all the others.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write this down before anybody is told of it.
    Record(Note),
    /// Send a numbered message to a participant, or keep it until its connection is back.
    Send(ParticipantId, DaemonMessage),
    /// Send one message so to several participants, by rising number.
    Broadcast(Vec<ParticipantId>, DaemonMessage),
    /// Send a message to a connection, without a number.
    Tell(ConnectionId, DaemonMessage),
    /// From now on this is the participant's connection.
    Attach(ParticipantId, ConnectionId),
    /// Send a participant again what was sent behind this number.
    Replay(ParticipantId, u64),
    /// Give what the participant is sent from now on the numbers behind this one: the numbers of an owner before.
    Number(ParticipantId, u64),
    /// The connection cannot resume: it may join.
    RefuseResume(ConnectionId),
    /// The participant has gone for good.
    Forget(ParticipantId),
    /// Close a connection behind what was sent to it. Its `Disconnected` need not come.
    Close(ConnectionId, CloseKind),
    /// Ask the meeting's router for a session.
    OpenSession(RequestId, ParticipantId, MediaTerms),
    /// Tell the router that the participant of a session may do something else from now on.
    SetRights {
        /// Who.
        participant: ParticipantId,
        /// The session's name.
        session: String,
        /// What it may do.
        rights: MediaRights,
    },
    /// Tell the router which preset the room has from now on; its own where there is none.
    SetPreset(Option<QualityPreset>),
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
    /// The host ends the meeting: note it, and say [`Event::End`].
    EndMeeting,
}

/// What is written down before anybody is told of it: attendance, recording, messages, and what hosts do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Somebody came in.
    Entered {
        /// Who.
        participant: ParticipantId,
        /// Who that is to whoever vouched.
        identity: Option<String>,
        /// Under which name.
        display_name: DisplayName,
        /// As what.
        role: Role,
    },
    /// Somebody left.
    Left {
        /// Who.
        participant: ParticipantId,
        /// Why: a reason of the protocol, or `ended`.
        reason: &'static str,
    },
    /// The recording starts, goes on, pauses or stops.
    Recording {
        /// By whom; by the meeting's own rules when absent.
        by: Option<ParticipantId>,
        /// What happens.
        action: RecordAction,
        /// Whether there was a recording already.
        goes_on: bool,
    },
    /// Somebody wrote something.
    Chat(ChatMessage),
    /// A host did something that its place allows.
    Audit {
        /// Which host; the meeting's own rules when absent.
        by: Option<ParticipantId>,
        /// What.
        action: &'static str,
        /// To whom.
        whom: Option<ParticipantId>,
    },
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
