//! The bottleneck.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::time::Time;

/// A packet on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) flow: usize,
    pub(crate) sequence: u64,
    pub(crate) bytes: u64,
    pub(crate) sent_at: Time,
    /// When it left the queue.
    pub(crate) served_at: Time,
}

/// A drop-tail queue before a link.
#[derive(Debug)]
pub(crate) struct Link {
    queue: VecDeque<Packet>,
    queued_bytes: u64,
    limit_bytes: u64,
    free_at: Time,
}

impl Link {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self { queue: VecDeque::new(), queued_bytes: 0, limit_bytes, free_at: Time::ZERO }
    }

    pub(crate) fn push(&mut self, flow: usize, sequence: u64, bytes: u64, sent_at: Time) {
        if self.queued_bytes + bytes <= self.limit_bytes {
            self.queued_bytes += bytes;
            self.queue.push_back(Packet { flow, sequence, bytes, sent_at, served_at: sent_at });
        }
    }

    /// The next packet that begins to leave by `now`.
    pub(crate) fn serve(&mut self, now: Time, capacity_bps: f64) -> Option<Packet> {
        let mut packet = *self.queue.front()?;
        let begins = self.free_at.max(packet.sent_at);
        if begins > now {
            return None;
        }
        self.queue.pop_front();
        self.queued_bytes -= packet.bytes;
        self.free_at = begins + Duration::from_secs_f64(packet.bytes as f64 * 8.0 / capacity_bps);
        packet.served_at = self.free_at;
        Some(packet)
    }
}
