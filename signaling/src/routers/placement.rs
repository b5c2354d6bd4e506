//! Which router takes a new room.

/// What a session that was asked for since the router's last report is taken to cost, in thousandths of one shard's core: a
/// meeting of ten at 45 meetings per core is about 2 per session.
const ASKED_SESSION_PERMILLE: u64 = 2;

/// A router that could take a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate<'a> {
    /// Load as far as it is known, in thousandths of the busiest shard's core.
    load_permille: u64,
    /// Sessions that signaling knows of, per shard.
    sessions_per_shard: u64,
    /// The name breaks ties, so that the choice depends on nothing else.
    pub(super) router: &'a str,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(router: &'a str, cpu_permille: u32, shards: u32, asked: u64, sessions: u64) -> Self {
        let shards = u64::from(shards.max(1));
        let load_permille = u64::from(cpu_permille) + asked * ASKED_SESSION_PERMILLE / shards;
        Self { load_permille, sessions_per_shard: sessions / shards, router }
    }
}

/// The least loaded candidate.
pub(super) fn least_loaded<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> Option<&'a str> {
    candidates.min().map(|candidate| candidate.router)
}
