//! Who owns a meeting that goes on.

use sluice_wire::signaling::MeetingId;

use super::StoreFuture;

/// A daemon's right to speak for a meeting. Every write that is acknowledged to somebody shows it, and the store refuses
/// it once another daemon has claimed the meeting: that, and not a clock, is what makes two owners impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The meeting.
    pub meeting: MeetingId,
    /// The daemon.
    pub daemon: String,
    /// The fencing token: greater than that of every owner before.
    pub fence: u64,
}

/// Who the store says owns a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The daemon; `None` if it gave the meeting back.
    pub daemon: Option<String>,
    /// Its fencing token.
    pub fence: u64,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The meeting is the claimant's.
    Granted(Lease),
    /// Somebody else was faster, or still owns it.
    Taken(Owner),
}

/// Decides who owns a meeting. Strongly consistent.
pub trait OwnershipStore: Send + Sync + 'static {
    /// Who owns a meeting; `None` if nobody ever did.
    fn owner<'a>(&'a self, meeting: &'a MeetingId) -> StoreFuture<'a, Option<Owner>>;

    /// Takes a meeting that nobody owns, that `daemon` owned before, or whose owner is still the one of `dead_fence`, which
    /// the claimant knows to be dead. Of several claimants one is granted it. The meeting must exist.
    fn claim<'a>(
        &'a self,
        meeting: &'a MeetingId,
        daemon: &'a str,
        dead_fence: Option<u64>,
    ) -> StoreFuture<'a, Claim>;

    /// Gives a meeting back, so that the next owner need not wait. Without effect if it was claimed since.
    fn release<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()>;

    /// Takes some of what `dead` owns, which the claimant knows to be dead. None: it owns nothing any more, or others
    /// who claim it as well were faster this time.
    fn claim_some<'a>(&'a self, dead: &'a str, daemon: &'a str) -> StoreFuture<'a, Vec<Lease>>;

    /// The daemons that own something, at most [`super::MAX_PAGE`].
    fn owners(&self) -> StoreFuture<'_, Vec<String>>;

    /// What a daemon owns, with its fencing tokens: at most [`super::MAX_PAGE`] at a time, by rising id behind `after`.
    fn owned_by<'a>(
        &'a self,
        daemon: &'a str,
        after: Option<&'a MeetingId>,
    ) -> StoreFuture<'a, Vec<(MeetingId, u64)>>;
}
