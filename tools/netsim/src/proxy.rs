//! A real UDP proxy that puts the links of this crate between clients and one upstream address.
//!
//! ```text
//! client  --- up link --->  a socket of its own per client  ---> upstream
//!         <-- down link ---                                 <---
//! ```
//!
//! The socket per client is a NAT: upstream sees one port for each client, and a new one after a rebind. Each client has links
//! of its own, as if each sat behind an access line of its own; their seeds come from the proxy's seed and the client's number in
//! order of first appearance, and all their timelines count from the start of the proxy. Clients may have links that differ, and
//! several may be behind one more link that they share; both go by the order of first appearance. Timers have the resolution of tokio's,
//! a millisecond.

mod client;
mod clock;
mod shared;
mod sockets;
mod stats;
mod tap;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, LinkConfig};

use client::Client;
pub use clock::Clock;
pub use shared::SharedLink;
pub use stats::{ClientSnapshot, ProxySnapshot, ProxyStats};
pub use tap::Tap;

/// Clients at a time unless configured: each has a socket, and the common limit of open files is 1,024.
pub const DEFAULT_MAX_CLIENTS: usize = 900;
/// A client is forgotten after this silence in both directions unless configured: six times the 10 s in which a session ends.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Datagrams that may wait for a client's task: a burst of a few large frames. More are dropped and counted.
const MAILBOX_DATAGRAMS: usize = 1_024;

/// How a proxy is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyConfig {
    /// Where clients send to; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where their packets go.
    pub upstream: SocketAddr,
    /// From a client to upstream.
    pub up: LinkConfig,
    /// From upstream to a client.
    pub down: LinkConfig,
    /// Links of the first clients, in order of their first datagrams, in place of those above.
    pub clients: Vec<ClientLinks>,
    /// The seed of all draws.
    pub seed: u64,
    /// Gives each client's upstream socket a new port so often, counted from the client's first datagram.
    pub rebind_every: Option<Duration>,
    /// Most clients at a time; datagrams of further ones are dropped and counted.
    pub max_clients: usize,
    /// A client is forgotten when nothing came from it or for it for so long.
    pub idle_timeout: Duration,
}

impl ProxyConfig {
    /// A proxy with perfect links, seed 0, and default limits.
    #[must_use]
    pub fn new(listen: SocketAddr, upstream: SocketAddr) -> Self {
        Self {
            listen,
            upstream,
            up: LinkConfig::default(),
            down: LinkConfig::default(),
            clients: Vec::new(),
            seed: 0,
            rebind_every: None,
            max_clients: DEFAULT_MAX_CLIENTS,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
        }
    }

    fn validate(&self) -> Result<(), ProxyError> {
        self.up.validate().map_err(|source| ProxyError::Link { direction: "up", source })?;
        self.down.validate().map_err(|source| ProxyError::Link { direction: "down", source })?;
        for ClientLinks { up, down, .. } in &self.clients {
            up.validate().map_err(|source| ProxyError::Link { direction: "up", source })?;
            down.validate().map_err(|source| ProxyError::Link { direction: "down", source })?;
        }
        if self.max_clients == 0 {
            return Err(ProxyError::Zero("max_clients"));
        }
        if self.idle_timeout.is_zero() {
            return Err(ProxyError::Zero("idle_timeout"));
        }
        if self.rebind_every.is_some_and(|every| every.is_zero()) {
            return Err(ProxyError::Zero("rebind_every"));
        }
        Ok(())
    }
}

/// The links of one client.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientLinks {
    /// From the client to upstream.
    pub up: LinkConfig,
    /// From upstream to the client.
    pub down: LinkConfig,
    /// What packets to the client go through before `down`.
    pub behind: Option<SharedLink>,
    /// Who sees what comes from upstream, before any link.
    pub tap: Option<Tap>,
}

