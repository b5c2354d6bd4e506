//! API keys and signing keys: for the operator.

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice_wire::signaling::Token;
use utoipa::{IntoParams, ToSchema};

use super::Errors;
use super::input::{Asked, Body, Call, Name, bad, is_plain, page_limit};
use super::schedule::rfc3339;
use crate::cluster::Notice;
use crate::http::auth::{Scope, Scopes, not_found};
use crate::http::error::Failure;
use crate::secrets::{ApiKey, TokenHash};
use crate::store::{ApiKeyRecord, SigningKeyRecord};

/// The longest name of a key or account, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Asks for an API key.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CreateKey {
    /// Whose meetings it makes and sees: 1 to 64 of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`.
    #[schema(pattern = "^[a-zA-Z0-9._-]{1,64}$")]
    account: String,
    /// What it is for: no control characters.
    #[serde(default)]
    #[schema(max_length = 64, pattern = "^[^\\x00-\\x1F\\x7F-\\x9F]*$")]
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<ScopeSchema>, min_items = 1)]
    scopes: Vec<Scope>,
}

/// Something that a key may be allowed.
#[derive(ToSchema)]
#[schema(as = Scope)]
#[expect(dead_code, reason = "names in the description")]
pub(super) enum ScopeSchema {
    /// Read meetings and what is recorded of them.
    #[schema(rename = "meetings:read")]
    MeetingsRead,
    /// Make, change and end meetings.
    #[schema(rename = "meetings:write")]
    MeetingsWrite,
    /// Issue access tokens.
    #[schema(rename = "tokens:issue")]
    TokensIssue,
}

/// An API key that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedKey {
    #[serde(flatten)]
    key: KeyBody,
    /// The key itself. Given once; the daemon keeps a hash.
    #[schema(value_type = String)]
    api_key: Token,
}

/// An API key.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct KeyBody {
    key_id: String,
    account: String,
    name: String,
    #[schema(value_type = Vec<ScopeSchema>)]
    scopes: Vec<Scope>,
    #[schema(format = DateTime)]
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

impl From<ApiKeyRecord> for KeyBody {
    fn from(record: ApiKeyRecord) -> Self {
        Self {
            key_id: record.id,
            account: record.account,
            name: record.name,
            scopes: Scopes::from_stored(&record.scopes).list().to_vec(),
            created_at: rfc3339(record.created_at),
            revoked_at: record.revoked_at.map(rfc3339),
        }
    }
}

/// Make an API key.
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", operation_id = "createKey",
    security(("bearer" = [])), request_body = CreateKey, responses((status = 201, body = CreatedKey), Errors))]
pub(super) async fn create(
    call: Call,
    Body(request): Body<CreateKey>,
) -> Result<(StatusCode, Json<CreatedKey>), Failure> {
    call.caller.require_operator()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=MAX_NAME_CHARS).contains(&request.account.len()) || !request.account.bytes().all(plain) {
        return Err(bad(format!(
            "account has 1 to {MAX_NAME_CHARS} letters, digits, dots, lines and dashes"
        )));
    }
    if !is_plain(&request.name, 0, MAX_NAME_CHARS) {
        return Err(bad(format!("name has at most {MAX_NAME_CHARS} characters, no control characters")));
    }
    if request.scopes.is_empty() {
        return Err(bad("a key without scopes can do nothing"));
    }
    let key = ApiKey::new()?;
    let scopes = Scopes::new(request.scopes);
    let record = ApiKeyRecord {
        id: key.id.clone(),
        account: request.account,
        name: request.name,
        hash: TokenHash::of(&key.secret),
        scopes: scopes.to_string(),
        created_at: call.now,
        revoked_at: None,
    };
    call.app.store.add_api_key(&record).await?;
    let detail = json!({"key_id": record.id, "scopes": record.scopes});
    call.audit("key.create", Some(&record.account), None, detail).await?;
    Ok((StatusCode::CREATED, Json(CreatedKey { key: record.into(), api_key: key.whole() })))
}

