//! What the load and the process that it measures say to each other: a JSON value a line, over a pipe.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use sluice_wire::ticket::{Direction, Ticket};

/// A question.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Open sessions, in order: room and participant. To a router.
    Open(Vec<(String, u32)>),
    /// Forward by this plan. To a floor.
    Forward(FloorPlan),
    /// What was counted.
    Stats,
}

/// The answer to it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The sessions are open.
    Tickets(Vec<Ticket>),
    /// Packets may come, to this address.
    Ready(SocketAddr),
    /// What was counted.
    Stats(Box<Stats>),
    /// It went wrong.
    Failed(String),
}

/// What a floor does: all keys and addresses, known beforehand.
#[derive(Debug, Serialize, Deserialize)]
pub struct FloorPlan {
    /// Who sends and receives.
    pub sessions: Vec<FloorSession>,
    /// What comes in and where it goes.
    pub sources: Vec<FloorSource>,
}

/// One end.
#[derive(Debug, Serialize, Deserialize)]
pub struct FloorSession {
    /// Where it receives.
    pub remote: SocketAddr,
    /// Keys and SSRCs by which it sends.
    pub uplink: Direction,
}

/// A stream that is fanned out.
#[derive(Debug, Serialize, Deserialize)]
pub struct FloorSource {
    /// Its SSRC.
    pub ssrc: u32,
    /// The session that sends it.
    pub session: usize,
    /// Sessions that receive it, and the SSRC for each.
    pub routes: Vec<(usize, u32)>,
}

/// Totals since the start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// When they were taken, in nanoseconds on the process's clock.
    pub taken_at_ns: u64,
    /// CPU time of the thread that forwards.
    pub cpu_ns: u64,
    /// Media packets that opened.
    pub rtp_in: u64,
    /// Media packets that were forwarded.
    pub rtp_out: u64,
    /// Receive calls.
    pub receive_calls: u64,
    /// Messages received, coalesced or not.
    pub messages_in: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Send calls.
    pub send_calls: u64,
    /// Messages sent, segmented or not.
    pub messages_out: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Everything that was lost or refused, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Rounds of the loop by duration: classes of `sluice_router::ROUND_BOUNDS`.
    pub rounds: Vec<u64>,
    /// Allocations of the thread that forwards.
    pub allocations: u64,
    /// Sessions that there are.
    pub sessions: u64,
}
