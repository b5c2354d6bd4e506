//! For operators: health, readiness, metrics.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use sluice_wire::signaling::ApiErrorCode;

use crate::http::App;
use crate::http::error::Failure;

/// Text that Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process runs.
pub(in crate::http) async fn healthz() -> &'static str {
    "ok"
}

/// The daemon can do its work. Routers are not asked for: they can only attach to a daemon that is ready.
pub(in crate::http) async fn readyz(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    app.store.ping().await?;
    Ok(Json(serde_json::json!({ "routers": app.routers.attached() })))
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
