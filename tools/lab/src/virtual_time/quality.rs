//! What the router says about the quality of a session: the one place where it is asked.

use sluice_simulator::router::SimRouter;
use sluice_wire::track::ParticipantId;

/// What the router thinks that the way to a participant carries, in bit/s; `None` before it sent media there.
pub(super) fn estimate_bps(router: &SimRouter, participant: ParticipantId) -> Option<u64> {
    router.quality(participant)?.estimate_bps
}