/// Why a proxy did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A link configuration is invalid.
    #[error("{direction} link: {source}")]
    Link {
        /// `up` or `down`.
        direction: &'static str,
        /// What is wrong.
        source: ConfigError,
    },
    /// A limit must not be zero.
    #[error("{0} must be more than zero")]
    Zero(&'static str),
    /// The listening socket cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The listening socket broke.
    #[error("the listening socket failed: {0}")]
    Receive(#[source] io::Error),
}

/// Runs a proxy until `shutdown` is cancelled. Packets under way are then dropped.
///
/// # Errors
/// When the configuration is invalid, the socket cannot be bound, or it fails later.
pub async fn run(
    config: ProxyConfig,
    shutdown: CancellationToken,
    stats: ProxyStats,
) -> Result<(), ProxyError> {
    Proxy::bind(config).await?.run(shutdown, stats).await
}

/// A proxy that listens but does not forward yet.
#[derive(Debug)]
pub struct Proxy {
    config: ProxyConfig,
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    clock: Clock,
}

impl Proxy {
    /// Checks the configuration and binds the listening socket. Time starts here.
    ///
    /// # Errors
    /// When the configuration is invalid or the socket cannot be bound.
    pub async fn bind(config: ProxyConfig) -> Result<Self, ProxyError> {
        config.validate()?;
        let listen_error = |source| ProxyError::Listen { address: config.listen, source };
        let socket = UdpSocket::bind(config.listen).await.map_err(listen_error)?;
        Self::on(socket, config)
    }

    /// The same on a socket that is bound already; `listen` of the configuration says nothing then.
    ///
    /// # Errors
    /// When the configuration is invalid or the socket has no address.
    pub fn on(socket: UdpSocket, config: ProxyConfig) -> Result<Self, ProxyError> {
        config.validate()?;
        let listen_error = |source| ProxyError::Listen { address: config.listen, source };
        let local = socket.local_addr().map_err(listen_error)?;
        Ok(Self { config, socket: Arc::new(socket), local, clock: Clock::start() })
    }

    /// The clock that links and schedules go by: zero was when the proxy was made.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The address that it listens on, with the port that was taken.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Forwards until `shutdown` is cancelled. Packets under way are then dropped.
    ///
    /// # Errors
    /// When the listening socket fails.
    pub async fn run(self, shutdown: CancellationToken, stats: ProxyStats) -> Result<(), ProxyError> {
        let stop_clients = shutdown.child_token();
        let _stop_on_return = stop_clients.clone().drop_guard();
        let socket = Arc::clone(&self.socket);
        let mut clients = Clients {
            proxy: self,
            mailboxes: BTreeMap::new(),
            tasks: JoinSet::new(),
            appeared: 0,
            stop: stop_clients,
            stats,
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = clients.tasks.join_next() => clients.forget_ended(),
                ready = socket.readable() => {
                    ready.map_err(ProxyError::Receive)?;
                    let received = sockets::receive_batch(&socket, |from, bytes| clients.pass(from, bytes));
                    let errors = received.map_err(ProxyError::Receive)?;
                    clients.stats.update(|snapshot| snapshot.socket_errors += errors);
                }
            }
        }
        while clients.tasks.join_next().await.is_some() {}
        clients.forget_ended();
        Ok(())
    }
}

/// The table of clients, by address.
struct Clients {
    proxy: Proxy,
    mailboxes: BTreeMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    tasks: JoinSet<()>,
    appeared: u64,
    stop: CancellationToken,
    stats: ProxyStats,
}

impl Clients {
    /// Passes a datagram to its client's task, which is started if need be.
    fn pass(&mut self, from: SocketAddr, bytes: &[u8]) {
        let mut datagram = bytes.to_vec();
        if let Some(mailbox) = self.mailboxes.get(&from) {
            match mailbox.try_send(datagram) {
                Ok(()) => return,
                Err(TrySendError::Full(_)) => {
                    self.stats.update(|snapshot| snapshot.mailbox_overflows += 1);
                    return;
                }
                Err(TrySendError::Closed(returned)) => datagram = returned,
            }
            self.mailboxes.remove(&from);
        }
        if self.mailboxes.len() >= self.proxy.config.max_clients {
            self.stats.update(|snapshot| snapshot.refused_datagrams += 1);
            return;
        }
        self.start(from, datagram);
    }

    fn start(&mut self, address: SocketAddr, first: Vec<u8>) {
        let number = self.appeared;
        self.appeared += 1;
        let Proxy { config, socket, clock, .. } = &self.proxy;
        let client = Client::new(address, number, config, Arc::clone(socket), *clock, self.stats.clone());
        let Ok(client) = client else {
            self.stats.update(|snapshot| snapshot.socket_errors += 1);
            return;
        };
        let (mailbox, datagrams) = mpsc::channel(MAILBOX_DATAGRAMS);
        self.tasks.spawn(client.run(first, datagrams, self.stop.clone()));
        self.mailboxes.insert(address, mailbox);
        self.publish();
    }

    fn forget_ended(&mut self) {
        self.mailboxes.retain(|_, mailbox| !mailbox.is_closed());
        self.publish();
    }

    fn publish(&self) {
        let (active, appeared) = (self.mailboxes.len() as u64, self.appeared);
        self.stats.update(|snapshot| {
            snapshot.active_clients = active;
            snapshot.clients = appeared;
        });
    }
}
