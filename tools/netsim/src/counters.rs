//! What happened to the packets of a link.

use std::ops::{AddAssign, Sub};

/// Why a link dropped a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Independent random loss.
    Random,
    /// Burst loss.
    Burst,
    /// The bottleneck's queue was full.
    Queue,
    /// The link was down.
    Partition,
    /// The pipe or network behind the link holds as many packets as it may. A bound of this program, not of the model: when
    /// it counts, the figures of a run are not to be trusted.
    Overflow,
}

/// Counters of one link. `sent = delivered + lost()` at all times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets given to the link.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Packets that arrive or have arrived; a duplicate is not counted again.
    pub delivered: u64,
    /// Bytes of them.
    pub delivered_bytes: u64,
    /// Lost by independent random loss.
    pub lost_random: u64,
    /// Lost by burst loss.
    pub lost_burst: u64,
    /// Dropped at the full queue.
    pub lost_queue: u64,
    /// Dropped while the link was down.
    pub lost_partition: u64,
    /// Dropped because a bound of this program was reached, see [`DropReason::Overflow`].
    pub lost_overflow: u64,
    /// Packets that arrive twice.
    pub duplicated: u64,
    /// Packets that arrive after one that was sent later (RFC 4737 section 3.3).
    pub reordered: u64,
    /// Packets with a flipped bit.
    pub corrupted: u64,
}

impl Counters {
    /// Packets lost for any reason.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost_random + self.lost_burst + self.lost_queue + self.lost_partition + self.lost_overflow
    }

    pub(crate) const fn count_drop(&mut self, reason: DropReason) {
        match reason {
            DropReason::Random => self.lost_random += 1,
            DropReason::Burst => self.lost_burst += 1,
            DropReason::Queue => self.lost_queue += 1,
            DropReason::Partition => self.lost_partition += 1,
            DropReason::Overflow => self.lost_overflow += 1,
        }
    }

    fn combine(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            sent: with(self.sent, other.sent),
            sent_bytes: with(self.sent_bytes, other.sent_bytes),
            delivered: with(self.delivered, other.delivered),
            delivered_bytes: with(self.delivered_bytes, other.delivered_bytes),
            lost_random: with(self.lost_random, other.lost_random),
            lost_burst: with(self.lost_burst, other.lost_burst),
            lost_queue: with(self.lost_queue, other.lost_queue),
            lost_partition: with(self.lost_partition, other.lost_partition),
            lost_overflow: with(self.lost_overflow, other.lost_overflow),
            duplicated: with(self.duplicated, other.duplicated),
            reordered: with(self.reordered, other.reordered),
            corrupted: with(self.corrupted, other.corrupted),
        }
    }
}

/// Sums over links.
impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        *self = self.combine(other, u64::saturating_add);
    }
}

/// What was counted since an earlier snapshot; zero where the other one is ahead.
impl Sub for Counters {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        self.combine(earlier, u64::saturating_sub)
    }
}
