//! Buses to test, each empty.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Once;
use std::time::Duration;

use sluice_signaling::bus::{Bus, BusFuture, LocalBus, RedisBus, Subscription};
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

/// Memory that daemons of one process share.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) LocalBus);

impl Bus for Shared {
    fn publish<'a>(&'a self, topic: &'a str, message: &'a str) -> BusFuture<'a, ()> {
        self.0.publish(topic, message)
    }

    fn subscribe<'a>(&'a self, topic: &'a str) -> BusFuture<'a, Subscription> {
        self.0.subscribe(topic)
    }

    fn put<'a>(&'a self, hash: &'a str, fields: &'a [(String, String)], ttl: Duration) -> BusFuture<'a, ()> {
        self.0.put(hash, fields, ttl)
    }

    fn fields<'a>(&'a self, hash: &'a str) -> BusFuture<'a, BTreeMap<String, String>> {
        self.0.fields(hash)
    }

    fn remove<'a>(&'a self, hash: &'a str, field: &'a str) -> BusFuture<'a, ()> {
        self.0.remove(hash, field)
    }

    fn is_shared(&self) -> bool {
        true
    }
}
