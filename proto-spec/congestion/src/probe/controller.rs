//! When to probe, and how high.

use std::time::Duration;

use sluice_wire::time::Time;

use super::{FIRST_PROBE_DURATION, PROBE_DURATION, ProbeCluster, ProbeId};

/// The first two clusters, as factors of the start rate.
const INITIAL: [f64; 2] = [3.0, 6.0];
/// While the estimate reaches this share of the last cluster's rate, there may be more...
const GO_ON_SHARE: f64 = 0.7;
/// ... and the next one is so many times the estimate.
const FURTHER: f64 = 2.0;
/// How long results are waited for.
const WAIT: Duration = Duration::from_secs(1);
/// The least time between probes while the application limits what is sent.
const ALR_INTERVAL: Duration = Duration::from_secs(2);
/// The same after a drop, until the rate is back.
const RECOVERY_INTERVAL: Duration = Duration::from_millis(2_500);
/// The same behind a probe that found something: what it found must be carried for a while before it is believed and more is
/// tried, for a cluster may pass where a stream does not. Only the first clusters go on at once.
const SUCCESS_INTERVAL: Duration = Duration::from_secs(1);
/// Each probe that found nothing makes the intervals longer by this factor,
const BACK_OFF: f64 = 1.5;
/// up to this one in ALR (fairness: a probe that fails is a queue for everybody),
const MAX_ALR_INTERVAL: Duration = Duration::from_secs(5);
/// and this one after a drop: who waits longer does not get back within ten seconds.
const MAX_RECOVERY_INTERVAL: Duration = Duration::from_secs(6);
/// A drop to less than this share of the rate is a large one, from which one hopes to come back
const LARGE_DROP: f64 = 0.66;
/// to this share of it,
const RECOVERED: f64 = 0.85;
/// within this time.
const HOPE: Duration = Duration::from_secs(120);
/// The rate before a drop is the highest of the last while, which is twice this at most: drops take several steps.
const PEAK_PERIOD: Duration = Duration::from_secs(3);
/// A probe that raises the rate by less has found nothing.
const SUCCESS: f64 = 1.1;
/// What is wanted is probed with a margin, so that it is reached in spite of what is taken off.
const WANTED_MARGIN: f64 = 1.3;

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct ProbeContext {
    /// The target in bit/s.
    pub target_bps: f64,
    /// The most that the sender could use, in bit/s.
    pub wanted_bps: f64,
    /// The highest rate that is allowed, in bit/s.
    pub max_bps: f64,
    /// Whether the sender is limited by what it has to send.
    pub is_alr: bool,
    /// Whether the path is calm: no overuse lately, no queue, no loss bound, no outage.
    pub is_calm: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Time,
    rate_bps: f64,
    /// The target before.
    from_bps: f64,
}

/// Decides when to probe: at the start, further while it pays, in ALR every few seconds, and after a large drop until the rate
/// is back. After libwebrtc's `ProbeController`, with two differences: after a drop it probes whether or not the sender is in
/// ALR, since waiting for 8 % a second is what makes recovery take half a minute; and probes that fail become rarer.
#[derive(Clone, Copy, Debug)]
pub struct ProbeController {
    /// Rates to be probed at once, lowest first.
    pending: [f64; 2],
    last_id: Option<ProbeId>,
    last: Option<Sent>,
    /// Whether results of the last cluster are waited for.
    is_waiting: bool,
    failures: u32,
    /// Whether the last cluster found something.
    is_success: bool,
    /// Whether all clusters so far were of the start.
    is_starting: bool,
    /// The highest target of this period and of the one before.
    peaks: (f64, f64),
    peak_until: Time,
    /// The rate to come back to, and until when one hopes.
    lost: Option<(f64, Time)>,
}

