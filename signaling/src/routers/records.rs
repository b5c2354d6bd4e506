//! What the registry keeps, and what it puts out.

use std::collections::{BTreeMap, VecDeque};

use sluice_proto::v1::{Rights, RoomPolicy, SignalingMessage};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::event::RouterEvent;
use crate::meeting::RequestId;

/// One `Attach` stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttachmentId(pub(super) u64);

/// What is to be sent and told. Events are at most one for each request and each session.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) messages: VecDeque<(AttachmentId, SignalingMessage)>,
    pub(super) detached: Vec<AttachmentId>,
    pub(super) events: VecDeque<RouterEvent>,
}

/// Why a router is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegisterError {
    /// As many as may be are known.
    Full,
    /// A later process of the same name is attached.
    Stale,
}

#[derive(Debug)]
pub(super) struct Router {
    /// `None` between a stream that broke and the one that replaces it.
    pub(super) attachment: Option<AttachmentId>,
    pub(super) epoch: u64,
    pub(super) heard_at: Time,
    pub(super) region: String,
    pub(super) shards: u32,
    pub(super) draining: bool,
    pub(super) cpu_permille: u32,
    /// Sent and received.
    pub(super) bits_per_second: u64,
    pub(super) asked_since_heartbeat: u64,
    /// At the last heartbeat, those of other daemons included.
    pub(super) participants: u64,
    /// The same.
    pub(super) rooms: u64,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) router: String,
    pub(super) sessions: BTreeMap<ParticipantId, String>,
    /// Sessions that the router brought and nobody here has asked for: another daemon has, or did before it died.
    pub(super) strangers: BTreeMap<ParticipantId, Stranger>,
    pub(super) pending: usize,
    /// What sessions may do of which that has changed since they were opened.
    pub(super) rights: BTreeMap<ParticipantId, Rights>,
    /// The policy, if it has changed since the room was bound.
    pub(super) policy: Option<RoomPolicy>,
}

#[derive(Debug)]
pub(super) struct Stranger {
    pub(super) session: String,
    /// When one asks whose it is, if nobody has adopted it.
    pub(super) until: Time,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) router: String,
    pub(super) room: String,
    pub(super) participant: ParticipantId,
    pub(super) request: RequestId,
    pub(super) deadline: Time,
    /// The meeting was told no already; the session is closed if it comes after all.
    pub(super) given_up: bool,
}

impl Room {
    pub(super) const fn on(router: String) -> Self {
        Self {
            router,
            sessions: BTreeMap::new(),
            strangers: BTreeMap::new(),
            pending: 0,
            rights: BTreeMap::new(),
            policy: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.strangers.is_empty() && self.pending == 0
    }
}
