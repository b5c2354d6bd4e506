//! The clock of the proxy: the only one in this crate.

use std::time::Instant;

use sluice_wire::time::Time;

/// Time since the proxy started, as a [`Time`] from [`Time::ZERO`]: links and timers need no more.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one clock of this shell")]
    pub(super) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time since then.
    #[must_use]
    pub fn now(self) -> Time {
        Time::ZERO + self.started.elapsed()
    }
}
