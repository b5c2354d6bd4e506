//! The sans-IO shard: everything that one core does with media.
//!
//! A [`Shard`] is a deterministic function of what it is given. It reads no clock, has no randomness but its seed, does no I/O.
//! The caller's loop:
//!
//! 1. Hand in whatever happened: [`Shard::handle_datagram`] for each datagram of a receive batch, [`Shard::handle_command`],
//!    [`Shard::handle_timeout`] when [`Shard::poll_timeout`] is due.
//! 2. Drain: [`Shard::poll_transmit`] until it says [`Drained::Done`], sending and clearing the batch in between;
//!    [`Shard::poll_event`] until `None`. If [`Shard::wants_flush`] is true in the middle of a receive batch, drain at once.
//! 3. Wait until a datagram, a command, or [`Shard::poll_timeout`].
//!
//! A packet's way: [`Shard::handle_datagram`] classifies it, finds the session by SSRC and opens it into the packet pool
//! (`shard/datagram.rs`); RTP goes to its track's pending list (`shard/media.rs`), RTCP to its handlers (`shard/rtcp.rs`);
//! the flush forwards pending packets to each subscriber in turn (`shard/forward.rs`).

mod allocation;
mod batch;
#[cfg(feature = "benchmarking")]
pub mod benchmarking;
mod counters;
mod demand;
mod downlink;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod history;
mod ids;
mod key_frame;
mod layers;
pub mod limits;
mod path;
mod policy;
mod pool;
mod resends;
mod rewrite;
mod room;
mod session;
mod shard;
mod speakers;
mod ssrc_table;
mod track;

pub use self::batch::{Transmit, TransmitBatch};
pub use self::counters::{Counters, DropReason};
pub use self::ids::SessionName;
pub use self::path::Path;
pub use self::policy::{DEFAULT_VIDEOS_PER_RECEIVER, DEFAULT_VOICES, MAX_VOICES, Policy, Preset};
pub use self::resends::ResendRefusal;
pub use self::shard::{
    Command, DatagramMeta, Drained, EndReason, Event, OpenRefused, OpenRequest, Rights, SessionQuality,
    Shard, ShardConfig, ShardGauges,
};
