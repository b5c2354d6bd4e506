//! What is no access token, and why.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use sluice_wire::signaling::{MeetingId, Role, Token};
use sluice_wire::time::Time;

use super::super::Claims;
use super::super::tokens::{AccessTokens, InvalidToken, KeyError, MAX_TOKEN_LIFE, SigningKeyConfig};

const NOW: Time = Time::from_nanos(1_800_000_000_000_000_000);
const NOW_SECONDS: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

fn meeting() -> MeetingId {
    "23456789abcd".parse().unwrap()
}

fn hmac(kid: &str, secret: &str) -> SigningKeyConfig {
    SigningKeyConfig::HS256 { kid: kid.to_owned(), secret: Token::new(secret.to_owned()) }
}

/// Base64url without padding, of 32 bytes.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for n in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * n) & 63) as usize]));
        }
    }
    text
}

struct Theirs {
    private: EncodingKey,
    public: Vec<u8>,
}

fn theirs() -> Theirs {
    let pair = Ed25519KeyPair::generate().unwrap();
    let private = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
    Theirs { private, public: pair.public_key().as_ref().to_vec() }
}

fn claims() -> Value {
    json!({"sub": "u1", "aud": "sluice", "exp": NOW_SECONDS + 60, "meeting": "23456789abcd", "role": "host"})
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn signed(algorithm: Algorithm, kid: Option<&str>, claims: &Value, key: &EncodingKey) -> Token {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    Token::new(encode(&header, claims, key).unwrap())
}

#[test]
fn a_good_token_says_what_it_says() {
    let tokens = AccessTokens::new("sluice", &[hmac("a", SECRET)]).unwrap();
    let life = Duration::from_secs(60);
    let (token, expires_at) = tokens.issue(&meeting(), Role::CoHost, "u1", None, life, NOW).unwrap();
    assert_eq!(expires_at, NOW + life);
    let expected = Claims {
        sub: "u1".to_owned(),
        aud: "sluice".to_owned(),
        exp: NOW_SECONDS + 60,
        nbf: None,
        meeting: meeting(),
        role: Role::CoHost,
        name: None,
    };
    assert_eq!(tokens.verify(&token, NOW, |_| true), Ok(expected));
    let late = NOW + Duration::from_secs(59);
    assert!(tokens.verify(&token, late, |_| true).is_ok());
    let (_, expires_at) = tokens.issue(&meeting(), Role::Host, "u1", None, MAX_TOKEN_LIFE * 2, NOW).unwrap();
    assert_eq!(expires_at, NOW + MAX_TOKEN_LIFE);
}

#[test]
fn whatever_is_wrong_is_refused() {
    let theirs = theirs();
    let public_key = base64url(&theirs.public);
    let keys = [hmac("a", SECRET), SigningKeyConfig::EdDSA { kid: "ed".to_owned(), public_key }];
    let tokens = AccessTokens::new("sluice", &keys).unwrap();
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let other = EncodingKey::from_secret(OTHER_SECRET.as_bytes());
    // The classical confusion: the public key as a secret of HMAC.
    let public_as_secret = EncodingKey::from_secret(&theirs.public);
    let hs = |claims: Value| signed(Algorithm::HS256, Some("a"), &claims, &secret);
    let good = hs(claims());
    let [header, payload, _] = good.expose().split('.').collect::<Vec<_>>()[..] else { panic!() };
    let none = base64url(br#"{"alg":"none","kid":"a"}"#);
    let table = [
        ("good", good.clone(), None),
        ("good, of theirs", signed(Algorithm::EdDSA, Some("ed"), &claims(), &theirs.private), None),
        ("audience among others", hs(with(json!({"aud": ["x", "sluice"]}))), Some(InvalidToken::Refused)),
        ("begins in time", hs(with(json!({"nbf": NOW_SECONDS + 30}))), None),
        ("wrong key", signed(Algorithm::HS256, Some("a"), &claims(), &other), Some(InvalidToken::Refused)),
        ("no kid", signed(Algorithm::HS256, None, &claims(), &secret), Some(InvalidToken::Malformed)),
        (
            "unknown kid",
            signed(Algorithm::HS256, Some("b"), &claims(), &secret),
            Some(InvalidToken::UnknownKey),
        ),
        (
            "other hash",
            signed(Algorithm::HS512, Some("a"), &claims(), &secret),
            Some(InvalidToken::Algorithm),
        ),
        (
            "public key as secret",
            signed(Algorithm::HS256, Some("ed"), &claims(), &public_as_secret),
            Some(InvalidToken::Algorithm),
        ),
        (
            "their key under our name",
            signed(Algorithm::EdDSA, Some("a"), &claims(), &theirs.private),
            Some(InvalidToken::Algorithm),
        ),
        ("alg none", Token::new(format!("{none}.{payload}.")), Some(InvalidToken::Malformed)),
        ("no signature", Token::new(format!("{header}.{payload}.")), Some(InvalidToken::Refused)),
        ("cut", Token::new(format!("{header}.{payload}")), Some(InvalidToken::Malformed)),
        ("garbage", Token::new("a.b.c".to_owned()), Some(InvalidToken::Malformed)),
        ("too long", Token::new(format!("{}.b.c", "a".repeat(5_000))), Some(InvalidToken::Malformed)),
        ("other audience", hs(with(json!({"aud": "else"}))), Some(InvalidToken::Refused)),
        ("no audience", hs(without("aud")), Some(InvalidToken::Refused)),
        ("over", hs(with(json!({"exp": NOW_SECONDS}))), Some(InvalidToken::Expired)),
        ("no end", hs(without("exp")), Some(InvalidToken::Refused)),
        ("an end in words", hs(with(json!({"exp": "tomorrow"}))), Some(InvalidToken::Refused)),
        ("a negative end", hs(with(json!({"exp": -1}))), Some(InvalidToken::Refused)),
        ("not yet", hs(with(json!({"nbf": NOW_SECONDS + 31}))), Some(InvalidToken::Expired)),
        ("a beginning in words", hs(with(json!({"nbf": "now"}))), Some(InvalidToken::Refused)),
        ("no meeting", hs(without("meeting")), Some(InvalidToken::Refused)),
        ("no role", hs(without("role")), Some(InvalidToken::Refused)),
        ("a role of its own", hs(with(json!({"role": "god"}))), Some(InvalidToken::Refused)),
        ("a name of lines", hs(with(json!({"name": "a\nb"}))), Some(InvalidToken::Refused)),
    ];
    for (what, token, expected) in table {
        assert_eq!(tokens.verify(&token, NOW, |_| true).err(), expected, "{what}");
    }
    let retired = tokens.verify(&good, NOW, |kid| kid != "a");
    assert_eq!(retired, Err(InvalidToken::UnknownKey));
}

#[test]
fn keys_rotate() {
    let before = AccessTokens::new("sluice", &[hmac("old", SECRET)]).unwrap();
    let issue = |tokens: &AccessTokens| {
        tokens.issue(&meeting(), Role::Host, "u", None, MAX_TOKEN_LIFE, NOW).unwrap().0
    };
    let old = issue(&before);
    let both = AccessTokens::new("sluice", &[hmac("new", OTHER_SECRET), hmac("old", SECRET)]).unwrap();
    assert!(both.verify(&old, NOW, |_| true).is_ok());
    let new = issue(&both);
    assert_eq!(before.verify(&new, NOW, |_| true), Err(InvalidToken::UnknownKey));
    let after = AccessTokens::new("sluice", &[hmac("new", OTHER_SECRET)]).unwrap();
    assert!(after.verify(&new, NOW, |_| true).is_ok());
    assert_eq!(after.verify(&old, NOW, |_| true), Err(InvalidToken::UnknownKey));
}

#[test]
fn keys_that_cannot_be_used_are_told() {
    let refused = |keys: &[SigningKeyConfig]| AccessTokens::new("sluice", keys).err();
    assert!(matches!(refused(&[hmac("a", "short")]), Some(KeyError::Key(_))));
    assert!(matches!(refused(&[hmac("", SECRET)]), Some(KeyError::Kid(_))));
    assert!(matches!(refused(&[hmac("a", SECRET), hmac("a", OTHER_SECRET)]), Some(KeyError::Kid(_))));
    let damaged = SigningKeyConfig::EdDSA { kid: "ed".to_owned(), public_key: "!".to_owned() };
    assert!(matches!(refused(&[damaged]), Some(KeyError::Key(_))));
    assert!(AccessTokens::new("sluice", &[]).unwrap().is_ephemeral());
}
