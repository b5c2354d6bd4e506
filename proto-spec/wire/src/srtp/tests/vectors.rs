//! The vectors of the RFCs, from `proto-spec/vectors/srtp`.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::srtp::cipher::Cipher;
use crate::srtp::kdf::{self, Purpose, SessionKeys};
use crate::srtp::rtcp;

use super::*;

fn file(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn list(value: &Value) -> &[Value] {
    let list = value.as_array().unwrap();
    assert!(!list.is_empty());
    list
}

fn suite(value: &Value) -> Suite {
    serde_json::from_value(value.clone()).unwrap()
}

fn cipher(suite: Suite, key: Vec<u8>, auth: Vec<u8>, salt: Vec<u8>) -> Cipher {
    let keys =
        SessionKeys { key: Zeroizing::new(key), auth: Zeroizing::new(auth), salt: Zeroizing::new(salt) };
    Cipher::new(suite, &keys).unwrap()
}

/// The block that an RFC's SSRC falls into.
fn block_around(packet: &[u8]) -> SsrcBlock {
    let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
    SsrcBlock::new(ssrc & !63, 64).unwrap()
}

fn check_rtp(outbound: &mut OutboundSrtp, inbound: &mut InboundSrtp, roc: u64, plain: &[u8], sealed: &[u8]) {
    let mut out = vec![0; ROOM];
    let index = roc << 16 | u64::from(u16::from_be_bytes([plain[2], plain[3]]));
    let header_len = crate::srtp::cryptex::Header::parse(plain).unwrap().len;
    let (header, payload) = plain.split_at(header_len);
    let len = outbound.seal_rtp(index, header, payload, &mut out).unwrap();
    assert_eq!(out[..len], *sealed);
    let opened = inbound.open_rtp(sealed, &mut out).unwrap();
    assert_eq!(out[..opened.len], *plain);
    assert_eq!(opened.index, index);
}

#[test]
fn rfc_3711_b2_keystream() {
    let vector = file(include_str!("../../../../vectors/srtp/rfc3711-b2-keystream.json"));
    let (key, salt) = (hex(&vector["session_key"]), hex(&vector["session_salt"]));
    let Cipher::Cm(cm) = cipher(Suite::AesCm128HmacSha1_80, key, vec![0; 20], salt) else { panic!() };
    let mut keystream = vec![0; vector["length"].as_u64().unwrap() as usize];
    cm.apply(0, 0, &mut keystream).unwrap();
    assert!(keystream.starts_with(&hex(&vector["first"])));
    assert!(keystream.ends_with(&hex(&vector["last"])));
}

#[test]
fn key_derivation() {
    let vectors = file(include_str!("../../../../vectors/srtp/key-derivation.json"));
    for vector in list(&vectors["derivations"]) {
        let (key, salt) = (hex(&vector["master_key"]), hex(&vector["master_salt"]));
        for output in list(&vector["outputs"]) {
            let (label, expected) = (output["label"].as_u64().unwrap() as u8, hex(&output["output"]));
            let derived = kdf::derive(&key, &salt, label, expected.len()).unwrap();
            assert_eq!(*derived, expected, "{} label {label}", vector["section"]);
        }
    }
}

#[test]
fn rfc_9335_appendix_a() {
    let vectors = file(include_str!("../../../../vectors/srtp/rfc9335.json"));
    for group in list(&vectors["groups"]) {
        let suite = suite(&group["suite"]);
        let key = Secret::new(hex(&group["master_key"]));
        let master = MasterKey { key, salt: Secret::new(hex(&group["master_salt"])) };
        let session = SessionKeys::derive(suite, &master, Purpose::Rtp).unwrap();
        assert_eq!(*session.key, hex(&group["session_key"]));
        assert_eq!(*session.salt, hex(&group["session_salt"]));
        assert!(session.auth.starts_with(&hex(&group["session_auth_key"])));
        for packet in list(&group["packets"]) {
            let (plain, sealed) = (hex(&packet["rtp"]), hex(&packet["srtp"]));
            let block = block_around(&plain);
            let mut outbound = OutboundSrtp::new(suite, &master, block, Cryptex::Required).unwrap();
            let mut inbound = InboundSrtp::new(suite, &master, block, Cryptex::Required).unwrap();
            check_rtp(&mut outbound, &mut inbound, group["roc"].as_u64().unwrap(), &plain, &sealed);
        }
    }
}

#[test]
fn rfc_7714_section_16() {
    let vectors = file(include_str!("../../../../vectors/srtp/rfc7714.json"));
    for vector in list(&vectors["rtp"]) {
        let cipher = || {
            let salt = hex(&vectors["session_salt"]);
            cipher(suite(&vector["suite"]), hex(&vector["session_key"]), Vec::new(), salt)
        };
        let (plain, sealed) = (hex(&vector["rtp"]), hex(&vector["srtp"]));
        let block = block_around(&plain);
        let mut outbound = OutboundSrtp::with_ciphers(cipher(), cipher(), block, Cryptex::Off);
        let mut inbound = InboundSrtp::with_ciphers(cipher(), cipher(), block, Cryptex::Off);
        check_rtp(&mut outbound, &mut inbound, vector["roc"].as_u64().unwrap(), &plain, &sealed);
    }
    for vector in list(&vectors["rtp_tag_only"]) {
        let salt = hex(&vectors["session_salt"]);
        let cipher = cipher(suite(&vector["suite"]), hex(&vector["session_key"]), Vec::new(), salt);
        let Cipher::Gcm(gcm) = cipher else { panic!() };
        let plain = hex(&vector["rtp"]);
        let ssrc = u32::from_be_bytes(plain[8..12].try_into().unwrap());
        let index = u64::from(u16::from_be_bytes([plain[2], plain[3]]));
        let tag = gcm.seal(ssrc, index, &plain, &mut []).unwrap();
        assert_eq!(tag.as_ref(), hex(&vector["tag"]));
    }
}

#[test]
fn rfc_7714_section_17() {
    let vectors = file(include_str!("../../../../vectors/srtp/rfc7714.json"));
    for vector in list(&vectors["rtcp"]) {
        let salt = hex(&vectors["session_salt"]);
        let cipher = cipher(suite(&vector["suite"]), hex(&vector["session_key"]), Vec::new(), salt);
        let (plain, sealed) = (hex(&vector["rtcp"]), hex(&vector["srtcp"]));
        let (ssrc, index) = (rtcp::sender(&plain).unwrap(), vector["index"].as_u64().unwrap() as u32);
        let mut out = vec![0; sealed.len()];
        rtcp::seal(&cipher, ssrc, index, &plain, &mut out).unwrap();
        assert_eq!(out, sealed);
        assert_eq!(rtcp::word(&cipher, &sealed), Some((true, index)));
        let mut out = vec![0; plain.len()];
        rtcp::open(&cipher, ssrc, index, &sealed, &mut out).unwrap();
        assert_eq!(out, plain);
    }
    for vector in list(&vectors["rtcp_tag_only"]) {
        let salt = hex(&vectors["session_salt"]);
        let cipher = cipher(suite(&vector["suite"]), hex(&vector["session_key"]), Vec::new(), salt);
        let (plain, sealed) = (hex(&vector["rtcp"]), hex(&vector["srtcp"]));
        let index = vector["index"].as_u64().unwrap() as u32;
        assert_eq!(rtcp::word(&cipher, &sealed), Some((false, index)));
        let Cipher::Gcm(gcm) = cipher else { panic!() };
        let associated = [plain.as_slice(), &sealed[sealed.len() - 4..]].concat();
        let tag = gcm.seal(rtcp::sender(&plain).unwrap(), index.into(), &associated, &mut []).unwrap();
        assert_eq!(tag.as_ref(), &sealed[plain.len()..sealed.len() - 4]);
    }
}

#[test]
fn keys_of_wrong_length_are_refused() {
    use crate::srtp::KeyError;
    for suite in SUITES {
        let good = master(suite);
        let long = Secret::new(vec![0; 33]);
        let bad_key = MasterKey { key: long.clone(), salt: good.salt.clone() };
        let bad_salt = MasterKey { key: good.key.clone(), salt: long };
        let new = |master| InboundSrtp::new(suite, master, block(), Cryptex::Off).err();
        assert_eq!(new(&bad_key), Some(KeyError::KeyLength { expected: suite.key_len(), actual: 33 }));
        assert_eq!(new(&bad_salt), Some(KeyError::SaltLength { expected: suite.salt_len(), actual: 33 }));
        assert_eq!(new(&good), None);
    }
}
