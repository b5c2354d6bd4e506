//! Sockets: the only place of this crate with unsafe code.
//!
//! * [`SocketGroup`] binds one UDP port once per shard and address family, and has the kernel steer each datagram to the
//!   shard that its SSRC names (`steering.rs`).
//! * [`ReceiveBatch`] takes many datagrams with one call, coalesced ones taken apart again.
//! * [`BatchSender`] sends a [`TransmitBatch`](crate::core::TransmitBatch) with few calls, segmented by the kernel where it can.
//!
//! On Linux that is recvmmsg with UDP_GRO, sendmmsg with UDP_SEGMENT and a classic BPF program on an SO_REUSEPORT group. Other
//! systems get plain sockets of the standard library and a single shard: good enough for development.

mod counters;
mod group;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(
    target_os = "linux",
    expect(
        clippy::needless_pass_by_ref_mut,
        dead_code,
        unreachable_pub,
        reason = "tested everywhere, used elsewhere, with the interface of Linux"
    )
)]
mod portable;
mod prefetch;
#[cfg(any(test, target_os = "linux"))]
mod steering;
#[cfg(test)]
mod tests;

pub use self::counters::{IoCounters, SendDrop};
pub use self::group::{BindError, Details, Family, Listen, PortLock, ShardSocket, ShardSockets, SocketGroup};
#[cfg(target_os = "linux")]
use self::linux as platform;
pub use self::platform::{BatchSender, PreciseTimer, ReceiveBatch, thread_cpu_time};
#[cfg(not(target_os = "linux"))]
use self::portable as platform;
pub(crate) use self::prefetch::prefetch;

/// Whether this system can have more than one shard.
pub const STEERS: bool = platform::STEERS;

/// Whether the kernel may be given several datagrams for one destination at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segmentation {
    /// Until it turns out that it cannot do it.
    IfSupported,
    /// Never: one datagram per message.
    Never,
}

/// What a receive left in the socket's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Queue {
    /// It was seen empty: the socket becomes readable again when something arrives.
    Drained,
    /// The batch was full: there may be more.
    MayHaveMore,
}
