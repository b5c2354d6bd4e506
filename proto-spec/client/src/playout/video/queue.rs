//! Frames that wait for their time, in order.

use std::collections::VecDeque;

/// Frames that wait at most: 4 s of 60 per second, as long as the largest delay that is allowed. What is beyond comes out early.
pub const MAX_WAITING_FRAMES: usize = 256;
/// Bytes that wait at most: 4 s of 32 Mbit/s.
pub const MAX_WAITING_BYTES: usize = 16 << 20;

/// A frame that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry<F> {
    pub(super) index: u64,
    /// Its capture time, in microseconds.
    pub(super) media_us: i64,
    pub(super) arrived_us: i64,
    pub(super) bytes: usize,
    /// Whether its capture time was given, rather than extrapolated.
    pub(super) is_captured: bool,
    pub(super) frame: F,
}

/// The frames.
#[derive(Clone, Debug)]
pub(super) struct Queue<F> {
    entries: VecDeque<Entry<F>>,
    bytes: usize,
}

impl<F> Default for Queue<F> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), bytes: 0 }
    }
}

impl<F> Queue<F> {
    pub(super) fn get(&self, position: usize) -> Option<&Entry<F>> {
        self.entries.get(position)
    }

    pub(super) fn has(&self, index: u64) -> bool {
        self.entries.binary_search_by_key(&index, |entry| entry.index).is_ok()
    }

    pub(super) fn pop(&mut self) -> Option<Entry<F>> {
        let entry = self.entries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(entry)
    }

    pub(super) fn insert(&mut self, entry: Entry<F>) {
        self.bytes = self.bytes.saturating_add(entry.bytes);
        let place = self.entries.partition_point(|other| other.index < entry.index);
        self.entries.insert(place, entry);
    }

    /// Whether the first one has to go, whatever its time.
    pub(super) fn is_over_full(&self) -> bool {
        self.entries.len() > MAX_WAITING_FRAMES || (self.bytes > MAX_WAITING_BYTES && self.entries.len() > 1)
    }
}
