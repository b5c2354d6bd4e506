//! Datagrams that wait to be sent, in one reused buffer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

/// Bytes that may wait: a key frame of 4K and what goes with it. More means that the caller does not poll.
const MAX_QUEUED_BYTES: usize = 4 << 20;

/// A datagram to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// Where to.
    pub remote: SocketAddr,
    /// The UDP payload.
    pub payload: &'a [u8],
}

#[derive(Debug, Default)]
pub(super) struct OutQueue {
    bytes: Vec<u8>,
    datagrams: VecDeque<(SocketAddr, Range<usize>)>,
}

impl OutQueue {
    /// Room for a datagram of up to `len` bytes; `None` if too much waits.
    pub(super) fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.datagrams.is_empty() {
            self.bytes.clear();
        }
        let start = self.bytes.len();
        if start + len > MAX_QUEUED_BYTES {
            return None;
        }
        self.bytes.resize(start + len, 0);
        Some(&mut self.bytes[start..])
    }

    /// The first `used` bytes of the last reservation, of `reserved`, are a datagram for `remote`. None if `used` is 0.
    pub(super) fn commit(&mut self, remote: SocketAddr, reserved: usize, used: usize) {
        let start = self.bytes.len() - reserved;
        self.bytes.truncate(start + used);
        if used > 0 {
            self.datagrams.push_back((remote, start..start + used));
        }
    }

    pub(super) fn pop(&mut self) -> Option<Transmit<'_>> {
        let (remote, range) = self.datagrams.pop_front()?;
        Some(Transmit { remote, payload: &self.bytes[range] })
    }
}
