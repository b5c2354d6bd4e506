//! What the router says about the quality of a session.

use sluice_simulator::router::SimRouter;
use sluice_wire::track::ParticipantId;

/// What the router thinks that it may send to a participant, in bit/s. The one place where the router is asked; it does not estimate
/// yet, so there is no answer.
pub(super) const fn estimate_bps(_router: &SimRouter, _participant: ParticipantId) -> Option<u64> {
    None
}
