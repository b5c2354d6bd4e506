//! Access tokens: JSON Web Tokens (RFC 7519), signed (RFC 7515) by keys that have one algorithm each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use sluice_wire::signaling::{DisplayName, MeetingId, Role, Token};
use sluice_wire::time::Time;

use crate::secrets::key_bytes;

/// The longest that a token of the daemon's own lives.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How much two clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// The longest token that is looked at, in bytes. A token of ours has about 400.
const MAX_TOKEN_BYTES: usize = 4_096;
/// The shortest secret of HS256, in bytes (RFC 7518 section 3.2).
const MIN_SECRET_BYTES: usize = 32;
/// The longest name of a key, in bytes.
const MAX_KID_BYTES: usize = 64;

/// A key as configuration has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "algorithm", deny_unknown_fields)]
pub enum SigningKeyConfig {
    /// HMAC with SHA-256. The first such key signs the daemon's own tokens.
    HS256 {
        /// Its name, the `kid` of its tokens.
        kid: String,
        /// At least 32 bytes of text, as random as a key.
        secret: Token,
    },
    /// Ed25519, of somebody else who issues tokens: checked here, never signed.
    EdDSA {
        /// Its name, the `kid` of its tokens.
        kid: String,
        /// The public key: 32 bytes in base64url, the `x` of a JWK (RFC 8037).
        public_key: String,
    },
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Two have the same name, or a name is empty or too long.
    #[error("signing key {0:?}: the kid has 1 to {MAX_KID_BYTES} bytes and is there once")]
    Kid(String),
    /// The secret is too short, or the public key is none.
    #[error(
        "signing key {0:?}: an HS256 secret has at least {MIN_SECRET_BYTES} bytes, an EdDSA key is base64url of 32"
    )]
    Key(String),
    /// The operating system gives no entropy.
    #[error("entropy: {0}")]
    Entropy(#[from] rand::rngs::SysError),
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who the bearer is to whoever issued the token.
    pub sub: String,
    /// Whom the token is for: the deployment's audience.
    pub aud: String,
    /// The end of its life, in seconds since the Unix epoch.
    pub exp: u64,
    /// The beginning of its life, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The meeting that it opens.
    pub meeting: MeetingId,
    /// As what.
    pub role: Role,
    /// What others see, whatever the bearer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DisplayName>,
}

/// Why a token is none, for logs and tests. Callers are told one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Not a token, or without a `kid`.
    #[error("malformed")]
    Malformed,
    /// No key of this name, or it is retired.
    #[error("unknown key")]
    UnknownKey,
    /// Another algorithm than the key's.
    #[error("wrong algorithm")]
    Algorithm,
    /// The signature is wrong, or a claim is missing, malformed or for somebody else.
    #[error("refused")]
    Refused,
    /// Its life is over, or has not begun.
    #[error("expired")]
    Expired,
}

/// Signs and checks tokens. Cheap to clone.
#[derive(Clone)]
pub struct AccessTokens(Arc<Keys>);

struct Keys {
    audience: String,
    signing: (String, EncodingKey),
    checking: BTreeMap<String, Key>,
}

struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl AccessTokens {
    /// Tokens for `audience` by `keys`. If none of them signs, a key of the process's own does: its tokens end with it.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn new(audience: &str, keys: &[SigningKeyConfig]) -> Result<Self, KeyError> {
        let mut checking = BTreeMap::new();
        let mut signing = None;
        for key in keys {
            let (kid, key, signs) = read(key)?;
            if !(1..=MAX_KID_BYTES).contains(&kid.len()) || checking.contains_key(&kid) {
                return Err(KeyError::Kid(kid));
            }
            if let Some(signs) = signs
                && signing.is_none()
            {
                signing = Some((kid.clone(), signs));
            }
            checking.insert(kid, key);
        }
        let signing = match signing {
            Some(signing) => signing,
            None => {
                let secret = key_bytes()?;
                let kid = format!("process-{}", crate::secrets::meeting_id()?);
                let key = Key { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(&secret) };
                checking.insert(kid.clone(), key);
                (kid, EncodingKey::from_secret(&secret))
            }
        };
        Ok(Self(Arc::new(Keys { audience: audience.to_owned(), signing, checking })))
    }

    /// The names of the keys and their algorithms.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.0.checking.iter().map(|(kid, key)| {
            (kid.as_str(), if key.algorithm == Algorithm::HS256 { "HS256" } else { "EdDSA" })
        })
    }

    /// Whether a key of this daemon's own signs, which its configuration does not name.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.0.signing.0.starts_with("process-")
    }

    /// A token, and when it ends. It lives at most [`MAX_TOKEN_LIFE`].
    ///
    /// # Errors
    /// If the library cannot sign, which it can.
    pub fn issue(
        &self,
        meeting: &MeetingId,
        role: Role,
        identity: &str,
        name: Option<DisplayName>,
        life: Duration,
        now: Time,
    ) -> Result<(Token, Time), jsonwebtoken::errors::Error> {
        let exp = seconds(now + life.min(MAX_TOKEN_LIFE));
        let claims = Claims {
            sub: identity.to_owned(),
            aud: self.0.audience.clone(),
            exp,
            nbf: None,
            meeting: meeting.clone(),
            role,
            name,
        };
        let (kid, key) = &self.0.signing;
        let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
        Ok((Token::new(encode(&header, &claims, key)?), Time::ZERO + Duration::from_secs(exp)))
    }

    /// What a token says, if a key that `accepts` made it and it is good now. The algorithm is the key's, whatever the token
    /// claims.
    pub(super) fn verify(
        &self,
        token: &Token,
        now: Time,
        accepts: impl FnOnce(&str) -> bool,
    ) -> Result<Claims, InvalidToken> {
        let text = token.expose();
        if text.len() > MAX_TOKEN_BYTES {
            return Err(InvalidToken::Malformed);
        }
        let header = decode_header(text).map_err(|_| InvalidToken::Malformed)?;
        let kid = header.kid.ok_or(InvalidToken::Malformed)?;
        let key = self.0.checking.get(&kid).filter(|_| accepts(&kid)).ok_or(InvalidToken::UnknownKey)?;
        if header.alg != key.algorithm {
            return Err(InvalidToken::Algorithm);
        }
        let mut validation = Validation::new(key.algorithm);
        validation.set_audience(&[&self.0.audience]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        // The library would ask the system's clock; the daemon has one of its own.
        validation.validate_exp = false;
        let claims: Claims = decode(text, &key.key, &validation).map_err(|_| InvalidToken::Refused)?.claims;
        let starts = claims.nbf.unwrap_or(0);
        let alive = starts <= seconds(now + LEEWAY) && claims.exp > seconds(now);
        if alive { Ok(claims) } else { Err(InvalidToken::Expired) }
    }
}

fn read(config: &SigningKeyConfig) -> Result<(String, Key, Option<EncodingKey>), KeyError> {
    match config {
        SigningKeyConfig::HS256 { kid, secret } => {
            let secret = secret.expose().as_bytes();
            if secret.len() < MIN_SECRET_BYTES {
                return Err(KeyError::Key(kid.clone()));
            }
            let key = Key { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) };
            Ok((kid.clone(), key, Some(EncodingKey::from_secret(secret))))
        }
        SigningKeyConfig::EdDSA { kid, public_key } => {
            let key = DecodingKey::from_ed_components(public_key).map_err(|_| KeyError::Key(kid.clone()))?;
            Ok((kid.clone(), Key { algorithm: Algorithm::EdDSA, key }, None))
        }
    }
}

fn seconds(time: Time) -> u64 {
    time.saturating_since(Time::ZERO).as_secs()
}
