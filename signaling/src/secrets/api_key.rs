//! Keys of servers: `slk_<id>_<secret>`. The id finds the record, the secret is compared with its hash.

use rand::rngs::SysError;
use sluice_wire::signaling::Token;

use super::entropy::{meeting_id, token};

/// What every key begins with, so that scanners of source code find those that were left there.
const PREFIX: &str = "slk_";

/// An API key in its two halves.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: Token,
}

impl ApiKey {
    /// A new key.
    ///
    /// # Errors
    /// If the operating system gives no entropy.
    pub fn new() -> Result<Self, SysError> {
        Ok(Self { id: meeting_id()?.into(), secret: token()? })
    }

    /// Takes a key apart; `None` if it is none.
    #[must_use]
    pub fn parse(text: &Token) -> Option<Self> {
        let (id, secret) = text.expose().strip_prefix(PREFIX)?.split_once('_')?;
        Some(Self { id: id.to_owned(), secret: Token::new(secret.to_owned()) })
    }

    /// The whole key, to be given once.
    #[must_use]
    pub fn whole(&self) -> Token {
        Token::new(format!("{PREFIX}{}_{}", self.id, self.secret.expose()))
    }
}
