//! A participant on tokio: joins through signaling, opens a UDP socket, runs the session core, plays tracks.
//!
//! One task per participant does all of it; nothing is spawned and nothing is locked per packet, so that a process can hold
//! thousands. The application gives the participant orders through [`Participant`] and hears from it through an
//! [`Observer`], which is called in the participant's task, or through a bounded channel: [`Inbox`].
//!
//! A lost media session is replaced: the participant asks signaling for a new ticket, opens a new socket and a new session, and
//! publishes and wants what it did before. Nothing of the old session's keys or counters is used again.

mod command;
mod line;
mod observer;
mod participant;
mod socket;
mod stats;
mod task;
mod wishes;

use std::io;

use sluice_wire::signaling::{DisplayName, ErrorMessage, Join, Password};

use crate::clock::Clock;
use crate::session::TicketError;
use crate::signaling::SignalingError;

pub use self::command::FrameToSend;
pub use self::observer::{Event, Inbox, Observer, SentFrame, channel};
pub use self::participant::{Gone, Participant, PlayError};
pub use self::stats::ParticipantStats;

/// What is needed to join.
#[derive(Clone, Debug)]
pub struct JoinConfig {
    /// The WebSocket of the signaling daemon: see [`crate::signaling::Api::websocket_url`].
    pub websocket_url: String,
    /// The meeting. Not checked here: the daemon says whether there is one.
    pub meeting_id: String,
    /// The meeting's password, if it has one.
    pub password: Option<Password>,
    /// What others see.
    pub display_name: DisplayName,
    /// Feeds the generator of sequence numbers and tokens; no keys depend on it.
    pub seed: [u8; 32],
    /// The clock.
    pub clock: Clock,
}

impl JoinConfig {
    fn join(&self) -> Join {
        Join {
            password: self.password.clone(),
            ..Join::new(self.meeting_id.clone(), self.display_name.clone())
        }
    }
}

/// Why somebody could not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Signaling did not let it in.
    #[error(transparent)]
    Signaling(#[from] SignalingError),
    /// The ticket cannot be used.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// No address of the router can be reached from here.
    #[error("no socket to reach the router by")]
    Socket(#[source] io::Error),
}

/// Why a participant is not in the meeting any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// It left.
    Left,
    /// The meeting is over.
    MeetingEnded,
    /// Signaling put it out.
    Refused(ErrorMessage),
    /// Signaling is gone, and the media session as well.
    Lost,
}
