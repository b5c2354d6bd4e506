//! Hashes of tokens.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use sluice_wire::signaling::Token;

/// The SHA-256 of a token. Enough for tokens that are random; passwords get Argon2.
#[derive(Clone, Debug)]
pub struct TokenHash([u8; SHA256_OUTPUT_LEN]);

impl TokenHash {
    /// The hash of a token.
    #[must_use]
    pub fn of(token: &Token) -> Self {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest(&SHA256, token.expose().as_bytes()).as_ref());
        Self(hash)
    }

    /// A hash from the store; `None` if it has the wrong length.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SHA256_OUTPUT_LEN] {
        &self.0
    }

    /// The bytes in hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A hash from [`Self::to_hex`]; `None` if it is none.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
        Self::from_stored(&pairs.collect::<Option<Vec<u8>>>()?)
    }

    /// Whether this is the hash of `token`. The time it takes says nothing about where they differ, nor how long the
    /// expected token is.
    #[must_use]
    pub fn is_of(&self, token: &Token) -> bool {
        verify_slices_are_equal(&self.0, &Self::of(token).0).is_ok()
    }
}
