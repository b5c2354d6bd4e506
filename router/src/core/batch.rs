//! What leaves a shard: segmented sends in one arena.

use super::limits::{BATCH_BYTES, MAX_SEGMENTS, MAX_SEND_BYTES};
use super::path::Path;

/// One segmented send: `contents` are datagrams of `segment_len` bytes each for one path; only the last may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// Where from and where to.
    pub path: Path,
    /// Bytes of every datagram but the last.
    pub segment_len: usize,
    /// The datagrams, one behind the other.
    pub contents: &'a [u8],
}

impl<'a> Transmit<'a> {
    /// The datagrams one by one.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.contents.chunks(self.segment_len)
    }
}

#[derive(Clone, Copy, Debug)]
struct Send {
    path: Path,
    start: usize,
    len: usize,
    segment_len: usize,
    /// The last segment is shorter than the others: nothing may follow it.
    closed: bool,
}

/// A transmit batch: the shard seals datagrams into it, the shell sends and clears it. Consecutive datagrams for one path and
/// of one size become one segmented send.
pub struct TransmitBatch {
    arena: Box<[u8]>,
    used: usize,
    sends: Vec<Send>,
    datagrams: usize,
}

impl std::fmt::Debug for TransmitBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransmitBatch")
            .field("used", &self.used)
            .field("sends", &self.sends.len())
            .finish_non_exhaustive()
    }
}

impl Default for TransmitBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl TransmitBatch {
    /// An empty batch of [`BATCH_BYTES`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            arena: vec![0; BATCH_BYTES].into_boxed_slice(),
            used: 0,
            sends: Vec::with_capacity(1_024),
            datagrams: 0,
        }
    }

    /// Nothing waits to be sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }

    /// Datagrams in the batch.
    #[must_use]
    pub const fn datagrams(&self) -> usize {
        self.datagrams
    }

    /// The sends, in order.
    pub fn sends(&self) -> impl ExactSizeIterator<Item = Transmit<'_>> {
        self.sends.iter().map(|send| Transmit {
            path: send.path,
            segment_len: send.segment_len,
            contents: &self.arena[send.start..send.start + send.len],
        })
    }

    /// Forgets everything: it was sent, or could not be.
    pub fn clear(&mut self) {
        self.used = 0;
        self.datagrams = 0;
        self.sends.clear();
    }

    /// Bytes that still fit.
    pub(crate) const fn remaining(&self) -> usize {
        self.arena.len() - self.used
    }

    /// The free end of the arena, to seal the next datagram into.
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.arena[self.used..]
    }

    /// Appends the first `len` bytes of [`Self::spare`], at least one, as a datagram for `path`.
    ///
    /// # Panics
    /// May panic if `len` is zero or more than there is to spare.
    pub fn commit(&mut self, path: Path, len: usize) {
        debug_assert!(len > 0 && len <= self.remaining());
        let start = self.used;
        self.used += len;
        self.datagrams += 1;
        if let Some(last) = self.sends.last_mut() {
            let joins = !last.closed
                && last.path == path
                && len <= last.segment_len
                && last.len + len <= MAX_SEND_BYTES
                && last.len < last.segment_len * MAX_SEGMENTS;
            if joins {
                last.len += len;
                last.closed = len < last.segment_len;
                return;
            }
        }
        self.sends.push(Send { path, start, len, segment_len: len, closed: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], port).into() }
    }

    fn batch(datagrams: &[(u16, usize)]) -> Vec<(u16, usize, usize)> {
        let mut batch = TransmitBatch::new();
        for (port, len) in datagrams {
            batch.spare()[..*len].fill(*port as u8);
            batch.commit(path(*port), *len);
        }
        assert_eq!(batch.datagrams(), datagrams.len());
        for send in batch.sends() {
            assert!(send.contents.iter().all(|byte| *byte == send.path.remote.port() as u8));
        }
        batch.sends().map(|s| (s.path.remote.port(), s.segment_len, s.contents.len())).collect()
    }

    #[test]
    fn equal_datagrams_for_one_path_are_one_send() {
        assert_eq!(batch(&[(1, 100), (1, 100), (1, 100)]), [(1, 100, 300)]);
    }

    #[test]
    fn a_shorter_one_ends_the_run() {
        assert_eq!(batch(&[(1, 100), (1, 60), (1, 60)]), [(1, 100, 160), (1, 60, 60)]);
    }

    #[test]
    fn a_longer_one_or_another_path_starts_a_run() {
        assert_eq!(batch(&[(1, 60), (1, 100), (2, 100)]), [(1, 60, 60), (1, 100, 100), (2, 100, 100)]);
    }

    #[test]
    fn runs_end_at_the_kernels_limits() {
        let sends = batch(&[(1, 100); 65]);
        assert_eq!(sends, [(1, 100, 6_400), (1, 100, 100)]);
        let sends = batch(&[(1, 1_200); 60]);
        assert_eq!(sends, [(1, 1_200, 54 * 1_200), (1, 1_200, 6 * 1_200)]);
    }
}
