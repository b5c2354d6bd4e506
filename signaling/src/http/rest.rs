//! The REST calls.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use sluice_wire::signaling::{ApiErrorCode, CreateMeeting, MeetingCreated, MeetingId, Token};

use super::App;
use super::error::Failure;
use super::peers::Peer;
use crate::live::EndError;

/// Text that Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const WEBSOCKET_PATH: &str = "/api/v1/ws";

/// The process runs.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// The daemon can do its work. Routers are not asked for: they can only attach to a daemon that is ready.
pub(super) async fn readyz(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    app.store.ping().await?;
    Ok(Json(serde_json::json!({ "routers": app.routers.attached() })))
}

/// Counters and gauges.
pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    app.metrics.routers.set(app.routers.attached() as i64);
    app.metrics.sessions.set(app.routers.sessions() as i64);
    let text = app
        .metrics
        .encode()
        .map_err(|_| Failure::new(ApiErrorCode::Internal, "metrics cannot be written"))?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text))
}

/// `POST /api/v1/meetings`.
pub(super) async fn create_meeting(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<MeetingCreated>), Failure> {
    within_rate(&app, &peer)?;
    if let Some(expected) = &app.api_token
        && !bearer(&headers).is_some_and(|token| expected.is_of(&token))
    {
        return Err(Failure::new(ApiErrorCode::Unauthorized, "an API token is needed to make meetings"));
    }
    let request = create_request(&headers, body)?;
    let created = app.meetings.create(request, join_url(&app, &headers)).await?;
    app.metrics.meetings_created.inc();
    Ok((StatusCode::CREATED, Json(created)))
}

/// `DELETE /api/v1/meetings/{meeting_id}`.
pub(super) async fn end_meeting(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Path(meeting_id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    within_rate(&app, &peer)?;
    let id: MeetingId = meeting_id.parse().map_err(|_| EndError::Unauthorized)?;
    let token = bearer(&headers).ok_or(EndError::Unauthorized)?;
    app.meetings.end(&id, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn within_rate(app: &App, peer: &Peer) -> Result<(), Failure> {
    if peer.take(app.clock.now()) {
        Ok(())
    } else {
        Err(Failure::new(ApiErrorCode::RateLimited, "too many requests from this address"))
    }
}

fn create_request(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<CreateMeeting, Failure> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::new(ApiErrorCode::TooLarge, "the body is too large"),
        _ => Failure::new(ApiErrorCode::BadRequest, "the body cannot be read"),
    })?;
    if body.is_empty() {
        return Ok(CreateMeeting::default());
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Failure::new(ApiErrorCode::UnsupportedMediaType, "the body is to be application/json"));
    }
    serde_json::from_slice(&body).map_err(|error| Failure::new(ApiErrorCode::BadRequest, error.to_string()))
}

fn bearer(headers: &HeaderMap) -> Option<Token> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::new(token.trim().to_owned()))
}

/// Where to join: as configured, else by the way that the request came. `Host` is the caller's own word, and goes back to
/// nobody else.
fn join_url(app: &App, headers: &HeaderMap) -> String {
    if let Some(url) = &app.join_url {
        return url.to_string();
    }
    let host = headers
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok());
    host.map_or_else(|| WEBSOCKET_PATH.to_owned(), |host| format!("ws://{host}{WEBSOCKET_PATH}"))
}
