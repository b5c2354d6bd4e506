//! Bodies of the REST calls: section 9.2.

use serde::{Deserialize, Serialize};

use super::names::{MeetingId, MeetingName};
use super::secrets::{Password, Token};

/// The body of `POST /api/v1/meetings`. All fields are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateMeeting {
    /// What the meeting is called; empty when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<MeetingName>,
    /// What participants must know to enter; nobody is asked when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// 1 to [`super::MAX_PARTICIPANTS`]; [`super::DEFAULT_MAX_PARTICIPANTS`] when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_participants: Option<u32>,
}

/// The answer `201` to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingCreated {
    /// The meeting's id.
    pub meeting_id: MeetingId,
    /// What the host shows to end the meeting. Given once; the daemon keeps a hash.
    pub host_token: Token,
    /// What the meeting is called.
    pub name: MeetingName,
    /// How many participants it takes.
    pub max_participants: u32,
    /// The WebSocket to join by.
    pub join_url: String,
}

/// The body of every REST error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiErrorBody {
    /// What went wrong.
    pub error: ApiError,
}

/// What went wrong with a REST call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// For programs.
    pub code: ApiErrorCode,
    /// For people.
    pub message: String,
}

/// A kind of REST error; the status is in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiErrorCode {
    /// Not JSON, or a wrong field (400).
    BadRequest,
    /// The bearer token is missing or wrong (401).
    Unauthorized,
    /// The API key may not do this (403).
    Forbidden,
    /// No such meeting or path (404).
    NotFound,
    /// The path has no such method (405).
    MethodNotAllowed,
    /// The meeting is over, or was changed in between (409).
    Conflict,
    /// The body is above the limit (413).
    TooLarge,
    /// The body is not `application/json` (415).
    UnsupportedMediaType,
    /// Too many requests or connections from this address (429).
    RateLimited,
    /// The daemon failed (500).
    Internal,
    /// The daemon cannot take this now (503).
    Unavailable,
    /// A code of a later version.
    #[serde(other)]
    Other,
}