impl ProbeController {
    /// A controller that first probes multiples of the start rate.
    #[must_use]
    pub fn new(start_bps: f64, max_bps: f64) -> Self {
        let pending = INITIAL.map(|factor| (start_bps * factor).min(max_bps));
        Self {
            pending: if start_bps < max_bps { pending } else { [0.0; 2] },
            last_id: None,
            last: None,
            is_waiting: false,
            failures: 0,
            is_success: false,
            is_starting: true,
            peaks: (start_bps, start_bps),
            peak_until: Time::ZERO,
            lost: None,
        }
    }

    /// Takes the target after feedback.
    pub fn on_target(&mut self, now: Time, target_bps: f64) {
        self.settle(now, target_bps);
        let peak = self.peaks.0.max(self.peaks.1);
        if target_bps < LARGE_DROP * peak {
            let before = self.lost.map_or(peak, |(before, _)| before.max(peak));
            self.lost = Some((before, now + HOPE));
            // The drop is known; what comes now is measured against what is left.
            self.peaks = (target_bps, target_bps);
            self.failures = 0;
        }
        if self.lost.is_some_and(|(before, until)| target_bps >= RECOVERED * before || now >= until) {
            self.lost = None;
        }
        if now >= self.peak_until {
            self.peak_until = now + PEAK_PERIOD;
            self.peaks = (target_bps, self.peaks.0);
        }
        self.peaks.0 = self.peaks.0.max(target_bps);
    }

    /// The cluster to be sent now, if any. Ask after feedback.
    pub fn next(&mut self, now: Time, context: &ProbeContext) -> Option<ProbeCluster> {
        let rate_bps = self.rate(now, context)?;
        let id = ProbeId::next(self.last_id);
        self.last_id = Some(id);
        self.last = Some(Sent { at: now, rate_bps, from_bps: context.target_bps });
        self.is_waiting = true;
        let duration = if self.is_starting { FIRST_PROBE_DURATION } else { PROBE_DURATION };
        Some(ProbeCluster::new(id, rate_bps, duration))
    }

    /// Whether the initial clusters are still to be sent.
    #[must_use]
    pub fn has_initial(&self) -> bool {
        self.pending.iter().any(|rate| *rate > 0.0)
    }

    /// Takes the result of the last cluster, if it is there or is no longer waited for.
    fn settle(&mut self, now: Time, target_bps: f64) {
        let Some(last) = self.last.filter(|_| self.is_waiting) else { return };
        let is_success = target_bps >= SUCCESS * last.from_bps;
        let is_carried = is_success && target_bps >= GO_ON_SHARE * last.rate_bps;
        if !is_carried && now.saturating_since(last.at) < WAIT {
            return;
        }
        self.is_waiting = false;
        self.is_success = is_success;
        self.failures = if is_success { 0 } else { self.failures + 1 };
        if is_carried && self.is_starting && !self.has_initial() {
            self.pending[1] = FURTHER * target_bps;
        }
    }

    fn rate(&mut self, now: Time, context: &ProbeContext) -> Option<f64> {
        let useful = (context.wanted_bps * WANTED_MARGIN).min(context.max_bps);
        if context.target_bps >= useful.min(context.wanted_bps) {
            self.pending = [0.0; 2];
            return None;
        }
        if let Some(pending) = self.pending.iter_mut().find(|rate| **rate > 0.0) {
            let rate = std::mem::take(pending).min(useful);
            return (context.is_calm && rate > context.target_bps).then_some(rate);
        }
        if self.is_waiting || !context.is_calm {
            return None;
        }
        self.is_starting = false;
        let passed = self.last.map_or(Duration::MAX, |last| now.saturating_since(last.at));
        let rate = match self.lost {
            Some((before, _)) if passed >= self.interval(RECOVERY_INTERVAL, MAX_RECOVERY_INTERVAL) => {
                (FURTHER * context.target_bps).min(before)
            }
            None if context.is_alr && passed >= self.interval(ALR_INTERVAL, MAX_ALR_INTERVAL) => {
                FURTHER * context.target_bps
            }
            _ => return None,
        };
        Some(rate.min(useful).max(context.target_bps * SUCCESS))
    }

