//! The daemon in one piece: starts it, and stops it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::clock::Clock;
use crate::config::SignalingConfig;
use crate::http::{self, App};
use crate::live::{Meetings, MeetingsParts};
use crate::metrics::Metrics;
use crate::routers::{RouterControlService, Routers};
use crate::secrets::{PasswordError, Passwords, TokenHash};
use crate::store::{Database, SqlStore, Store, StoreError};

/// How long connections and tasks may take to end when the daemon stops: a close each way, and a write to the store.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a router's connection is probed when nothing is sent; heartbeats do the rest.
const GRPC_KEEPALIVE: Duration = Duration::from_secs(10);
/// Calls that one router connection may have open: one, and another while it dials anew.
const GRPC_STREAMS_PER_CONNECTION: u32 = 4;
/// What the kernel keeps for a client that does not read, in bytes (Linux keeps twice as much). Left to itself it would grow to
/// megabytes, which the outbox's bound is there to prevent.
const HTTP_SEND_BUFFER_BYTES: u32 = 64 * 1024;
/// Connections that wait to be accepted: a meeting's worth that starts on the hour, many times over.
const BACKLOG_CONNECTIONS: u32 = 1_024;
/// Times per heartbeat interval at which routers and requests are looked at.
const CHECKS_PER_HEARTBEAT: u32 = 4;

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has no `router_token`.
    #[error("router_token is not set: without it anybody could pose as a router")]
    NoRouterToken,
    /// A time-out is zero.
    #[error("heartbeat_interval_ms is 0")]
    ZeroInterval,
    /// An address could not be bound.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The store could not be opened.
    #[error("cannot open the database: {0}")]
    Store(#[from] StoreError),
    /// Passwords could not be set up.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
}

/// A running daemon. Dropping it stops the daemon without waiting.
#[derive(Debug)]
pub struct SignalingHandle {
    http_address: SocketAddr,
    grpc_address: SocketAddr,
    routers: Routers,
    metrics: Arc<Metrics>,
    store: SqlStore,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Starts the daemon: returns once it accepts connections.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: SignalingConfig) -> Result<SignalingHandle, StartError> {
    let router_token = config.router_token.as_ref().ok_or(StartError::NoRouterToken)?;
    if config.timing.heartbeat_interval_ms == 0 {
        return Err(StartError::ZeroInterval);
    }
    let clock = Clock::new();
    let store = SqlStore::open(&Database::from(config.database.as_str())).await?;
    let (http_listener, http_address) = listen(config.http_listen, Some(HTTP_SEND_BUFFER_BYTES))?;
    let (grpc_listener, grpc_address) = listen(config.grpc_listen, None)?;
    let metrics = Arc::new(Metrics::new());
    let routers = Routers::new(clock, config.timing.registry());
    let tasks = TaskTracker::new();
    let shutdown = CancellationToken::new();
    let shared_store: Arc<dyn Store> = Arc::new(store.clone());
    let meetings = Meetings::start(MeetingsParts {
        store: Arc::clone(&shared_store) as _,
        routers: routers.clone(),
        passwords: Passwords::new(metrics.password_hashes.clone())?,
        clock,
        metrics: Arc::clone(&metrics),
        timing: config.timing.meeting(),
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
    });
    let app = App {
        meetings,
        store: shared_store,
        routers: routers.clone(),
        metrics: Arc::clone(&metrics),
        clock,
        api_token: config.api_token.as_ref().map(|token| Arc::new(TokenHash::of(token))),
        join_url: config.join_url.as_deref().map(Arc::from),
        origins: http::Origins::only(&config.allowed_origins),
        join_timeout: config.timing.join_timeout(),
    };
    tasks.spawn(http::serve(http_listener, app, config.http_limits(), tasks.clone(), shutdown.clone()));
    tasks.spawn(check(routers.clone(), config.timing.registry().heartbeat_interval, shutdown.clone()));
    let service = RouterControlService::new(routers.clone(), router_token, tasks.clone(), shutdown.clone());
    let grpc = Server::builder()
        .http2_keepalive_interval(Some(GRPC_KEEPALIVE))
        .http2_keepalive_timeout(Some(GRPC_KEEPALIVE))
        .max_concurrent_streams(GRPC_STREAMS_PER_CONNECTION)
        .add_service(service)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(grpc_listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        );
    tasks.spawn(async move {
        if let Err(error) = grpc.await {
            tracing::error!(%error, "the router end failed");
        }
    });
    tracing::info!(%http_address, %grpc_address, "signaling is up");
    Ok(SignalingHandle { http_address, grpc_address, routers, metrics, store, tasks, shutdown })
}

fn listen(
    address: SocketAddr,
    send_buffer_bytes: Option<u32>,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind = || {
        let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
        // A restarted daemon binds although connections of the one before it linger.
        socket.set_reuseaddr(true)?;
        if let Some(bytes) = send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG_CONNECTIONS)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind().map_err(|error| StartError::Listen { address, error })
}

async fn check(routers: Routers, heartbeat_interval: Duration, shutdown: CancellationToken) {
    let mut ticks = interval(heartbeat_interval / CHECKS_PER_HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => routers.expire(),
        }
    }
}

impl SignalingHandle {
    /// Where clients come in.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Where routers come in.
    #[must_use]
    pub const fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Routers that are attached now.
    #[must_use]
    pub fn routers_attached(&self) -> usize {
        self.routers.attached()
    }

    /// What the daemon counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Stops: closes every WebSocket with 1001 and every router's stream, leaves media sessions alone, and waits until all is
    /// done or 5 s are over.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        self.tasks.close();
        if timeout(SHUTDOWN_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "not all tasks have ended");
        }
        self.store.close().await;
        tracing::info!("signaling is down");
    }
}

impl Drop for SignalingHandle {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
