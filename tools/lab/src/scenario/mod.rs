//! Scenarios: who meets whom over which networks, and what is promised all the same.

mod builtin;
mod file;
mod link;
mod matrix;
mod promise;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use builtin::{all, find, names};
pub use file::{LoadError, load, parse};
pub use link::{Burst, Change, LinkPlan};
pub use promise::{Aggregation, Measure, Promise};

/// The most people of a scenario: a meeting with a gallery, and no more than a laptop simulates.
pub const MAX_PEOPLE: usize = 50;
/// The longest scenario, in seconds: the longest of RFC 8867 is 300 s.
pub const MAX_SECONDS: f64 = 600.0;

/// One scenario, with the values of its variant filled in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, which is that of its file.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// How long it lasts.
    pub seconds: f64,
    /// What everybody who publishes sends.
    #[serde(default)]
    pub media: Media,
    /// Who is there.
    pub people: Vec<Group>,
    /// Links that several people are behind.
    #[serde(default)]
    pub shared: Vec<Shared>,
    /// What is promised.
    #[serde(default)]
    pub promises: Vec<Promise>,
    /// The values of the file's matrix that this is, by name.
    #[serde(skip)]
    pub variant: BTreeMap<String, toml::Value>,
}

/// What a publisher sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// Frames per second of a camera.
    pub fps: u8,
    /// Temporal layers of each encoding, 1 to 3.
    pub temporal_layers: u8,
    /// How many times larger than others key frames are.
    pub key_frame_times: usize,
    /// Encodings of a camera, in order of growing height.
    pub encodings: Vec<Encoding>,
}

/// One encoding of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// Pixels.
    pub height: u16,
    /// Mean rate of the encoder, without any headers, in bit/s.
    pub bps: u64,
}

impl Default for Media {
    fn default() -> Self {
        let encoding = |height, bps| Encoding { height, bps };
        Self {
            fps: 30,
            temporal_layers: 3,
            key_frame_times: 6,
            encodings: vec![encoding(180, 150_000), encoding(360, 500_000), encoding(720, 1_700_000)],
        }
    }
}

/// People who are alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What they are called; several get a number behind it.
    pub name: String,
    /// How many.
    #[serde(default = "one")]
    pub count: usize,
    /// Whether they send camera and voice.
    #[serde(default)]
    pub publishes: bool,
    /// The groups whose cameras and voices they receive; their own may be among them.
    #[serde(default)]
    pub watches: Vec<String>,
    /// The most pixels of height that they want; 0 is no limit.
    #[serde(default)]
    pub max_height: u16,
    /// When the first of them joins.
    #[serde(default)]
    pub joins_s: f64,
    /// How much later each next one joins.
    #[serde(default)]
    pub joins_apart_s: f64,
    /// When they want no video for a while.
    #[serde(default)]
    pub pauses: Vec<Pause>,
    /// From them to the router.
    #[serde(default)]
    pub up: LinkPlan,
    /// From the router to them.
    #[serde(default)]
    pub down: LinkPlan,
    /// One-way delays both ways of each of them in turn, in place of those of the links.
    #[serde(default)]
    pub delays_ms: Vec<f64>,
    /// The shared link that they are behind.
    #[serde(default)]
    pub behind: Option<String>,
    /// It is they whom the others must not notice: the scenario is also run without their faults.
    #[serde(default)]
    pub bad: bool,
    /// How they attack.
    #[serde(default)]
    pub hostile: Vec<Attack>,
}

const fn one() -> usize {
    1
}

/// A time without video.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// From when.
    pub from_s: f64,
    /// Until when.
    pub to_s: f64,
}

/// What a hostile receiver does, beside what an honest one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// Asks for every packet again, ten times each.
    NackEverything,
    /// Says that everything arrived, and at once, whatever arrived.
    FalseFeedback,
    /// Asks for a key frame of everything every millisecond.
    KeyFrames,
}

