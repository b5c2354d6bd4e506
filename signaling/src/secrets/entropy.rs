//! Names that nobody can guess.

use rand::TryRng as _;
use rand::rngs::{SysError, SysRng};
use sluice_wire::signaling::{MEETING_ID_ALPHABET, MEETING_ID_CHARS, MeetingId, Token};

/// Random bytes of a token or key: 256 bits, so that a plain hash of it is as good as a slow one.
const TOKEN_BYTES: usize = 32;
/// Bytes below this are spread evenly over the alphabet; the others are thrown away.
const EVEN_BYTES: u8 = (256 / MEETING_ID_ALPHABET.len() * MEETING_ID_ALPHABET.len()) as u8;

/// A new meeting id, uniform over all.
///
/// # Errors
/// If the operating system gives no entropy.
pub fn meeting_id() -> Result<MeetingId, SysError> {
    loop {
        let mut bytes = [0; MEETING_ID_CHARS * 2];
        SysRng.try_fill_bytes(&mut bytes)?;
        let letters = bytes.iter().filter(|&&byte| byte < EVEN_BYTES);
        let letters = letters
            .map(|&byte| char::from(MEETING_ID_ALPHABET[usize::from(byte) % MEETING_ID_ALPHABET.len()]));
        let text: String = letters.take(MEETING_ID_CHARS).collect();
        if let Ok(id) = MeetingId::try_from(text) {
            return Ok(id);
        }
    }
}

/// A new symmetric key of 256 bits.
///
/// # Errors
/// If the operating system gives no entropy.
pub fn key_bytes() -> Result<[u8; TOKEN_BYTES], SysError> {
    let mut bytes = [0; TOKEN_BYTES];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes)
}

/// A new token: 64 hexadecimal digits.
///
/// # Errors
/// If the operating system gives no entropy.
pub fn token() -> Result<Token, SysError> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = key_bytes()?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(Token::new(digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()))
}
