//! What happens in a run, drawn from its seed before it begins.

use std::time::Duration;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use sluice_netsim::config::{BurstLoss, LinkConfig};

use crate::participant::{CAMERA_FPS, CAMERA_HEIGHTS};

/// People of a meeting.
pub const PARTICIPANTS: usize = 5;
/// Everybody has joined, and the troubles begin.
pub const TROUBLE_FROM: Duration = Duration::from_secs(4);
/// The network is perfect and nobody does anything from here on.
pub const TROUBLE_UNTIL: Duration = Duration::from_secs(16);
/// The run ends; by then everybody must see everybody.
pub const END: Duration = Duration::from_secs(22);

/// Something that happens to the conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The person joins.
    Join(usize),
    /// The person leaves in good order.
    Leave(usize),
    /// The person's machine dies; the router finds out by itself.
    Kill(usize),
    /// The person's NAT forgets its mappings: everything comes from another port.
    Rebind(usize),
    /// The person's machine takes another address, and knows it.
    MoveAddress(usize),
    /// Nothing gets through between the person and the router, in one direction or both.
    Partition {
        /// Who.
        person: usize,
        /// For how long.
        lasting: Duration,
        /// Only what the person sends is lost.
        one_way: bool,
    },
    /// Mutes or unmutes the person's camera.
    ToggleCamera(usize),
    /// Mutes or unmutes the person's microphone.
    ToggleMicrophone(usize),
    /// The person talks.
    Talk {
        /// Who.
        person: usize,
        /// For how long.
        lasting: Duration,
    },
    /// The person begins or ends to share a screen.
    ToggleScreen(usize),
    /// The person wants pictures of at most this height; 0 is no limit.
    Height(usize, u16),
    /// The person wants at most so many frames per second; 0 is no limit.
    Fps(usize, u8),
    /// The person wants no pictures for now, or any again.
    TogglePause(usize),
    /// The person goes over to a gallery of all, or to a view of those who speak.
    ToggleLayout(usize),
    /// The person can take so many bits per second; `u64::MAX` is no limit.
    Limit(usize, u64),
    /// Signaling ends the person's session; the person joins again with a new ticket.
    Replace(usize),
    /// The network is perfect from now on.
    Calm,
}

/// The plan of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Shards of the router.
    pub shards: u8,
    /// Up and down link of each person until calm.
    pub links: Vec<(LinkConfig, LinkConfig)>,
    /// No packet is lost, reordered or changed, and no address changes: every gap is the router's.
    pub is_lossless: bool,
    /// Who talks from calm to the end, alone.
    pub last_speaker: usize,
    /// What happens, by time since the start.
    pub actions: Vec<(Duration, Action)>,
    /// Hostile datagrams per second.
    pub hostile_rate_hz: u32,
}

impl Plan {
    /// Draws a plan.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        let is_lossless = rng.random_ratio(1, 4);
        let links = (0..PARTICIPANTS).map(|_| (link(rng, is_lossless), link(rng, is_lossless))).collect();
        let mut actions: Vec<(Duration, Action)> = (0..PARTICIPANTS)
            .map(|person| {
                // The last one comes late, into a running meeting.
                let latest = if person + 1 == PARTICIPANTS { 6_000 } else { 1_500 };
                (Duration::from_millis(rng.random_range(0..latest)), Action::Join(person))
            })
            .collect();
        // Every run has these; the rest is luck.
        let leaver = rng.random_range(0..PARTICIPANTS);
        let away_at = at(rng);
        let end = if rng.random_ratio(1, 3) { Action::Kill(leaver) } else { Action::Leave(leaver) };
        actions.push((away_at, end));
        if rng.random() {
            let back_at = away_at + Duration::from_millis(rng.random_range(500..4_000));
            actions.push((back_at.min(TROUBLE_UNTIL), Action::Join(leaver)));
        }
        if !is_lossless {
            actions.push((at(rng), Action::Rebind(person(rng))));
            actions.push((at(rng), partition(rng)));
            for _ in 0..rng.random_range(0..4) {
                let action = any_trouble(rng);
                actions.push((at(rng), action));
            }
        }
        for _ in 0..rng.random_range(8..30) {
            let action = any_action(rng);
            actions.push((at(rng), action));
        }
        let last_speaker = person(rng);
        actions.push((TROUBLE_UNTIL, Action::Calm));
        actions.push((TROUBLE_UNTIL, Action::Talk { person: last_speaker, lasting: END - TROUBLE_UNTIL }));
        actions.sort_by_key(|(at, _)| *at);
        Self {
            shards: rng.random_range(1..=4),
            links,
            is_lossless,
            last_speaker,
            actions,
            hostile_rate_hz: rng.random_range(5..100),
        }
    }
}

fn person(rng: &mut impl Rng) -> usize {
    rng.random_range(0..PARTICIPANTS)
}

fn at(rng: &mut impl Rng) -> Duration {
    Duration::from_millis(rng.random_range(TROUBLE_FROM.as_millis() as u64..TROUBLE_UNTIL.as_millis() as u64))
}

fn partition(rng: &mut impl Rng) -> Action {
    Action::Partition {
        person: person(rng),
        lasting: Duration::from_millis(rng.random_range(100..4_000)),
        one_way: rng.random(),
    }
}

fn any_trouble(rng: &mut impl Rng) -> Action {
    match rng.random_range(0..4) {
        0 => Action::Rebind(person(rng)),
        1 => Action::MoveAddress(person(rng)),
        2 => Action::Replace(person(rng)),
        _ => partition(rng),
    }
}

fn any_action(rng: &mut impl Rng) -> Action {
    let person = person(rng);
    match rng.random_range(0..16) {
        0..4 => Action::Talk { person, lasting: Duration::from_millis(rng.random_range(100..3_000)) },
        4 | 5 => Action::ToggleScreen(person),
        6 | 7 => {
            let heights = [0, CAMERA_HEIGHTS[0] - 1, CAMERA_HEIGHTS[0], CAMERA_HEIGHTS[1], CAMERA_HEIGHTS[2]];
            Action::Height(person, heights[rng.random_range(0..heights.len())])
        }
        8 | 9 => Action::Fps(person, [0, 1, CAMERA_FPS / 4, CAMERA_FPS / 2][rng.random_range(0..4)]),
        10 => Action::TogglePause(person),
        11 => Action::ToggleLayout(person),
        12 | 13 => Action::Limit(person, [u64::MAX, 0, 100_000, 400_000, 1_500_000][rng.random_range(0..5)]),
        14 => Action::ToggleMicrophone(person),
        _ => Action::ToggleCamera(person),
    }
}

fn link(rng: &mut impl Rng, is_lossless: bool) -> LinkConfig {
    let clean = LinkConfig { delay_ms: rng.random_range(1..120).into(), ..LinkConfig::default() };
    if is_lossless {
        return clean;
    }
    let burst = BurstLoss { p: 0.005, r: 0.3, loss_bad: 0.7, loss_good: 0.0 };
    LinkConfig {
        jitter_ms: f64::from(rng.random_range(0..20)),
        preserve_order: rng.random(),
        loss: f64::from(rng.random_range(0..60)) / 1_000.0,
        burst: rng.random_ratio(1, 4).then_some(burst),
        reorder: f64::from(rng.random_range(0..30)) / 1_000.0,
        reorder_extra_ms: f64::from(rng.random_range(1..60)),
        duplicate: f64::from(rng.random_range(0..20)) / 1_000.0,
        corrupt: f64::from(rng.random_range(0..10)) / 1_000.0,
        ..clean
    }
}
