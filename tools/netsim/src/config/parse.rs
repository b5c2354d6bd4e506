//! Link configurations as they are typed on a command line.
//!
//! ```text
//! link  = state *( ";" step )          ""  is a perfect link
//! step  = "at=" duration "," state     each step is a whole new state, not a difference
//! state = item *( "," item )
//! item  = key "=" value
//! ```
//!
//! | key | value |
//! | --- | --- |
//! | `delay`, `jitter`, `reorder_extra` | duration: `50ms`, `1.5s`, `200us`, `2min` |
//! | `shape` | `uniform` or `normal` |
//! | `order` | `keep` or `free` |
//! | `loss`, `reorder`, `duplicate`, `corrupt` | probability: `2%` or `0.02` |
//! | `burst` | `p/r`, `p/r/loss_bad` or `p/r/loss_bad/loss_good`, probabilities |
//! | `rate` | `800kbit`, `3mbit`, `1gbit`, `64000bit` (per second, powers of 1,000) |
//! | `queue` | duration or bytes: `200ms`, `64kb`, `64kib`, `1mb`, `1500b` |
//! | `down` | intervals from the start: `5s..8s`, `5s..8s+20s..21s` |

use std::str::FromStr;
use std::time::Duration;

use super::{BurstLoss, ConfigError, DownInterval, JitterShape, LinkConfig, MAX_AT_MS, Step};

const KEYS: [&str; 14] = [
    "delay",
    "jitter",
    "shape",
    "order",
    "loss",
    "burst",
    "reorder",
    "reorder_extra",
    "duplicate",
    "rate",
    "queue",
    "corrupt",
    "down",
    "at",
];

const DURATION: &str = "expected a duration such as 50ms (units: us, ms, s, min)";
const PROBABILITY: &str = "expected a probability such as 2% or 0.02";
const BURST: &str = "expected p/r, p/r/loss_bad or p/r/loss_bad/loss_good, such as 1%/25%";
const RATE: &str = "expected a rate such as 3mbit (units: bit, kbit, mbit, gbit)";
const QUEUE: &str = "expected a duration such as 200ms or a size such as 64kb (units: b, kb, kib, mb, mib)";
const SHAPE: &str = "expected uniform or normal";
const ORDER: &str = "expected keep or free";
const DOWN: &str = "expected intervals such as 5s..8s or 5s..8s+20s..21s";

const DURATION_UNITS_MS: &[(&str, f64)] = &[("us", 0.001), ("ms", 1.0), ("s", 1_000.0), ("min", 60_000.0)];
const RATE_UNITS_BPS: &[(&str, f64)] = &[("bit", 1.0), ("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)];
const SIZE_UNITS_BYTES: &[(&str, f64)] =
    &[("b", 1.0), ("kb", 1e3), ("kib", 1_024.0), ("mb", 1e6), ("mib", 1_048_576.0)];

/// Why a string is no link configuration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// An item has no `=`.
    #[error("`{item}` is not of the form key=value")]
    NotAPair {
        /// The item.
        item: String,
    },
    /// There is no such key.
    #[error("unknown key `{key}`; known are {}", KEYS.join(", "))]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key occurs twice in one state.
    #[error("`{key}` is given twice")]
    Repeated {
        /// The key.
        key: String,
    },
    /// A value cannot be read.
    #[error("`{key}={value}`: {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// `at` before the first `;`.
    #[error("`at` belongs into a step, after a `;`")]
    TimeOutsideStep,
    /// A step does not say when it happens.
    #[error("the step `{step}` does not say when: add at=<duration>")]
    StepWithoutTime {
        /// The step.
        step: String,
    },
    /// The string can be read, but what it says makes no sense.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
}

impl FromStr for LinkConfig {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut states = text.split(';');
        let (None, mut config) = parse_state(states.next().unwrap_or_default())? else {
            return Err(ParseError::TimeOutsideStep);
        };
        for step in states {
            let (Some(at_ms), link) = parse_state(step)? else {
                return Err(ParseError::StepWithoutTime { step: step.trim().to_owned() });
            };
            config.schedule.push(Step { at_ms, link });
        }
        config.validate()?;
        Ok(config)
    }
}

