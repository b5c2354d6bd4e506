//! Who is alive, as far as this daemon can tell. Without I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_wire::time::Time;

/// How often a daemon says that it is there, and looks who else is.
pub const PRESENCE_INTERVAL: Duration = Duration::from_millis(300);
/// How long it is there without saying so: three times missed.
pub const PRESENCE_TTL: Duration = Duration::from_millis(1_200);
/// How long a daemon must have been missed to be dead. Together: 300 ms + 1,200 ms + 600 ms, so that its meetings are taken over
/// within 3 s.
pub const MISSED_AFTER: Duration = Duration::from_millis(600);
/// The same behind an outage of the bus: the others may take longer than this daemon to come back to it.
pub const SETTLE_AFTER: Duration = Duration::from_secs(3);

/// What one daemon has seen of the others.
#[derive(Debug)]
pub struct Presence {
    me: String,
    /// Since when the bus has answered and shown this daemon's own presence, without a break.
    working_since: Option<Time>,
    /// Whether the bus was ever seen to fail.
    outage: bool,
    others: BTreeMap<String, Other>,
}

#[derive(Debug)]
struct Other {
    url: Option<String>,
    missed_since: Option<Time>,
    told: bool,
}

impl Presence {
    /// Has seen nobody.
    #[must_use]
    pub const fn new(me: String) -> Self {
        Self { me, working_since: None, outage: false, others: BTreeMap::new() }
    }

    /// Takes in who is on the bus (`None`: it does not answer); those that are dead and were not before.
    pub fn observe(&mut self, now: Time, seen: Option<BTreeMap<String, String>>) -> Vec<String> {
        let Some(seen) = seen.filter(|seen| seen.contains_key(&self.me)) else {
            // Who does not see itself cannot tell from silence who else is dead.
            self.outage = self.outage || self.working_since.is_some();
            self.working_since = None;
            self.others.values_mut().for_each(|other| other.missed_since = None);
            return Vec::new();
        };
        self.working_since.get_or_insert(now);
        for (name, other) in &mut self.others {
            if !seen.contains_key(name) {
                other.missed_since.get_or_insert(now);
            }
        }
        for (name, url) in seen.into_iter().filter(|(name, _)| *name != self.me) {
            self.others.insert(name, Other { url: Some(url), missed_since: None, told: false });
        }
        let patience = self.patience(now);
        let dead = self.others.iter_mut().filter(|(_, other)| !other.told && other.is_dead(now, patience));
        dead.map(|(name, other)| {
            other.told = true;
            name.clone()
        })
        .collect()
    }

    /// Whether a daemon is dead. One that was never seen is missed from the first question on.
    pub fn is_dead(&mut self, daemon: &str, now: Time) -> bool {
        let patience = self.patience(now);
        let missed_since = self.working_since.map(|_| now);
        let unseen = || Other { url: None, missed_since, told: true };
        let other = self.others.entry(daemon.to_owned()).or_insert_with(unseen);
        other.is_dead(now, patience)
    }

    /// Misses somebody from now on who was never seen and should be there.
    pub fn expect(&mut self, daemon: String) {
        self.others.entry(daemon).or_insert(Other { url: None, missed_since: None, told: false });
    }

    /// Whether the bus answered the last time.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.working_since.is_some()
    }

    /// Where a daemon that is there takes connections.
    #[must_use]
    pub fn url(&self, daemon: &str) -> Option<String> {
        let other = self.others.get(daemon).filter(|other| other.missed_since.is_none())?;
        other.url.clone()
    }

    /// How long somebody must have been missed.
    fn patience(&self, now: Time) -> Duration {
        let settled = self.working_since.is_some_and(|since| now.saturating_since(since) >= SETTLE_AFTER);
        if self.outage && !settled { SETTLE_AFTER } else { MISSED_AFTER }
    }
}

impl Other {
    fn is_dead(&self, now: Time, patience: Duration) -> bool {
        self.missed_since.is_some_and(|since| now.saturating_since(since) >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(names: &[&str]) -> Option<BTreeMap<String, String>> {
        Some(names.iter().map(|name| ((*name).to_owned(), format!("ws://{name}"))).collect())
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(1_000_000 + millis)
    }

    #[test]
    fn who_is_missed_for_long_enough_is_dead_once() {
        let mut presence = Presence::new("a".to_owned());
        assert_eq!(presence.observe(at(0), seen(&["a", "b"])), [""; 0]);
        assert_eq!(presence.url("b").as_deref(), Some("ws://b"));
        assert_eq!(presence.observe(at(300), seen(&["a"])), [""; 0]);
        assert_eq!(presence.url("b"), None);
        assert!(!presence.is_dead("b", at(899)));
        assert_eq!(presence.observe(at(900), seen(&["a"])), ["b"]);
        assert_eq!(presence.observe(at(1_200), seen(&["a"])), [""; 0]);
        assert!(presence.is_dead("b", at(1_200)));
        presence.observe(at(1_500), seen(&["a", "b"]));
        assert!(!presence.is_dead("b", at(9_000)), "it has come back");
    }

    #[test]
    fn an_owner_that_was_never_seen_is_missed_from_the_first_question_on() {
        let mut presence = Presence::new("a".to_owned());
        assert!(!presence.is_dead("old", at(0)), "the bus was not seen to work yet");
        presence.observe(at(100), seen(&["a"]));
        assert!(!presence.is_dead("old", at(100)));
        assert!(!presence.is_dead("older", at(200)));
        assert!(presence.is_dead("old", at(700)));
        assert!(presence.is_dead("older", at(800)));
    }

    #[test]
    fn nobody_is_dead_because_the_bus_is() {
        let mut presence = Presence::new("a".to_owned());
        presence.observe(at(0), seen(&["a", "b"]));
        for millis in [300, 5_000, 10_000] {
            assert_eq!(presence.observe(at(millis), None), [""; 0]);
            assert!(!presence.is_dead("b", at(millis)));
        }
        // It is back, empty: first it knows nobody, then this daemon alone.
        assert_eq!(presence.observe(at(10_300), seen(&[])), [""; 0]);
        assert_eq!(presence.observe(at(10_600), seen(&["a"])), [""; 0]);
        assert_eq!(presence.observe(at(13_500), seen(&["a"])), [""; 0]);
        assert!(!presence.is_dead("b", at(13_599)), "b may need longer to come back");
        assert_eq!(presence.observe(at(13_600), seen(&["a"])), ["b"]);
    }
}
