//! The runner on virtual time: a router core, sans-IO clients and the simulated network, in the order of what happens.

mod hostile;
mod network;
mod person;
mod quality;
mod world;

use crate::record::Run;
use crate::scenario::Scenario;

/// Why a run came to nothing: an error of this program or of what it drives, not of the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{scenario}, seed {seed}: {what}")]
pub struct RunError {
    /// The scenario, with its variant.
    pub scenario: String,
    /// The seed that brings it back.
    pub seed: u64,
    /// What happened.
    pub what: String,
}

/// Runs a scenario. The same seed gives the same run on every machine of one kind.
///
/// # Errors
/// [`RunError`].
pub fn run(scenario: &Scenario, seed: u64) -> Result<Run, RunError> {
    let error = |what| RunError { scenario: scenario.full_name(), seed, what };
    world::World::new(scenario, seed).and_then(world::World::run).map_err(error)
}
