//! A connection's hold on its meeting.

use sluice_wire::signaling::{ClientMessage, ClientRequest, Token};
use sluice_wire::track::ParticipantId;
use tokio::sync::{mpsc, oneshot};

use super::outbox::Outbox;
use crate::meeting::{Arrival, ConnectionId, Event, MeetingSettings};
use crate::routers::RouterEvent;

/// What comes into a meeting's mailbox.
#[derive(Debug)]
pub(super) enum Command {
    /// Somebody who knew the password.
    Join { arrival: Box<Arrival>, outbox: Outbox },
    /// Somebody who says that its connection broke. The reply is whether it goes on.
    Resume {
        connection: ConnectionId,
        participant: ParticipantId,
        token: Token,
        seq: u64,
        outbox: Outbox,
        reply: oneshot::Sender<bool>,
    },
    /// A message of a member, or the end of its connection.
    Member(Event),
    /// News of the meeting's sessions.
    Router(RouterEvent),
    /// The settings were changed.
    Settings(Box<MeetingSettings>),
    /// The meeting is another daemon's by now.
    Lost,
    /// The meeting was ended.
    End,
}

/// A connection that was let in. The answer to the join, and all that follows, comes by its outbox.
#[derive(Debug)]
pub struct Membership {
    pub(super) connection: ConnectionId,
    pub(super) mailbox: mpsc::Sender<Command>,
}

impl Membership {
    /// The client says something.
    pub async fn said(&self, request: ClientRequest) {
        self.tell(Event::Said(self.connection, Box::new(request))).await;
    }

    /// The participant wants out.
    pub async fn leave(&self) {
        self.said(ClientMessage::Leave.into()).await;
    }

    /// The connection is over. Once more does no harm.
    pub async fn disconnected(&self, may_resume: bool) {
        self.tell(Event::Disconnected { connection: self.connection, may_resume }).await;
    }

    async fn tell(&self, event: Event) {
        if self.mailbox.send(Command::Member(event)).await.is_err() {
            // The meeting is over and has told everybody so.
            tracing::trace!("the meeting has gone");
        }
    }
}