/// One state and the value of its `at`, if it has one.
fn parse_state(text: &str) -> Result<(Option<f64>, LinkConfig), ParseError> {
    let mut config = LinkConfig::default();
    let mut at_ms = None;
    let mut seen: Vec<&str> = Vec::new();
    for item in text.split(',').map(str::trim) {
        let Some((key, value)) = item.split_once('=') else {
            return Err(ParseError::NotAPair { item: item.to_owned() });
        };
        let (key, value) = (key.trim(), value.trim());
        if seen.contains(&key) {
            return Err(ParseError::Repeated { key: key.to_owned() });
        }
        if !KEYS.contains(&key) {
            return Err(ParseError::UnknownKey { key: key.to_owned() });
        }
        seen.push(key);
        let bad = |expected| ParseError::BadValue { key: key.to_owned(), value: value.to_owned(), expected };
        if key == "at" {
            at_ms = Some(duration_ms(value).ok_or(DURATION).map_err(bad)?);
        } else {
            set(&mut config, key, value).map_err(bad)?;
        }
    }
    Ok((at_ms, config))
}

/// Sets one field; the error says what was expected.
fn set(config: &mut LinkConfig, key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "delay" => config.delay_ms = duration_ms(value).ok_or(DURATION)?,
        "jitter" => config.jitter_ms = duration_ms(value).ok_or(DURATION)?,
        "reorder_extra" => config.reorder_extra_ms = duration_ms(value).ok_or(DURATION)?,
        "loss" => config.loss = probability(value).ok_or(PROBABILITY)?,
        "reorder" => config.reorder = probability(value).ok_or(PROBABILITY)?,
        "duplicate" => config.duplicate = probability(value).ok_or(PROBABILITY)?,
        "corrupt" => config.corrupt = probability(value).ok_or(PROBABILITY)?,
        "burst" => config.burst = Some(burst(value).ok_or(BURST)?),
        "rate" => config.rate_bps = Some(quantity(value, RATE_UNITS_BPS).ok_or(RATE)?.round() as u64),
        "queue" => set_queue(config, value)?,
        "down" => config.down = value.split('+').map(interval).collect::<Option<_>>().ok_or(DOWN)?,
        "shape" => {
            config.jitter_shape = match value {
                "uniform" => JitterShape::Uniform,
                "normal" => JitterShape::Normal,
                _ => return Err(SHAPE),
            }
        }
        _ => {
            config.preserve_order = match value {
                "keep" => true,
                "free" => false,
                _ => return Err(ORDER),
            }
        }
    }
    Ok(())
}

fn set_queue(config: &mut LinkConfig, value: &str) -> Result<(), &'static str> {
    config.queue_ms = duration_ms(value);
    if config.queue_ms.is_none() {
        config.queue_bytes = Some(quantity(value, SIZE_UNITS_BYTES).ok_or(QUEUE)?.round() as u64);
    }
    Ok(())
}

fn interval(text: &str) -> Option<DownInterval> {
    let (from, to) = text.split_once("..")?;
    Some(DownInterval { from_ms: duration_ms(from.trim())?, to_ms: duration_ms(to.trim())? })
}

fn burst(text: &str) -> Option<BurstLoss> {
    let numbers = text.split('/').map(|part| probability(part.trim())).collect::<Option<Vec<_>>>()?;
    let (p, r, loss_bad, loss_good) = match numbers[..] {
        [p, r] => (p, r, 1.0, 0.0),
        [p, r, loss_bad] => (p, r, loss_bad, 0.0),
        [p, r, loss_bad, loss_good] => (p, r, loss_bad, loss_good),
        _ => return None,
    };
    Some(BurstLoss { p, r, loss_bad, loss_good })
}

/// A time as it stands in a link: `50ms`, `1.5s`. `None` if it is not one, or above the longest that makes sense here.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let ms = duration_ms(text.trim()).filter(|ms| *ms <= MAX_AT_MS)?;
    Some(Duration::from_secs_f64(ms / 1_000.0))
}

fn duration_ms(text: &str) -> Option<f64> {
    quantity(text, DURATION_UNITS_MS)
}

fn probability(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => Some(number(percent.trim_end())? / 100.0),
        None => number(text),
    }
}

/// A number and its unit; the unit may be in capitals and a space may stand between.
fn quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (value, unit) = text.split_at(split);
    let unit = unit.trim_start();
    let (_, scale) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    Some(number(value)? * scale)
}

/// A plain decimal number. Signs, exponents, `inf` and `nan` are refused: nobody means them here.
fn number(text: &str) -> Option<f64> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') { text.parse().ok() } else { None }
}
