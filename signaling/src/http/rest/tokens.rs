//! Access tokens, and links that have one in them.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice_wire::signaling::{ApiErrorCode, DisplayName, Role, Token};
use utoipa::ToSchema;

use super::Errors;
use super::input::{Body, Call, MeetingPath, bad, is_plain};
use super::schedule::rfc3339;
use crate::http::auth::{MAX_TOKEN_LIFE, Scope};
use crate::http::error::Failure;

/// How long a token lives when the caller does not say: long enough to follow a link at once.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);
/// The longest identity, in characters: an address of mail fits.
const MAX_IDENTITY_CHARS: usize = 256;

/// Asks for an access token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct IssueToken {
    /// As what its bearer comes in.
    #[schema(value_type = RoleSchema, default = "participant")]
    role: Role,
    /// Who that is to the caller; attendance lists have it. No control characters.
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1F\\x7F-\\x9F]*$")]
    identity: Option<String>,
    /// What others see, whatever the bearer says.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1F\\x7F-\\x9F]*$")]
    display_name: Option<DisplayName>,
    /// How long it is good.
    #[schema(minimum = 1, maximum = 86400, default = 3600)]
    expires_in_seconds: Option<u64>,
}

/// As what somebody comes in.
#[derive(ToSchema)]
#[schema(as = Role, rename_all = "snake_case")]
#[expect(dead_code, reason = "names in the description")]
pub(super) enum RoleSchema {
    /// Leads the meeting.
    Host,
    /// Leads it beside the host.
    CoHost,
    /// Speaks in a webinar.
    Panelist,
    /// Takes part.
    Participant,
    /// Watches a webinar.
    Attendee,
}

impl Default for IssueToken {
    fn default() -> Self {
        Self { role: Role::Participant, identity: None, display_name: None, expires_in_seconds: None }
    }
}

/// An access token.
#[derive(Serialize, ToSchema)]
pub(super) struct IssuedToken {
    /// For `join` on the WebSocket; as host also for this interface.
    #[schema(value_type = String)]
    access_token: Token,
    #[schema(format = DateTime)]
    expires_at: String,
    /// The link that opens the meeting with this token: a start link for hosts, a join link for others.
    link: String,
}

/// Issue an access token for a meeting, and the link with it.
#[utoipa::path(post, path = "/api/v1/meetings/{meeting_id}/tokens", tag = "tokens", operation_id = "issueToken",
    security(("bearer" = [])), params(("meeting_id" = String, Path)), request_body = Option<IssueToken>,
    responses((status = 201, body = IssuedToken), Errors))]
pub(super) async fn issue(
    call: Call,
    id: MeetingPath,
    Body(request): Body<IssueToken>,
) -> Result<(StatusCode, Json<IssuedToken>), Failure> {
    let record = call.meeting(&id, Scope::TokensIssue).await?;
    if record.ended() {
        return Err(Failure::new(ApiErrorCode::Conflict, "the meeting is over"));
    }
    let life = request.expires_in_seconds.map_or(DEFAULT_LIFE, Duration::from_secs);
    if life.is_zero() || life > MAX_TOKEN_LIFE {
        return Err(bad(format!("expires_in_seconds is 1 to {}", MAX_TOKEN_LIFE.as_secs())));
    }
    let identity = match request.identity {
        Some(identity) if is_plain(&identity, 1, MAX_IDENTITY_CHARS) => identity,
        Some(_) => {
            return Err(bad(format!(
                "identity has 1 to {MAX_IDENTITY_CHARS} characters, no control characters"
            )));
        }
        // Nobody in particular, and not the same as others.
        None => format!("guest-{}", crate::secrets::meeting_id()?),
    };
    let detail = json!({"role": request.role, "identity": identity});
    call.audit("token.issue", record.account.as_deref(), Some(&record.id), detail).await?;
    let tokens = call.app.auth.tokens();
    let issued = tokens.issue(&record.id, request.role, &identity, request.display_name, life, call.now);
    let (access_token, expires_at) = issued.map_err(|error| Failure::internal(&error))?;
    let link = call.link(&record.id, Some(&access_token));
    let body = IssuedToken { access_token, expires_at: rfc3339(expires_at), link };
    Ok((StatusCode::CREATED, Json(body)))
}
