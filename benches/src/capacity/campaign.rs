//! Seeks the highest load that is held, and measures below it.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::child::Kind;
use super::step::{Cores, Step, measure};
use crate::scenario::{Rooms, Scenario};

/// Packets a second of the first load: enough for full batches, and far from any limit.
const PROBE_PPS: f64 = 130_000.0;
/// While nothing has failed, the next load is meant to use this much of the core.
const AIM: f64 = 0.96;
/// But it grows by no less and no more than these: costs per packet fall while batches grow.
const GROWTH: (f64, f64) = (1.06, 2.0);
/// The search ends when it knows the limit to one in so many.
const RESOLUTION: usize = 40;
const MAX_SEARCH_STEPS: usize = 9;
/// The highest load of the search must be held for longer, or else one below it, or the next below that.
const CONFIRMATIONS: usize = 3;
/// A load that was not held is tried again, this often, while the thread had reserves: then others disturbed, or the hypervisor
/// stopped the core. Every attempt is in the report.
const ATTEMPTS: usize = 3;
/// Above this share of the core a load that was not held is too high.
const FULL: f64 = 0.95;
/// Shares of the highest load that are measured, in percent.
const SHARES: [usize; 3] = [25, 50, 75];

/// The router and the floor at one load.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// Of the highest load, in percent.
    pub percent: usize,
    /// The router.
    pub router: Step,
    /// The floor.
    pub floor: Step,
}

impl Pair {
    /// What the router costs, in floors.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.router.ns_per_packet.total / self.floor.ns_per_packet.total
    }
}

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Campaign {
    /// The loads of the search, in order, and whatever was measured again.
    pub search: Vec<Step>,
    /// Parts of the highest load in growing order; the last is all of it.
    pub pairs: Vec<Pair>,
}

/// How a campaign's time is spent, in parts of its budget.
struct Budget {
    probe: Duration,
    search: Duration,
    router: Duration,
    floor: Duration,
}

impl Budget {
    fn of(total: Duration) -> Self {
        // 1 probe, about 7 steps of search, 1 or 2 confirmations, 4 pairs.
        Self { probe: total / 30, search: total / 20, router: total / 12, floor: total / 20 }
    }
}

/// Measures a scenario: the highest load and parts of it, or the one load that it has. `tell` hears of each step.
///
/// # Errors
/// If a step cannot be measured, or not even the smallest load is held.
pub fn run(
    scenario: &Scenario,
    rooms: Option<usize>,
    total: Duration,
    cores: Cores,
    tell: &mut dyn FnMut(Kind, &Step),
) -> Result<Campaign> {
    let budget = Budget::of(total);
    let mut step = |kind, rooms, duration| -> Result<Step> {
        let step = measure(kind, scenario, rooms, duration, cores)?;
        tell(kind, &step);
        Ok(step)
    };
    let max = match (rooms, scenario.rooms) {
        (Some(rooms), _) | (None, Rooms::Exactly(rooms)) => {
            let router = step(Kind::Router, rooms, total / 2)?;
            let floor = step(Kind::Floor, rooms, total / 2)?;
            return Ok(Campaign { search: Vec::new(), pairs: vec![Pair { percent: 100, router, floor }] });
        }
        (None, Rooms::AtMost(max)) => max,
    };
    let mut search = Vec::new();
    let mut limits = Limits::new((PROBE_PPS / scenario.forwarded_per_second()) as usize, max);
    for number in 0..MAX_SEARCH_STEPS {
        let Some(rooms) = limits.next() else { break };
        let duration = if number == 0 { budget.probe } else { budget.search };
        let found = attempt(&mut search, || step(Kind::Router, rooms, duration))?;
        limits.note(rooms, found.is_held(), found.utilisation);
        search.push(found);
    }
    let mut rooms = limits.held.max(1);
    let mut highest = attempt(&mut search, || step(Kind::Router, rooms, budget.router))?;
    for _ in 1..CONFIRMATIONS {
        if highest.is_held() || rooms == 1 {
            break;
        }
        search.push(highest);
        rooms -= (rooms / RESOLUTION).max(1);
        highest = attempt(&mut search, || step(Kind::Router, rooms, budget.router))?;
    }
    let floor = step(Kind::Floor, rooms, budget.floor)?;
    let mut pairs = vec![Pair { percent: 100, router: highest, floor }];
    for percent in SHARES.into_iter().rev() {
        let rooms = (rooms * percent / 100).max(1);
        let router = attempt(&mut search, || step(Kind::Router, rooms, budget.router))?;
        let floor = step(Kind::Floor, rooms, budget.floor)?;
        pairs.insert(0, Pair { percent, router, floor });
    }
    Ok(Campaign { search, pairs })
}

