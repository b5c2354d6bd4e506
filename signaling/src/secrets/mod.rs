//! Ids and tokens from the operating system's entropy, and hashes of what must not be kept.

mod api_key;
mod entropy;
mod passcodes;
mod passwords;
mod token_hash;

pub use api_key::ApiKey;
pub use entropy::{key_bytes, meeting_id, token};
pub use passcodes::Passcodes;
pub use passwords::{PasswordError, PasswordHash, Passwords};
pub use token_hash::TokenHash;

#[cfg(test)]
mod tests;
