//! Who has guessed too often.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use sluice_wire::time::Time;

use crate::http::peers::network;

/// Wrong passwords from one address for one meeting: an office of people who mistype the same password stays below.
pub(super) const MAX_FAILURES: u32 = 20;
/// How long failures count, and how long the door then stays shut: some 6,000 guesses a day from an address.
pub(super) const WINDOW: Duration = Duration::from_secs(300);
/// Pairs of address and meeting that are remembered. About 10 MiB. Above, new ones are not counted: the rate of the address
/// and the cost of hashing still bound them.
const MAX_ENTRIES: usize = 65_536;
/// What is remembered of the name of a meeting, in bytes: longer ones are none.
const MAX_NAME_BYTES: usize = 32;

/// Failures by address and meeting. Meetings need not exist: the lock must not tell.
#[derive(Debug, Default)]
pub(super) struct Lockouts(BTreeMap<(IpAddr, String), Failures>);

#[derive(Debug)]
struct Failures {
    since: Time,
    count: u32,
}

impl Lockouts {
    /// Whether the pair has to wait.
    pub(super) fn is_locked(&self, address: IpAddr, meeting: &str, now: Time) -> bool {
        self.0
            .get(&key(address, meeting))
            .is_some_and(|failures| failures.count >= MAX_FAILURES && !failures.is_over(now))
    }

    /// Counts a failure; whether it was the one too many.
    pub(super) fn fail(&mut self, address: IpAddr, meeting: &str, now: Time) -> bool {
        let key = key(address, meeting);
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(&key) {
            return false;
        }
        let failures = self.0.entry(key).or_insert(Failures { since: now, count: 0 });
        if failures.is_over(now) {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count += 1;
        if failures.count == MAX_FAILURES {
            // The door is shut for a whole window from here.
            failures.since = now;
        }
        failures.count == MAX_FAILURES
    }

    /// Forgets what is over.
    pub(super) fn sweep(&mut self, now: Time) {
        self.0.retain(|_, failures| !failures.is_over(now));
    }
}

impl Failures {
    fn is_over(&self, now: Time) -> bool {
        now.saturating_since(self.since) >= WINDOW
    }
}

fn key(address: IpAddr, meeting: &str) -> (IpAddr, String) {
    let end = meeting.floor_char_boundary(MAX_NAME_BYTES);
    (network(address), meeting[..end].to_owned())
}
