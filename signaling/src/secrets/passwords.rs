//! Password hashes: Argon2id, off the async threads, a few at a time.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _, phc};
use prometheus_client::metrics::counter::Counter;
use sluice_wire::signaling::Password;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Hashes at a time: each takes a core and 19 MiB for tens of milliseconds, and the rest of the daemon runs beside them.
const CONCURRENT_HASHES: usize = 2;
/// Hashes that may wait: at some 30 ms each, the last of them waits about a second. Above, callers are sent away.
const WAITING_HASHES: usize = 64;

/// A stored hash: a PHC string.
#[derive(Clone, Debug)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash from the store.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why there is no hash and no verdict.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait already.
    #[error("too many passwords are being checked")]
    Busy,
    /// The hash function failed.
    #[error("password hash: {0}")]
    Hash(#[from] password_hash::Error),
    /// The stored hash is no PHC string.
    #[error("stored password hash: {0}")]
    Stored(#[from] phc::Error),
    /// The operating system gives no entropy.
    #[error("entropy: {0}")]
    Entropy(#[from] rand::rngs::SysError),
    /// The thread that hashed is gone.
    #[error("password thread: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Hashes and checks passwords.
#[derive(Clone, Debug)]
pub struct Passwords {
    admission: Arc<Semaphore>,
    running: Arc<Semaphore>,
    /// The hash of something that nobody knows: what is checked where there is nothing to check.
    decoy: PasswordHash,
    hashes: Counter,
}

impl Passwords {
    /// A checker with a decoy of its own, which counts the hashes that it computes.
    ///
    /// # Errors
    /// If the operating system gives no entropy.
    pub fn new(hashes: Counter) -> Result<Self, PasswordError> {
        let secret = super::token()?;
        Ok(Self {
            admission: Arc::new(Semaphore::new(CONCURRENT_HASHES + WAITING_HASHES)),
            running: Arc::new(Semaphore::new(CONCURRENT_HASHES)),
            decoy: hash(secret.expose())?,
            hashes,
        })
    }

    /// The hash of a password, with a salt of its own.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] if too many wait.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordError> {
        self.run(move || hash(password.expose())).await
    }

    /// Whether `password` is what was hashed.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] if too many wait.
    pub async fn is_right(
        &self,
        password: Option<Password>,
        expected: PasswordHash,
    ) -> Result<bool, PasswordError> {
        // Without a password the work is done all the same, on one that is too short to be one.
        self.run(move || verify(password.as_ref().map_or("", Password::expose), &expected)).await
    }

    /// Takes as long as [`Self::is_right`] does, for a meeting that does not exist.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] if too many wait.
    pub async fn pretend(&self, password: Option<Password>) -> Result<(), PasswordError> {
        self.is_right(password, self.decoy.clone()).await.map(drop)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _admitted = self.admission.try_acquire().map_err(|_| PasswordError::Busy)?;
        // The permit travels with the work: a caller who goes away does not make room for another thread.
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        self.hashes.inc();
        spawn_blocking(move || {
            let result = work();
            drop(running);
            result
        })
        .await?
    }
}

fn hash(password: &str) -> Result<PasswordHash, PasswordError> {
    let hash: phc::PasswordHash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(PasswordHash(hash.to_string()))
}

fn verify(password: &str, expected: &PasswordHash) -> Result<bool, PasswordError> {
    let expected = phc::PasswordHash::new(expected.as_str())?;
    match Argon2::default().verify_password(password.as_bytes(), &expected) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
