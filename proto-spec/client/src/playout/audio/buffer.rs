//! Packets that wait for their time, in order.

use std::collections::VecDeque;

/// Packets that wait: five seconds of 10 ms, which no delay that is allowed asks for; a stream of 2.5 ms packets has 1.28 s.
const MAX_PACKETS: usize = 512;
/// Indices below the highest of which is known whether they came.
const SEEN_WINDOW: u64 = 128;

/// A packet that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry<F> {
    pub(super) index: u64,
    /// Its timestamp, in microseconds.
    pub(super) media_us: i64,
    pub(super) duration_us: i64,
    pub(super) arrived_us: i64,
    pub(super) source: u32,
    pub(super) ends_talk_spurt: bool,
    pub(super) capture_offset_us: Option<i64>,
    pub(super) frame: F,
}

/// The packets, and which indices there were.
#[derive(Clone, Debug)]
pub(super) struct Buffer<F> {
    entries: VecDeque<Entry<F>>,
    /// The highest index so far, and a bit for each below it, the lowest bit for itself.
    highest: u64,
    seen: u128,
}

impl<F> Default for Buffer<F> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), highest: 0, seen: 0 }
    }
}

impl<F> Buffer<F> {
    pub(super) fn front(&self) -> Option<&Entry<F>> {
        self.entries.front()
    }

    pub(super) fn pop(&mut self) -> Option<Entry<F>> {
        self.entries.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a packet of this index was noted before, as far as is remembered.
    pub(super) fn has_seen(&self, index: u64) -> bool {
        let is_noted = self
            .highest
            .checked_sub(index)
            .is_some_and(|behind| behind < SEEN_WINDOW && self.seen >> behind & 1 == 1);
        is_noted || self.entries.binary_search_by_key(&index, |entry| entry.index).is_ok()
    }

    /// A packet of this index came.
    pub(super) fn note(&mut self, index: u64) {
        if let Some(ahead) = index.checked_sub(self.highest) {
            let kept = u32::try_from(ahead).ok().and_then(|ahead| self.seen.checked_shl(ahead)).unwrap_or(0);
            self.seen = kept | 1;
            self.highest = index;
        } else if self.highest - index < SEEN_WINDOW {
            self.seen |= 1 << (self.highest - index);
        }
    }

    /// Puts a packet that is not there yet in its place. Gives how many others that cost: the oldest one goes if there are too many.
    pub(super) fn insert(&mut self, entry: Entry<F>) -> u64 {
        self.note(entry.index);
        let place = self.entries.partition_point(|other| other.index < entry.index);
        self.entries.insert(place, entry);
        if self.entries.len() <= MAX_PACKETS {
            return 0;
        }
        self.entries.pop_front();
        1
    }

    /// Drops all; gives how many these were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.entries.len() as u64;
        self.entries.clear();
        count
    }

    /// From the beginning of the first to the end of the last, in microseconds.
    pub(super) fn span_us(&self) -> i64 {
        let Some((first, last)) = self.entries.front().zip(self.entries.back()) else { return 0 };
        last.media_us.saturating_add(last.duration_us).saturating_sub(first.media_us)
    }
}
