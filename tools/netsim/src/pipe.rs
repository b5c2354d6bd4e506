//! A link that also carries the packets.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use sluice_wire::time::Time;

use crate::config::{ConfigError, LinkConfig};
use crate::counters::Counters;
use crate::link::{Fate, Link};
use crate::timed_queue::{Capacity, TimedQueue};

/// Most packets in a pipe: a second of 200 Mbit/s in packets of 1,200 bytes, three times over.
pub const MAX_PIPE_PACKETS: usize = 65_536;
/// Most bytes in a pipe: that many packets of 1,024 bytes.
pub const MAX_PIPE_BYTES: usize = 64 << 20;

/// What travels through a pipe or a network. Cloning makes a duplicate.
pub trait Payload: Clone {
    /// Bytes that it counts for at a bottleneck.
    fn size_bytes(&self) -> usize;

    /// Flips the bit at `bit` (bit 0 is the lowest of the first byte); out of range does nothing. Payloads without bytes of
    /// their own cannot be corrupted and do nothing.
    fn flip_bit(&mut self, bit: usize);
}

impl Payload for Vec<u8> {
    fn size_bytes(&self) -> usize {
        self.len()
    }

    fn flip_bit(&mut self, bit: usize) {
        flip(self, bit);
    }
}

impl Payload for Arc<[u8]> {
    fn size_bytes(&self) -> usize {
        self.len()
    }

    fn flip_bit(&mut self, bit: usize) {
        flip(Self::make_mut(self), bit);
    }
}

fn flip(bytes: &mut [u8], bit: usize) {
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}

/// One direction of a path with the packets that are on it.
#[derive(Clone, Debug)]
pub struct Pipe<T> {
    link: Link,
    in_flight: TimedQueue<T>,
}

impl<T: Payload> Pipe<T> {
    /// An empty pipe over `link`, which holds at most [`MAX_PIPE_PACKETS`] and [`MAX_PIPE_BYTES`].
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self::with_capacity(link, MAX_PIPE_PACKETS, MAX_PIPE_BYTES)
    }

    /// An empty pipe that holds at most so many packets and bytes. One more is dropped and counted as overflow; so is one
    /// that would leave no room for its duplicate.
    #[must_use]
    pub const fn with_capacity(link: Link, packets: usize, bytes: usize) -> Self {
        Self { link, in_flight: TimedQueue::new(Capacity { packets, bytes }) }
    }

    /// Sends `item` as a packet of `size_bytes` and says what becomes of it.
    pub fn push(&mut self, now: Time, size_bytes: usize, item: T) -> Fate {
        carry(&mut self.link, &mut self.in_flight, now, size_bytes, item)
    }

    /// The next packet that has arrived by `now`.
    pub fn poll(&mut self, now: Time) -> Option<T> {
        self.in_flight.pop_due(now).map(|(_, item)| item)
    }

    /// When the next packet arrives; `None` if none is on the way.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.in_flight.next_at()
    }

    /// Packets on the way, duplicates included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Replaces the configuration, see [`Link::set_config`].
    ///
    /// # Errors
    /// When the configuration is invalid; then nothing changes.
    pub fn set_config(&mut self, config: &LinkConfig) -> Result<(), ConfigError> {
        self.link.set_config(config)
    }

    /// How long a packet that came now would wait in the bottleneck's queue.
    #[must_use]
    pub fn queue_delay(&self, now: Time) -> Duration {
        self.link.queue_delay(now)
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        self.link.counters()
    }
}

/// Sends `item` over `link` and files what arrives, twice if it is duplicated. A full queue drops it and counts an overflow.
pub(crate) fn carry<T: Payload>(
    link: &mut Link,
    in_flight: &mut TimedQueue<T>,
    now: Time,
    size_bytes: usize,
    mut item: T,
) -> Fate {
    if !in_flight.has_room_for_two(size_bytes) {
        return link.refuse(now, size_bytes);
    }
    let fate = link.send(now, size_bytes);
    if let Fate::Delivered(arrival) = fate {
        let duplicate = arrival.duplicate_at.map(|at| (at, item.clone()));
        if let Some(bit) = arrival.flip_bit {
            item.flip_bit(bit);
        }
        in_flight.push(arrival.at, size_bytes, item);
        if let Some((at, duplicate)) = duplicate {
            in_flight.push(at, size_bytes, duplicate);
        }
    }
    fate
}
