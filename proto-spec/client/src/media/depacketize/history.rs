//! Which of the latest packets were received and which given up, to tell a duplicate from a latecomer.

/// How far back it is known, in packets: the longest window. What is older counts as late.
const REMEMBERED_PACKETS: u64 = 1_024;
const WORD_BITS: u64 = u64::BITS as u64;

/// One bit per packet, in a ring.
#[derive(Clone, Debug)]
pub(super) struct History {
    received: [u64; (REMEMBERED_PACKETS / WORD_BITS) as usize],
}

impl History {
    pub(super) const fn new() -> Self {
        Self { received: [0; (REMEMBERED_PACKETS / WORD_BITS) as usize] }
    }

    fn slot(index: u64) -> (usize, u64) {
        let bit = index % REMEMBERED_PACKETS;
        ((bit / WORD_BITS) as usize, 1 << (bit % WORD_BITS))
    }

    /// The stream moves on by one packet.
    pub(super) fn advance(&mut self, index: u64, received: bool) {
        let (word, bit) = Self::slot(index);
        if received {
            self.received[word] |= bit;
        } else {
            self.received[word] &= !bit;
        }
    }

    /// The stream moves on from `from` to `to` without what is between.
    pub(super) fn skip(&mut self, from: u64, to: u64) {
        for index in from.max(to.saturating_sub(REMEMBERED_PACKETS))..to {
            self.advance(index, false);
        }
    }

    /// Notes a packet from before `next`, where the stream stands. Whether it had been received before.
    pub(super) fn mark_received(&mut self, index: u64, next: u64) -> bool {
        if next.saturating_sub(index) > REMEMBERED_PACKETS {
            return false;
        }
        let (word, bit) = Self::slot(index);
        let before = self.received[word] & bit != 0;
        self.received[word] |= bit;
        before
    }
}
