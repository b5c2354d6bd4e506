//! Packets in flight, ordered by time and then by sequence, so that equal times are deterministic.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use sluice_wire::time::Time;

/// Bounds of what may be in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct TimedQueue<T> {
    heap: BinaryHeap<Entry<T>>,
    capacity: Capacity,
    bytes: usize,
    sequence: u64,
}

impl<T> TimedQueue<T> {
    pub(crate) const fn new(capacity: Capacity) -> Self {
        Self { heap: BinaryHeap::new(), capacity, bytes: 0, sequence: 0 }
    }

    /// Is there room for a packet of `size_bytes` and its duplicate?
    pub(crate) fn has_room_for_two(&self, size_bytes: usize) -> bool {
        self.heap.len() + 2 <= self.capacity.packets
            && self.bytes.saturating_add(size_bytes.saturating_mul(2)) <= self.capacity.bytes
    }

    pub(crate) fn push(&mut self, at: Time, size_bytes: usize, item: T) {
        self.bytes = self.bytes.saturating_add(size_bytes);
        self.heap.push(Entry { at, sequence: self.sequence, size_bytes, item });
        self.sequence += 1;
    }

    /// The earliest packet that is due, with its time.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(Time, T)> {
        if self.next_at()? > now {
            return None;
        }
        let entry = self.heap.pop()?;
        self.bytes = self.bytes.saturating_sub(entry.size_bytes);
        Some((entry.at, entry.item))
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[derive(Clone, Debug)]
struct Entry<T> {
    at: Time,
    sequence: u64,
    size_bytes: usize,
    item: T,
}

/// Reversed, since the heap gives the greatest first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}
