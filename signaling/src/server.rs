//! The daemon in one piece: starts it, and stops it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_wire::signaling::MeetingId;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::bus::{Bus, BusError, LocalBus, RedisBus};
use crate::clock::Clock;
use crate::cluster::{Change, Cluster, ClusterParts, Notice, Notices};
use crate::config::SignalingConfig;
use crate::http::auth::{AccessTokens, Auth, AuthError, AuthParts, KeyError};
use crate::http::{self, App, AppParts};
use crate::live::{Meetings, MeetingsParts};
use crate::metrics::Metrics;
use crate::routers::{RouterControlService, Routers};
use crate::secrets::{Passcodes, PasswordError, Passwords, TokenHash, meeting_id};
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
/// What all keys and channels on Redis begin with.
const BUS_PREFIX: &str = "sluice:";
/// How often retired signing keys are asked for: within so long a token of one is worth nothing anywhere.
const KEY_REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// How often one asks whose the sessions are that nobody has gone on with.
const OVERDUE_INTERVAL: Duration = Duration::from_secs(1);
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
    /// The keys of access tokens cannot be used.
    #[error(transparent)]
    SigningKeys(#[from] KeyError),
    /// There is a bus for several daemons, and the others could not reach this one.
    #[error("redis is set, and cluster_url is not: other daemons could not reach this one")]
    NoClusterUrl,
    /// The bus cannot be reached.
    #[error("cannot reach the bus: {0}")]
    Bus(#[from] BusError),
    /// The operating system gives no entropy.
    #[error("entropy: {0}")]
    Entropy(#[from] rand::rngs::SysError),
    /// Credentials cannot be checked.
    #[error(transparent)]
    Auth(#[from] AuthError),
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
    let clock = Clock::new();
    let bus = bus(&config, clock).await?;
    start_on(bus, config).await
}

/// Starts the daemon on a bus that others in this process may share. `config.redis` is not used.
///
/// # Errors
/// See [`StartError`].
pub async fn start_on(bus: Arc<dyn Bus>, config: SignalingConfig) -> Result<SignalingHandle, StartError> {
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
    let cluster = Cluster::new(ClusterParts {
        id: meeting_id()?.into(),
        url: config.cluster_url.clone().unwrap_or_default(),
        bus,
        store: Arc::clone(&shared_store),
        clock,
    });
    let notices = cluster.notices().await?;
    let passwords = Passwords::new(metrics.password_hashes.clone())?;
    let tokens = AccessTokens::new(&config.token_audience, &config.signing_keys)?;
    if tokens.is_ephemeral() {
        tracing::warn!("no signing key is configured: access tokens end with this process");
    }
    let auth = AuthParts {
        store: Arc::clone(&shared_store),
        passcodes: Passcodes::new(passwords.clone())?,
        tokens,
        operator: config.api_token.as_ref().map(TokenHash::of),
        metrics: Arc::clone(&metrics),
    };
    let auth = Auth::new(auth, clock.now()).await?;
    let meetings = Meetings::start(MeetingsParts {
        store: Arc::clone(&shared_store),
        routers: routers.clone(),
        cluster: cluster.clone(),
        clock,
        metrics: Arc::clone(&metrics),
        timing: config.timing.meeting(),
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
    });
    let app = App::new(AppParts {
        meetings: meetings.clone(),
        store: Arc::clone(&shared_store),
        routers: routers.clone(),
        metrics: Arc::clone(&metrics),
        clock,
        auth: auth.clone(),
        cluster: cluster.clone(),
        cluster_secret: router_token.clone(),
        join_url: config.join_url.clone(),
        link_url: config.link_url.clone(),
        origins: http::Origins::only(&config.allowed_origins),
        join_timeout: config.timing.join_timeout(),
    });
    tasks.spawn(http::serve(http_listener, app, config.http_limits(), tasks.clone(), shutdown.clone()));
    tasks.spawn(obey(notices, meetings.clone(), auth.clone(), cluster.clone(), shutdown.clone()));
    tasks.spawn(belong(cluster.clone(), meetings, shutdown.clone()));
    tasks.spawn(ask_whose(routers.clone(), cluster, shutdown.clone()));
    tasks.spawn(refresh(auth, shutdown.clone()));
    tasks.spawn(check(routers.clone(), config.timing.registry().heartbeat_interval, shutdown.clone()));
    let service = RouterControlService::new(
        routers.clone(),
        shared_store as _,
        router_token,
        tasks.clone(),
        shutdown.clone(),
    );
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

async fn bus(config: &SignalingConfig, clock: Clock) -> Result<Arc<dyn Bus>, StartError> {
    match &config.redis {
        None => Ok(Arc::new(LocalBus::new(clock))),
        Some(_) if config.cluster_url.is_none() => Err(StartError::NoClusterUrl),
        Some(url) => Ok(Arc::new(RedisBus::connect(url, BUS_PREFIX).await?)),
    }
}

/// Keeps this daemon present among the others, and goes on with the meetings of those that died.
async fn belong(cluster: Cluster, meetings: Meetings, shutdown: CancellationToken) {
    let (sender, mut changes) = Cluster::changes();
    let obey = async {
        while let Some(change) = changes.recv().await {
            match change {
                Change::Adopted(lease) => meetings.adopt(lease.meeting),
                Change::Lost(lease) => meetings.lose(&lease.meeting).await,
            }
        }
    };
    futures_util::join!(cluster.run(sender, shutdown), obey);
}

/// Closes sessions that are nobody's: nobody has gone on with them although routers have them still.
async fn ask_whose(routers: Routers, cluster: Cluster, shutdown: CancellationToken) {
    let mut ticks = interval(OVERDUE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for room in routers.rooms_with_overdue() {
            match is_anothers(&cluster, &room).await {
                Ok(true) => routers.forget_strangers(&room),
                Ok(false) => routers.close_strangers(&room),
                // Not known to be over: media goes on, and one asks again.
                Err(error) => tracing::warn!(room, %error, "it is not known whose a room is"),
            }
        }
    }
}

/// Whether a room's meeting goes on at another daemon.
async fn is_anothers(cluster: &Cluster, room: &str) -> Result<bool, StoreError> {
    let Ok(id) = room.parse() else { return Ok(false) };
    let owner = cluster.store().owner(&id).await?.and_then(|owner| owner.daemon);
    Ok(owner.is_some_and(|daemon| daemon != cluster.id() && !cluster.is_gone(&daemon)))
}

/// Does what other daemons tell.
async fn obey(
    mut notices: Notices,
    meetings: Meetings,
    auth: Auth,
    cluster: Cluster,
    shutdown: CancellationToken,
) {
    loop {
        let notice = tokio::select! {
            () = shutdown.cancelled() => return,
            notice = notices.next() => notice,
        };
        let obeyed = match notice {
            None => return,
            Some(Notice::Ended { meeting }) => meetings.end(&meeting).await,
            Some(Notice::Changed { meeting }) => changed(&meetings, &cluster, &meeting).await,
            Some(Notice::SigningKeys) => auth.refresh().await,
            Some(Notice::Gap) => catch_up(&meetings, &auth, &cluster).await,
        };
        if let Err(error) = obeyed {
            tracing::warn!(%error, "a notice could not be obeyed");
        }
    }
}

async fn changed(meetings: &Meetings, cluster: &Cluster, meeting: &MeetingId) -> Result<(), StoreError> {
    if let Some(record) = cluster.store().find(meeting).await? {
        meetings.settings_changed(meeting, record.settings).await;
    }
    Ok(())
}

/// Reads from the store what lost notices may have said.
async fn catch_up(meetings: &Meetings, auth: &Auth, cluster: &Cluster) -> Result<(), StoreError> {
    auth.refresh().await?;
    for meeting in cluster.held() {
        match cluster.store().find(&meeting).await? {
            Some(record) if record.ended() => meetings.end(&meeting).await?,
            Some(record) => meetings.settings_changed(&meeting, record.settings).await,
            None => {}
        }
    }
    Ok(())
}

/// Hears from the store which signing keys other daemons were told to retire.
async fn refresh(auth: Auth, shutdown: CancellationToken) {
    let mut ticks = interval(KEY_REFRESH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => if let Err(error) = auth.refresh().await {
                tracing::warn!(%error, "signing keys cannot be read");
            }
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