/// A link that several people are behind, on the way to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// What it is called.
    pub name: String,
    /// What it does to packets.
    pub link: LinkPlan,
    /// Bulk transfers over it.
    #[serde(default)]
    pub tcp: Vec<Tcp>,
}

/// A bulk transfer that behaves like TCP with CUBIC.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Its round-trip time without any queue.
    pub rtt_ms: f64,
    /// When it begins.
    #[serde(default)]
    pub from_s: f64,
    /// When it ends; at the end of the scenario unless said.
    #[serde(default)]
    pub to_s: Option<f64>,
    /// How much it transfers; without end unless said.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// How long after its end it begins again; never unless said.
    #[serde(default)]
    pub again_after_s: Option<f64>,
}

/// One person of a scenario.
#[derive(Clone, Debug)]
pub struct Person {
    /// The name with its number, if there are several of the group.
    pub name: String,
    /// The group, by its place in the file.
    pub group: usize,
    /// When the person joins.
    pub joins_s: f64,
    /// The people whose tracks the person receives, by number.
    pub watches: Vec<usize>,
    /// From the person to the router.
    pub up: LinkPlan,
    /// From the router to the person.
    pub down: LinkPlan,
}

impl Scenario {
    /// The variant in words: `loss=0.05 rtt_ms=50`; empty if there are none.
    #[must_use]
    pub fn variant_name(&self) -> String {
        let values: Vec<String> =
            self.variant.iter().map(|(name, value)| format!("{name}={value}")).collect();
        values.join(" ").replace('"', "")
    }

    /// Name and variant.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{} {}", self.name, self.variant_name()).trim_end().to_owned()
    }

    /// The people, in order.
    #[must_use]
    pub fn persons(&self) -> Vec<Person> {
        let groups = self.people.iter().enumerate();
        let members = groups.flat_map(|(number, group)| (0..group.count).map(move |place| (number, place)));
        let members: Vec<(usize, usize)> = members.collect();
        (0..members.len()).map(|number| self.person(&members, number)).collect()
    }

    fn person(&self, members: &[(usize, usize)], number: usize) -> Person {
        let (group, place) = members[number];
        let of = &self.people[group];
        let is_watched = |other: &usize| {
            let group = &self.people[members[*other].0];
            *other != number && group.publishes && of.watches.contains(&group.name)
        };
        let with_delay = |link: &LinkPlan| {
            let delay_ms = of.delays_ms.get(place % of.delays_ms.len().max(1));
            LinkPlan { delay_ms: delay_ms.copied().unwrap_or(link.delay_ms), ..link.clone() }
        };
        Person {
            name: if of.count == 1 { of.name.clone() } else { format!("{}-{}", of.name, place + 1) },
            group,
            joins_s: of.joins_s + place as f64 * of.joins_apart_s,
            watches: (0..members.len()).filter(is_watched).collect(),
            up: with_delay(&of.up),
            down: with_delay(&of.down),
        }
    }

    /// The same meeting, in which those who are bad have no faults: clean links, and no attacks.
    #[must_use]
    pub fn without_faults(&self) -> Self {
        let mut scenario = self.clone();
        for group in scenario.people.iter_mut().filter(|group| group.bad) {
            group.up = group.up.without_faults();
            group.down = group.down.without_faults();
            group.hostile.clear();
        }
        scenario
    }

    /// The first so many seconds of it, with the promises that are about them alone.
    #[must_use]
    pub fn shortened(&self, seconds: f64) -> Self {
        let mut scenario = self.clone();
        if seconds < self.seconds {
            scenario.seconds = seconds;
            scenario.promises.retain(|promise| {
                promise.from_s < seconds && promise.to_s.is_none_or(|to_s| to_s <= seconds)
            });
        }
        scenario
    }

    /// Whether a promise compares with [`Self::without_faults`].
    #[must_use]
    pub fn needs_baseline(&self) -> bool {
        self.promises.iter().any(|promise| promise.measure.needs_baseline())
    }
}
