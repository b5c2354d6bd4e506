//! The WebSocket: section 6.2.

mod connection;
mod inbound;
mod origins;
mod relay;
mod writer;

pub use origins::Origins;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use axum::response::Response;
use sluice_wire::signaling::{ApiErrorCode, MAX_MESSAGE_BYTES};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::App;
use super::error::Failure;
use super::peers::Peer;
use super::serve::Counted;
use crate::cluster::Forwarded;

/// What the transport takes before it breaks the connection off, in bytes. Above the protocol's limit, so that who is a little
/// over it is told `too_large` in words.
const MAX_TRANSPORT_MESSAGE_BYTES: usize = 2 * MAX_MESSAGE_BYTES;
/// Bytes that may wait for the socket below the outbox: one large roster.
const MAX_WRITE_BUFFER_BYTES: usize = 512 * 1024;
/// What is read at a time, in bytes, and kept for as long as a connection lives: what clients say is small, and connections are many.
const READ_BUFFER_BYTES: usize = 1024;
/// What is gathered before it is written, in bytes: a few messages that wait.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// The daemon's stop, for WebSockets, which outlive their HTTP connection.
#[derive(Clone)]
pub(super) struct Shutdown {
    pub(super) token: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Clients that were told when to come back.
    pub(super) sent_away: Arc<AtomicU64>,
}

/// `GET /api/v1/ws`.
pub(super) async fn upgrade(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Extension(counted): Extension<Arc<Counted>>,
    Extension(shutdown): Extension<Shutdown>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    if !app.origins.allow(headers.get(ORIGIN)) {
        return Err(Failure::new(ApiErrorCode::Forbidden, "pages of this origin may not connect"));
    }
    let forwarded = Forwarded::of(&headers, &app.cluster_secret_hash);
    let peer = forwarded.as_ref().map_or(peer.clone(), |forwarded| peer.forwarded(forwarded.address));
    let vouched = forwarded.and_then(|forwarded| forwarded.vouched);
    let upgrade = upgrade.map_err(|error| Failure::new(ApiErrorCode::BadRequest, error.to_string()))?;
    let upgrade = upgrade
        .max_message_size(MAX_TRANSPORT_MESSAGE_BYTES)
        .max_frame_size(MAX_TRANSPORT_MESSAGE_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let running = shutdown.tasks.token();
        connection::run(socket, app, &peer, vouched, &shutdown).await;
        drop((counted, running));
    }))
}
