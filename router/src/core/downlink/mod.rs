//! What a receiver's path carries: the congestion control of one session's downlink, its pacer and its probes.
//!
//! A session has one from the first packet that it is sent. The estimate becomes the session's bitrate
//! (`shard/congestion.rs`), the pacer decides at each packet whether it leaves now (`shard/forward.rs`) or a little later
//! (`shard/pace.rs`).

mod pacer;

use std::time::Duration;

use sluice_congestion::{Config, Controller, PacketSent, ProbeCluster};
use sluice_wire::feedback::Feedback;
use sluice_wire::time::Time;

pub(crate) use self::pacer::{Paced, Pacer};
use super::limits::{FEEDBACK_GRACE, MAX_DOWNLINK_BPS, MIN_DOWNLINK_BPS};

/// How much more than what is sent a path must carry to count as wide, in hundredths...
const WIDE_PERCENT: u64 = 200;
/// ... and how much to stay it. Frames and bitrates vary, and a share of what is scarce is not taken back at once.
const STAYS_WIDE_PERCENT: u64 = 130;
/// What is wanted is probed for with this margin, in hundredths: the allocator wants it before it gives more.
const WANTED_PERCENT: u64 = 150;
/// What waits in the pacer is to be gone after this long; what that takes is not there for layers.
const BACKLOG_TIME: Duration = Duration::from_millis(500);

/// A cluster of probes that is being sent.
#[derive(Clone, Copy, Debug)]
struct Probing {
    cluster: ProbeCluster,
    packets: u16,
    bytes: u32,
}

/// The sender's side of a session's downlink.
#[derive(Debug)]
pub(crate) struct Downlink {
    controller: Controller,
    pub(crate) pacer: Pacer,
    probing: Option<Probing>,
    /// It is in the shard's list of those with something to be paced.
    pub(crate) is_listed: bool,
    began_at: Time,
    has_feedback: bool,
    /// The path carries all that is wanted with room to spare, so that nothing needs to be shared.
    is_wide: bool,
    /// Bytes sent since `sent_since`, and bit/s of the period before.
    sent_bytes: u64,
    sent_since: Time,
    sent_bps: u64,
    /// Bit/s of the next period are made of this.
    wanted_bps: u64,
}

impl Downlink {
    /// A path of which nothing is known, at `start_bps`. All layers that are wanted together cost `wanted_bps`.
    pub(crate) fn new(now: Time, start_bps: u64, wanted_bps: u64) -> Self {
        let config = Config {
            start_bps,
            min_bps: MIN_DOWNLINK_BPS,
            max_bps: MAX_DOWNLINK_BPS,
            is_stepped: true,
            ..Config::default()
        };
        Self {
            controller: Controller::new(&config),
            pacer: Pacer::new(now),
            probing: None,
            is_listed: false,
            began_at: now,
            has_feedback: false,
            is_wide: false,
            sent_bytes: 0,
            sent_since: now,
            sent_bps: 0,
            wanted_bps: wanted_bps.saturating_mul(WANTED_PERCENT) / 100,
        }
    }

    /// Notes an RTP packet that leaves, of `len` bytes as a UDP payload.
    #[inline]
    pub(crate) fn on_sent(&mut self, now: Time, sequence: u16, len: usize) {
        let probe = self.probing.as_mut().map(|probing| {
            probing.packets = probing.packets.saturating_add(1);
            probing.bytes += len as u32;
            probing.cluster.id
        });
        self.pacer.on_sent(len);
        self.sent_bytes += len as u64;
        self.controller.on_sent(&PacketSent { sequence, at: now, size_bytes: len as u16, probe });
        if self.probing.is_some_and(|probing| {
            probing.packets >= probing.cluster.min_packets && probing.bytes >= probing.cluster.min_bytes
        }) {
            self.probing = None;
        }
    }

    /// Lets the pacer's credit grow until `now`. Cheap if that is not later than before.
    #[inline]
    pub(crate) fn refill(&mut self, now: Time) {
        if self.pacer.is_behind(now) {
            match self.probing {
                Some(probing) => self.pacer.refill_evenly(now, probing.cluster.rate_bps),
                None => self.pacer.refill(now, self.controller.pacing_rate_bps()),
            }
        }
    }

    /// Whether padding is to be sent, since a cluster of probes lacks it.
    pub(crate) const fn is_probing(&self) -> bool {
        self.probing.is_some()
    }

    /// Whether a packet may leave now. A peer that gives no feedback is not paced: nothing is known of its path.
    #[inline]
    pub(crate) fn may_send(&mut self, now: Time) -> bool {
        if !self.has_feedback {
            return true;
        }
        self.refill(now);
        self.pacer.has_credit() && self.pacer.is_empty()
    }

    /// Something has to leave when its time comes.
    pub(crate) fn has_paced(&self) -> bool {
        self.is_probing() || !self.pacer.is_empty()
    }

    /// Takes a feedback message.
    pub(crate) fn on_feedback(&mut self, now: Time, feedback: &Feedback<'_>) {
        self.has_feedback = true;
        self.controller.on_feedback(feedback, now);
    }

    /// Begins the cluster of probes that is due, if any; `true` if one is under way.
    pub(crate) fn probe(&mut self, now: Time) -> bool {
        if self.probing.is_none() {
            self.controller.set_wanted_bps(self.wanted_bps);
            let cluster = self.controller.next_probe(now);
            self.probing = cluster.map(|cluster| Probing { cluster, packets: 0, bytes: 0 });
        }
        self.is_probing()
    }

