//! One RTP stream that the client sends: running numbers that survive whatever the stream carries.

use sluice_wire::repair::rtx;
use sluice_wire::rtcp::SenderInfo;
use sluice_wire::time::Time;

use super::sent::SentHistory;

/// First sequence numbers stay below this, so that the router's roll-over guess starts right (spec 2.4).
const FIRST_INDEX_MASK: u64 = 0x3FFF;

/// State of an uplink stream, by its number in the block. It lives as long as the session, whatever tracks come and go, since
/// packet indices must never repeat.
#[derive(Debug)]
pub(super) struct UplinkStream {
    next_index: u64,
    timestamp_offset: u32,
    packets: u32,
    octets: u32,
    clock_rate_hz: u32,
    pub(super) last_sent: Option<Time>,
    /// What can be sent again.
    pub(super) sent: SentHistory,
    /// 48-bit index of the next packet on the stream's RTX SSRC.
    pub(super) next_rtx: u64,
}

impl UplinkStream {
    pub(super) fn new(random: u64) -> Self {
        Self {
            next_index: random & FIRST_INDEX_MASK,
            timestamp_offset: (random >> 32) as u32,
            packets: 0,
            octets: 0,
            clock_rate_hz: 0,
            last_sent: None,
            sent: SentHistory::default(),
            next_rtx: (random >> 16) & FIRST_INDEX_MASK,
        }
    }

    /// Takes the next packet index.
    pub(super) const fn take_index(&mut self) -> u64 {
        let index = self.next_index;
        self.next_index += 1;
        index
    }

    /// The index of the sent packet that a sequence number stands for.
    pub(super) fn index_near(&self, sequence_number: u16) -> Option<u64> {
        rtx::index_near(self.next_index.checked_sub(1)?, sequence_number)
    }

    pub(super) fn note_sent(&mut self, now: Time, payload_len: usize, clock_rate_hz: u32) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u32);
        self.clock_rate_hz = clock_rate_hz;
        self.last_sent = Some(now);
    }

    /// The RTP timestamp of what was captured at `time`.
    pub(super) const fn timestamp(&self, time: Time, clock_rate_hz: u32) -> u32 {
        time.to_rtp(clock_rate_hz).wrapping_add(self.timestamp_offset)
    }

    /// What a sender report at `now` says.
    pub(super) const fn sender_info(&self, now: Time) -> SenderInfo {
        SenderInfo {
            ntp: now.to_ntp(),
            rtp_timestamp: self.timestamp(now, self.clock_rate_hz),
            packet_count: self.packets,
            octet_count: self.octets,
        }
    }
}
