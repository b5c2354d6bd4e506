//! When packets leave for one receiver: a credit that grows with time, and a queue for what it does not cover.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::time::Time;

use crate::core::ids::EncodingRef;
use crate::core::limits::{MAX_DATAGRAM_BYTES, MAX_PACED_PACKETS};
use crate::core::rewrite::Rewritten;

/// Time for which credit grows while nothing is sent: a little more than passes between two looks at what waits.
const BURST_TIME: Duration = Duration::from_millis(6);
/// Bytes of credit at least, so that a small frame is never cut.
const MIN_BURST_BYTES: i64 = 3 * MAX_DATAGRAM_BYTES as i64;
/// How far sound may overdraw the credit. It never waits, so that is what pictures wait for at most.
const MAX_OVERDRAFT_BYTES: i64 = 4 * MAX_DATAGRAM_BYTES as i64;

/// A packet that waits. Its numbers are given already, its bytes are in the shard's history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paced {
    pub(crate) slot: u16,
    pub(crate) from: EncodingRef,
    /// Its index on the publisher's stream.
    pub(crate) uplink_index: u64,
    pub(crate) rewritten: Rewritten,
    pub(crate) marker: bool,
    pub(crate) len: u16,
}

/// The pacer of one receiver.
#[derive(Debug)]
pub(crate) struct Pacer {
    credit_bytes: i64,
    at: Time,
    queue: VecDeque<Paced>,
    queued_bytes: u64,
}

impl Pacer {
    pub(crate) const fn new(now: Time) -> Self {
        Self { credit_bytes: MIN_BURST_BYTES, at: now, queue: VecDeque::new(), queued_bytes: 0 }
    }

    pub(crate) fn is_behind(&self, now: Time) -> bool {
        self.at < now
    }

    /// Lets the credit grow until `now`.
    pub(crate) fn refill(&mut self, now: Time, rate_bps: u64) {
        self.grow(now, rate_bps, MIN_BURST_BYTES);
    }

    /// The same for what must leave at this rate and no faster: there are no bursts that two looks would not need.
    pub(crate) fn refill_evenly(&mut self, now: Time, rate_bps: u64) {
        self.grow(now, rate_bps, 0);
    }

    fn grow(&mut self, now: Time, rate_bps: u64, burst_bytes: i64) {
        let bytes = |time: Duration| (u128::from(rate_bps) * time.as_nanos() / 8_000_000_000) as i64;
        let passed = now.saturating_since(self.at);
        let most = bytes(BURST_TIME).max(burst_bytes);
        self.credit_bytes = self.credit_bytes.saturating_add(bytes(passed)).min(most);
        self.at = now;
    }

    /// Whether a packet may leave now.
    pub(crate) const fn has_credit(&self) -> bool {
        self.credit_bytes > 0
    }

    /// Nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes a packet that left off the credit.
    pub(crate) fn on_sent(&mut self, len: usize) {
        self.credit_bytes = (self.credit_bytes - len as i64).max(-MAX_OVERDRAFT_BYTES);
    }

    /// Lets a packet wait; `false` if too many wait.
    #[must_use]
    pub(crate) fn queue(&mut self, packet: Paced) -> bool {
        let fits = self.queue.len() < MAX_PACED_PACKETS;
        if fits {
            self.queued_bytes += u64::from(packet.len);
            self.queue.push_back(packet);
        }
        fits
    }

    /// The next packet, if there is credit.
    pub(crate) fn next(&mut self) -> Option<Paced> {
        let packet = self.has_credit().then(|| self.queue.pop_front())??;
        self.queued_bytes -= u64::from(packet.len);
        Some(packet)
    }

    /// Bytes that wait.
    pub(crate) const fn queued_bytes(&self) -> u64 {
        self.queued_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn packet(number: u64) -> Paced {
        Paced {
            slot: 0,
            from: EncodingRef::default(),
            uplink_index: number,
            rewritten: Rewritten {
                index: number,
                timestamp: 0,
                tl0_pic_idx: 0,
                vp8_offset: Default::default(),
            },
            marker: false,
            len: 1_000,
        }
    }

    #[test]
    fn what_leaves_in_a_while_is_the_rate_and_a_burst() {
        for (rate_bps, burst_bytes) in [(800_000, 3_600), (8_000_000, 6_000), (100_000_000, 75_000)] {
            let mut pacer = Pacer::new(at(0));
            let mut sent = 0;
            for millis in (0..=1_000).step_by(4) {
                pacer.refill(at(millis), rate_bps);
                while pacer.has_credit() {
                    pacer.on_sent(1_000);
                    sent += 1_000;
                }
            }
            let most = rate_bps / 8 + burst_bytes;
            assert!(sent <= most + 1_000, "{sent} of {most}");
            assert!(sent >= most * 9 / 10, "{sent} of {most}");
        }
    }

    #[test]
    fn who_waits_leaves_in_order_as_credit_comes() {
        let mut pacer = Pacer::new(at(0));
        pacer.on_sent(4_600);
        (0..5).for_each(|number| assert!(pacer.queue(packet(number))));
        assert_eq!(pacer.queued_bytes(), 5_000);
        let mut left = Vec::new();
        for millis in (4..=40).step_by(4) {
            pacer.refill(at(millis), 1_000_000);
            while let Some(packet) = pacer.next() {
                pacer.on_sent(packet.len.into());
                left.push((millis, packet.uplink_index));
            }
        }
        assert_eq!(left, [(12, 0), (20, 1), (28, 2), (36, 3)]);
        assert_eq!(pacer.queued_bytes(), 1_000);
    }

    #[test]
    fn the_queue_and_the_overdraft_have_an_end() {
        let mut pacer = Pacer::new(at(0));
        for number in 0..MAX_PACED_PACKETS as u64 {
            assert!(pacer.queue(packet(number)));
        }
        assert!(!pacer.queue(packet(9)));
        (0..100).for_each(|_| pacer.on_sent(1_200));
        pacer.refill(at(100), 400_000);
        assert!(pacer.has_credit(), "5,000 bytes came, 4,800 were owed");
    }
}
