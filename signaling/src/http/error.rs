//! Errors of REST calls: section 9.2.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rand::rngs::SysError;
use sluice_wire::signaling::{ApiError, ApiErrorBody, ApiErrorCode};

use crate::secrets::PasswordError;
use crate::store::StoreError;

/// A call that did not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    code: ApiErrorCode,
    message: String,
}

impl Failure {
    pub(super) fn new(code: ApiErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The daemon's own fault: logged here, and not told in detail.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(ApiErrorCode::Internal, "the daemon failed")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.code {
            ApiErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ApiErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ApiErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ApiErrorCode::NotFound => StatusCode::NOT_FOUND,
            ApiErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ApiErrorCode::Conflict => StatusCode::CONFLICT,
            ApiErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ApiErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ApiErrorCode::Internal | ApiErrorCode::Other => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let error = ApiError { code: self.code, message: self.message };
        (status, Json(ApiErrorBody { error })).into_response()
    }
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Self {
        match &error {
            PasswordError::Busy => Self::new(ApiErrorCode::Unavailable, error.to_string()),
            _ => Self::internal(&error),
        }
    }
}

impl From<SysError> for Failure {
    fn from(error: SysError) -> Self {
        Self::internal(&error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store does not answer");
        Self::new(ApiErrorCode::Unavailable, "the store does not answer")
    }
}
