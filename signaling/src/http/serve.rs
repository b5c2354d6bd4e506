//! Accepts connections and drives hyper. `axum::serve` would leave the head of a request without a time-out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Extension;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::peers::{Peer, Peers};
use super::ws::Shutdown;
use super::{App, routes};
use crate::rate::Rate;

/// How long the head of a request may take. It bounds idle keep-alive connections as well.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Read buffer of a connection, and so the largest head, in bytes. hyper's least is 8 KiB.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How often forgotten addresses are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// A pause when the process is out of file descriptors: an accept that fails at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of the HTTP end.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections at a time.
    pub max_connections: u32,
    /// Connections at a time from one address.
    pub max_connections_per_address: u32,
    /// REST calls and joins from one address.
    pub requests_per_address: Rate,
}

/// Serves until `shutdown`. Connections run in `tasks`.
pub async fn serve(
    listener: TcpListener,
    app: App,
    limits: HttpLimits,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let server = Server {
        peers: Peers::new(limits.max_connections_per_address, limits.requests_per_address),
        room: Arc::new(Semaphore::new(limits.max_connections as usize)),
        routes: routes(app.clone()).layer(Extension(Shutdown {
            token: shutdown.clone(),
            tasks: tasks.clone(),
            sent_away: Arc::default(),
        })),
        app,
        tasks,
        shutdown,
    };
    server.run(listener).await;
}

struct Server {
    app: App,
    routes: axum::Router,
    peers: Peers,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                _ = sweep.tick() => {
                    let now = self.app.clock.now();
                    self.peers.sweep(now);
                    self.app.sweep(now);
                }
                accepted = listener.accept() => self.accepted(accepted).await,
            }
        }
    }

    async fn accepted(&self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept");
                sleep(ACCEPT_PAUSE).await;
                return;
            }
        };
        let room = Arc::clone(&self.room).try_acquire_owned();
        let (Ok(room), Some(peer)) = (room, self.peers.admit(address.ip())) else {
            // Closed without a word: an answer would cost what the limit is there to save.
            self.app.metrics.connections_refused.inc();
            return;
        };
        self.tasks.spawn(self.connection(stream, peer, room));
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: Peer,
        room: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + use<> {
        let counted = Arc::new(Counted::new(self.app.clone(), room));
        let routes = TowerToHyperService::new(self.routes.clone());
        // By hand: a layer for each connection would build all routes anew.
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            request.extensions_mut().insert(Arc::clone(&counted));
            routes.call(request)
        });
        let shutdown = self.shutdown.clone();
        async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "nodelay");
            }
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_READ_TIMEOUT)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                tracing::debug!(%error, "connection");
            }
        }
    }
}

/// A connection's share of the limits: given back when the connection and the WebSocket on it are over.
pub(super) struct Counted {
    app: App,
    _room: OwnedSemaphorePermit,
}

impl Counted {
    fn new(app: App, room: OwnedSemaphorePermit) -> Self {
        app.metrics.connections.inc();
        Self { app, _room: room }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.app.metrics.connections.dec();
    }
}
