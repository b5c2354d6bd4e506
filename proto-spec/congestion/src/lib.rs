//! Congestion control of a sender of real-time media: how much a path carries, from feedback on what arrived when.
//!
//! It is send-side GCC as libwebrtc has it in code (not as draft-ietf-rmcat-gcc-02 has it), in named parts. [`Controller`] puts
//! them together and is all that a sender needs; the parts are public because they are worth testing and reading by themselves.
//!
//! ```text
//!  on_sent ──▶ SentHistory ◀── on_feedback
//!                  │
//!                  ├─▶ AcknowledgedBitrate ──────────────┐
//!                  ├─▶ ArrivalGroups ─▶ Trendline ─▶ OveruseDetector ─▶ Aimd ─┐
//!                  ├─▶ ProbeEstimator ───────────────────────────────▲        ├─▶ min ─▶ target
//!                  └─▶ LossBound ◀── AcknowledgedBitrate ─────────────────────┘
//!  AlrDetector, Outage, Rtt, QueueDelay beside; ProbeController says when to try for more
//! ```
//!
//! **Time** is an argument, there is no randomness, and after construction nothing allocates. **Rates** are bits per second of
//! whatever the caller counts as a packet's size; counting whole UDP payloads is what the path charges for.
//!
//! **Feedback is untrusted.** A receiver claims arrival times; the sender's own clock bounds what they are worth. See
//! [`Controller`] for the bound.
#![forbid(unsafe_code)]

pub mod acknowledged;
pub mod aimd;
pub mod alr;
mod controller;
pub mod delay;
pub mod history;
pub mod link_capacity;
pub mod loss;
pub mod outage;
pub mod probe;
pub mod queue;
pub mod rtt;

pub use controller::{Config, Controller, PacketReport, Stats};
pub use delay::Usage;
pub use history::PacketSent;
pub use probe::{ProbeCluster, ProbeId};

use std::time::Duration;

/// Bits per second of `bytes` in `time`, which is not zero.
pub(crate) fn rate_bps(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8.0 / time.as_secs_f64()
}
