//! Packets that were forwarded, for who asks for them again and for who is sent them later.
//!
//! One queue for the whole shard, the oldest first, so that its bounds in time and bytes need no search. Each encoding has an
//! [`Index`] of what it has there; a look-up is two array accesses, and it is checked against the packet itself.

use std::collections::VecDeque;

use sluice_wire::time::Time;

use super::ids::EncodingRef;
use super::limits::{HISTORY_AGE, POOL_RESERVE_PART};
use super::pool::PacketPool;
use super::track::Packet;

/// The packets that a shard has forwarded lately.
#[derive(Debug, Default)]
pub(crate) struct History {
    kept: VecDeque<(EncodingRef, Packet)>,
    /// The number of the oldest packet, modulo 2^32.
    oldest: u32,
}

/// Where an encoding's packets are in the history: numbers by uplink index, modulo its length.
#[derive(Debug)]
pub(crate) struct Index {
    numbers: Box<[u32]>,
}

impl Index {
    /// An index of the last `packets` of an encoding, a power of two.
    pub(crate) fn new(packets: usize) -> Self {
        Self { numbers: vec![0; packets.next_power_of_two()].into_boxed_slice() }
    }

    const fn place(&self, index: u64) -> usize {
        index as usize & (self.numbers.len() - 1)
    }
}

impl History {
    /// Takes a packet of `of` that was forwarded.
    pub(crate) fn keep(&mut self, of: EncodingRef, index: &mut Index, packet: Packet) {
        let place = index.place(packet.incoming.index);
        index.numbers[place] = self.oldest.wrapping_add(self.kept.len() as u32);
        self.kept.push_back((of, packet));
    }

    /// The packet of `of` with this uplink index; `None` if it is gone, or never came.
    pub(crate) fn find(&self, of: EncodingRef, index: &Index, uplink_index: u64) -> Option<&Packet> {
        let number = index.numbers[index.place(uplink_index)];
        let (kept, packet) = self.kept.get(number.wrapping_sub(self.oldest) as usize)?;
        (*kept == of && packet.incoming.index == uplink_index).then_some(packet)
    }

    /// Forgets what is too old, and as much more as the pool needs to go on.
    pub(crate) fn forget(&mut self, now: Time, pool: &mut PacketPool) {
        while self.kept.front().is_some_and(|(_, oldest)| {
            now.saturating_since(oldest.incoming.arrival) >= HISTORY_AGE || pool.is_short(POOL_RESERVE_PART)
        }) {
            self.forget_oldest(pool);
        }
    }

    /// Forgets the oldest packet; `false` if there is none.
    pub(crate) fn forget_oldest(&mut self, pool: &mut PacketPool) -> bool {
        let Some((_, packet)) = self.kept.pop_front() else { return false };
        self.oldest = self.oldest.wrapping_add(1);
        pool.give_back(packet.slot);
        true
    }

    /// Packets that are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use slotmap::KeyData;
    use sluice_wire::ext::{FrameMarking, MediaExtensions};
    use sluice_wire::track::TrackId;
    use std::time::Duration;

    use super::*;
    use crate::core::header::HeaderTemplate;
    use crate::core::limits::POOL_SLOTS;
    use crate::core::rewrite::Incoming;
    use crate::core::track::PayloadRange;

    fn encoding(encoding: u8) -> EncodingRef {
        EncodingRef { track: KeyData::from_ffi(1).into(), encoding }
    }

    fn packet(pool: &mut PacketPool, index: u64, arrival: Time) -> Packet {
        let track = TrackId::from_bits(0x0102_0304).unwrap();
        let marking = FrameMarking::parse(&[0xA3, 1, 7]).unwrap();
        Packet {
            slot: pool.take(1_000).unwrap(),
            payload: PayloadRange { start: 20, len: 1 },
            header: HeaderTemplate::new(false, 97, track, &MediaExtensions::default()).unwrap(),
            incoming: Incoming {
                index,
                timestamp: 0,
                arrival,
                capture: None,
                start: true,
                end: true,
                tl0_pic_idx: 0,
                vp8: None,
            },
            marking,
            vp8: None,
        }
    }

    #[test]
    fn a_packet_is_found_by_encoding_and_index_until_it_is_too_old() {
        let (mut pool, mut history) = (PacketPool::new(), History::default());
        let (mut first, mut second) = (Index::new(8), Index::new(8));
        for index in 100..120 {
            let at = Time::ZERO + Duration::from_millis(index);
            let kept = packet(&mut pool, index, at);
            history.keep(encoding(0), &mut first, kept);
            let kept = packet(&mut pool, index + 1_000, at);
            history.keep(encoding(1), &mut second, kept);
        }
        let found = |history: &History, index| {
            history.find(encoding(0), &first, index).map(|packet| packet.incoming.index)
        };
        assert_eq!(found(&history, 119), Some(119));
        assert_eq!(found(&history, 112), Some(112));
        assert_eq!(found(&history, 111), None, "its place in the index was taken");
        assert_eq!(found(&history, 120), None, "it never came");
        assert!(history.find(encoding(1), &first, 119).is_none(), "it is of another encoding");
        assert!(history.find(encoding(1), &second, 1_119).is_some());
        history.forget(Time::ZERO + Duration::from_millis(115) + HISTORY_AGE, &mut pool);
        assert_eq!((found(&history, 115), found(&history, 116)), (None, Some(116)));
        assert_eq!(history.len(), 8);
        assert_eq!(pool.in_use(), 8);
    }

    #[test]
    fn it_makes_room_when_the_pool_is_short() {
        let (mut pool, mut history) = (PacketPool::new(), History::default());
        let mut index = Index::new(8);
        for number in 0..POOL_SLOTS as u64 {
            let kept = packet(&mut pool, number, Time::ZERO);
            history.keep(encoding(0), &mut index, kept);
        }
        assert!(pool.take(1_000).is_none());
        history.forget(Time::ZERO, &mut pool);
        assert!(!pool.is_short(POOL_RESERVE_PART));
        assert_eq!(history.len(), POOL_SLOTS - POOL_SLOTS / POOL_RESERVE_PART);
    }
}