    /// Does what the clock asks for, ten times a second.
    pub(crate) fn on_tick(&mut self, now: Time) {
        if self.controller.poll_timeout().is_some_and(|due| due <= now) && self.has_feedback {
            self.controller.on_timeout(now);
        }
        let period = now.saturating_since(self.sent_since);
        if period >= Duration::from_secs(1) {
            self.sent_bps = (u128::from(self.sent_bytes) * 8_000_000_000 / period.as_nanos()) as u64;
            (self.sent_bytes, self.sent_since) = (0, now);
            if self.is_wide {
                self.wanted_bps = self.sent_bps.saturating_mul(WANTED_PERCENT) / 100;
            }
        }
    }

    /// All layers that are wanted together cost this much, in bit/s.
    pub(crate) fn on_shared(&mut self, wanted_bps: u64) {
        self.wanted_bps = wanted_bps.saturating_mul(WANTED_PERCENT) / 100;
        self.is_wide = self.is_above(wanted_bps.max(self.sent_bps), WIDE_PERCENT);
    }

    const fn is_above(&self, bps: u64, percent: u64) -> bool {
        self.controller.target_bps() >= bps.saturating_mul(percent) / 100
    }

    /// Bit/s that slots may share; `u64::MAX` if nothing needs to be shared. A peer that gives no feedback has no limit.
    pub(crate) fn budget_bps(&mut self, now: Time) -> u64 {
        if !self.has_feedback && now.saturating_since(self.began_at) >= FEEDBACK_GRACE {
            return u64::MAX;
        }
        self.is_wide &= self.is_above(self.sent_bps, STAYS_WIDE_PERCENT);
        if self.is_wide {
            return u64::MAX;
        }
        let backlog_bps = self.pacer.queued_bytes() * 8_000 / BACKLOG_TIME.as_millis() as u64;
        let target_bps = self.controller.target_bps();
        target_bps.saturating_sub(backlog_bps).max(target_bps / 2)
    }

    /// The session has another address.
    pub(crate) fn on_new_path(&mut self) {
        self.controller.on_new_path();
        self.probing = None;
        self.is_wide = false;
    }

    pub(crate) fn stats(&self) -> sluice_congestion::Stats {
        self.controller.stats()
    }

    /// Bit/s that were sent in the last second.
    pub(crate) const fn sent_bps(&self) -> u64 {
        self.sent_bps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn who_gives_no_feedback_is_limited_at_first_and_then_not() {
        let mut down = Downlink::new(at(0), 1_000_000, 10_000_000);
        (0..100).for_each(|number| down.on_sent(at(number), number as u16, 1_000));
        down.on_tick(at(1_900));
        assert_eq!(down.budget_bps(at(1_900)), 1_000_000);
        down.on_tick(at(2_000));
        assert_eq!(down.budget_bps(at(2_000)), u64::MAX);
    }

    #[test]
    fn a_path_is_wide_while_it_carries_much_more_than_is_sent() {
        let mut down = Downlink::new(at(0), 1_000_000, 10_000_000);
        down.on_shared(600_000);
        assert_eq!(down.budget_bps(at(0)), 1_000_000);
        down.on_shared(500_000);
        assert_eq!(down.budget_bps(at(0)), u64::MAX);
        // 96 kB in a second are 768 kbit/s.
        (0..96).for_each(|number| down.on_sent(at(0), number, 1_000));
        down.on_tick(at(1_000));
        assert_eq!(down.budget_bps(at(1_000)), u64::MAX);
        (96..196).for_each(|number| down.on_sent(at(1_000), number, 1_000));
        down.on_tick(at(2_000));
        // Now that feedback comes, its absence in the past is no reason.
        down.has_feedback = true;
        assert_eq!(down.budget_bps(at(2_000)), 1_000_000);
    }

    #[test]
    fn what_waits_is_taken_off_the_budget_but_not_more_than_half() {
        let mut down = Downlink::new(at(0), 1_000_000, 10_000_000);
        let packet = |len| Paced {
            slot: 0,
            from: crate::core::ids::EncodingRef::default(),
            uplink_index: 0,
            rewritten: crate::core::rewrite::Rewritten {
                index: 0,
                timestamp: 0,
                tl0_pic_idx: 0,
                vp8_offset: crate::core::rewrite::PictureNumbers::default(),
            },
            marker: false,
            len,
        };
        assert!(down.pacer.queue(packet(12_500)));
        assert_eq!(down.budget_bps(at(0)), 800_000);
        assert!((0..9).all(|_| down.pacer.queue(packet(12_500))));
        assert_eq!(down.budget_bps(at(0)), 500_000);
    }

    #[test]
    fn a_cluster_of_probes_ends_when_it_has_its_packets_and_bytes() {
        let mut down = Downlink::new(at(0), 1_000_000, 10_000_000);
        assert!(down.probe(at(0)) && down.has_paced());
        let mut sent = 0;
        while down.is_probing() {
            down.on_sent(at(sent / 2), sent as u16, 1_000);
            sent += 1;
        }
        // 3 Mbit/s for 15 ms.
        assert_eq!(sent, 6);
    }
}
