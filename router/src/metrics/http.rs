//! The HTTP end of metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::collector::RouterCollector;
use crate::shell::Gallery;

/// The prefix of all names.
const PREFIX: &str = "sluice_router";
/// What the text format is called.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Connections at a time: a few scrapers and curious operators.
const MAX_CONNECTIONS: usize = 32;
/// How long the head of a request may take.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may live: a scraper dials anew.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// Read buffer of a connection, and so the largest head, in bytes: hyper's least.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// A pause when the process is out of file descriptors: an accept that fails at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves metrics until `stopped`.
pub(crate) async fn serve(listener: TcpListener, gallery: Gallery, stopped: CancellationToken) {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(RouterCollector { gallery }));
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .with_state(Arc::new(registry));
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stopped.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accept for metrics");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (routes, stopped) = (routes.clone(), stopped.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = converse(stream, routes) => {}
            }
            drop(permit);
        });
    }
}

async fn converse(stream: TcpStream, routes: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for metrics"),
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match text::encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
