use std::collections::BTreeSet;

use prometheus_client::metrics::counter::Counter;
use sluice_wire::signaling::{MEETING_ID_ALPHABET, Password, Token};

use super::*;

#[test]
fn meeting_ids_use_the_whole_alphabet_and_differ() {
    let ids: BTreeSet<String> = (0..200).map(|_| meeting_id().unwrap().to_string()).collect();
    assert_eq!(ids.len(), 200);
    // 2,400 draws of 30: the chance that one is missing is 30 * (29/30)^2400, about 1e-34.
    let letters: BTreeSet<u8> = ids.iter().flat_map(|id| id.bytes()).collect();
    assert_eq!(letters, MEETING_ID_ALPHABET.iter().copied().collect());
}

#[test]
fn tokens_are_256_bits_and_differ() {
    let (one, other) = (token().unwrap(), token().unwrap());
    assert_eq!(one.expose().len(), 64);
    assert_ne!(one.expose(), other.expose());
}

#[test]
fn a_token_hash_knows_its_token() {
    let hash = TokenHash::of(&Token::new("right".to_owned()));
    assert!(hash.is_of(&Token::new("right".to_owned())));
    assert!(!hash.is_of(&Token::new("wrong".to_owned())));
    assert!(TokenHash::from_stored(hash.as_bytes()).unwrap().is_of(&Token::new("right".to_owned())));
    assert!(TokenHash::from_stored(&[0; 31]).is_none());
}

#[tokio::test]
async fn a_password_is_right_or_wrong() {
    let passwords = Passwords::new(Counter::default()).unwrap();
    let password = |text: &str| Password::new(text.to_owned());
    let hash = passwords.hash(password("right").unwrap()).await.unwrap();
    assert!(hash.as_str().starts_with("$argon2id$"));
    assert!(passwords.is_right(password("right"), hash.clone()).await.unwrap());
    assert!(!passwords.is_right(password("wrong"), hash.clone()).await.unwrap());
    assert!(!passwords.is_right(None, hash).await.unwrap());
    passwords.pretend(password("any")).await.unwrap();
    let damaged = PasswordHash::from_stored("plain".to_owned());
    assert!(passwords.is_right(password("plain"), damaged).await.is_err());
}
