//! What an uplink stream sent lately, to be sent again.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::ext::MediaExtensions;
use sluice_wire::time::Time;

/// Packets are kept for so long. A router that asks later than this forwards to nobody who still waits.
const KEPT_FOR: Duration = Duration::from_millis(800);
/// Payload bytes that are kept of a stream: 800 ms of 5 Mbit/s.
const MAX_KEPT_BYTES: usize = 512 << 10;

/// A packet as it was sent, before it was sealed.
#[derive(Debug)]
pub(super) struct SentPacket {
    pub(super) index: u64,
    pub(super) at: Time,
    pub(super) marker: bool,
    pub(super) timestamp: u32,
    pub(super) extensions: MediaExtensions,
    pub(super) payload: Vec<u8>,
}

/// The packets of one stream, the oldest first.
#[derive(Debug, Default)]
pub(super) struct SentHistory {
    packets: VecDeque<SentPacket>,
    bytes: usize,
    /// Buffers of packets that are forgotten.
    spare: Vec<Vec<u8>>,
}

impl SentHistory {
    /// An empty buffer for a payload to keep.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps the newest packet, and forgets what is too old.
    pub(super) fn keep(&mut self, packet: SentPacket) {
        let now = packet.at;
        self.bytes += packet.payload.len();
        self.packets.push_back(packet);
        let is_old = |packet: &SentPacket| now.saturating_since(packet.at) > KEPT_FOR;
        while self.bytes > MAX_KEPT_BYTES || self.packets.front().is_some_and(is_old) {
            let Some(SentPacket { mut payload, .. }) = self.packets.pop_front() else { break };
            self.bytes -= payload.len();
            payload.clear();
            // One is used for each packet: what more were kept would never be.
            if self.spare.len() < 2 {
                self.spare.push(payload);
            }
        }
    }

    /// The packet of this index, if it is still kept at `now`.
    pub(super) fn find(&self, index: u64, now: Time) -> Option<&SentPacket> {
        let position = self.packets.binary_search_by_key(&index, |packet| packet.index).ok()?;
        self.packets.get(position).filter(|packet| now.saturating_since(packet.at) <= KEPT_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn packet(index: u64, len: usize) -> SentPacket {
        let (marker, timestamp, extensions) = (false, 0, MediaExtensions::default());
        SentPacket { index, at: at(index), marker, timestamp, extensions, payload: vec![7; len] }
    }

    #[test]
    fn packets_are_kept_for_a_while() {
        let mut sent = SentHistory::default();
        (0..2_000).filter(|index| index % 3 != 0).for_each(|index| sent.keep(packet(index, 10)));
        let found = |index, now| sent.find(index, at(now)).map(|packet| packet.index);
        assert_eq!(found(1_199, 1_999), Some(1_199));
        assert_eq!(found(1_198, 1_999), None, "too old");
        assert_eq!(found(1_199, 2_000), None, "too old by now");
        assert_eq!(found(1_200, 1_999), None, "never sent");
        assert!(sent.packets.len() < 540 && sent.spare.len() <= 2);
    }

    #[test]
    fn no_more_bytes_are_kept_than_may_be() {
        let mut sent = SentHistory::default();
        (0..1_000).for_each(|index| sent.keep(SentPacket { at: at(0), ..packet(index, 1_000) }));
        assert_eq!(sent.packets.len(), MAX_KEPT_BYTES / 1_000);
        assert!(sent.find(999, at(0)).is_some() && sent.find(400, at(0)).is_none());
    }
}
