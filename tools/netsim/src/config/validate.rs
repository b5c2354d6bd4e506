//! Which link configurations make sense.

use std::ops::RangeInclusive;

use super::{BurstLoss, DownInterval, LinkConfig};

/// Longest delay, jitter, or queue, in milliseconds: ten minutes is beyond every time-out of the protocol.
pub const MAX_DELAY_MS: f64 = 600_000.0;
/// Latest time in a schedule, in milliseconds: about 31 years, which still fits in 64 bits of nanoseconds.
pub const MAX_AT_MS: f64 = 1e12;
/// Highest rate, in bits per second: a terabit, beyond any machine that this runs on.
pub const MAX_RATE_BPS: u64 = 1_000_000_000_000;
/// Most steps of a schedule and most down intervals: a day at one change every ten seconds.
pub const MAX_STEPS: usize = 8_640;

/// Why a link configuration was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A number is outside its range, or not a number.
    #[error("{field} is {value}, but must be {must}")]
    OutOfRange {
        /// The field of [`LinkConfig`].
        field: &'static str,
        /// What was given.
        value: f64,
        /// The allowed range in words.
        must: &'static str,
    },
    /// A queue limit without a rate has no effect.
    #[error("queue_ms and queue_bytes need rate_bps: without a rate nothing queues")]
    QueueWithoutRate,
    /// Reordering without extra delay has no effect.
    #[error("reorder needs reorder_extra_ms above 0: how long is a reordered packet held back?")]
    ReorderWithoutExtra,
    /// A list is longer than [`MAX_STEPS`].
    #[error("{field} has {count} entries, the limit is {MAX_STEPS}")]
    TooMany {
        /// The list.
        field: &'static str,
        /// Its length.
        count: usize,
    },
    /// A down interval ends before it begins, or begins before the one ahead of it ends.
    #[error("down[{index}] must begin before it ends, and after the interval before it")]
    DownOrder {
        /// Position in `down`.
        index: usize,
    },
    /// A step is not later than the one before it.
    #[error("schedule[{index}] must be later than the step before it")]
    StepOrder {
        /// Position in `schedule`.
        index: usize,
    },
    /// A step has steps or down intervals of its own.
    #[error("schedule[{index}] must not have `down` or `schedule` of its own: put them at the top")]
    StepNested {
        /// Position in `schedule`.
        index: usize,
    },
    /// The configuration of a step is wrong.
    #[error("schedule[{index}]: {source}")]
    InStep {
        /// Position in `schedule`.
        index: usize,
        /// What is wrong with it.
        source: Box<Self>,
    },
}

impl LinkConfig {
    /// Checks ranges and combinations.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_state()?;
        validate_down(&self.down)?;
        too_many("schedule", self.schedule.len())?;
        let mut previous_ms = None;
        for (index, step) in self.schedule.iter().enumerate() {
            at("at_ms", step.at_ms)?;
            if previous_ms.is_some_and(|previous| step.at_ms <= previous) {
                return Err(ConfigError::StepOrder { index });
            }
            previous_ms = Some(step.at_ms);
            if !step.link.down.is_empty() || !step.link.schedule.is_empty() {
                return Err(ConfigError::StepNested { index });
            }
            let in_step = |source| ConfigError::InStep { index, source: Box::new(source) };
            step.link.validate_state().map_err(in_step)?;
        }
        Ok(())
    }

    fn validate_state(&self) -> Result<(), ConfigError> {
        milliseconds("delay_ms", self.delay_ms)?;
        milliseconds("jitter_ms", self.jitter_ms)?;
        milliseconds("reorder_extra_ms", self.reorder_extra_ms)?;
        fraction("loss", self.loss)?;
        fraction("reorder", self.reorder)?;
        fraction("duplicate", self.duplicate)?;
        fraction("corrupt", self.corrupt)?;
        if let Some(BurstLoss { p, r, loss_bad, loss_good }) = self.burst {
            fraction("burst.p", p)?;
            fraction("burst.r", r)?;
            fraction("burst.loss_bad", loss_bad)?;
            fraction("burst.loss_good", loss_good)?;
        }
        if self.reorder > 0.0 && self.reorder_extra_ms == 0.0 {
            return Err(ConfigError::ReorderWithoutExtra);
        }
        self.validate_rate()
    }

    fn validate_rate(&self) -> Result<(), ConfigError> {
        if let Some(queue_ms) = self.queue_ms {
            milliseconds("queue_ms", queue_ms)?;
        }
        match self.rate_bps {
            Some(1..=MAX_RATE_BPS) => Ok(()),
            Some(rate) => Err(ConfigError::OutOfRange {
                field: "rate_bps",
                value: rate as f64,
                must: "from 1 to 10^12 (use `down` for no rate at all)",
            }),
            None if self.queue_ms.is_some() || self.queue_bytes.is_some() => {
                Err(ConfigError::QueueWithoutRate)
            }
            None => Ok(()),
        }
    }
}

fn validate_down(down: &[DownInterval]) -> Result<(), ConfigError> {
    too_many("down", down.len())?;
    let mut previous_end_ms = 0.0;
    for (index, interval) in down.iter().enumerate() {
        at("down.from_ms", interval.from_ms)?;
        at("down.to_ms", interval.to_ms)?;
        if interval.from_ms < previous_end_ms || interval.to_ms <= interval.from_ms {
            return Err(ConfigError::DownOrder { index });
        }
        previous_end_ms = interval.to_ms;
    }
    Ok(())
}

fn too_many(field: &'static str, count: usize) -> Result<(), ConfigError> {
    if count > MAX_STEPS { Err(ConfigError::TooMany { field, count }) } else { Ok(()) }
}

fn milliseconds(field: &'static str, value: f64) -> Result<(), ConfigError> {
    within(field, value, 0.0..=MAX_DELAY_MS, "from 0 to 600,000 ms")
}

fn at(field: &'static str, value: f64) -> Result<(), ConfigError> {
    within(field, value, 0.0..=MAX_AT_MS, "from 0 to 10^12 ms")
}

fn fraction(field: &'static str, value: f64) -> Result<(), ConfigError> {
    within(field, value, 0.0..=1.0, "a fraction from 0 to 1")
}

fn within(
    field: &'static str,
    value: f64,
    range: RangeInclusive<f64>,
    must: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::OutOfRange { field, value, must }) }
}
