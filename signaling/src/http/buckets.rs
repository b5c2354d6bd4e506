//! Rates of things that have a name: accounts and meetings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_wire::time::Time;

use crate::rate::{Limiter, Rate};

/// Names that are remembered. About 8 MiB. Above, new ones go unlimited until others have been forgotten: addresses have
/// limits of their own.
const MAX_NAMES: usize = 65_536;

/// A rate for each name. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    rate: Rate,
    table: Arc<Mutex<BTreeMap<String, Limiter>>>,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, table: Arc::default() }
    }

    /// Takes one of a name's rate, if one is left.
    pub(super) fn take(&self, name: &str, now: Time) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MAX_NAMES && !table.contains_key(name) {
            return true;
        }
        table.entry(name.to_owned()).or_insert(Limiter::new(self.rate)).take(now)
    }

    /// Forgets names with their whole burst.
    pub(super) fn sweep(&self, now: Time) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, limiter| !limiter.is_full(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_own_rate() {
        let buckets = Buckets::new(Rate { per_second: 1, burst: 2 });
        let now = Time::from_nanos(1);
        let taken = |name: &str| (0..3).filter(|_| buckets.take(name, now)).count();
        assert_eq!((taken("a"), taken("b")), (2, 2));
        buckets.sweep(now);
        assert_eq!(taken("a"), 0, "a sweep renews nothing");
        buckets.sweep(now + std::time::Duration::from_secs(9));
        assert!(buckets.table.lock().unwrap().is_empty());
    }
}
