//! What daemons tell one another: messages to whoever listens, and small values that vanish unless they are renewed.
//!
//! Nothing here is kept. Messages may be lost, and say so ([`Delivery::Gap`]); values are gone when their time is over, or with
//! the bus. What must not be lost is in the [`store`](crate::store). Within one process the bus is memory; between several it
//! is Redis.

mod local;
mod redis;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

pub use self::local::LocalBus;
pub use self::redis::RedisBus;

/// Messages that may wait for a subscriber; who is behind by more is told of a gap.
pub const SUBSCRIPTION_MESSAGES: usize = 1_024;

/// Why the bus did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Redis failed or cannot be reached.
    #[error("redis: {0}")]
    Redis(#[from] ::redis::RedisError),
    /// The bus is being shut down.
    #[error("the bus is closed")]
    Closed,
}

/// What a call of the bus comes to.
pub type BusFuture<'a, T> = BoxFuture<'a, Result<T, BusError>>;

/// What a subscriber hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Message(String),
    /// Messages may have been lost here: read anew what they were about.
    Gap,
}

/// A topic being listened to, until it is dropped.
#[derive(Debug)]
pub struct Subscription(mpsc::Receiver<Delivery>);

impl Subscription {
    /// The next message or gap; `None` when the bus is gone.
    pub async fn next(&mut self) -> Option<Delivery> {
        self.0.recv().await
    }
}

/// Connects daemons.
pub trait Bus: Send + Sync + 'static {
    /// Tells all who listen to `topic` now. Each subscriber hears the messages of one publisher in order.
    fn publish<'a>(&'a self, topic: &'a str, message: &'a str) -> BusFuture<'a, ()>;

    /// Listens to `topic`: to what is published after this returned.
    fn subscribe<'a>(&'a self, topic: &'a str) -> BusFuture<'a, Subscription>;

    /// Sets fields of a hash; each is gone after `ttl` unless it is set again.
    fn put<'a>(&'a self, hash: &'a str, fields: &'a [(String, String)], ttl: Duration) -> BusFuture<'a, ()>;

    /// The fields of a hash that are not gone.
    fn fields<'a>(&'a self, hash: &'a str) -> BusFuture<'a, BTreeMap<String, String>>;

    /// Takes a field away.
    fn remove<'a>(&'a self, hash: &'a str, field: &'a str) -> BusFuture<'a, ()>;

    /// Whether other daemons can be on it.
    fn is_shared(&self) -> bool;
}

/// A subscriber, from the bus's side.
#[derive(Debug)]
struct Subscriber {
    sender: mpsc::Sender<Delivery>,
    /// Something did not fit: the next that does comes behind a gap.
    behind: bool,
}

impl Subscriber {
    fn new() -> (Self, Subscription) {
        let (sender, receiver) = mpsc::channel(SUBSCRIPTION_MESSAGES);
        (Self { sender, behind: false }, Subscription(receiver))
    }

    /// Passes a delivery on, without waiting; `false` if nobody listens any more.
    fn tell(&mut self, delivery: Delivery) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        if self.behind {
            self.behind = self.sender.try_send(Delivery::Gap).is_err();
        }
        if self.behind || self.sender.try_send(delivery).is_err() {
            self.behind = true;
        }
        true
    }
}
