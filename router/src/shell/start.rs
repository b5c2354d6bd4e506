//! Puts a router together.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Waker};
use rand::rngs::{SysError, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};
use rand_chacha::ChaCha20Rng;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::handle::{Gallery, RouterHandle};
use super::stats::{ControlStatus, Published, ShardSnapshot};
use super::switchboard::{MAILBOX_COMMANDS, Mailbox, Switchboard};
use super::thread::{self, ShardFailure};
use super::worker::{Equipment, WAKER, Worker};
use crate::clock::Clock;
use crate::config::{ConfigError, MAX_SHARDS, RouterConfig};
use crate::control::{Connection, Identity};
use crate::core::{Event, Shard, ShardConfig};
use crate::io::{BindError, PortLock, STEERS, ShardSockets, SocketGroup};
use crate::metrics;

/// Events of all shards that wait for the control side, which takes microseconds for each.
const EVENT_QUEUE: usize = 4_096;
const NANOS_PER_MILLISECOND: u64 = 1_000_000;

/// Why a router could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sockets could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system gave no entropy.
    #[error("the system gives no random bytes")]
    Entropy(#[from] SysError),
    /// The address for metrics could not be bound.
    #[error("cannot listen on {address} for metrics")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or its readiness queue could not be made.
    #[error("cannot start a shard")]
    Thread(#[source] io::Error),
}

/// Starts a router: its shards on threads of their own, the rest on the tokio runtime of the caller.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start(config: RouterConfig) -> Result<RouterHandle, StartError> {
    config.validate()?;
    let metrics_listener = bind_metrics(&config).await?;
    let metrics_address = metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let mut seeds = seeds(&config)?;
    let clock = Clock::new();
    let group = SocketGroup::bind(config.listen()?, shard_count(&config))?;
    let public_addresses = public_addresses(&config, &group.addresses);
    let udp_addresses = group.addresses.clone();
    log_sockets(&group, &public_addresses);

    let (events, event_queue) = mpsc::channel(EVENT_QUEUE);
    let (failures, failed) = watch::channel(None);
    let crew = Crew {
        clock,
        lock: Arc::new(group.lock),
        events,
        pin_shards: config.pin_shards,
        max_batch_wait: config.max_batch_wait(),
        failures,
    };
    let mut shards = Vec::new();
    // A group has no more shards than a byte can number.
    for (number, sockets) in (0..=u8::MAX).zip(group.shards) {
        let mut seed = [0; 32];
        seeds.fill_bytes(&mut seed);
        let core = Shard::new(
            ShardConfig {
                number,
                addresses: public_addresses.clone(),
                policy: config.policy.policy(),
                start_bps: config.policy.start_bitrate_bps,
            },
            seed,
        );
        shards.push(crew.hire(core, usize::from(number), sockets).map_err(StartError::Thread)?);
    }
    // The last sender beside the threads' own: the queue ends when the last thread does.
    drop(crew);
    let (mailboxes, threads, published) = unzip(shards);

    let shards: Arc<[_]> = published.into();
    let switchboard = Arc::new(Switchboard::new(mailboxes, Arc::clone(&shards), clock));
    let control = config.signaling.as_ref().map(|_| Arc::<Published<ControlStatus>>::default());
    let gallery = Gallery { shards, control };
    let stopped = CancellationToken::new();
    let mut farewells = vec![tokio::spawn(Arc::clone(&switchboard).dispatch(event_queue))];
    tokio::spawn(watch_for_failure(Arc::clone(&switchboard), failed.clone(), stopped.clone()));
    if let Some(listener) = metrics_listener {
        tokio::spawn(metrics::serve(listener, gallery.clone(), stopped.clone()));
    }
    if let (Some(signaling), Some(status)) = (config.signaling, gallery.control.clone()) {
        let connection = Connection {
            identity: Identity {
                router_id: config.router_id,
                region: config.region,
                addresses: public_addresses.clone(),
                epoch: clock.now().as_nanos() / NANOS_PER_MILLISECOND,
            },
            signaling,
            switchboard: Arc::clone(&switchboard),
            gallery: gallery.clone(),
            status,
            clock,
            policy: config.policy.policy(),
            rng: ChaCha20Rng::from_rng(&mut seeds),
        };
        farewells.push(tokio::spawn(connection.run(stopped.clone())));
    }
    Ok(RouterHandle {
        clock,
        udp_addresses,
        public_addresses,
        metrics_address,
        switchboard,
        gallery,
        failed,
        threads,
        farewells,
        _tasks: stopped.drop_guard(),
    })
}

/// What all workers share.
struct Crew {
    clock: Clock,
    lock: Arc<PortLock>,
    events: mpsc::Sender<(usize, Event)>,
    pin_shards: bool,
    max_batch_wait: Duration,
    failures: watch::Sender<Option<ShardFailure>>,
}

