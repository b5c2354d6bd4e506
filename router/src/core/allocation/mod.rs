//! How a receiver's bitrate is shared over its slots.
//!
//! Each slot has a ladder of what it could be sent, cheapest first. The budget climbs the ladders in this order:
//!
//! 1. All audio, whatever the budget.
//! 2. Screens up to their protected rung: full resolution at a low frame rate.
//! 3. The lowest rung of each camera, the most important first.
//! 4. If all of this could be paid: screens to the top, then pinned cameras, then the active speaker's, as high as there is
//!    budget for, and then the others, rung by rung, those of a higher priority first.
//!
//! A screen that did not reach its protected rung leaves all cameras at their lowest.
//!
//! What a slot is sent already it keeps as long as it can be paid; anything more needs [`HEADROOM`] and is not given for
//! [`RAISE_PAUSE`] after something was taken away. So neither a budget nor bitrates that tremble by a twentieth make layers flap.

mod ladder;
mod pause;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use self::ladder::{Best, Ladder, Use, best};
pub(crate) use self::pause::RaisePause;

/// To give a slot more than it is sent, the budget must exceed what all slots cost then by this ratio: 5/4. Budget and
/// bitrates, each 5 % off in either direction, are apart by 22 % at most.
const HEADROOM: (u128, u128) = (5, 4);
/// After a slot got less for want of bandwidth, no slot of its receiver gets more for this long.
pub(crate) const RAISE_PAUSE: Duration = Duration::from_secs(3);
/// The most rungs of a ladder: 4 encodings of 4 temporal layers.
pub(crate) const MAX_RUNGS: usize = 16;

/// What a slot is to its receiver, most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Audio,
    Screen,
    Pinned,
    ActiveSpeaker,
    Other,
}

/// What a slot was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is newly asked for: its first share needs no headroom.
    Fresh,
    /// It had to go without.
    Nothing,
    /// This rung.
    Rung(u8),
}

/// What a slot asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotRequest<'a> {
    pub(crate) class: Class,
    /// 255 is the most important.
    pub(crate) priority: u8,
    /// Bit/s of each rung, ascending.
    pub(crate) rungs: &'a [u64],
    /// Of a screen: the rung that comes before any camera.
    pub(crate) protected: u8,
    pub(crate) held: Held,
}

impl SlotRequest<'_> {
    fn top(&self) -> Option<u8> {
        self.rungs.len().checked_sub(1).map(|top| top as u8)
    }

    fn needs_headroom(&self, rung: u8) -> bool {
        match self.held {
            Held::Fresh => false,
            Held::Nothing => true,
            Held::Rung(held) => rung > held,
        }
    }
}

/// The rung that a slot is granted; `None` if there is no budget for any.
pub(crate) type Grant = Option<u8>;

/// Shares `budget_bps` over the slots; `u64::MAX` is no limit. `may_raise` is false within [`RAISE_PAUSE`]. `grants` has a place
/// for each request.
pub(crate) fn allocate(budget_bps: u64, may_raise: bool, requests: &[SlotRequest<'_>], grants: &mut [Grant]) {
    grants.fill(None);
    if budget_bps == u64::MAX {
        for (request, grant) in requests.iter().zip(grants) {
            *grant = request.top();
        }
        return;
    }
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|at| (requests[*at].class, u8::MAX - requests[*at].priority, *at));
    let mut sharing = Sharing { budget_bps, may_raise, spent_bps: 0, requests, grants };
    let of = |class: Class| order.iter().copied().filter(move |at| requests[*at].class == class);
    let cameras = || order.iter().copied().filter(|at| requests[*at].class > Class::Screen);

    of(Class::Audio).for_each(|at| sharing.grant_audio(at));
    let mut is_whole = true;
    for at in of(Class::Screen) {
        is_whole &= sharing.climb(at, requests[at].protected);
    }
    for at in cameras() {
        is_whole &= sharing.climb(at, 0);
    }
    if !is_whole {
        return;
    }
    for at in order.iter().copied().filter(|at| (Class::Screen..Class::Other).contains(&requests[*at].class))
    {
        sharing.climb(at, u8::MAX);
    }
    let others: Vec<usize> = of(Class::Other).collect();
    for peers in others.chunk_by(|a, b| requests[*a].priority == requests[*b].priority) {
        for rung in 1..MAX_RUNGS as u8 {
            let climbed = peers.iter().filter(|at| sharing.climb(**at, rung)).count();
            if climbed < peers.len() {
                break;
            }
        }
    }
}

struct Sharing<'a> {
    budget_bps: u64,
    may_raise: bool,
    spent_bps: u64,
    requests: &'a [SlotRequest<'a>],
    grants: &'a mut [Grant],
}

impl Sharing<'_> {
    fn grant_audio(&mut self, at: usize) {
        self.grants[at] = self.requests[at].top();
        self.spent_bps += self.cost_bps(at, self.grants[at]);
    }

    /// Climbs the ladder of a slot as high as the budget reaches, up to rung `to`. Whether it got there, or to the ladder's end.
    fn climb(&mut self, at: usize, to: u8) -> bool {
        let Some(top) = self.requests[at].top() else { return true };
        let goal = to.min(top);
        let from = self.grants[at].map_or(0, |granted| granted + 1);
        let reached = (from..=goal).rev().find(|rung| self.can_pay(at, *rung));
        if let Some(rung) = reached {
            self.spent_bps += self.cost_bps(at, Some(rung)) - self.cost_bps(at, self.grants[at]);
            self.grants[at] = Some(rung);
        }
        self.grants[at].is_some_and(|granted| granted >= goal)
    }

    fn can_pay(&self, at: usize, rung: u8) -> bool {
        let total = self.spent_bps + self.cost_bps(at, Some(rung)) - self.cost_bps(at, self.grants[at]);
        if !self.requests[at].needs_headroom(rung) {
            return total <= self.budget_bps;
        }
        let (over, under) = HEADROOM;
        self.may_raise && u128::from(total) * over <= u128::from(self.budget_bps) * under
    }

    fn cost_bps(&self, at: usize, grant: Grant) -> u64 {
        grant.and_then(|rung| self.requests[at].rungs.get(usize::from(rung))).copied().unwrap_or(0)
    }
}