/// Which page of keys.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyQuery {
    /// Lines of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The last `key_id` of the page before.
    after: Option<String>,
    /// Keys of this account only.
    account: Option<String>,
}

/// A page of keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    keys: Vec<KeyBody>,
}

/// List API keys, revoked ones too.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", operation_id = "listKeys",
    security(("bearer" = [])), params(KeyQuery), responses((status = 200, body = KeyList), Errors))]
pub(super) async fn list(call: Call, Asked(asked): Asked<KeyQuery>) -> Result<Json<KeyList>, Failure> {
    call.caller.require_operator()?;
    let limit = page_limit(asked.limit)?;
    // PostgreSQL knows no zero byte, and no name has one.
    let name = |text: Option<String>| text.filter(|text| !text.contains('\0'));
    let after = name(asked.after).unwrap_or_default();
    let keys = call.app.store.api_keys(name(asked.account).as_deref(), &after, limit).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(Into::into).collect() }))
}

/// Revoke an API key, at once and for good.
#[utoipa::path(delete, path = "/api/v1/keys/{key_id}", tag = "keys", operation_id = "revokeKey",
    security(("bearer" = [])), params(("key_id" = String, Path)),
    responses((status = 204, description = "It is revoked"), Errors))]
pub(super) async fn revoke(call: Call, Name(id): Name) -> Result<StatusCode, Failure> {
    call.caller.require_operator()?;
    if id.contains('\0') || !call.app.store.revoke_api_key(&id, call.now).await? {
        return Err(not_found());
    }
    call.audit("key.revoke", None, None, json!({"key_id": id})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The keys that access tokens are checked with.
#[derive(Serialize, ToSchema)]
pub(super) struct SigningKeyList {
    keys: Vec<SigningKeyBody>,
}

/// A key that signs access tokens, without the key.
#[derive(Serialize, ToSchema)]
#[schema(as = SigningKey)]
struct SigningKeyBody {
    kid: String,
    algorithm: String,
    #[schema(format = DateTime)]
    added_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    retired_at: Option<String>,
}

impl From<SigningKeyRecord> for SigningKeyBody {
    fn from(record: SigningKeyRecord) -> Self {
        Self {
            kid: record.kid,
            algorithm: record.algorithm,
            added_at: rfc3339(record.added_at),
            retired_at: record.retired_at.map(rfc3339),
        }
    }
}

/// List the signing keys that daemons had so far.
#[utoipa::path(get, path = "/api/v1/signing-keys", tag = "keys", operation_id = "listSigningKeys",
    security(("bearer" = [])), responses((status = 200, body = SigningKeyList), Errors))]
pub(super) async fn signing_keys(call: Call) -> Result<Json<SigningKeyList>, Failure> {
    call.caller.require_operator()?;
    let keys = call.app.store.signing_keys().await?;
    Ok(Json(SigningKeyList { keys: keys.into_iter().map(Into::into).collect() }))
}

/// Retire a signing key: within seconds its tokens are worth nothing to any daemon.
#[utoipa::path(delete, path = "/api/v1/signing-keys/{kid}", tag = "keys", operation_id = "retireSigningKey",
    security(("bearer" = [])), params(("kid" = String, Path)),
    responses((status = 204, description = "It is retired"), Errors))]
pub(super) async fn retire(call: Call, Name(kid): Name) -> Result<StatusCode, Failure> {
    call.caller.require_operator()?;
    if kid.contains('\0') || !call.app.store.retire_signing_key(&kid, call.now).await? {
        return Err(not_found());
    }
    call.app.auth.refresh().await?;
    call.app.cluster.tell(&Notice::SigningKeys).await;
    call.audit("signing_key.retire", None, None, json!({"kid": kid})).await?;
    Ok(StatusCode::NO_CONTENT)
}
