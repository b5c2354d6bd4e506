//! The bus of a single daemon: memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_wire::time::Time;

use super::{Bus, BusFuture, Delivery, Subscriber, Subscription};
use crate::clock::Clock;

/// Within one process. Cheap to clone; clones are the same bus.
#[derive(Clone, Debug)]
pub struct LocalBus {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, Vec<Subscriber>>,
    hashes: BTreeMap<String, BTreeMap<String, Value>>,
}

#[derive(Debug)]
struct Value {
    text: String,
    expires_at: Time,
}

impl LocalBus {
    /// An empty bus.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each use leaves the tables whole, whatever panics elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for LocalBus {
    fn publish<'a>(&'a self, topic: &'a str, message: &'a str) -> BusFuture<'a, ()> {
        Box::pin(async move {
            let mut state = self.state();
            if let Some(subscribers) = state.topics.get_mut(topic) {
                subscribers.retain_mut(|subscriber| subscriber.tell(Delivery::Message(message.to_owned())));
                if subscribers.is_empty() {
                    state.topics.remove(topic);
                }
            }
            Ok(())
        })
    }

    fn subscribe<'a>(&'a self, topic: &'a str) -> BusFuture<'a, Subscription> {
        Box::pin(async move {
            let (subscriber, subscription) = Subscriber::new();
            self.state().topics.entry(topic.to_owned()).or_default().push(subscriber);
            Ok(subscription)
        })
    }

    fn put<'a>(&'a self, hash: &'a str, fields: &'a [(String, String)], ttl: Duration) -> BusFuture<'a, ()> {
        Box::pin(async move {
            let expires_at = self.clock.now() + ttl;
            let mut state = self.state();
            let table = state.hashes.entry(hash.to_owned()).or_default();
            for (field, text) in fields {
                table.insert(field.clone(), Value { text: text.clone(), expires_at });
            }
            Ok(())
        })
    }

    fn fields<'a>(&'a self, hash: &'a str) -> BusFuture<'a, BTreeMap<String, String>> {
        Box::pin(async move {
            let now = self.clock.now();
            let mut state = self.state();
            let Some(table) = state.hashes.get_mut(hash) else { return Ok(BTreeMap::new()) };
            table.retain(|_, value| value.expires_at > now);
            Ok(table.iter().map(|(field, value)| (field.clone(), value.text.clone())).collect())
        })
    }

    fn remove<'a>(&'a self, hash: &'a str, field: &'a str) -> BusFuture<'a, ()> {
        Box::pin(async move {
            if let Some(table) = self.state().hashes.get_mut(hash) {
                table.remove(field);
            }
            Ok(())
        })
    }

    fn is_shared(&self) -> bool {
        false
    }
}
