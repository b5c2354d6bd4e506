//! Reading scenario files: TOML, with a matrix of variants, held against what makes sense.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Group, LinkPlan, MAX_PEOPLE, MAX_SECONDS, Scenario, matrix};
use crate::media::MAX_FPS;

/// The largest scenario file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a scenario file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too large for a scenario.
    #[error("{0} is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge(PathBuf),
    /// It is not TOML, or not of this form.
    #[error("{name}: {error}")]
    Form {
        /// Which.
        name: String,
        /// What is wrong, with its place.
        error: String,
    },
    /// It makes no sense.
    #[error("{name}: {what}")]
    Sense {
        /// Which.
        name: String,
        /// Why.
        what: String,
    },
}

/// Reads a scenario file: all of its variants.
///
/// # Errors
/// [`LoadError`], which says which file and what is wrong with it.
pub fn load(path: &Path) -> Result<Vec<Scenario>, LoadError> {
    let read_error = |source| LoadError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(read_error)?.len() > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(read_error)?;
    parse(&path.display().to_string(), &text)
}

/// Reads the text of a scenario file: all of its variants. `name` is for errors.
///
/// # Errors
/// [`LoadError`].
pub fn parse(name: &str, text: &str) -> Result<Vec<Scenario>, LoadError> {
    let form = |error: String| LoadError::Form { name: name.to_owned(), error };
    let sense = |what: String| LoadError::Sense { name: name.to_owned(), what };
    let mut file: Table = text.parse().map_err(|error: toml::de::Error| form(error.to_string()))?;
    let matrix = match file.remove("matrix") {
        Some(Value::Table(matrix)) => matrix,
        Some(_) => return Err(form("matrix has to be a table of lists".to_owned())),
        None => {
            // Read from the text, so that errors tell their place.
            let scenario: Scenario = toml::from_str(text).map_err(|error| form(error.to_string()))?;
            check(&scenario).map_err(sense)?;
            return Ok(vec![scenario]);
        }
    };
    let variants = matrix::combinations(&matrix).map_err(form)?;
    variants
        .into_iter()
        .map(|variant| {
            let mut filled = Value::Table(file.clone());
            matrix::fill_in(&mut filled, &variant).map_err(form)?;
            let mut scenario: Scenario = filled.try_into().map_err(|error| form(error.to_string()))?;
            let mut names = scenario.promises.iter().flat_map(|promise| promise.when.keys());
            if let Some(name) = names.find(|name| !variant.contains_key(*name)) {
                return Err(sense(format!(
                    "a promise holds only for values of {name}, which the matrix has not"
                )));
            }
            let is_of_variant =
                |name: &str, values: &[Value]| variant.get(name).is_some_and(|value| values.contains(value));
            scenario
                .promises
                .retain(|promise| promise.when.iter().all(|(name, values)| is_of_variant(name, values)));
            scenario.variant = variant.clone();
            check(&scenario).map_err(sense)?;
            Ok(scenario)
        })
        .collect()
}

fn check(scenario: &Scenario) -> Result<(), String> {
    ensure(!scenario.name.is_empty() && !scenario.name.contains(char::is_whitespace), || {
        format!("name is {:?}: it has to be a word", scenario.name)
    })?;
    ensure(scenario.seconds > 0.0 && scenario.seconds <= MAX_SECONDS, || {
        format!("seconds is {}: it has to be above 0 and at most {MAX_SECONDS}", scenario.seconds)
    })?;
    check_media(scenario)?;
    let people: usize = scenario.people.iter().map(|group| group.count).sum();
    ensure((1..=MAX_PEOPLE).contains(&people), || {
        format!("there are {people} people: 1 to {MAX_PEOPLE} are possible")
    })?;
    scenario.people.iter().try_for_each(|group| check_group(scenario, group))?;
    for shared in &scenario.shared {
        check_link(scenario, &format!("shared link {}", shared.name), &shared.link)?;
        ensure(
            shared.link.rate_bps.is_some() || shared.link.trace.is_some() || shared.tcp.is_empty(),
            || format!("shared link {} has transfers but no rate: they would be without bounds", shared.name),
        )?;
        ensure(shared.tcp.iter().all(|tcp| tcp.rtt_ms >= 1.0 && tcp.from_s >= 0.0), || {
            format!("a transfer over {} has an rtt_ms below 1 or begins before 0 s", shared.name)
        })?;
    }
    check_promises(scenario)
}