    fn interval(&self, base: Duration, most: Duration) -> Duration {
        if self.is_success {
            return SUCCESS_INTERVAL;
        }
        let factor = BACK_OFF.powi(self.failures.min(16) as i32);
        base.mul_f64(factor).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: ProbeContext =
        ProbeContext { target_bps: 1e6, wanted_bps: 1e7, max_bps: 1e7, is_alr: true, is_calm: true };

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    /// A controller whose initial probes found nothing above 1 Mbit/s.
    fn settled() -> ProbeController {
        let mut probes = ProbeController::new(1e6, 1e7);
        while probes.next(at(0), &CALM).is_some() {}
        probes.on_target(at(1_000), 1e6);
        probes.failures = 0;
        probes
    }

    /// Asks every 50 ms while the target stays; the times at which there is a probe.
    fn times(probes: &mut ProbeController, from: u64, until: u64, context: ProbeContext) -> Vec<u64> {
        let ask = |now: &u64| {
            probes.on_target(at(*now), context.target_bps);
            probes.next(at(*now), &context).is_some()
        };
        (from..until).step_by(50).filter(ask).collect()
    }

    #[test]
    fn it_starts_with_two_and_goes_on_while_it_pays() {
        let mut probes = ProbeController::new(3e5, 1e7);
        let context = ProbeContext { target_bps: 3e5, ..CALM };
        let first = probes.next(at(0), &context).unwrap();
        assert_eq!((first.rate_bps, first.min_packets, first.min_bytes), (900_000, 5, 1_687));
        assert_eq!(probes.next(at(0), &context).unwrap().rate_bps, 1_800_000);
        assert_eq!(probes.next(at(0), &context), None);
        probes.on_target(at(100), 1.7e6);
        let context = ProbeContext { target_bps: 1.7e6, ..CALM };
        assert_eq!(probes.next(at(100), &context).unwrap().rate_bps, 3_400_000);
        probes.on_target(at(200), 2.0e6);
        assert_eq!(probes.next(at(200), &context), None, "that was all that the path had");
    }

    #[test]
    fn in_alr_it_probes_ever_more_rarely_while_it_finds_nothing() {
        let mut probes = settled();
        let found = times(&mut probes, 1_050, 40_000, CALM);
        assert_eq!(found, [2_000, 5_000, 9_500, 14_500, 19_500, 24_500, 29_500, 34_500, 39_500]);
        assert!(times(&mut settled(), 1_050, 40_000, ProbeContext { is_alr: false, ..CALM }).is_empty());
        assert!(times(&mut settled(), 1_050, 40_000, ProbeContext { is_calm: false, ..CALM }).is_empty());
    }

    #[test]
    fn nothing_is_probed_beyond_what_is_wanted() {
        assert!(times(&mut settled(), 1_050, 40_000, ProbeContext { wanted_bps: 0.9e6, ..CALM }).is_empty());
        let mut probes = settled();
        let context = ProbeContext { wanted_bps: 1.2e6, ..CALM };
        let probe = probes.next(at(6_000), &context).unwrap();
        assert_eq!(probe.rate_bps, 1_560_000);
    }

    #[test]
    fn after_a_large_drop_it_probes_until_the_rate_is_back() {
        let mut probes = settled();
        times(&mut probes, 1_050, 4_000, ProbeContext { is_alr: false, target_bps: 3e6, ..CALM });
        let low = ProbeContext { is_alr: false, target_bps: 0.7e6, ..CALM };
        let found = times(&mut probes, 4_000, 30_000, low);
        assert!(
            found.len() >= 4 && found[1..].windows(2).all(|pair| pair[1] - pair[0] <= 6_050),
            "{found:?}"
        );
        probes.on_target(at(30_000), 2.7e6);
        assert!(times(&mut probes, 31_000, 40_000, ProbeContext { target_bps: 2.7e6, ..low }).is_empty());
    }

    #[test]
    fn a_small_drop_is_no_reason() {
        let mut probes = settled();
        let context = ProbeContext { is_alr: false, target_bps: 0.7e6, ..CALM };
        assert!(times(&mut probes, 1_050, 20_000, context).is_empty());
    }
}
