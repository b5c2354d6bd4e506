//! Keys of callers, and the names of the keys that sign access tokens.

use sluice_wire::time::Time;

use super::StoreFuture;
use crate::secrets::TokenHash;

/// A server's key to the REST interface, without the key.
#[derive(Clone, Debug)]
pub struct ApiKeyRecord {
    /// Its public half.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// What it is for, in words.
    pub name: String,
    /// The hash of its secret half.
    pub hash: TokenHash,
    /// What it may do: words with spaces between.
    pub scopes: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// The name of a key that signs access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// The `kid` of its tokens.
    pub kid: String,
    /// Its one algorithm.
    pub algorithm: String,
    /// When a daemon first had it.
    pub added_at: Time,
    /// From when on its tokens are worth nothing.
    pub retired_at: Option<Time>,
}

/// Keeps keys. Strongly consistent here; daemons remember what they read for some seconds.
pub trait KeyStore: Send + Sync + 'static {
    /// Keeps a new API key. [`super::StoreError::IdTaken`] if there is one of its id.
    fn add_api_key<'a>(&'a self, key: &'a ApiKeyRecord) -> StoreFuture<'a, ()>;

    /// Finds an API key, revoked ones too.
    fn api_key<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<ApiKeyRecord>>;

    /// API keys by rising id, of one account or all, at most [`super::MAX_PAGE`] behind `after`.
    fn api_keys<'a>(
        &'a self,
        account: Option<&'a str>,
        after: &'a str,
        limit: u32,
    ) -> StoreFuture<'a, Vec<ApiKeyRecord>>;

    /// Revokes an API key; the first time counts. `false` if there is none.
    fn revoke_api_key<'a>(&'a self, id: &'a str, at: Time) -> StoreFuture<'a, bool>;

    /// Notes that a daemon has a signing key. The first time counts.
    fn add_signing_key<'a>(&'a self, key: &'a SigningKeyRecord) -> StoreFuture<'a, ()>;

    /// All signing keys by rising name.
    fn signing_keys(&self) -> StoreFuture<'_, Vec<SigningKeyRecord>>;

    /// Retires a signing key; the first time counts. `false` if there is none.
    fn retire_signing_key<'a>(&'a self, kid: &'a str, at: Time) -> StoreFuture<'a, bool>;
}
