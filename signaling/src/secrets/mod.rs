//! Ids and tokens from the operating system's entropy, and hashes of what must not be kept.

mod entropy;
mod passwords;
mod token_hash;

pub use entropy::{meeting_id, token};
pub use passwords::{PasswordError, PasswordHash, Passwords};
pub use token_hash::TokenHash;

#[cfg(test)]
mod tests;
