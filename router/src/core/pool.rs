//! Fixed slots for opened packets. Nothing is allocated after the start.

use super::limits::{MAX_DATAGRAM_BYTES, POOL_SLOTS};

/// A slot of the pool that holds a packet. Not `Clone`: whoever holds it gives it back.
#[derive(Debug)]
pub(crate) struct PoolSlot(u32);

/// Opened packets, one slot each.
pub(crate) struct PacketPool {
    bytes: Box<[u8]>,
    free: Vec<u32>,
}

impl std::fmt::Debug for PacketPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketPool").field("free", &self.free.len()).finish_non_exhaustive()
    }
}

impl PacketPool {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; POOL_SLOTS * MAX_DATAGRAM_BYTES].into_boxed_slice(),
            free: (0..POOL_SLOTS as u32).rev().collect(),
        }
    }

    /// A free slot. `None` when all are in use: the packet is dropped and counted.
    pub(crate) fn take(&mut self) -> Option<PoolSlot> {
        self.free.pop().map(PoolSlot)
    }

    #[expect(clippy::needless_pass_by_value, reason = "taking the slot is what makes it unusable")]
    pub(crate) fn give_back(&mut self, slot: PoolSlot) {
        self.free.push(slot.0);
    }

    pub(crate) fn bytes(&self, slot: &PoolSlot) -> &[u8] {
        let start = slot.0 as usize * MAX_DATAGRAM_BYTES;
        &self.bytes[start..start + MAX_DATAGRAM_BYTES]
    }

    pub(crate) fn bytes_mut(&mut self, slot: &PoolSlot) -> &mut [u8] {
        let start = slot.0 as usize * MAX_DATAGRAM_BYTES;
        &mut self.bytes[start..start + MAX_DATAGRAM_BYTES]
    }

    /// Slots in use.
    pub(crate) const fn in_use(&self) -> usize {
        POOL_SLOTS - self.free.len()
    }
}