fn check_media(scenario: &Scenario) -> Result<(), String> {
    let media = &scenario.media;
    ensure((1..=MAX_FPS).contains(&media.fps), || {
        format!("media.fps is {}: 1 to {MAX_FPS} are possible", media.fps)
    })?;
    ensure((1..=3).contains(&media.temporal_layers), || "media.temporal_layers has to be 1 to 3".to_owned())?;
    ensure((1..=20).contains(&media.key_frame_times), || {
        "media.key_frame_times has to be 1 to 20".to_owned()
    })?;
    ensure((1..=4).contains(&media.encodings.len()), || {
        "media.encodings has to have 1 to 4 entries".to_owned()
    })?;
    ensure(media.encodings.windows(2).all(|pair| pair[0].height < pair[1].height), || {
        "media.encodings have to be in order of growing height".to_owned()
    })?;
    ensure(media.encodings.iter().all(|encoding| (10_000..=20_000_000).contains(&encoding.bps)), || {
        "the bps of an encoding has to be within 10000 and 20000000".to_owned()
    })
}

fn check_group(scenario: &Scenario, group: &Group) -> Result<(), String> {
    let names = |name: &String| scenario.people.iter().filter(|other| other.name == *name).count();
    ensure(names(&group.name) == 1, || format!("there are two groups called {}", group.name))?;
    ensure(group.joins_s >= 0.0 && group.joins_apart_s >= 0.0, || {
        format!("{} joins before 0 s", group.name)
    })?;
    for watched in &group.watches {
        let other = scenario.people.iter().find(|other| other.name == *watched);
        ensure(other.is_some_and(|other| other.publishes), || {
            format!("{} watches {watched}, which is no group that publishes", group.name)
        })?;
    }
    if let Some(behind) = &group.behind {
        ensure(scenario.shared.iter().any(|shared| shared.name == *behind), || {
            format!("{} is behind {behind}, which is no shared link", group.name)
        })?;
    }
    ensure(group.hostile.is_empty() || (group.bad && !group.publishes), || {
        format!("{} is hostile: then it has to be bad, and must not publish", group.name)
    })?;
    check_link(scenario, &format!("up of {}", group.name), &group.up)?;
    check_link(scenario, &format!("down of {}", group.name), &group.down)
}

fn check_link(scenario: &Scenario, name: &str, link: &LinkPlan) -> Result<(), String> {
    if let Some(trace) = &link.trace {
        trace.check().map_err(|what| format!("{name}: trace: {what}"))?;
        ensure(
            link.changes.iter().all(|change| change.rate_bps.is_none()) && link.rate_bps.is_none(),
            || format!("{name}: with a trace, no other rate can be said"),
        )?;
    }
    let ascending = link.changes.windows(2).all(|pair| pair[0].at_s < pair[1].at_s);
    ensure(ascending, || format!("{name}: changes have to be in order of time"))?;
    ensure(link.queue_bdp.is_none() || link.queue_bytes.is_none(), || {
        format!("{name}: queue_bdp and queue_bytes say the same thing twice")
    })?;
    ensure(link.burst.is_none_or(|burst| burst.share < 1.0 && burst.packets >= 1.0), || {
        format!("{name}: burst has to have a share below 1 and at least 1 packet")
    })?;
    link.config(scenario.seconds, 0).validate().map_err(|error| format!("{name}: {error}"))
}

fn check_promises(scenario: &Scenario) -> Result<(), String> {
    for promise in &scenario.promises {
        let name = promise.measure.name();
        ensure(promise.at_least.is_some() || promise.at_most.is_some(), || {
            format!("the promise about {name} needs at_least or at_most")
        })?;
        let to_s = promise.to_s.unwrap_or(scenario.seconds);
        ensure(promise.from_s >= 0.0 && promise.from_s < to_s && to_s <= scenario.seconds, || {
            format!(
                "the promise about {name} is from {} s to {to_s} s of {} s",
                promise.from_s, scenario.seconds
            )
        })?;
        for group in &promise.of {
            ensure(scenario.people.iter().any(|other| other.name == *group), || {
                format!("the promise about {name} is of {group}, which is no group")
            })?;
        }
        ensure(!promise.measure.needs_baseline() || scenario.people.iter().any(|group| group.bad), || {
            format!("the promise about {name} needs a group that is bad")
        })?;
    }
    Ok(())
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
