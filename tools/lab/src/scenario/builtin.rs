//! The scenarios that are in the binary.

use super::{LoadError, Scenario, parse};

/// Name and text of each file.
const FILES: [(&str, &str); 22] = [
    ("clean", include_str!("../../scenarios/clean.toml")),
    ("loss-random", include_str!("../../scenarios/loss-random.toml")),
    ("loss-burst", include_str!("../../scenarios/loss-burst.toml")),
    ("loss-uplink", include_str!("../../scenarios/loss-uplink.toml")),
    ("step", include_str!("../../scenarios/step.toml")),
    ("bufferbloat", include_str!("../../scenarios/bufferbloat.toml")),
    ("asymmetric", include_str!("../../scenarios/asymmetric.toml")),
    ("lte", include_str!("../../scenarios/lte.toml")),
    ("wifi", include_str!("../../scenarios/wifi.toml")),
    ("mixed", include_str!("../../scenarios/mixed.toml")),
    ("cubic", include_str!("../../scenarios/cubic.toml")),
    ("fairness", include_str!("../../scenarios/fairness.toml")),
    ("bad-of-ten", include_str!("../../scenarios/bad-of-ten.toml")),
    ("hostile", include_str!("../../scenarios/hostile.toml")),
    ("rfc8867-5.1", include_str!("../../scenarios/rfc8867-5.1.toml")),
    ("rfc8867-5.2", include_str!("../../scenarios/rfc8867-5.2.toml")),
    ("rfc8867-5.3", include_str!("../../scenarios/rfc8867-5.3.toml")),
    ("rfc8867-5.4", include_str!("../../scenarios/rfc8867-5.4.toml")),
    ("rfc8867-5.5", include_str!("../../scenarios/rfc8867-5.5.toml")),
    ("rfc8867-5.6", include_str!("../../scenarios/rfc8867-5.6.toml")),
    ("rfc8867-5.7", include_str!("../../scenarios/rfc8867-5.7.toml")),
    ("rfc8867-5.8", include_str!("../../scenarios/rfc8867-5.8.toml")),
];

/// The names of all, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// All variants of the scenario of this name; `None` if there is none.
///
/// # Errors
/// [`LoadError`], which a test rules out.
pub fn find(name: &str) -> Option<Result<Vec<Scenario>, LoadError>> {
    FILES.iter().find(|(other, _)| *other == name).map(|(name, text)| parse(name, text))
}

/// All variants of all scenarios.
///
/// # Errors
/// [`LoadError`], which a test rules out.
pub fn all() -> Result<Vec<Scenario>, LoadError> {
    let mut all = Vec::new();
    for (name, text) in FILES {
        all.extend(parse(name, text)?);
    }
    Ok(all)
}
