//! Key derivation: RFC 3711 section 4.3 with a key derivation rate of 0, RFC 6188 for AES-256, RFC 7714 section 11.

use aws_lc_rs::cipher::{
    AES_128, AES_256, AES_256_KEY_LEN, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use crate::ticket::{MasterKey, Suite};

use super::KeyError;

/// Bytes of an HMAC-SHA1 key: RFC 3711 section 5.2.
const AUTH_KEY_BYTES: usize = 20;
/// Where the label is in the 112 bits of key id: 7 bytes from the right.
const LABEL_AT: usize = 7;

/// What derived keys are for; the value is the label of the encryption key (RFC 3711 sections 4.3.1 and 4.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Rtp = 0,
    Rtcp = 3,
}

/// The keys of one cipher.
pub(super) struct SessionKeys {
    pub(super) key: Zeroizing<Vec<u8>>,
    /// Only for HMAC suites.
    pub(super) auth: Zeroizing<Vec<u8>>,
    pub(super) salt: Zeroizing<Vec<u8>>,
}

impl SessionKeys {
    /// Derives the keys of a suite from a master key.
    ///
    /// # Errors
    /// [`KeyError`] if a length is not the suite's.
    pub(super) fn derive(suite: Suite, master: &MasterKey, purpose: Purpose) -> Result<Self, KeyError> {
        let (key, salt) = (master.key.expose(), master.salt.expose());
        if key.len() != suite.key_len() {
            return Err(KeyError::KeyLength { expected: suite.key_len(), actual: key.len() });
        }
        if salt.len() != suite.salt_len() {
            return Err(KeyError::SaltLength { expected: suite.salt_len(), actual: salt.len() });
        }
        let label = purpose as u8;
        Ok(Self {
            key: derive(key, salt, label, suite.key_len())?,
            auth: derive(key, salt, label + 1, AUTH_KEY_BYTES)?,
            salt: derive(key, salt, label + 2, suite.salt_len())?,
        })
    }
}

/// `len` bytes of AES-CM keystream under the master key, from the block that salt and label make.
pub(super) fn derive(
    master_key: &[u8],
    master_salt: &[u8],
    label: u8,
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let algorithm = if master_key.len() == AES_256_KEY_LEN { &AES_256 } else { &AES_128 };
    let prf = UnboundCipherKey::new(algorithm, master_key).and_then(EncryptingKey::ctr);
    // Salts are aligned to the left: a 96-bit one is multiplied by 2^16 first, as erratum 4938 of RFC 7714 has it.
    let mut block = Zeroizing::new([0; 16]);
    for (byte, salt) in block.iter_mut().zip(master_salt) {
        *byte = *salt;
    }
    block[LABEL_AT] ^= label;
    let mut output = Zeroizing::new(vec![0; len]);
    prf.and_then(|prf| {
        prf.less_safe_encrypt(&mut output, EncryptionContext::Iv128(FixedLength::from(*block)))
    })
    .map_err(|_| KeyError::Refused)?;
    Ok(output)
}
