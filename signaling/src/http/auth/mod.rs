//! Who may do what.
//!
//! Three kinds of credentials reach the REST interface: the operator's token, API keys with scopes, and what makes somebody
//! host of one meeting (its host token, or an access token that says so); see [`Caller`]. Who wants to join shows a password,
//! an access token or the host token, and [`Auth::admit`] makes a [`Grant`] of it. Whatever is wrong, the answer for a meeting that
//! does not exist is the same as for one that is somebody else's, and takes as long.

mod caller;
mod grant;
mod lockout;
mod tokens;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_wire::signaling::Token;
use sluice_wire::time::Time;

use crate::metrics::Metrics;
use crate::secrets::{Passcodes, PasswordError, TokenHash};
use crate::store::{SigningKeyRecord, Store, StoreError};
pub(in crate::http) use caller::not_found;
pub use caller::{Caller, Scope, Scopes};
pub use grant::{Credential, Grant, Refusal};
use lockout::Lockouts;
pub use tokens::{AccessTokens, Claims, InvalidToken, KeyError, MAX_TOKEN_LIFE, SigningKeyConfig};

#[cfg(test)]
mod tests;

/// What [`Auth`] is made of.
#[derive(Clone)]
pub struct AuthParts {
    /// Where meetings and keys are kept.
    pub store: Arc<dyn Store>,
    /// Checks passwords, and remembers right ones.
    pub passcodes: Passcodes,
    /// Signs and checks access tokens.
    pub tokens: AccessTokens,
    /// The operator's token; anybody may make meetings when there is none.
    pub operator: Option<TokenHash>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Checks credentials. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    parts: AuthParts,
    lockouts: Mutex<Lockouts>,
    /// Names of signing keys whose tokens are worth nothing.
    retired: Mutex<BTreeSet<String>>,
    /// The hash of something that nobody knows: what is compared where there is nothing to compare with.
    decoy: TokenHash,
}

impl Auth {
    /// Notes the signing keys in the store and reads which are retired.
    ///
    /// # Errors
    /// If the store fails or the operating system gives no entropy.
    pub async fn new(parts: AuthParts, now: Time) -> Result<Self, AuthError> {
        for (kid, algorithm) in parts.tokens.keys() {
            let (kid, algorithm) = (kid.to_owned(), algorithm.to_owned());
            let key = SigningKeyRecord { kid, algorithm, added_at: now, retired_at: None };
            parts.store.add_signing_key(&key).await?;
        }
        let decoy = TokenHash::of(&crate::secrets::token().map_err(PasswordError::from)?);
        let auth =
            Self(Arc::new(Inner { parts, lockouts: Mutex::default(), retired: Mutex::default(), decoy }));
        auth.refresh().await?;
        Ok(auth)
    }

    /// Reads anew which signing keys are retired. To be called every few seconds: it is how daemons hear of it.
    ///
    /// # Errors
    /// If the store fails; what was known stays known.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let keys = self.0.parts.store.signing_keys().await?;
        let retired = keys.into_iter().filter(|key| key.retired_at.is_some()).map(|key| key.kid);
        *lock(&self.0.retired) = retired.collect();
        Ok(())
    }

    /// Forgets failures that have been paid for.
    pub fn sweep(&self, now: Time) {
        lock(&self.0.lockouts).sweep(now);
    }

    /// What checks passwords.
    #[must_use]
    pub fn passcodes(&self) -> &Passcodes {
        &self.0.parts.passcodes
    }

    /// What signs access tokens.
    #[must_use]
    pub fn tokens(&self) -> &AccessTokens {
        &self.0.parts.tokens
    }

    /// What an access token says, if it is good now.
    fn claims(&self, token: &Token, now: Time) -> Result<Claims, InvalidToken> {
        let retired = lock(&self.0.retired);
        let claims = self.0.parts.tokens.verify(token, now, |kid| !retired.contains(kid));
        if claims.is_err() {
            self.0.parts.metrics.tokens_refused.inc();
        }
        claims
    }
}

/// Why there is no [`Auth`].
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gives no entropy.
    #[error(transparent)]
    Entropy(#[from] PasswordError),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each use leaves the table whole, whatever panics elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
