//! Continuity of a slot's RTP stream: sequence numbers and timestamps go on, whatever the slot shows.

use std::time::Duration;

use sluice_wire::time::Time;

use super::limits::MAX_FORWARDED_GAP;

/// First indices stay below this, so that a receiver's roll-over guess starts right (spec 2.4).
const FIRST_INDEX_MASK: u32 = 0x3FFF;
/// The longest jump in time that a switch shows to a receiver; a slot that was empty for longer continues after this.
const MAX_SWITCH_GAP: Duration = Duration::from_secs(10);

/// A point of the source and what it became on the slot.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    in_index: u64,
    out_index: u64,
    timestamp_offset: u32,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    out_index: u64,
    in_index: u64,
    timestamp: u32,
    /// When that frame was captured, or reached the router, on the router's clock.
    time: Time,
}

/// What a forwarded packet gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// 48-bit index of the packet on the slot: roll-over counter and sequence number.
    pub(crate) index: u64,
    pub(crate) timestamp: u32,
}

/// The state of one slot's output.
#[derive(Debug)]
pub(crate) struct Rewriter {
    first_index: u64,
    anchor: Option<Anchor>,
    last: Option<Last>,
}

impl Rewriter {
    /// `random` places the first sequence number.
    pub(crate) const fn new(random: u32) -> Self {
        Self { first_index: (random & FIRST_INDEX_MASK) as u64, anchor: None, last: None }
    }

    /// Continues with another source, from its packet `in_index` with `timestamp` at `time`, on a clock of `rate_hz`.
    pub(crate) fn switch(&mut self, in_index: u64, timestamp: u32, time: Time, rate_hz: u32) {
        let (out_index, timestamp_offset) = match self.last {
            None => (self.first_index, 0),
            Some(last) => {
                let elapsed = time.saturating_since(last.time).min(MAX_SWITCH_GAP);
                // At least one tick: two frames never share a timestamp.
                let ticks = (elapsed.as_nanos() * u128::from(rate_hz) / 1_000_000_000).max(1) as u32;
                (last.out_index + 1, last.timestamp.wrapping_add(ticks).wrapping_sub(timestamp))
            }
        };
        self.anchor = Some(Anchor { in_index, out_index, timestamp_offset });
    }

    /// What the packet becomes on the slot; `None` for a packet from before the switch, which must not be sent.
    pub(crate) fn rewrite(&mut self, in_index: u64, timestamp: u32, time: Time) -> Option<Rewritten> {
        let anchor = self.anchor.as_mut()?;
        if let Some(last) = self.last.filter(|last| last.out_index >= anchor.out_index)
            && in_index > last.in_index + MAX_FORWARDED_GAP
        {
            anchor.in_index = in_index;
            anchor.out_index = last.out_index + 1;
        }
        let out_index = anchor.out_index + in_index.checked_sub(anchor.in_index)?;
        let out_timestamp = timestamp.wrapping_add(anchor.timestamp_offset);
        if self.last.is_none_or(|last| out_index > last.out_index) {
            self.last = Some(Last { out_index, in_index, timestamp: out_timestamp, time });
        }
        Some(Rewritten { index: out_index, timestamp: out_timestamp })
    }

    /// The slot's timestamp at `now`, for sender reports; `None` before the first packet.
    pub(crate) fn timestamp_at(&self, now: Time, rate_hz: u32) -> Option<u32> {
        let last = self.last?;
        let ticks = now.saturating_since(last.time).as_nanos() * u128::from(rate_hz) / 1_000_000_000;
        Some(last.timestamp.wrapping_add(ticks as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn gaps_and_disorder_of_the_source_are_kept() {
        let mut rewriter = Rewriter::new(7);
        rewriter.switch(1_000, 90, at(0), 90_000);
        let out: Vec<_> = [1_000, 1_001, 1_004, 1_003]
            .map(|index| rewriter.rewrite(index, 90, at(0)).unwrap().index)
            .into();
        assert_eq!(out, [7, 8, 11, 10]);
    }

    #[test]
    fn a_switch_continues_sequence_and_time() {
        let mut rewriter = Rewriter::new(0);
        rewriter.switch(500, 1_000, at(0), 90_000);
        rewriter.rewrite(500, 1_000, at(0)).unwrap();
        rewriter.switch(90_000, 77, at(100), 90_000);
        assert_eq!(
            rewriter.rewrite(90_000, 77, at(100)),
            Some(Rewritten { index: 1, timestamp: 1_000 + 9_000 })
        );
        assert_eq!(rewriter.rewrite(89_999, 70, at(100)), None);
    }

    #[test]
    fn two_sources_at_one_instant_do_not_share_a_timestamp() {
        let mut rewriter = Rewriter::new(0);
        rewriter.switch(1, 5, at(3), 90_000);
        let first = rewriter.rewrite(1, 5, at(3)).unwrap();
        rewriter.switch(1, 5, at(3), 90_000);
        assert_eq!(rewriter.rewrite(1, 5, at(3)).unwrap().timestamp, first.timestamp + 1);
    }

    #[test]
    fn a_jumping_publisher_does_not_make_the_slot_jump() {
        let mut rewriter = Rewriter::new(0);
        rewriter.switch(0, 0, at(0), 90_000);
        rewriter.rewrite(0, 0, at(0)).unwrap();
        assert_eq!(rewriter.rewrite(MAX_FORWARDED_GAP, 0, at(0)).unwrap().index, MAX_FORWARDED_GAP);
        assert_eq!(rewriter.rewrite(1 << 20, 0, at(0)).unwrap().index, MAX_FORWARDED_GAP + 1);
        assert_eq!(rewriter.rewrite((1 << 20) - 1, 0, at(0)), None);
        assert_eq!(rewriter.rewrite((1 << 20) + 1, 0, at(0)).unwrap().index, MAX_FORWARDED_GAP + 2);
    }

    #[test]
    fn a_wrapping_timestamp_stays_continuous() {
        let mut rewriter = Rewriter::new(0);
        rewriter.switch(0, u32::MAX, at(0), 90_000);
        assert_eq!(rewriter.rewrite(0, u32::MAX, at(0)).unwrap().timestamp, u32::MAX);
        assert_eq!(rewriter.rewrite(1, 2_999, at(33)).unwrap().timestamp, 2_999);
        assert_eq!(rewriter.timestamp_at(at(43), 90_000), Some(2_999 + 900));
    }
}
