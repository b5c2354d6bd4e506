//! For operators: health, readiness, metrics.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use sluice_wire::signaling::ApiErrorCode;
use tokio::time::timeout;

use crate::http::App;
use crate::http::error::Failure;

/// How long the store and the bus may take to answer who asks for readiness.
const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// Text that Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process runs.
pub(in crate::http) async fn healthz() -> &'static str {
    "ok"
}

/// What the daemon needs, and how it is. It is ready as long as the store answers: without the bus and without routers it serves
/// whom it can, and taking all daemons out of service would help nobody.
#[derive(Serialize)]
pub(in crate::http) struct Readiness {
    /// `ok`, `degraded` (ready, and something is missing), or `down`.
    status: &'static str,
    /// `ok` or `down`.
    store: &'static str,
    /// `ok` or `down`.
    bus: &'static str,
    /// Routers that are attached.
    routers: usize,
}

/// Whether the daemon can do its work: asks the store, the bus and for routers.
pub(in crate::http) async fn readyz(State(app): State<App>) -> impl IntoResponse {
    let store = timeout(READY_TIMEOUT, app.store.ping());
    let bus = timeout(READY_TIMEOUT, app.cluster.ping_bus());
    let (store, bus) = futures_util::join!(store, bus);
    let (store, bus) = (matches!(store, Ok(Ok(()))), matches!(bus, Ok(Ok(()))));
    let routers = app.routers.attached();
    let word = |is_up| if is_up { "ok" } else { "down" };
    let (code, status) = match (store, bus && routers > 0) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
        (true, false) => (StatusCode::OK, "degraded"),
        (true, true) => (StatusCode::OK, "ok"),
    };
    (code, Json(Readiness { status, store: word(store), bus: word(bus), routers }))
}

/// Counters and gauges.
pub(in crate::http) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    app.metrics.routers.set(app.routers.attached() as i64);
    app.metrics.sessions.set(app.routers.sessions() as i64);
    let text = app
        .metrics
        .encode()
        .map_err(|_| Failure::new(ApiErrorCode::Internal, "metrics cannot be written"))?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text))
}
