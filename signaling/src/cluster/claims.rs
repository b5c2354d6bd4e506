//! Claims under way. A second claim of a meeting by the same daemon would fence off the first; those of different meetings do each
//! other no harm, and are written together.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sluice_wire::signaling::MeetingId;
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Claims of single meetings that may be under way at a time: as many as a store writes together. Two meetings that share a place
/// wait for each other, nothing more.
const PLACES: usize = 256;

/// Who may claim. Waiting is in order.
#[derive(Debug)]
pub(super) struct Claims {
    all: RwLock<()>,
    places: Vec<Mutex<()>>,
}

impl Claims {
    pub(super) fn new() -> Self {
        Self { all: RwLock::new(()), places: (0..PLACES).map(|_| Mutex::new(())).collect() }
    }

    /// Waits until nobody else claims this meeting, or all.
    pub(super) async fn one(&self, meeting: &MeetingId) -> (RwLockReadGuard<'_, ()>, MutexGuard<'_, ()>) {
        let mut hasher = DefaultHasher::new();
        meeting.hash(&mut hasher);
        let place = hasher.finish() as usize % PLACES;
        (self.all.read().await, self.places[place].lock().await)
    }

    /// Waits until nobody else claims anything.
    pub(super) async fn all(&self) -> RwLockWriteGuard<'_, ()> {
        self.all.write().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_claims_of_the_same_wait_for_each_other() {
        let (claims, [one, other]) =
            (Claims::new(), ["23456789abcd", "bcdefghjkmnp"].map(|id| id.parse().unwrap()));
        let first = claims.one(&one).await;
        assert!(claims.one(&one).now_or_never().is_none());
        assert!(claims.all().now_or_never().is_none());
        let second = claims.one(&other).now_or_never().expect("another meeting");
        drop((first, second));
        let all = claims.all().now_or_never().expect("nobody claims");
        assert!(claims.one(&one).now_or_never().is_none());
        drop(all);
        assert!(claims.one(&one).now_or_never().is_some());
    }
}
