//! The bulk transfers over a shared link, which begin, end and begin again.

use std::time::Duration;

use sluice_netsim::link::Link;
use sluice_wire::time::Time;

use crate::cubic::Cubic;
use crate::scenario::Tcp;

/// One line of transfers, one after the other.
#[derive(Debug)]
pub struct Transfers {
    plan: Tcp,
    until: Time,
    next_begin: Time,
    current: Option<Cubic>,
    /// Bytes of those that are over.
    past: u64,
}

impl Transfers {
    /// Those of a plan, in a run of so many seconds from `start`.
    #[must_use]
    pub fn new(plan: Tcp, start: Time, seconds: f64) -> Self {
        let until = start + Duration::from_secs_f64(plan.to_s.unwrap_or(seconds));
        let next_begin = start + Duration::from_secs_f64(plan.from_s);
        Self { plan, until, next_begin, current: None, past: 0 }
    }

    /// When [`Self::act`] has something to do.
    #[must_use]
    pub fn next_at(&self) -> Time {
        let next = self.current.as_ref().map_or(self.next_begin, Cubic::next_at);
        if next >= self.until { Time::MAX } else { next }
    }

    /// Does what is due over `link`.
    pub fn act(&mut self, now: Time, link: &mut Link) {
        if now >= self.until {
            return;
        }
        if self.current.is_none() && self.next_begin <= now {
            let rtt = Duration::from_secs_f64(self.plan.rtt_ms / 1_000.0);
            self.current = Some(Cubic::new(now, rtt, self.plan.bytes.unwrap_or(u64::MAX)));
        }
        let Some(current) = &mut self.current else { return };
        current.act(now, link);
        if current.is_done() {
            self.past += current.received();
            self.current = None;
            let again = self.plan.again_after_s.map(|after| now + Duration::from_secs_f64(after));
            self.next_begin = again.unwrap_or(Time::MAX);
        }
    }

    /// Bytes that got over the link so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.past + self.current.as_ref().map_or(0, Cubic::received)
    }
}
