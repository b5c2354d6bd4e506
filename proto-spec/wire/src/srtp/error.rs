//! What can go wrong with keys, on opening and on sealing.

/// Why keys could not be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The master key's length is not the suite's.
    #[error("the master key has {actual} bytes, the suite wants {expected}")]
    KeyLength {
        /// Bytes that the suite wants.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// The master salt's length is not the suite's.
    #[error("the master salt has {actual} bytes, the suite wants {expected}")]
    SaltLength {
        /// Bytes that the suite wants.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// The cryptographic library refused; it does so only for lack of memory.
    #[error("the cryptographic library refused the key")]
    Refused,
}

/// Why a packet was not opened. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpenError {
    /// Too short, not version 2, or a header that runs past the end.
    #[error("not a well-formed packet")]
    Malformed,
    /// The SSRC is outside of the block, or reserved.
    #[error("the SSRC is not one of this direction's")]
    UnknownSsrc,
    /// The index was opened before.
    #[error("the packet was received before")]
    Replayed,
    /// The index is older than the replay window.
    #[error("the packet is older than the replay window")]
    TooOld,
    /// The tag is wrong: forged, damaged, or under another key.
    #[error("the authentication tag is wrong")]
    AuthenticationFailed,
    /// A header extension in clear, where RFC 9335 is required.
    #[error("the header extension is not encrypted")]
    ExtensionInClear,
    /// An SRTCP packet with the E bit 0.
    #[error("the SRTCP packet is not encrypted")]
    NotEncrypted,
    /// The output buffer cannot hold the plaintext.
    #[error("the output buffer is too small")]
    BufferTooSmall,
}

/// Why a packet was not sealed. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SealError {
    /// The header or the compound is not a well-formed one.
    #[error("not a well-formed packet")]
    Malformed,
    /// The SSRC is outside of the block, or reserved.
    #[error("the SSRC is not one of this direction's")]
    UnknownSsrc,
    /// The index was sealed before, or is so old that this cannot be known.
    #[error("the index has been used")]
    IndexReused,
    /// No index is left under this key.
    #[error("no index is left under this key")]
    Exhausted,
    /// The output buffer cannot hold the packet.
    #[error("the output buffer is too small")]
    BufferTooSmall,
    /// The header's sequence number is not the low half of the index.
    #[error("the sequence number does not match the index")]
    SequenceMismatch,
}
