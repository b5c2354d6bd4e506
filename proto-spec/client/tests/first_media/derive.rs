//! Session keys from master keys (RFC 3711 section 4.3), apart from the crate's own derivation.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use sluice_wire::ticket::{Direction, Ticket};

use crate::vector::{BothKeys, Hex, SessionKeys};

const KEY_BYTES: usize = 16;
const SALT_BYTES: usize = 12;

/// The session keys of a ticket whose suite is AEAD_AES_128_GCM.
pub(crate) fn session_keys(ticket: &Ticket) -> BothKeys {
    BothKeys { uplink: of_direction(&ticket.uplink), downlink: of_direction(&ticket.downlink) }
}

fn of_direction(direction: &Direction) -> SessionKeys {
    let key = |label, len| Hex(keystream(direction, label, len));
    SessionKeys {
        rtp_key: key(0, KEY_BYTES),
        rtp_salt: key(2, SALT_BYTES),
        rtcp_key: key(3, KEY_BYTES),
        rtcp_salt: key(5, SALT_BYTES),
    }
}

fn keystream(direction: &Direction, label: u8, len: usize) -> Vec<u8> {
    let mut block = [0; 16];
    block[..SALT_BYTES].copy_from_slice(direction.master.salt.expose());
    block[7] ^= label;
    let mut output = vec![0; len];
    UnboundCipherKey::new(&AES_128, direction.master.key.expose())
        .and_then(EncryptingKey::ctr)
        .and_then(|key| {
            key.less_safe_encrypt(&mut output, EncryptionContext::Iv128(FixedLength::from(block)))
        })
        .expect("AES accepts a key of 16 bytes");
    output
}
