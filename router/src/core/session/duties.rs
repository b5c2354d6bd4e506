//! What a session still has to be told. Nothing here is a queue of packets: each control datagram is made from the state at
//! the moment it leaves, so repeats and merges cost nothing and memory is bounded.

use sluice_wire::control::{AckEntry, CloseCode};
use sluice_wire::rtcp::ReportBlock;
use sluice_wire::time::Time;

use crate::core::limits::{MAX_PENDING_ACKS, MAX_PENDING_PONGS};
use crate::core::path::Path;

/// An answer that goes back on the path by which the question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    Pong(u64),
    PathResponse([u8; 8]),
}

/// The duties of a session.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    /// The session is in the shard's list of those with something to say.
    pub(crate) is_queued: bool,
    pub(crate) echoes: Vec<(Path, Echo)>,
    pub(crate) acks: Vec<AckEntry>,
    /// Streams of the uplink whose publisher is to send a key frame, one bit each.
    pub(crate) key_frame_streams: u64,
    /// Streams of the uplink of which something is to be asked for again, one bit each.
    pub(crate) nack_streams: u64,
    /// What the session is to be told of the streams that it sends.
    pub(crate) report_blocks: Vec<ReportBlock>,
    /// Sender reports are due for the slots from this one.
    pub(crate) reports_from_slot: Option<u16>,
    pub(crate) ping: bool,
    pub(crate) close: Option<CloseCode>,
    pub(crate) next_report: Time,
}

impl Duties {
    /// Queues an answer; `false` if too many wait.
    #[must_use]
    pub(crate) fn echo(&mut self, path: Path, echo: Echo) -> bool {
        let fits = self.echoes.len() < MAX_PENDING_PONGS;
        if fits {
            self.echoes.push((path, echo));
        }
        fits
    }

    /// Queues an acknowledgement, in place of an earlier one of the same page; `false` if too many wait.
    #[must_use]
    pub(crate) fn acknowledge(&mut self, ack: AckEntry) -> bool {
        self.acks.retain(|other| (other.kind, other.page) != (ack.kind, ack.page));
        let fits = self.acks.len() < MAX_PENDING_ACKS;
        if fits {
            self.acks.push(ack);
        }
        fits
    }
}
