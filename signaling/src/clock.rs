//! The daemon's only clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluice_wire::time::Time;

/// Reads time: anchored to the Unix epoch once, monotonic from there.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: Time,
}

impl Clock {
    /// A clock that is anchored now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock of the daemon")]
    pub fn new() -> Self {
        // A clock before 1970 is wrong by decades; zero serves as well.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_at: Time::ZERO + since_epoch }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.started_at + self.started.elapsed()
    }

    /// Sleeps until `deadline`; for ever if there is none.
    pub async fn sleep_until(&self, deadline: Option<Time>) {
        match deadline {
            Some(deadline) => tokio::time::sleep(deadline.saturating_since(self.now())).await,
            None => std::future::pending().await,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds since the Unix epoch, as the store keeps them.
#[must_use]
pub fn unix_millis(time: Time) -> i64 {
    let millis = Duration::from_nanos(time.as_nanos()).as_millis();
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// The time that the store keeps as `millis` since the Unix epoch.
#[must_use]
pub fn from_unix_millis(millis: i64) -> Time {
    Time::ZERO + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
