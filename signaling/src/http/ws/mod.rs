//! The WebSocket: section 6.2.

mod connection;
mod inbound;
mod origins;
mod relay;
mod writer;

pub use origins::Origins;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::ORIGIN;
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use sluice_wire::signaling::{ApiErrorCode, MAX_MESSAGE_BYTES};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
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
/// Bytes that may wait for the socket below the outbox: a few fragments.
const MAX_WRITE_BUFFER_BYTES: usize = 32 * 1024;
/// What is read at a time, in bytes, and kept for as long as a connection lives: what clients say is small, and connections are many.
const READ_BUFFER_BYTES: usize = 1024;
/// What is gathered before it is written, in bytes: a few messages that wait. The buffer stays as large as it has ever been.
const WRITE_BUFFER_BYTES: usize = 2 * 1024;

/// A client's connection.
type Socket = WebSocketStream<TcpStream>;

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
    mut request: Request,
) -> Result<Response, Failure> {
    if !app.origins.allow(request.headers().get(ORIGIN)) {
        return Err(Failure::new(ApiErrorCode::Forbidden, "pages of this origin may not connect"));
    }
    let forwarded = Forwarded::of(request.headers(), &app.0.cluster_secret_hash);
    let peer = forwarded.as_ref().map_or(peer.clone(), |forwarded| peer.forwarded(forwarded.address));
    let vouched = forwarded.and_then(|forwarded| forwarded.vouched);
    let response = create_response_with_body(&request, Body::empty);
    let response = response.map_err(|error| Failure::new(ApiErrorCode::BadRequest, error.to_string()))?;
    let upgrading = hyper::upgrade::on(&mut request);
    let running = shutdown.tasks.token();
    tokio::spawn(async move {
        if let Some(socket) = socket(upgrading).await {
            connection::run(socket, app, &peer, vouched, &shutdown).await;
        }
        drop((counted, running));
    });
    Ok(response)
}

/// The connection, once the client has been answered; `None` if it has gone.
async fn socket(upgrading: OnUpgrade) -> Option<Socket> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_TRANSPORT_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_TRANSPORT_MESSAGE_BYTES))
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES);
    let upgraded = upgrading.await.ok()?;
    // The connection itself, without the layers that HTTP needs.
    let Parts { io, read_buf, .. } = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    let (stream, read) = (io.into_inner(), read_buf.to_vec());
    Some(WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)).await)
}