/// Measures a load, again if it was not held for no reason of its own. What is given up goes to `failed`.
fn attempt(failed: &mut Vec<Step>, mut measure: impl FnMut() -> Result<Step>) -> Result<Step> {
    let mut step = measure()?;
    for _ in 1..ATTEMPTS {
        if step.is_held() || step.utilisation > FULL {
            break;
        }
        failed.push(std::mem::replace(&mut step, measure()?));
    }
    Ok(step)
}

/// What is known of the highest load.
#[derive(Debug)]
struct Limits {
    /// Held.
    held: usize,
    /// Not held.
    failed: Option<usize>,
    /// The next load while nothing has failed.
    guess: usize,
    max: usize,
}

impl Limits {
    fn new(first: usize, max: usize) -> Self {
        Self { held: 0, failed: None, guess: first.clamp(1, max), max }
    }

    /// The next load to try; `None` when the limit is known well enough.
    fn next(&self) -> Option<usize> {
        match (self.held, self.failed) {
            (held, None) => (self.guess > held).then_some(self.guess),
            // Not far below what failed: near the limit there are no cliffs.
            (0, Some(failed)) => Some(failed * 5 / 6).filter(|next| *next > 0),
            (held, Some(failed)) => {
                let is_known = failed <= held + (held / RESOLUTION).max(1);
                (!is_known).then(|| held.midpoint(failed))
            }
        }
    }

    fn note(&mut self, rooms: usize, is_held: bool, utilisation: f64) {
        if is_held {
            self.held = self.held.max(rooms);
            let growth = (AIM / utilisation.max(0.01)).clamp(GROWTH.0, GROWTH.1);
            self.guess = ((rooms as f64 * growth) as usize).max(rooms + 1).min(self.max);
        } else {
            self.failed = Some(self.failed.map_or(rooms, |failed| failed.min(rooms)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeks a limit at which all of the core is used, by a load that costs a bit less per room when there are more.
    fn seek(limit: usize, first: usize, max: usize) -> (usize, usize) {
        let mut limits = Limits::new(first, max);
        let mut steps = 0;
        while let Some(rooms) = limits.next() {
            let utilisation = 0.1 + 0.9 * rooms as f64 / limit.max(1) as f64;
            limits.note(rooms, rooms <= limit, utilisation);
            steps += 1;
            assert!(steps < 50);
        }
        (limits.held, steps)
    }

    #[test]
    fn the_limit_is_found_from_below_and_above() {
        assert_eq!(seek(37, 37, 400).0, 37);
        assert_eq!(seek(37, 6, 400).0, 37);
        assert_eq!(seek(37, 60, 400).0, 37);
        assert_eq!(seek(1, 60, 400).0, 1);
        assert_eq!(seek(0, 60, 400).0, 0);
        assert_eq!(seek(500, 300, 400).0, 400);
        assert!((920..=960).contains(&seek(960, 590, 1_000).0));
    }

    #[test]
    fn a_limit_takes_few_steps() {
        assert!(seek(37, 6, 400).1 <= 9);
        assert!(seek(60, 6, 400).1 <= 9);
    }
}
