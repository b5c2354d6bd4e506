//! Keys of callers, and the names of signing keys.

use sluice_wire::time::Time;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{SqlStore, maybe_time, page, time};
use crate::clock::unix_millis;
use crate::secrets::TokenHash;
use crate::store::keys::{ApiKeyRecord, KeyStore, SigningKeyRecord};
use crate::store::{StoreError, StoreFuture};

const ADD_API_KEY: &str =
    "INSERT INTO api_keys (id, account, name, key_hash, scopes, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
const API_KEY: &str =
    "SELECT id, account, name, key_hash, scopes, created_at, revoked_at FROM api_keys WHERE id = $1";
const API_KEYS: &str = "SELECT id, account, name, key_hash, scopes, created_at, revoked_at FROM api_keys \
     WHERE ($1 = 0 OR account = $2) AND id > $3 ORDER BY id LIMIT $4";
/// Answers with a row whenever there is such a key, and keeps the first time.
const REVOKE_API_KEY: &str = "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2";
const ADD_SIGNING_KEY: &str = "INSERT INTO signing_keys (kid, algorithm, added_at) VALUES ($1, $2, $3) \
     ON CONFLICT (kid) DO NOTHING";
const SIGNING_KEYS: &str = "SELECT kid, algorithm, added_at, retired_at FROM signing_keys ORDER BY kid";
const RETIRE_SIGNING_KEY: &str =
    "UPDATE signing_keys SET retired_at = COALESCE(retired_at, $1) WHERE kid = $2";

impl KeyStore for SqlStore {
    fn add_api_key<'a>(&'a self, key: &'a ApiKeyRecord) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let add = sqlx::query(ADD_API_KEY)
                .bind(key.id.as_str())
                .bind(key.account.as_str())
                .bind(key.name.as_str())
                .bind(key.hash.as_bytes().as_slice())
                .bind(key.scopes.as_str())
                .bind(unix_millis(key.created_at));
            self.execute(add).await.map(drop)
        })
    }

    fn api_key<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<ApiKeyRecord>> {
        Box::pin(async move {
            let row = sqlx::query(API_KEY).bind(id).fetch_optional(&self.pool).await?;
            row.map(|row| api_key(&row)).transpose()
        })
    }

    fn api_keys<'a>(
        &'a self,
        account: Option<&'a str>,
        after: &'a str,
        limit: u32,
    ) -> StoreFuture<'a, Vec<ApiKeyRecord>> {
        Box::pin(async move {
            let rows = sqlx::query(API_KEYS)
                .bind(i64::from(account.is_some()))
                .bind(account)
                .bind(after)
                .bind(page(limit))
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(api_key).collect()
        })
    }

    fn revoke_api_key<'a>(&'a self, id: &'a str, at: Time) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let revoke = sqlx::query(REVOKE_API_KEY).bind(unix_millis(at)).bind(id);
            Ok(self.execute(revoke).await? == 1)
        })
    }

    fn add_signing_key<'a>(&'a self, key: &'a SigningKeyRecord) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let add = sqlx::query(ADD_SIGNING_KEY)
                .bind(key.kid.as_str())
                .bind(key.algorithm.as_str())
                .bind(unix_millis(key.added_at));
            self.execute(add).await.map(drop)
        })
    }

    fn signing_keys(&self) -> StoreFuture<'_, Vec<SigningKeyRecord>> {
        Box::pin(async move {
            let rows = sqlx::query(SIGNING_KEYS).fetch_all(&self.pool).await?;
            rows.iter().map(signing_key).collect()
        })
    }

    fn retire_signing_key<'a>(&'a self, kid: &'a str, at: Time) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let retire = sqlx::query(RETIRE_SIGNING_KEY).bind(unix_millis(at)).bind(kid);
            Ok(self.execute(retire).await? == 1)
        })
    }
}

fn api_key(row: &AnyRow) -> Result<ApiKeyRecord, StoreError> {
    let hash: Vec<u8> = row.try_get("key_hash")?;
    Ok(ApiKeyRecord {
        id: row.try_get("id")?,
        account: row.try_get("account")?,
        name: row.try_get("name")?,
        hash: TokenHash::from_stored(&hash).ok_or(StoreError::Damaged("key_hash"))?,
        scopes: row.try_get("scopes")?,
        created_at: time(row, "created_at")?,
        revoked_at: maybe_time(row, "revoked_at")?,
    })
}

fn signing_key(row: &AnyRow) -> Result<SigningKeyRecord, StoreError> {
    Ok(SigningKeyRecord {
        kid: row.try_get("kid")?,
        algorithm: row.try_get("algorithm")?,
        added_at: time(row, "added_at")?,
        retired_at: maybe_time(row, "retired_at")?,
    })
}
