//! The transforms of the suites, each with its expanded keys.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroizing;

use crate::ticket::Suite;

use super::KeyError;
use super::kdf::SessionKeys;

/// Bytes of an AES-CM salt.
const CM_SALT_BYTES: usize = 14;

/// The transform of one suite for one of RTP and RTCP.
pub(super) enum Cipher {
    Gcm(Gcm),
    /// Boxed, for its keys are many times larger than the handle of GCM's and it is not the default.
    Cm(Box<CmHmac>),
}

impl Cipher {
    pub(super) fn new(suite: Suite, keys: &SessionKeys) -> Result<Self, KeyError> {
        match suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Gcm::new(keys).map(Self::Gcm),
            Suite::AesCm128HmacSha1_80 => CmHmac::new(keys).map(|cm| Self::Cm(Box::new(cm))),
        }
    }

    /// Bytes of the authentication tag.
    pub(super) fn tag_len(&self) -> usize {
        match self {
            Self::Gcm(_) => Suite::AeadAes128Gcm.tag_len(),
            Self::Cm(_) => CmHmac::TAG_BYTES,
        }
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gcm(_) => "AES-GCM",
            Self::Cm(_) => "AES-CM with HMAC-SHA1",
        })
    }
}

/// SSRC and index, as nonces and counters have them: 4 bytes and 6 bytes. An SRTCP index is the low 31 bits of the latter.
fn packet_id(ssrc: u32, index: u64) -> [u8; 10] {
    let mut id = [0; 10];
    id[..4].copy_from_slice(&ssrc.to_be_bytes());
    id[4..].copy_from_slice(&index.to_be_bytes()[2..]);
    id
}

/// AES in Galois counter mode: RFC 7714.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: Zeroizing<[u8; NONCE_LEN]>,
}

impl Gcm {
    fn new(keys: &SessionKeys) -> Result<Self, KeyError> {
        let algorithm = if keys.key.len() == AES_256_GCM.key_len() { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, &keys.key).map_err(|_| KeyError::Refused)?;
        let salt = keys.salt.as_slice().try_into().map_err(|_| KeyError::Refused)?;
        Ok(Self { key: LessSafeKey::new(key), salt: Zeroizing::new(salt) })
    }

    /// Two zero bytes and the packet's identity, exclusive-or the salt: RFC 7714 sections 8.1 and 9.1.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = *self.salt;
        for (byte, id) in nonce[2..].iter_mut().zip(packet_id(ssrc, index)) {
            *byte ^= id;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts in place.
    pub(super) fn seal(
        &self,
        ssrc: u32,
        index: u64,
        associated: &[u8],
        region: &mut [u8],
    ) -> Result<Tag, Unspecified> {
        self.key.seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(associated), region)
    }

    /// Decrypts from `region` to `out`, which has the same length.
    pub(super) fn open(
        &self,
        ssrc: u32,
        index: u64,
        associated: &[u8],
        region: &[u8],
        tag: &[u8],
        out: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.key.open_separate_gather(self.nonce(ssrc, index), Aad::from(associated), region, tag, out)
    }

    /// Decrypts in place.
    pub(super) fn open_in_place(
        &self,
        ssrc: u32,
        index: u64,
        associated: &[u8],
        region: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        let nonce = self.nonce(ssrc, index);
        self.key.open_in_place_separate_tag(nonce, Aad::from(associated), tag, region).map(|_| ())
    }
}

/// AES in counter mode with HMAC-SHA1: RFC 3711 sections 4.1.1 and 4.2.1.
pub(super) struct CmHmac {
    key: EncryptingKey,
    auth: hmac::Key,
    salt: Zeroizing<[u8; CM_SALT_BYTES]>,
}

impl CmHmac {
    /// The tag is truncated to 80 bits.
    pub(super) const TAG_BYTES: usize = 10;

    fn new(keys: &SessionKeys) -> Result<Self, KeyError> {
        let key = UnboundCipherKey::new(&AES_128, &keys.key).and_then(EncryptingKey::ctr);
        let salt = keys.salt.as_slice().try_into().map_err(|_| KeyError::Refused)?;
        Ok(Self {
            key: key.map_err(|_| KeyError::Refused)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.auth),
            salt: Zeroizing::new(salt),
        })
    }

    /// Encrypts or decrypts in place.
    pub(super) fn apply(&self, ssrc: u32, index: u64, region: &mut [u8]) -> Result<(), Unspecified> {
        let mut counter = [0; 16];
        counter[..CM_SALT_BYTES].copy_from_slice(self.salt.as_slice());
        for (byte, id) in counter[4..].iter_mut().zip(packet_id(ssrc, index)) {
            *byte ^= id;
        }
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        self.key.less_safe_encrypt(region, context).map(|_| ())
    }

    /// The tag over the authenticated portion and what follows it in the computation (the ROC for RTP).
    pub(super) fn tag(&self, authenticated: &[u8], suffix: &[u8]) -> [u8; Self::TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(authenticated);
        context.update(suffix);
        let mut tag = [0; Self::TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..Self::TAG_BYTES]);
        tag
    }

    /// Checks a tag in constant time.
    pub(super) fn verify(&self, authenticated: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), Unspecified> {
        constant_time::verify_slices_are_equal(&self.tag(authenticated, suffix), tag)
    }
}
