//! The bus of several daemons: Redis, version 6 or later.
//!
//! One connection takes commands and comes back by itself; another listens, and when it has come back every subscriber is told
//! of the gap. Fields of hashes expire one by one by Redis's own clock: that is in the value and two small scripts, since Redis
//! has had expiry of fields only since 7.4.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{Client, cmd};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::{Bus, BusError, BusFuture, Delivery, Subscriber, Subscription};

/// How long Redis may take to answer, and to be reached.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// A pause between attempts to reach Redis: others find a daemon dead a second after it could not renew its presence.
const REDIAL_INTERVAL: Duration = Duration::from_millis(100);
/// Times that a command is tried anew before it fails.
const RETRIES: usize = 2;
/// Subscriptions that may wait to be made.
const WAITING_SUBSCRIPTIONS: usize = 64;

/// `KEYS[1]` the hash, `ARGV` the milliseconds to live and then fields and values.
const PUT: &str = "local t = redis.call('TIME') \
    local expires = t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[1] \
    for i = 2, #ARGV, 2 do \
        redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f ', expires) .. ARGV[i + 1]) \
    end \
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end";
/// `KEYS[1]` the hash; answers with fields and values in turn.
const FIELDS: &str = "local t = redis.call('TIME') \
    local now = t[1] * 1000 + math.floor(t[2] / 1000) \
    local all, live = redis.call('HGETALL', KEYS[1]), {} \
    for i = 1, #all, 2 do \
        local expires, value = string.match(all[i + 1], '^(%d+) (.*)$') \
        if expires and tonumber(expires) > now then \
            live[#live + 1] = all[i] live[#live + 1] = value \
        else redis.call('HDEL', KEYS[1], all[i]) end \
    end \
    return live";

/// Between processes. Cheap to clone.
#[derive(Clone)]
pub struct RedisBus {
    commands: ConnectionManager,
    listener: mpsc::Sender<Wanted>,
    prefix: String,
}

/// A subscription to be made, and whom to tell that it was.
struct Wanted {
    channel: String,
    subscriber: Subscriber,
    made: oneshot::Sender<()>,
}

impl RedisBus {
    /// A bus on the server of `url`; all its keys and channels begin with `prefix`. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// If the URL is none, or the server cannot be reached.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, BusError> {
        let client = Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(RETRIES)
            .set_min_delay(REDIAL_INTERVAL)
            .set_max_delay(REDIAL_INTERVAL)
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_connection_timeout(Some(ANSWER_TIMEOUT));
        let commands = ConnectionManager::new_with_config(client.clone(), config).await?;
        let (listener, wanted) = mpsc::channel(WAITING_SUBSCRIPTIONS);
        tokio::spawn(Listener { client, wanted, subscribers: BTreeMap::new() }.run());
        Ok(Self { commands, listener, prefix: prefix.to_owned() })
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl Bus for RedisBus {
    fn publish<'a>(&'a self, topic: &'a str, message: &'a str) -> BusFuture<'a, ()> {
        Box::pin(async move {
            let mut commands = self.commands.clone();
            cmd("PUBLISH").arg(self.name(topic)).arg(message).exec_async(&mut commands).await?;
            Ok(())
        })
    }

    fn subscribe<'a>(&'a self, topic: &'a str) -> BusFuture<'a, Subscription> {
        Box::pin(async move {
            let (subscriber, subscription) = Subscriber::new();
            let (made, is_made) = oneshot::channel();
            let wanted = Wanted { channel: self.name(topic), subscriber, made };
            self.listener.send(wanted).await.map_err(|_| BusError::Closed)?;
            is_made.await.map_err(|_| BusError::Closed)?;
            Ok(subscription)
        })
    }

    fn put<'a>(&'a self, hash: &'a str, fields: &'a [(String, String)], ttl: Duration) -> BusFuture<'a, ()> {
        Box::pin(async move {
            let mut commands = self.commands.clone();
            let ttl_millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let mut put = cmd("EVAL");
            put.arg(PUT).arg(1).arg(self.name(hash)).arg(ttl_millis);
            for (field, value) in fields {
                put.arg(field).arg(value);
            }
            put.exec_async(&mut commands).await?;
            Ok(())
        })
    }

    fn fields<'a>(&'a self, hash: &'a str) -> BusFuture<'a, BTreeMap<String, String>> {
        Box::pin(async move {
            let mut commands = self.commands.clone();
            let flat: Vec<String> =
                cmd("EVAL").arg(FIELDS).arg(1).arg(self.name(hash)).query_async(&mut commands).await?;
            let mut flat = flat.into_iter();
            let mut fields = BTreeMap::new();
            while let (Some(field), Some(value)) = (flat.next(), flat.next()) {
                fields.insert(field, value);
            }
            Ok(fields)
        })
    }

    fn remove<'a>(&'a self, hash: &'a str, field: &'a str) -> BusFuture<'a, ()> {
        Box::pin(async move {
            let mut commands = self.commands.clone();
            cmd("HDEL").arg(self.name(hash)).arg(field).exec_async(&mut commands).await?;
            Ok(())
        })
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Owns the connection that listens; ends with the last clone of its bus.
struct Listener {
    client: Client,
    wanted: mpsc::Receiver<Wanted>,
    subscribers: BTreeMap<String, Vec<Subscriber>>,
}

