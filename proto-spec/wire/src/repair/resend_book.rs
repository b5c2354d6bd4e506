//! What may be sent again, to one peer: requests are untrusted.

use std::time::Duration;

use crate::time::Time;

/// A packet is sent again at most so often. With 20 % loss, four transmissions leave 0.2 % of packets undelivered; who needs more
/// has a worse problem than loss.
pub const MAX_RESENDS: u8 = 3;
/// A packet is not sent again within a round trip, and not within this: the first copy is still on its way.
pub const MIN_RESEND_INTERVAL: Duration = Duration::from_millis(20);
/// For how long a packet that was sent again is remembered. What holds packets to be sent again must not hold them longer.
pub const RESEND_MEMORY: Duration = Duration::from_millis(1_500);
/// Bytes that may be sent again at once: a key frame of 1080p and then some.
pub const RESEND_BURST_BYTES: u32 = 96 * 1_024;
/// One byte may be sent again for so many bytes of media: a peer that asks for everything gets half as much again. 20 % loss in
/// both directions takes 30 %.
pub const RESEND_SHARE_DIVISOR: u32 = 2;

/// Sets of the table, each for as many packets as [`WAYS`]: neighbours in a stream lie in different sets.
const SETS: usize = 128;
/// Packets of a set. In all it remembers 1,024, in 16 KiB: a second and a half of 20 % loss at 30 Mbit/s.
const WAYS: usize = 8;
/// Where the number of times stands in an entry: [`MAX_RESENDS`] fits.
const TIMES_MASK: u64 = 0b11;

/// Why a packet is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was sent again a moment ago.
    TooSoon,
    /// It was sent again as often as may be.
    TooOften,
    /// The peer's share of bytes is used up.
    Budget,
    /// More packets were sent again of late than can be remembered.
    Crowded,
}

/// A packet that was sent again.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// 14 bits of stream, 48 of index, and 2 of how often it was; 0 times is no packet.
    packet_and_times: u64,
    at: Time,
}

impl Entry {
    const fn times(self) -> u8 {
        (self.packet_and_times & TIMES_MASK) as u8
    }

    const fn is_of(self, packet: u64) -> bool {
        self.times() > 0 && self.packet_and_times & !TIMES_MASK == packet
    }
}

/// Counts what is sent again to one peer. Its table is made with the first packet that is.
#[derive(Debug)]
pub struct ResendBook {
    entries: Vec<Entry>,
    budget_bytes: u32,
    /// What was earned for last.
    media_bytes: u32,
}

impl Default for ResendBook {
    fn default() -> Self {
        Self::new()
    }
}

