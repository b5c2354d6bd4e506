//! Which router takes a new room.
//!
//! A router's score is a weighted sum of four loads, each in thousandths of what a router of its kind is known to carry. CPU
//! weighs most, because it is what runs out first; the others tell apart routers whose CPU figure is a heartbeat old, or
//! whose rooms have not begun to talk yet.

/// The weights of the four loads; together 100.
const CPU_WEIGHT: u64 = 50;
const BANDWIDTH_WEIGHT: u64 = 20;
const PARTICIPANTS_WEIGHT: u64 = 20;
const ROOMS_WEIGHT: u64 = 10;
/// Participants that a shard's core carries: 45 meetings of ten.
const PARTICIPANTS_PER_SHARD: u64 = 450;
/// Rooms that a shard carries: as many participants in rooms of three.
const ROOMS_PER_SHARD: u64 = 150;
/// What a router's line carries, in bits per second.
const LINE_BITS_PER_SECOND: u64 = 10_000_000_000;
/// What a session that was asked for since the router's last report is taken to cost, in thousandths of one shard's core: a
/// meeting of ten at 45 meetings per core is about 2 per session.
const ASKED_SESSION_PERMILLE: u64 = 2;

/// What is known of a router's load.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// CPU use of the busiest shard at the last heartbeat, in thousandths of a core.
    pub(super) cpu_permille: u32,
    /// Media sent and received at the last heartbeat.
    pub(super) bits_per_second: u64,
    /// Shards.
    pub(super) shards: u32,
    /// Sessions asked for since the last heartbeat.
    pub(super) asked: u64,
    /// Sessions that signaling knows of or asks for now.
    pub(super) participants: u64,
    /// Rooms that are bound to the router.
    pub(super) rooms: u64,
}

impl Load {
    /// The weighted sum: 100,000 is a router that is full in every way.
    pub(super) fn score(&self) -> u64 {
        let shards = u64::from(self.shards.max(1));
        let cpu = u64::from(self.cpu_permille) + self.asked * ASKED_SESSION_PERMILLE / shards;
        // In units of a megabit, so that no figure that a router may send overflows.
        let bandwidth = self.bits_per_second / 1_000_000 * 1_000 / (LINE_BITS_PER_SECOND / 1_000_000);
        let participants = self.participants * 1_000 / (PARTICIPANTS_PER_SHARD * shards);
        let rooms = self.rooms * 1_000 / (ROOMS_PER_SHARD * shards);
        [
            (CPU_WEIGHT, cpu),
            (BANDWIDTH_WEIGHT, bandwidth),
            (PARTICIPANTS_WEIGHT, participants),
            (ROOMS_WEIGHT, rooms),
        ]
        .into_iter()
        .fold(0, |sum: u64, (weight, load)| sum.saturating_add(load.saturating_mul(weight)))
    }
}

/// Where a meeting wants to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The region whose routers are preferred.
    pub region: Option<String>,
    /// Where its media has to stay: only routers there are used.
    pub data_residency: Option<String>,
}

/// A router that could take a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) router: &'a str,
    pub(super) region: &'a str,
    pub(super) load: Load,
}

/// The least loaded candidate of the region that is wished for; of any, if there is none there. Whatever is wished for, the media
/// of a meeting with a residency stays there. The name breaks ties, so that the choice depends on nothing else.
pub(super) fn place<'a>(candidates: impl Iterator<Item = Candidate<'a>>, wishes: &Wishes) -> Option<&'a str> {
    let allowed = |region: &str| wishes.data_residency.as_deref().is_none_or(|only| only == region);
    candidates
        .filter(|candidate| allowed(candidate.region))
        .min_by_key(|candidate| {
            let elsewhere = wishes.region.as_deref().is_some_and(|wished| wished != candidate.region);
            (elsewhere, candidate.load.score(), candidate.router)
        })
        .map(|candidate| candidate.router)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate<'a>(router: &'a str, region: &'a str, cpu_permille: u32) -> Candidate<'a> {
        Candidate { router, region, load: Load { cpu_permille, shards: 1, ..Load::default() } }
    }

    fn placed<'a>(candidates: &[Candidate<'a>], region: Option<&str>, only: Option<&str>) -> Option<&'a str> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let wishes = Wishes { region: own(region), data_residency: own(only) };
        place(candidates.iter().copied(), &wishes)
    }

    #[test]
    fn the_region_goes_before_the_load_and_residency_before_all() {
        let all = [candidate("a", "eu", 900), candidate("b", "us", 10), candidate("c", "us", 20)];
        assert_eq!(placed(&all, None, None), Some("b"));
        assert_eq!(placed(&all, Some("eu"), None), Some("a"));
        assert_eq!(placed(&all, Some("asia"), None), Some("b"), "elsewhere rather than nowhere");
        assert_eq!(placed(&all, Some("us"), Some("eu")), Some("a"));
        assert_eq!(placed(&all, None, Some("asia")), None, "nowhere rather than elsewhere");
        assert_eq!(placed(&[], None, None), None);
    }

    #[test]
    fn every_load_counts_and_none_overflows() {
        let idle = Load { shards: 2, ..Load::default() };
        let loads = [
            Load { cpu_permille: 10, ..idle },
            Load { bits_per_second: 100_000_000, ..idle },
            Load { asked: 10, ..idle },
            Load { participants: 10, ..idle },
            Load { rooms: 10, ..idle },
        ];
        for load in loads {
            assert!(load.score() > idle.score(), "{load:?}");
            assert!(Load { shards: 1, ..load }.score() >= load.score(), "{load:?}");
        }
        let full = Load {
            cpu_permille: 1_000,
            bits_per_second: LINE_BITS_PER_SECOND,
            shards: 2,
            asked: 0,
            participants: 2 * PARTICIPANTS_PER_SHARD,
            rooms: 2 * ROOMS_PER_SHARD,
        };
        assert_eq!(full.score(), 100_000);
        let absurd = Load { cpu_permille: u32::MAX, bits_per_second: u64::MAX, ..Load::default() };
        assert!(absurd.score() > full.score());
    }
}
