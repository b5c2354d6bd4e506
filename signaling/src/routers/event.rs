//! What meetings and the registry tell each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluice_wire::signaling::MediaLostReason;
use sluice_wire::ticket::Ticket;
use sluice_wire::track::ParticipantId;

use crate::meeting::RequestId;

/// Intervals that a deployment may set.
#[derive(Clone, Copy, Debug)]
pub struct RegistryTiming {
    /// How often routers report.
    pub heartbeat_interval: Duration,
    /// How long a router may take to open a session.
    pub open_timeout: Duration,
}

/// Where a room is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The router's name.
    pub router: String,
    /// Which process of that name.
    pub epoch: u64,
}

/// What meetings are told.
#[derive(Clone, Debug, PartialEq)]
pub enum RouterEvent {
    /// Answers [`super::Routers::open_session`].
    Opened {
        /// The room.
        room: String,
        /// The meeting's request.
        request: RequestId,
        /// Whom it is for.
        participant: ParticipantId,
        /// The ticket.
        ticket: Box<Ticket>,
    },
    /// Answers [`super::Routers::open_session`] with no.
    Refused {
        /// The room.
        room: String,
        /// The meeting's request.
        request: RequestId,
    },
    /// A session ended and signaling did not ask for it.
    Lost {
        /// The room.
        room: String,
        /// Whose.
        participant: ParticipantId,
        /// Its name.
        session: String,
        /// Why.
        reason: MediaLostReason,
    },
}

/// No router can take a session now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no router can take the session now")]
pub struct NoRouter;
