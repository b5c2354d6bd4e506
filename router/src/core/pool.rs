//! Fixed slots for opened packets. Nothing is allocated after the start.

use super::limits::{MAX_DATAGRAM_BYTES, POOL_SLOTS, SMALL_POOL_SLOTS, SMALL_SLOT_BYTES};

/// A slot of the pool that holds a packet. Not `Clone`: whoever holds it gives it back.
#[derive(Debug)]
pub(crate) struct PoolSlot(u32);

/// Slots of one size.
struct Slots {
    /// The system maps what was written to only, and slots that were given back last are taken first: a shard with little to do
    /// touches few of them.
    bytes: Box<[u8]>,
    slot_bytes: usize,
    free: Vec<u32>,
}

impl Slots {
    fn new(count: usize, slot_bytes: usize) -> Self {
        let bytes = vec![0; count * slot_bytes].into_boxed_slice();
        Self { bytes, slot_bytes, free: (0..count as u32).rev().collect() }
    }

    const fn start(&self, slot: u32) -> usize {
        slot as usize * self.slot_bytes
    }
}

/// Opened packets, one slot each: small ones for sound, and large ones for everything.
pub(crate) struct PacketPool {
    small: Slots,
    large: Slots,
}

/// Tells small slots from large ones.
const SMALL: u32 = 1 << 31;

impl std::fmt::Debug for PacketPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketPool").field("in_use", &self.in_use()).finish_non_exhaustive()
    }
}

impl PacketPool {
    pub(crate) fn new() -> Self {
        Self {
            small: Slots::new(SMALL_POOL_SLOTS, SMALL_SLOT_BYTES),
            large: Slots::new(POOL_SLOTS, MAX_DATAGRAM_BYTES),
        }
    }

    /// A free slot for a datagram of `len` bytes, at most [`MAX_DATAGRAM_BYTES`]. `None` when all are in use.
    pub(crate) fn take(&mut self, len: usize) -> Option<PoolSlot> {
        let small = if len <= SMALL_SLOT_BYTES { self.small.free.pop() } else { None };
        small.map(|slot| slot | SMALL).or_else(|| self.large.free.pop()).map(PoolSlot)
    }

    #[expect(clippy::needless_pass_by_value, reason = "taking the slot is what makes it unusable")]
    pub(crate) fn give_back(&mut self, slot: PoolSlot) {
        let slots = if slot.0 & SMALL == 0 { &mut self.large } else { &mut self.small };
        slots.free.push(slot.0 & !SMALL);
    }

    pub(crate) fn bytes(&self, slot: &PoolSlot) -> &[u8] {
        let slots = if slot.0 & SMALL == 0 { &self.large } else { &self.small };
        let start = slots.start(slot.0 & !SMALL);
        &slots.bytes[start..start + slots.slot_bytes]
    }

    pub(crate) fn bytes_mut(&mut self, slot: &PoolSlot) -> &mut [u8] {
        let slots = if slot.0 & SMALL == 0 { &mut self.large } else { &mut self.small };
        let start = slots.start(slot.0 & !SMALL);
        &mut slots.bytes[start..start + slots.slot_bytes]
    }

    /// Fewer than one slot in `part` of either size is free.
    pub(crate) const fn is_short(&self, part: usize) -> bool {
        self.large.free.len() < POOL_SLOTS / part || self.small.free.len() < SMALL_POOL_SLOTS / part
    }

    /// Slots in use.
    pub(crate) const fn in_use(&self) -> usize {
        POOL_SLOTS + SMALL_POOL_SLOTS - self.large.free.len() - self.small.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_takes_a_small_slot_while_there_is_one() {
        let mut pool = PacketPool::new();
        let slots: Vec<PoolSlot> =
            (0..SMALL_POOL_SLOTS + 1).map(|_| pool.take(SMALL_SLOT_BYTES).unwrap()).collect();
        let lens: Vec<usize> = slots.iter().map(|slot| pool.bytes(slot).len()).collect();
        assert!(lens[..SMALL_POOL_SLOTS].iter().all(|len| *len == SMALL_SLOT_BYTES));
        assert_eq!(lens[SMALL_POOL_SLOTS], MAX_DATAGRAM_BYTES);
        assert!(pool.is_short(8));
        let large = pool.take(SMALL_SLOT_BYTES + 1).unwrap();
        pool.bytes_mut(&large).fill(7);
        assert!(slots.iter().all(|slot| pool.bytes(slot).iter().all(|byte| *byte == 0)));
        slots.into_iter().chain([large]).for_each(|slot| pool.give_back(slot));
        assert_eq!(pool.in_use(), 0);
        assert!(!pool.is_short(8));
    }

    #[test]
    fn a_pool_has_an_end() {
        let mut pool = PacketPool::new();
        let all: Vec<PoolSlot> = std::iter::from_fn(|| pool.take(100)).collect();
        assert_eq!(all.len(), POOL_SLOTS + SMALL_POOL_SLOTS);
    }
}
