//! What goes into a shard and what comes out.

use std::net::SocketAddr;

use sluice_wire::control::CloseCode;
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use crate::core::ids::SessionName;
use crate::core::path::Path;
use crate::core::policy::Policy;

/// What a shard must know of its place.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Bit/s at which a receiver's path is first used, until feedback says what it carries. Without it paths are not measured:
    /// nothing limits what is sent but what receivers state, and nothing is paced or probed.
    pub start_bps: Option<u64>,
    /// The shard's number: the top 8 bits of all its SSRCs.
    pub number: u8,
    /// The router's public addresses, as they go into tickets.
    pub addresses: Vec<SocketAddr>,
    /// The policy of rooms that are told no other.
    pub policy: Policy,
}

/// Where and when a datagram came in.
#[derive(Clone, Copy, Debug)]
pub struct DatagramMeta {
    /// The router's address that it was sent to.
    pub local: SocketAddr,
    /// The address that it came from.
    pub remote: SocketAddr,
    /// The two ECN bits of the IP header (RFC 3168); 0 where the system does not tell.
    pub ecn: u8,
    /// When the kernel received it; the batch's `now` where the system does not tell.
    pub received_at: Time,
}

impl DatagramMeta {
    /// The path it came by.
    #[must_use]
    pub const fn path(&self) -> Path {
        Path { local: self.local, remote: self.remote }
    }
}

/// What a participant may do beside watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Publish tracks. Attendees of a webinar may not.
    pub may_publish: bool,
    /// Share a screen, if no other does.
    pub may_share: bool,
    /// Share a screen while another does, whose share ends with that.
    pub may_take_screen: bool,
}

impl Default for Rights {
    /// Those of somebody in a meeting.
    fn default() -> Self {
        Self { may_publish: true, may_share: true, may_take_screen: false }
    }
}

/// A wish to open a session.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// Comes back with the answer.
    pub request: u64,
    /// The room's name; the room is made if it does not exist.
    pub room: String,
    /// Who.
    pub participant: ParticipantId,
    /// The SRTP suite of both directions.
    pub suite: Suite,
    /// What the participant may do.
    pub rights: Rights,
}

/// An order to a shard.
#[derive(Clone, Debug)]
pub enum Command {
    /// Open a session; answered by [`Event::Opened`] or [`Event::Refused`]. A session that the participant has in the room
    /// ends ([`EndReason::Replaced`]).
    Open(OpenRequest),
    /// End a participant's session. With a `session` named, only if it is that one.
    Close {
        /// The room.
        room: String,
        /// The participant.
        participant: ParticipantId,
        /// The session that is meant.
        session: Option<SessionName>,
        /// What the client is told.
        code: CloseCode,
    },
    /// End all sessions of a room.
    CloseRoom {
        /// The room.
        room: String,
        /// What the clients are told.
        code: CloseCode,
    },
    /// Change what a participant may do. Nothing happens if there is no session of this name.
    SetRights {
        /// The room.
        room: String,
        /// The participant.
        participant: ParticipantId,
        /// Its session.
        session: SessionName,
        /// What it may do from now on.
        rights: Rights,
    },
    /// Change the policy of a room. Nothing happens if there is none of the name; a room forgets its policy when its last
    /// session ends.
    SetPolicy {
        /// The room.
        room: String,
        /// Its policy from now on.
        policy: Policy,
    },
    /// End all sessions and refuse new ones.
    Shutdown,
}

/// Why a session could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// The shard has as many sessions or SSRCs in use as it may.
    #[error("the router is full")]
    Full,
    /// The room's name is empty or too long.
    #[error("the room name must have 1 to 128 bytes")]
    RoomName,
    /// The shard is shutting down.
    #[error("the router is shutting down")]
    ShuttingDown,
    /// The cryptographic library refused the keys.
    #[error("the keys could not be set up")]
    Keys,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client closed it.
    ClosedByClient,
    /// Signaling ended it.
    ClosedByCommand,
    /// Nothing authenticated came for too long.
    Idle,
    /// Its ticket was never used.
    Unclaimed,
    /// The same participant opened another.
    Replaced,
    /// The router shuts down.
    Shutdown,
}

/// Something that the shell should know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session was opened.
    Opened {
        /// From the request.
        request: u64,
        /// What the client needs.
        ticket: Box<Ticket>,
    },
    /// A session could not be opened.
    Refused {
        /// From the request.
        request: u64,
        /// Why.
        reason: OpenRefused,
    },
    /// A session ended.
    Ended {
        /// The room.
        room: Box<str>,
        /// The participant.
        participant: ParticipantId,
        /// The session.
        session: SessionName,
        /// Why.
        reason: EndReason,
    },
}

/// Whether draining is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// Nothing is left.
    Done,
    /// The batch is full: send it, clear it, and poll again.
    BatchFull,
}

/// How much a shard holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardGauges {
    /// Sessions, closing ones included.
    pub sessions: usize,
    /// Rooms.
    pub rooms: usize,
    /// Published tracks.
    pub tracks: usize,
    /// Packets that came and were not forwarded yet.
    pub waiting_packets: usize,
    /// Packets that were forwarded and are kept, to be sent again.
    pub history_packets: usize,
}
