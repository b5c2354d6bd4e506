//! What a run amounted to.

use sluice_router::core::{Counters, DropReason};

/// A run without a violation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Virtual time that passed, in milliseconds.
    pub virtual_ms: u64,
    /// Datagrams that reached the router.
    pub datagrams_in: u64,
    /// RTP packets that it forwarded.
    pub rtp_out: u64,
    /// Frames that arrived whole and intact.
    pub frames_intact: u64,
    /// Of these, frames that lacked something they refer to.
    pub frames_undecodable: u64,
    /// Times that a slot went over to another encoding of its track.
    pub switches: u64,
    /// Times that a session moved.
    pub migrations: u64,
    /// Datagrams that the router dropped because they did not authenticate, were replayed, or were no packets at all.
    pub hostile_drops: u64,
    /// A number that any difference in any datagram changes.
    pub fingerprint: u64,
}

impl Outcome {
    /// Adds another run to the sums.
    pub const fn add(&mut self, other: &Self) {
        self.virtual_ms += other.virtual_ms;
        self.datagrams_in += other.datagrams_in;
        self.rtp_out += other.rtp_out;
        self.frames_intact += other.frames_intact;
        self.frames_undecodable += other.frames_undecodable;
        self.switches += other.switches;
        self.migrations += other.migrations;
        self.hostile_drops += other.hostile_drops;
        self.fingerprint ^= other.fingerprint;
    }
}

/// Drops that only a hostile or broken sender causes.
#[must_use]
pub fn hostile_drops(counters: &Counters) -> u64 {
    [
        DropReason::Runt,
        DropReason::UnknownClass,
        DropReason::UnknownSsrc,
        DropReason::WrongShard,
        DropReason::Malformed,
        DropReason::AuthenticationFailed,
        DropReason::Replayed,
        DropReason::TooOld,
    ]
    .iter()
    .map(|reason| counters.dropped(*reason))
    .sum()
}
