//! REST and WebSocket: `proto-spec/spec/06-signaling.md`.

mod error;
mod peers;
mod rest;
mod serve;
mod ws;

pub use serve::{HttpLimits, serve};
pub use ws::Origins;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use sluice_wire::signaling::ApiErrorCode;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::live::Meetings;
use crate::metrics::Metrics;
use crate::routers::Routers;
use crate::secrets::TokenHash;
use crate::store::Store;
use error::Failure;

/// The largest body of a request, in bytes: names and a password with room to spare.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// How long a request may take, its body included: hyper bounds only the time for the head.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What the handlers need.
#[derive(Clone)]
pub struct App {
    /// The meetings.
    pub meetings: Meetings,
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// For readiness and metrics.
    pub routers: Routers,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Tells the time.
    pub clock: Clock,
    /// The token that may make meetings; anybody may when there is none.
    pub api_token: Option<Arc<TokenHash>>,
    /// The WebSocket's address as clients see it; taken from the request's `Host` when there is none.
    pub join_url: Option<Arc<str>>,
    /// Which web pages may open a WebSocket.
    pub origins: Origins,
    /// How long a WebSocket may take to send its join.
    pub join_timeout: Duration,
}

/// All routes.
pub(super) fn routes(app: App) -> Router {
    Router::new()
        .route("/healthz", get(rest::healthz))
        .route("/readyz", get(rest::readyz))
        .route("/metrics", get(rest::metrics))
        .route("/api/v1/meetings", post(rest::create_meeting))
        .route("/api/v1/meetings/{meeting_id}", delete(rest::end_meeting))
        .route("/api/v1/ws", get(ws::upgrade))
        .fallback(|| async { Failure::new(ApiErrorCode::NotFound, "no such path") })
        .method_not_allowed_fallback(|| async {
            Failure::new(ApiErrorCode::MethodNotAllowed, "no such method here")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(in_time))
        .with_state(app)
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| Failure::new(ApiErrorCode::BadRequest, "the request took too long").into_response();
    timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(late)
}
