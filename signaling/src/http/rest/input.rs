//! What handlers are given: who calls, which meeting, which body; checked, limited, and wrong in one way.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use sluice_wire::signaling::{ApiErrorCode, MeetingId, Token};
use sluice_wire::time::Time;

use crate::http::App;
use crate::http::auth::{Caller, Scope};
use crate::http::error::Failure;
use crate::http::peers::Peer;
use crate::store::{AuditEntry, MAX_PAGE, MeetingRecord};

/// Lines of a page when the caller names no number.
const DEFAULT_PAGE: u32 = 50;

/// One call: its caller is known, and is within the rates of address and account.
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) app: App,
    pub(super) now: Time,
    /// The authority of the caller's URL. Its own word: it goes back to nobody else.
    pub(super) host: Option<Authority>,
}

impl Call {
    /// The meeting of the path, if the caller may do this to it.
    pub(super) async fn meeting(&self, id: &MeetingPath, scope: Scope) -> Result<MeetingRecord, Failure> {
        if !self.app.0.meeting_calls.take(id.0.as_ref().map_or("", MeetingId::as_str), self.now) {
            return Err(limited("too many requests for this meeting"));
        }
        self.app.auth.meeting(&self.caller, id.0.as_ref(), scope).await
    }

    /// Notes what the caller did.
    pub(super) async fn audit(
        &self,
        action: &str,
        account: Option<&str>,
        meeting: Option<&MeetingId>,
        detail: serde_json::Value,
    ) -> Result<(), Failure> {
        let entry = AuditEntry {
            account: account.map(str::to_owned),
            meeting: meeting.cloned(),
            actor: self.caller.actor(),
            action: action.to_owned(),
            detail,
            at: self.now,
        };
        Ok(self.app.store.audit(&entry).await?)
    }
}

impl FromRequestParts<App> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let now = app.clock.now();
        let within = parts.extensions.get::<Peer>().is_some_and(|peer| peer.take(now));
        if !within {
            return Err(limited("too many requests from this address"));
        }
        let caller = app.auth.caller(bearer(&parts.headers)?, now).await?;
        if caller.account().is_some_and(|account| !app.0.account_calls.take(account, now)) {
            return Err(limited("too many requests of this account"));
        }
        app.metrics.rest_calls.inc();
        let host = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
        let host = host.and_then(|host| host.parse().ok());
        Ok(Self { caller, app: app.clone(), now, host })
    }
}

fn limited(what: &str) -> Failure {
    Failure::new(ApiErrorCode::RateLimited, what)
}

fn bearer(headers: &HeaderMap) -> Result<Option<Token>, Failure> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let split = value.to_str().ok().and_then(|value| value.split_once(' '));
    let (_, token) = split
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .ok_or_else(|| Failure::new(ApiErrorCode::Unauthorized, "Authorization is to be: Bearer <token>"))?;
    Ok(Some(Token::new(token.trim().to_owned())))
}

/// The meeting id of a path; `None` if it can be none, which is answered like an unknown one.
pub(super) struct MeetingPath(pub(super) Option<MeetingId>);

impl FromRequestParts<App> for MeetingPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Name(name) = Name::from_request_parts(parts, app).await?;
        Ok(Self(name.parse().ok()))
    }
}

/// The one name in a path.
pub(super) struct Name(pub(super) String);

impl FromRequestParts<App> for Name {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        path.map(|Path(name)| Self(name))
            .map_err(|error| Failure::new(ApiErrorCode::BadRequest, error.to_string()))
    }
}

/// The query of a URL.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|error| Failure::new(ApiErrorCode::BadRequest, error.body_text()))
    }
}

/// A body in JSON; none, and `null`, stand for `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is_json = media_type.eq_ignore_ascii_case("application/json");
        let body = Bytes::from_request(request, app).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::new(ApiErrorCode::TooLarge, "the body is too large"),
            _ => Failure::new(ApiErrorCode::BadRequest, "the body cannot be read"),
        })?;
        if !is_json && !body.is_empty() {
            return Err(Failure::new(
                ApiErrorCode::UnsupportedMediaType,
                "the body is to be application/json",
            ));
        }
        let is_none = matches!(body.trim_ascii(), b"" | b"null");
        let text: &[u8] = if is_none { b"{}" } else { &body };
        serde_json::from_slice(text)
            .map(|Object(body)| Self(body))
            .map_err(|error| Failure::new(ApiErrorCode::BadRequest, error.to_string()))
    }
}

/// Something that is an object in JSON: structures could be written as arrays too, which nobody means.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        fields.values_mut().for_each(make_whole);
        T::deserialize(Value::Object(fields)).map(Self).map_err(serde::de::Error::custom)
    }
}

/// The largest number up to which every whole number is one in floating point.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Writes `60.0` as `60`: it is a whole number (JSON Schema 2020-12, validation, section 6.1.1), and some languages know no other.
fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            if let Some(float) = float.filter(|float| float.abs() <= MAX_EXACT) {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// How many lines a page has.
pub(super) fn page_limit(asked: Option<u32>) -> Result<u32, Failure> {
    match asked {
        None => Ok(DEFAULT_PAGE),
        Some(limit) if (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        Some(_) => Err(bad(format!("limit is 1 to {MAX_PAGE}"))),
    }
}

/// Whether a text has so many characters, and no control characters: PostgreSQL keeps no zero bytes, and logs are read by people.
pub(super) fn is_plain(text: &str, min_chars: usize, max_chars: usize) -> bool {
    (min_chars..=max_chars).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

pub(super) fn bad(message: impl Into<String>) -> Failure {
    Failure::new(ApiErrorCode::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn bearer_tokens_are_found() {
        let with = |value: &'static str| {
            bearer(&HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]))
        };
        assert!(bearer(&HeaderMap::new()).unwrap().is_none());
        assert_eq!(with("bearer  abc ").unwrap().unwrap().expose(), "abc");
        for wrong in ["abc", "Basic abc", ""] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_as_floating_point() {
        let read = |text| serde_json::from_str::<Object<BTreeMap<String, Vec<u64>>>>(text).ok();
        assert_eq!(read(r#"{"a": [60.0, 1e3, 7]}"#).unwrap().0["a"], [60, 1_000, 7]);
        assert!(
            [r#"{"a": [60.5]}"#, r#"{"a": [1e30]}"#, r#"{"a": [-1.0]}"#, "[]"]
                .iter()
                .all(|text| read(text).is_none())
        );
    }

    #[test]
    fn plain_text_has_characters_and_no_control_characters() {
        assert!(is_plain("ä€", 1, 2) && is_plain("", 0, 2));
        assert!(
            !is_plain("", 1, 2)
                && !is_plain("abc", 1, 2)
                && !is_plain("a\0", 1, 2)
                && !is_plain("\u{85}", 1, 2)
        );
    }

    #[test]
    fn pages_have_a_limit() {
        assert_eq!(page_limit(None).unwrap(), DEFAULT_PAGE);
        assert_eq!(page_limit(Some(MAX_PAGE)).unwrap(), MAX_PAGE);
        assert!(page_limit(Some(0)).is_err() && page_limit(Some(MAX_PAGE + 1)).is_err());
    }
}