impl ResendBook {
    /// A book in which nothing stands.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), budget_bytes: RESEND_BURST_BYTES, media_bytes: 0 }
    }

    /// Says how many bytes of media the peer was sent since the beginning, modulo 2^32: the share of what is new is earned.
    pub fn earn(&mut self, media_bytes: u32) {
        let new = media_bytes.wrapping_sub(self.media_bytes);
        let share = new / RESEND_SHARE_DIVISOR;
        self.media_bytes = media_bytes.wrapping_sub(new % RESEND_SHARE_DIVISOR);
        self.budget_bytes = self.budget_bytes.saturating_add(share).min(RESEND_BURST_BYTES);
    }

    /// Whether a packet of `bytes` may be sent again now, over a round trip of `rtt`. If so it counts as sent.
    ///
    /// # Errors
    /// [`Refusal`]; it does not count then.
    pub fn admit(
        &mut self,
        now: Time,
        rtt: Duration,
        stream: u16,
        index: u64,
        bytes: usize,
    ) -> Result<(), Refusal> {
        if self.entries.is_empty() {
            self.entries = vec![Entry::default(); SETS * WAYS];
        }
        let packet = u64::from(stream) << 50 | (index & 0xFFFF_FFFF_FFFF) << 2;
        // A prime spreads streams that are at the same index.
        let set = (index as usize).wrapping_add(usize::from(stream) * 37) % SETS;
        let set = &mut self.entries[set * WAYS..(set + 1) * WAYS];
        let entry = match set.iter().position(|entry| entry.is_of(packet)) {
            Some(known) if set[known].times() >= MAX_RESENDS => return Err(Refusal::TooOften),
            Some(known) if now < set[known].at + rtt.max(MIN_RESEND_INTERVAL) => {
                return Err(Refusal::TooSoon);
            }
            Some(known) => &mut set[known],
            None => {
                let is_free = |entry: &&mut Entry| entry.times() == 0 || now > entry.at + RESEND_MEMORY;
                let free = set.iter_mut().find(is_free).ok_or(Refusal::Crowded)?;
                *free = Entry::default();
                free
            }
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.budget_bytes = self.budget_bytes.checked_sub(bytes).ok_or(Refusal::Budget)?;
        *entry = Entry { packet_and_times: packet | u64::from(entry.times() + 1), at: now };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_secs(100) + Duration::from_millis(millis)
    }

    #[test]
    fn a_packet_is_sent_again_three_times_a_round_trip_apart() {
        let mut book = ResendBook::new();
        let times = (0..1_000).filter(|millis| book.admit(at(*millis), RTT, 1, 7, 1_000).is_ok());
        assert_eq!(times.collect::<Vec<_>>(), [0, 50, 100]);
        assert_eq!(book.admit(at(1_000), RTT, 1, 7, 1), Err(Refusal::TooOften));
        let times = (0..200).filter(|millis| book.admit(at(*millis), Duration::ZERO, 2, 7, 1_000).is_ok());
        assert_eq!(times.collect::<Vec<_>>(), [0, 20, 40], "a round trip is never shorter than 20 ms");
        assert_eq!(book.admit(at(10), RTT, 2, 7, 1_000), Err(Refusal::TooOften));
        assert_eq!(book.admit(at(10), RTT, 2, 8, 1_000), Ok(()));
        assert_eq!(book.admit(at(59), RTT, 2, 8, 1_000), Err(Refusal::TooSoon));
    }

    #[test]
    fn who_asks_for_everything_gets_a_burst_and_then_half_of_what_he_is_sent() {
        let mut book = ResendBook::new();
        let (mut media, mut again) = (0_u32, 0_u32);
        for packet in 0..100_000_u64 {
            media = media.wrapping_add(1_001);
            book.earn(media);
            let wishes = (packet.saturating_sub(60)..=packet).rev();
            again += wishes.filter(|i| book.admit(at(packet * 5), RTT, 1, *i, 1_000).is_ok()).count() as u32;
        }
        let bound = (100_000 * 1_001 / RESEND_SHARE_DIVISOR + RESEND_BURST_BYTES) / 1_000;
        assert!(again <= bound && again > bound - 100, "{again} {bound}");
    }

    #[test]
    fn the_share_is_exact_and_survives_the_end_of_its_count() {
        let mut book = ResendBook { media_bytes: u32::MAX - 2, budget_bytes: 0, ..ResendBook::new() };
        (0..10).for_each(|byte| book.earn((u32::MAX - 2).wrapping_add(byte)));
        assert_eq!(book.budget_bytes, 4);
        assert_eq!(book.admit(at(0), RTT, 1, 1, 5), Err(Refusal::Budget));
        assert_eq!(book.admit(at(0), RTT, 1, 1, 4), Ok(()));
    }

    proptest! {
        #[test]
        fn no_packet_is_sent_more_often_than_it_may_be(
            steps in prop::collection::vec((0..3_u16, 0..40_u64, 0..30_u64), 1..2_000),
        ) {
            let mut book = ResendBook { budget_bytes: u32::MAX, ..ResendBook::new() };
            let mut sent: BTreeMap<(u16, u64), Vec<Time>> = BTreeMap::new();
            let mut now = at(0);
            for (stream, index, millis) in steps {
                now += Duration::from_millis(millis) / 8;
                // All in one set, so that they compete.
                let index = index * SETS as u64 + u64::from(stream) * (SETS as u64 - 37);
                if book.admit(now, RTT, stream, index, 1).is_ok() {
                    sent.entry((stream, index)).or_default().push(now);
                }
            }
            for times in sent.values() {
                prop_assert!(times.windows(2).all(|pair| pair[1].saturating_since(pair[0]) >= RTT));
                let within = |from: Time| {
                    times.iter().filter(|time| (from..=from + RESEND_MEMORY).contains(time)).count()
                };
                prop_assert!(times.iter().all(|from| within(*from) <= 3));
            }
        }
    }
}