impl Listener {
    async fn run(mut self) {
        loop {
            let Some(mut connection) = self.dial().await else { return };
            if !self.listen(&mut connection).await {
                return;
            }
            tracing::warn!("the bus was lost; dialling anew");
        }
    }

    /// A connection with every subscription on it; `None` when nobody needs it any more.
    async fn dial(&mut self) -> Option<PubSub> {
        loop {
            if self.wanted.is_closed() && self.wanted.is_empty() {
                return None;
            }
            if let Ok(Ok(mut connection)) = timeout(ANSWER_TIMEOUT, self.client.get_async_pubsub()).await
                && self.resubscribe(&mut connection).await
            {
                return Some(connection);
            }
            sleep(REDIAL_INTERVAL).await;
        }
    }

    async fn resubscribe(&mut self, connection: &mut PubSub) -> bool {
        self.subscribers.retain(|_, subscribers| {
            subscribers.retain(|subscriber| !subscriber.sender.is_closed());
            !subscribers.is_empty()
        });
        for channel in self.subscribers.keys() {
            if !matches!(timeout(ANSWER_TIMEOUT, connection.subscribe(channel)).await, Ok(Ok(()))) {
                return false;
            }
        }
        for subscriber in self.subscribers.values_mut().flatten() {
            subscriber.tell(Delivery::Gap);
        }
        true
    }

    /// Passes messages on until the connection breaks; `false` when nobody needs it any more.
    async fn listen(&mut self, connection: &mut PubSub) -> bool {
        loop {
            let wanted = {
                let mut messages = connection.on_message();
                tokio::select! {
                    wanted = self.wanted.recv() => wanted,
                    message = messages.next() => {
                        let Some(message) = message else { return true };
                        if let Ok(text) = message.get_payload::<String>() {
                            Self::deliver(&mut self.subscribers, message.get_channel_name(), &text);
                        }
                        continue;
                    }
                }
            };
            let Some(Wanted { channel, subscriber, made }) = wanted else { return false };
            let subscribed = timeout(ANSWER_TIMEOUT, connection.subscribe(&channel)).await;
            self.subscribers.entry(channel).or_default().push(subscriber);
            if !matches!(subscribed, Ok(Ok(()))) {
                // It is made with all the others when the connection is back; until then the caller may wait no longer.
                drop(made);
                return true;
            }
            if made.send(()).is_err() {
                tracing::trace!("nobody waits for the subscription");
            }
        }
    }

    fn deliver(subscribers: &mut BTreeMap<String, Vec<Subscriber>>, channel: &str, text: &str) {
        if let Some(listening) = subscribers.get_mut(channel) {
            // A channel without listeners stays subscribed until the next dial: the messages are few.
            listening.retain_mut(|subscriber| subscriber.tell(Delivery::Message(text.to_owned())));
        }
    }
}
