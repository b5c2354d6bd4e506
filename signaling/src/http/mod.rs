//! REST and WebSocket: `proto-spec/spec/09-rest.md` and `proto-spec/spec/06-signaling.md`.

pub mod auth;
mod buckets;
mod error;
mod openapi;
mod peers;
mod rest;
mod serve;
mod ws;

pub use serve::{HttpLimits, serve};
pub use ws::Origins;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sluice_wire::signaling::{ApiErrorCode, Token};
use sluice_wire::time::Time;
use tokio::time::timeout;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::live::Meetings;
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::routers::Routers;
use crate::secrets::TokenHash;
use crate::store::Store;
use auth::Auth;
use buckets::Buckets;
use error::Failure;

/// The largest body of a request, in bytes: names and a password with room to spare.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// How long a request may take, its body included: hyper bounds only the time for the head.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What [`App`] is made of.
pub struct AppParts {
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
    /// Checks credentials.
    pub auth: Auth,
    /// Where meetings are.
    pub cluster: Cluster,
    /// What daemons show one another.
    pub cluster_secret: Token,
    /// The WebSocket's address as clients see it; taken from the request's `Host` when there is none.
    pub join_url: Option<String>,
    /// What links to meetings begin with; made from the request's `Host` when there is none.
    pub link_url: Option<String>,
    /// Which web pages may open a WebSocket.
    pub origins: Origins,
    /// How long a WebSocket may take to send its join.
    pub join_timeout: Duration,
}

/// What the handlers need: [`AppParts`], and what is counted and derived beside them. Cheap to clone: every connection has one.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: AppParts,
    cluster_secret_hash: TokenHash,
    /// REST calls of each account.
    account_calls: Buckets,
    /// REST calls for each meeting.
    meeting_calls: Buckets,
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0.parts
    }
}

/// REST calls of one account: a server that makes a meeting for each of its users on the hour.
const ACCOUNT_RATE: Rate = Rate { per_second: 100, burst: 1_000 };
/// REST calls about one meeting: a page that shows it to its host looks every few seconds.
const MEETING_RATE: Rate = Rate { per_second: 20, burst: 200 };

impl App {
    /// With rates that nobody has used yet.
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        Self(Arc::new(Inner {
            cluster_secret_hash: TokenHash::of(&parts.cluster_secret),
            account_calls: Buckets::new(ACCOUNT_RATE),
            meeting_calls: Buckets::new(MEETING_RATE),
            parts,
        }))
    }

    fn sweep(&self, now: Time) {
        self.auth.sweep(now);
        self.0.account_calls.sweep(now);
        self.0.meeting_calls.sweep(now);
    }
}

/// All routes.
pub(super) fn routes(app: App) -> Router {
    let described = OpenApiRouter::with_openapi(openapi::Description::openapi()).merge(rest::routes());
    let (described, openapi) = described.split_for_parts();
    described
        .route("/healthz", get(rest::operations::healthz))
        .route("/readyz", get(rest::operations::readyz))
        .route("/metrics", get(rest::operations::metrics))
        .route("/api/v1/openapi.json", get(openapi::serve))
        .route("/api/v1/ws", get(ws::upgrade))
        .fallback(|| async { Failure::new(ApiErrorCode::NotFound, "no such path") })
        .method_not_allowed_fallback(|| async {
            Failure::new(ApiErrorCode::MethodNotAllowed, "no such method here")
        })
        .layer(Extension(Arc::new(openapi)))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(in_time))
        .with_state(app)
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| Failure::new(ApiErrorCode::BadRequest, "the request took too long").into_response();
    timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(late)
}
