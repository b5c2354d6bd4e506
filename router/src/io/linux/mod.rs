//! Linux: batches, segmentation, coalescing and steering.

mod address;
mod control;
mod lock;
mod options;
mod receive;
mod send;
mod thread_time;
mod timer;

pub use self::lock::PortLock;
#[cfg(test)]
pub(super) use self::options::forbid_checksums;
pub(super) use self::options::{ask_for_details, attach_steering, coalesce, share_port, size_buffers};
pub use self::receive::ReceiveBatch;
pub use self::send::BatchSender;
pub use self::thread_time::thread_cpu_time;
pub use self::timer::PreciseTimer;

/// Several shards can share a port.
pub(super) const STEERS: bool = true;