/// A shard at work, from outside.
struct Hired {
    mailbox: Mailbox,
    thread: JoinHandle<()>,
    published: Arc<Published<ShardSnapshot>>,
}

impl Crew {
    fn hire(&self, core: Shard, number: usize, sockets: ShardSockets) -> io::Result<Hired> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (commands, mailbox) = mpsc::channel(MAILBOX_COMMANDS);
        let published = Arc::<Published<ShardSnapshot>>::default();
        let worker = Worker::new(Equipment {
            number,
            core,
            sockets,
            poll,
            mailbox,
            events: self.events.clone(),
            published: Arc::clone(&published),
            clock: self.clock,
            max_batch_wait: self.max_batch_wait,
            lock: Arc::clone(&self.lock),
        })?;
        let pin_to = self.pin_shards.then_some(number);
        let thread = thread::spawn(number, pin_to, self.failures.clone(), move || worker.run())?;
        Ok(Hired { mailbox: Mailbox { commands, waker }, thread, published })
    }
}

type Parts = (Vec<Mailbox>, Vec<JoinHandle<()>>, Vec<Arc<Published<ShardSnapshot>>>);

fn unzip(shards: Vec<Hired>) -> Parts {
    let mut parts = Parts::default();
    for Hired { mailbox, thread, published } in shards {
        parts.0.push(mailbox);
        parts.1.push(thread);
        parts.2.push(published);
    }
    parts
}

async fn watch_for_failure(
    switchboard: Arc<Switchboard>,
    mut failed: watch::Receiver<Option<ShardFailure>>,
    stopped: CancellationToken,
) {
    tokio::select! {
        () = stopped.cancelled() => {}
        failure = failed.wait_for(Option::is_some) => if failure.is_ok() {
            switchboard.fail();
        }
    }
}

async fn bind_metrics(config: &RouterConfig) -> Result<Option<TcpListener>, StartError> {
    let Some(metrics) = &config.metrics else { return Ok(None) };
    let address = metrics.listen;
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|source| StartError::Metrics { address, source })
}

/// The generator from which all others of the router are seeded.
fn seeds(config: &RouterConfig) -> Result<ChaCha20Rng, SysError> {
    let seed = match config.seed {
        Some(seed) => seed,
        None => {
            let mut seed = [0; 32];
            SysRng.try_fill_bytes(&mut seed)?;
            seed
        }
    };
    Ok(ChaCha20Rng::from_seed(seed))
}

fn shard_count(config: &RouterConfig) -> usize {
    let cores = || match STEERS {
        true => std::thread::available_parallelism().map_or(1, NonZero::get),
        false => 1,
    };
    config.shards.map_or_else(cores, NonZero::get).min(MAX_SHARDS)
}

/// The addresses for tickets.
fn public_addresses(config: &RouterConfig, bound: &[SocketAddr]) -> Vec<SocketAddr> {
    let bound_port = bound.first().map_or(0, SocketAddr::port);
    if config.public_addresses.is_empty() {
        return bound.iter().map(|address| reachable(*address)).collect();
    }
    let with_port = |address: &SocketAddr| {
        let port = if address.port() == 0 { bound_port } else { address.port() };
        SocketAddr::new(address.ip(), port)
    };
    config.public_addresses.iter().map(with_port).collect()
}

fn reachable(bound: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let loopback: IpAddr =
        if bound.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    tracing::warn!(%bound, %loopback, "public_addresses is empty: tickets will only work on this machine");
    SocketAddr::new(loopback, bound.port())
}

fn log_sockets(group: &SocketGroup, public_addresses: &[SocketAddr]) {
    tracing::info!(
        addresses = ?group.addresses,
        ?public_addresses,
        shards = group.shards.len(),
        receive_buffer_bytes = group.buffer_sizes.receive,
        send_buffer_bytes = group.buffer_sizes.send,
        "UDP sockets are bound"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(public: &[&str], bound: &[&str]) -> Vec<String> {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let config = RouterConfig { public_addresses: parse(public), ..RouterConfig::default() };
        let bound: Vec<SocketAddr> = parse(bound);
        public_addresses(&config, &bound).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tickets_name_addresses_that_can_be_reached() {
        assert_eq!(addresses(&[], &["192.0.2.1:5", "[::]:5"]), ["192.0.2.1:5", "[::1]:5"]);
        assert_eq!(addresses(&[], &["0.0.0.0:5"]), ["127.0.0.1:5"]);
        assert_eq!(
            addresses(&["203.0.113.7:0", "203.0.113.7:9"], &["0.0.0.0:5"]),
            ["203.0.113.7:5", "203.0.113.7:9"]
        );
    }
}
