//! Repair by asking again: who lacks packets asks for them by NACK, who sent them answers with RTX (RFC 4588).
//! `proto-spec/spec/10-repair.md`.
//!
//! [`LossDetector`] says which packets of a stream to ask for and when, [`rtx`] is the form in which they come, and
//! [`ResendBook`] bounds what anybody can be made to send again. None of them knows a clock, a socket or a key.

mod detector;
mod resend_book;
pub mod rtx;

pub use detector::{
    Arrival, Due, LossDetector, MAX_GAP_PACKETS, MAX_MISSING_PACKETS, MAX_REORDER_PACKETS, MAX_REORDER_TIME,
    MAX_REQUESTS, MIN_RETRY_INTERVAL, Patience, REORDER_PACKETS, REORDER_TIME,
};
pub use resend_book::{
    MAX_RESENDS, MIN_RESEND_INTERVAL, RESEND_BURST_BYTES, RESEND_MEMORY, RESEND_SHARE_DIVISOR, Refusal,
    ResendBook,
};

use std::time::Duration;

/// The round-trip time that counts until one was measured: that of a client and a router of the same continent, and then some.
pub const DEFAULT_RTT: Duration = Duration::from_millis(100);
/// Sequence numbers that one NACK names at most. In the worst case, none near another, they take 4 bytes each: a third of a
/// datagram, so that the NACKs of several streams go together.
pub const MAX_NACKED_PACKETS: usize = 96;
