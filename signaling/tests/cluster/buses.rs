//! Buses to test, each empty.

use std::io::Write as _;
use std::sync::Once;

use sluice_signaling::bus::{LocalBus, RedisBus};
use sluice_signaling::clock::Clock;

/// Names a server, such as `redis://127.0.0.1:6379`.
const REDIS: &str = "SLUICE_TEST_REDIS";

pub(crate) fn local() -> LocalBus {
    LocalBus::new(Clock::new())
}

/// `None`, and a line that nobody overlooks, if no server is named.
pub(crate) async fn redis(name: &str) -> Option<RedisBus> {
    let Ok(url) = std::env::var(REDIS) else {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            // Past the test harness, which would keep it for itself.
            let line = format!("\n!!! SKIPPED: {REDIS} is not set, so nothing was tested on Redis\n\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        });
        return None;
    };
    let prefix = format!("test-{}-{name}:", std::process::id());
    Some(RedisBus::connect(&url, &prefix).await.unwrap())
}
