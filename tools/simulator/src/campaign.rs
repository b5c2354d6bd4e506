//! Many seeds, one after the other, until one fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::conference::Conference;
use crate::outcome::Outcome;

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: {what}")]
pub struct Failure {
    /// The seed that brings it back.
    pub seed: u64,
    /// What happened.
    pub what: String,
}

/// Runs one seed. A panic anywhere is a failure like any other.
///
/// # Errors
/// [`Failure`] with the seed.
pub fn run_seed(seed: u64) -> Result<Outcome, Failure> {
    let run = catch_unwind(AssertUnwindSafe(|| Conference::new(seed).run()));
    match run {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(violation)) => Err(Failure { seed, what: violation.to_string() }),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(Failure { seed, what: format!("panic: {text}") })
        }
    }
}

/// Runs `count` seeds from `first`; `progress` is told after each.
///
/// # Errors
/// The first [`Failure`].
pub fn run(first: u64, count: u64, mut progress: impl FnMut(&Outcome)) -> Result<Outcome, Failure> {
    let mut total = Outcome::default();
    for seed in first..first + count {
        total.add(&run_seed(seed)?);
        progress(&total);
    }
    Ok(total)
}
