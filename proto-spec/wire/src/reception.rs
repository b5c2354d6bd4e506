//! Reception statistics of one RTP stream, as report blocks want them (RFC 3550 appendix A.3 and A.8).

use crate::rtcp::ReportBlock;
use crate::time::Time;

/// What a receiver knows of an RTP stream.
#[derive(Debug, Default)]
pub struct Reception {
    base_index: Option<u64>,
    highest_index: u64,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    transit: Option<u32>,
    /// Interarrival jitter times 16, in timestamp units.
    jitter_q4: u32,
    last_sr: Option<(u32, Time)>,
}

impl Reception {
    /// Notes a packet. Returns how many packets the sequence now lacks more than before (0 for in-order packets).
    pub fn on_packet(&mut self, index: u64, timestamp: u32, arrival: Time, rate_hz: u32) -> u64 {
        let base = *self.base_index.get_or_insert(index);
        self.received += 1;
        let newly_missing = if self.received == 1 {
            self.highest_index = index;
            0
        } else {
            let gap = index.saturating_sub(self.highest_index).saturating_sub(1);
            self.highest_index = self.highest_index.max(index);
            gap
        };
        self.base_index = Some(base.min(index));
        let transit = arrival.to_rtp(rate_hz).wrapping_sub(timestamp);
        if let Some(previous) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(previous) as i32).unsigned_abs();
            self.jitter_q4 =
                self.jitter_q4.saturating_add(difference).saturating_sub((self.jitter_q4 + 8) >> 4);
        }
        newly_missing
    }

    /// Notes the sender report whose NTP timestamp is `ntp`.
    pub const fn on_sender_report(&mut self, ntp: u64, arrival: Time) {
        self.last_sr = Some(((ntp >> 16) as u32, arrival));
    }

    /// Packets that came, each counted once.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Packets that the sequence lacks between the lowest and the highest index.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.base_index.map_or(0, |base| (self.highest_index - base + 1).saturating_sub(self.received))
    }

    /// The report about this stream since the last report; `None` if nothing came since.
    pub fn report(&mut self, ssrc: u32, now: Time) -> Option<ReportBlock> {
        let base = self.base_index?;
        if self.received == self.received_prior {
            return None;
        }
        let expected = self.highest_index - base + 1;
        let expected_interval = expected - self.expected_prior;
        let received_interval = self.received - self.received_prior;
        let lost_interval = expected_interval.saturating_sub(received_interval);
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost = expected as i64 - self.received as i64;
        let (last_sr, delay_since_last_sr) = self.last_sr.map_or((0, 0), |(sr, arrival)| {
            let delay = now.saturating_since(arrival);
            (sr, (delay.as_nanos() * 65_536 / 1_000_000_000) as u32)
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost: (lost_interval * 256).checked_div(expected_interval).unwrap_or(0).min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_sequence: self.highest_index as u32,
            jitter: self.jitter_q4 >> 4,
            last_sr,
            delay_since_last_sr,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn loss_is_counted_once_and_reported_as_a_fraction() {
        let mut stats = Reception::default();
        let missing: u64 =
            [10, 11, 14, 13].iter().map(|index| stats.on_packet(*index, 0, at(0), 48_000)).sum();
        assert_eq!(missing, 2);
        let block = stats.report(9, at(0)).unwrap();
        assert_eq!((block.ssrc, block.cumulative_lost, block.highest_sequence), (9, 1, 14));
        assert_eq!(block.fraction_lost, 51);
        assert_eq!(stats.report(9, at(0)), None);
    }

    #[test]
    fn steady_arrivals_have_no_jitter_and_unsteady_ones_do() {
        let mut steady = Reception::default();
        let mut unsteady = Reception::default();
        for packet in 0..200u32 {
            let sent = u64::from(packet) * 20;
            steady.on_packet(packet.into(), packet * 960, at(sent), 48_000);
            unsteady.on_packet(packet.into(), packet * 960, at(sent + u64::from(packet % 2) * 10), 48_000);
        }
        assert_eq!(steady.report(1, at(0)).unwrap().jitter, 0);
        // Every transit differs by 10 ms = 480 ticks, to which the filter converges.
        assert!(unsteady.report(1, at(0)).unwrap().jitter.abs_diff(480) < 10);
    }

    #[test]
    fn the_last_sender_report_comes_back_with_its_delay() {
        let mut stats = Reception::default();
        stats.on_packet(1, 0, at(0), 48_000);
        stats.on_sender_report(0x1122_3344_5566_7788, at(1_000));
        let block = stats.report(1, at(1_500)).unwrap();
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x3344_5566, 32_768));
    }
}
