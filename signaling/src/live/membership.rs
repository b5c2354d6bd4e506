//! A participant's hold on its meeting.

use axum::extract::ws::Utf8Bytes;
use sluice_wire::signaling::DisplayName;
use tokio::sync::mpsc;

use super::outbox::Outbox;
use crate::meeting::{ConnectionId, Event};
use crate::routers::RouterEvent;

/// What comes into a meeting's mailbox.
#[derive(Debug)]
pub(super) enum Command {
    /// Somebody who knew the password.
    Join { connection: ConnectionId, display_name: DisplayName, outbox: Outbox },
    /// A message of a participant.
    Participant(Event),
    /// News of the meeting's sessions.
    Router(RouterEvent),
    /// The host ended the meeting.
    End,
}

/// A connection that was let in. The answer to the join, and all that follows, comes by its outbox.
#[derive(Debug)]
pub struct Membership {
    pub(super) connection: ConnectionId,
    pub(super) mailbox: mpsc::Sender<Command>,
}

impl Membership {
    /// The participant wants out.
    pub async fn leave(&self) {
        self.tell(Event::Leave(self.connection)).await;
    }

    /// The participant wants a new media ticket.
    pub async fn new_ticket(&self) {
        self.tell(Event::NewTicket(self.connection)).await;
    }

    /// The connection is over. Once more does no harm.
    pub async fn disconnected(&self) {
        self.tell(Event::Disconnected(self.connection)).await;
    }

    async fn tell(&self, event: Event) {
        if self.mailbox.send(Command::Participant(event)).await.is_err() {
            // The meeting is over and has told everybody so.
            tracing::trace!("the meeting has gone");
        }
    }
}

/// A message that is encoded once for all who get it.
pub(super) type Encoded = Utf8Bytes;
