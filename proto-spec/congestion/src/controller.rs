//! The parts put together.

#[cfg(test)]
mod tests;

use std::time::Duration;

use sluice_wire::feedback::{Arrival, Ecn, Feedback, TICK};
use sluice_wire::time::Time;

use crate::acknowledged::AcknowledgedBitrate;
use crate::aimd::{Aimd, AimdInput};
use crate::alr::AlrDetector;
use crate::delay::{ArrivalGroups, OveruseDetector, Usage};
use crate::history::{Acknowledged, PacketSent, SentHistory};
use crate::loss::{LossBound, LossInput};
use crate::outage::Outage;
use crate::probe::{ProbeCluster, ProbeContext, ProbeController, ProbeEstimator};
use crate::queue::QueueDelay;
use crate::rtt::Rtt;

/// How much faster than the target the pacer sends: a frame leaves in less than half of its interval, and a key frame does not
/// wait for long.
const PACING_FACTOR: f64 = 2.5;
/// What an outage leaves of the target, each time.
const OUTAGE_FACTOR: f64 = 0.7;
/// For how long after an overuse nothing is probed. Flows that fill a path are all overused every few seconds, and one that probes
/// then takes from the others what it does not need to take; on a path that has become wider there is no overuse any more.
const CALM_AFTER: Duration = Duration::from_secs(4);
/// With how much of a queue nothing is probed.
const CALM_QUEUE: Duration = Duration::from_millis(40);
/// For how long after a probe, and a round trip, an overuse is the probe's own queue, if little else was sent: it lasts 40 ms, drains,
/// and is told of with the next message.
const PROBE_ECHO: Duration = Duration::from_millis(300);
/// The share of the target below which little else was sent.
const ECHO_SHARE: f64 = 0.8;
/// The most reports that are taken of one message, whoever made it.
const MAX_REPORTS: usize = 8_192;

/// How a controller starts, and within which bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The first target, in bit/s.
    pub start_bps: u64,
    /// The lowest target, in bit/s: that of audio alone, with its overhead. Not below 5,000.
    pub min_bps: u64,
    /// The highest target, in bit/s.
    pub max_bps: u64,
    /// Packets that the history holds, 16 bytes each; see [`SentHistory::new`].
    pub history_packets: usize,
    /// What is sent comes in steps, as the layers of a router do: it cannot grow by a little, so that a rate that is nearly used
    /// up says no more of the path than one that is not. More is then found by probes alone, whatever is sent.
    pub is_stepped: bool,
}

impl Default for Config {
    /// 300 kbit/s, as libwebrtc starts, between 30 kbit/s and 20 Mbit/s; a history that at 10 Mbit/s reaches back a second.
    fn default() -> Self {
        Self {
            start_bps: 300_000,
            min_bps: 30_000,
            max_bps: 20_000_000,
            history_packets: 1_024,
            is_stepped: false,
        }
    }
}

/// What a receiver says of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketReport {
    /// The transport-wide sequence number.
    pub sequence: u16,
    /// How it arrived; `None` if it has not.
    pub arrival: Option<Arrival>,
}

/// What a controller measures and counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// The target in bit/s.
    pub target_bps: u64,
    /// The rate by delay alone, in bit/s.
    pub delay_based_bps: u64,
    /// The bound by loss, in bit/s: `delay_based_bps` while it bounds nothing.
    pub loss_based_bps: u64,
    /// What arrives, in bit/s; `None` before the first half second.
    pub acknowledged_bps: Option<u64>,
    /// The round-trip time, without what the receiver held back; `None` before the first report.
    pub rtt: Option<Duration>,
    /// How long packets wait in the queue of the path.
    pub queue_delay: Duration,
    /// The share of packets lost in the last seconds, 0 to 1.
    pub loss: f64,
    /// How the path is used.
    pub usage: Usage,
    /// Whether the sender is limited by what it has to send.
    pub is_alr: bool,
    /// Whether feedback has stopped.
    pub is_out: bool,
    /// Bytes sent of which nothing was heard yet.
    pub in_flight_bytes: u64,
    /// Packets that arrived with the mark of a congested queue. Counted; nothing reacts to it as long as nothing is sent as
    /// capable of ECN.
    pub ce_marked: u64,
    /// Reports on packets that were never sent, or were forgotten.
    pub unknown_reports: u64,
    /// Reports that said nothing new.
    pub repeated_reports: u64,
}

/// The congestion control of one direction of a session, at its sender.
///
/// In order of use: [`Self::on_sent`] for each RTP packet; [`Self::on_feedback`] for each feedback message, then
/// [`Self::next_probe`] until it gives nothing, then [`Self::target_bps`]; [`Self::on_timeout`] when [`Self::poll_timeout`] is due. A
/// new path gets a new controller, or [`Self::on_new_path`].
///
/// # What a false report can do
///
/// Nothing but lower or raise the target of the session whose receiver made it, and never above the greatest of: the start rate,
/// 1.5 times what was sent (by the sender's clock, over a window of 150 ms, and acknowledged) plus 10 kbit/s, and the rate at
/// which a probe was sent. Acknowledgements of what was never sent, and all but the first of a packet, change nothing. The work
/// for a message is bounded by the packets that it names, and every report of a packet that is not news costs a look into the
/// history.
///
/// # Size
///
/// 2.5 KiB and the history, which is allocated once: 16 KiB by default.
#[derive(Clone, Debug)]
pub struct Controller {
    history: SentHistory,
    path: Path,
    bounds: (f64, f64),
    wanted_bps: f64,
    is_stepped: bool,
    probed_at: Option<Time>,
    target_bps: f64,
    ce_marked: u64,
    unknown_reports: u64,
    repeated_reports: u64,
}

/// All that is learned of a path.
#[derive(Clone, Copy, Debug)]
struct Path {
    clock: ReceiverClock,
    rtt: Rtt,
    acknowledged: AcknowledgedBitrate,
    groups: ArrivalGroups,
    detector: OveruseDetector,
    queue: QueueDelay,
    aimd: Aimd,
    loss: LossBound,
    loss_based_bps: f64,
    alr: AlrDetector,
    outage: Outage,
    probes: ProbeController,
    probe_results: ProbeEstimator,
}

impl Path {
    fn new(start_bps: f64, (min_bps, max_bps): (f64, f64)) -> Self {
        let aimd = Aimd::new(start_bps, min_bps, max_bps);
        Self {
            clock: ReceiverClock::default(),
            rtt: Rtt::default(),
            acknowledged: AcknowledgedBitrate::default(),
            groups: ArrivalGroups::default(),
            detector: OveruseDetector::default(),
            queue: QueueDelay::default(),
            aimd,
            loss: LossBound::default(),
            loss_based_bps: aimd.rate_bps(),
            alr: AlrDetector::default(),
            outage: Outage::default(),
            probes: ProbeController::new(aimd.rate_bps(), max_bps),
            probe_results: ProbeEstimator::default(),
        }
    }
}

/// What one message brought.
#[derive(Clone, Copy, Debug, Default)]
struct News {
    /// When the newest of the packets was sent of which it is news that they arrived; `None` if there is no news.
    newest_sent_at: Option<Time>,
    /// What the path carried of a cluster of probes, in bit/s.
    probe_bps: Option<f64>,
}

impl Controller {
    /// A controller of a path of which nothing is known.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let min_bps = config.min_bps.max(5_000) as f64;
        let bounds = (min_bps, (config.max_bps as f64).max(min_bps));
        let path = Path::new(config.start_bps as f64, bounds);
        Self {
            history: SentHistory::new(config.history_packets),
            path,
            bounds,
            wanted_bps: bounds.1,
            is_stepped: config.is_stepped,
            probed_at: None,
            target_bps: path.aimd.rate_bps(),
            ce_marked: 0,
            unknown_reports: 0,
            repeated_reports: 0,
        }
    }

    /// Notes a packet, when it is handed to the network.
    pub fn on_sent(&mut self, packet: &PacketSent) {
        self.history.insert(packet);
        self.path.alr.on_sent(packet.at, packet.size_bytes.into(), self.target_bps);
        self.path.outage.on_sent(packet.at);
    }

    /// Takes a feedback message that came at `now`.
    pub fn on_feedback(&mut self, feedback: &Feedback<'_>, now: Time) {
        let reports = feedback.packets().map(|(sequence, arrival)| PacketReport { sequence, arrival });
        self.on_reports(now, feedback.hold(), reports);
    }

    /// Takes reports in order of sequence number, of whatever format: at most 8,192 at once. `hold` is for how long the receiver
    /// held the last of them back, as far as it says.
    pub fn on_reports(&mut self, now: Time, hold: Duration, reports: impl Iterator<Item = PacketReport>) {
        let mut news = News::default();
        for report in reports.take(MAX_REPORTS) {
            match report.arrival {
                Some(arrival) => self.on_arrival(now, report.sequence, arrival, &mut news),
                None => self.on_loss(report.sequence),
            }
        }
        let Some(newest_sent_at) = news.newest_sent_at else { return };
        self.path.outage.on_feedback();
        self.path.rtt.on_report(newest_sent_at, now, hold);
        self.estimate(now, newest_sent_at, news.probe_bps);
    }

    /// The cluster of probes that is to be sent now, if any. Ask after each feedback message, and at the start.
    pub fn next_probe(&mut self, now: Time) -> Option<ProbeCluster> {
        let overuse_at = self.path.aimd.decreased_at();
        let is_calm = self.path.detector.usage() != Usage::Over
            && overuse_at.is_none_or(|at| now.saturating_since(at) >= CALM_AFTER)
            && self.path.queue.get() < CALM_QUEUE
            && self.path.loss_based_bps >= self.path.aimd.rate_bps()
            && !self.path.outage.is_out();
        let context = ProbeContext {
            target_bps: self.target_bps,
            wanted_bps: self.wanted_bps,
            max_bps: self.bounds.1,
            is_alr: self.is_stepped || self.path.alr.is_limited(),
            is_calm,
        };
        let cluster = self.path.probes.next(now, &context)?;
        self.path.probe_results.expect(cluster);
        self.probed_at = Some(now);
        Some(cluster)
    }

    /// How much may be sent, in bit/s, everything included.
    #[must_use]
    pub const fn target_bps(&self) -> u64 {
        self.target_bps as u64
    }

    /// How fast the pacer empties its queue, in bit/s.
    #[must_use]
    pub const fn pacing_rate_bps(&self) -> u64 {
        (self.target_bps * PACING_FACTOR) as u64
    }

    /// Says how much the sender could use at most, in bit/s, if the path carried it: there are no probes for more.
    pub const fn set_wanted_bps(&mut self, bps: u64) {
        self.wanted_bps = bps as f64;
    }

    /// When [`Self::on_timeout`] is due; `None` while nothing is waited for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.path.outage.deadline(self.path.rtt.get())
    }

    /// Sends less if feedback has not come for several round trips, again and again.
    pub fn on_timeout(&mut self, now: Time) {
        if self.path.outage.on_timeout(now, self.path.rtt.get()) {
            let rate = self.target_bps * OUTAGE_FACTOR;
            self.path.aimd.set_rate(now, rate);
            self.set_target(now, self.path.aimd.rate_bps());
        }
    }

    /// Forgets what was learned of the old path and starts anew, at half of the target.
    pub fn on_new_path(&mut self) {
        self.history.forget();
        self.path = Path::new(self.target_bps / 2.0, self.bounds);
        self.target_bps = self.path.aimd.rate_bps();
    }

    /// What is measured and counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let path = &self.path;
        Stats {
            target_bps: self.target_bps(),
            delay_based_bps: path.aimd.rate_bps() as u64,
            loss_based_bps: path.loss_based_bps as u64,
            acknowledged_bps: path.acknowledged.bps().map(|bps| bps as u64),
            rtt: path.rtt.measured(),
            queue_delay: path.queue.get(),
            loss: path.loss.loss(),
            usage: path.detector.usage(),
            is_alr: path.alr.is_limited(),
            is_out: path.outage.is_out(),
            in_flight_bytes: self.history.in_flight_bytes(),
            ce_marked: self.ce_marked,
            unknown_reports: self.unknown_reports,
            repeated_reports: self.repeated_reports,
        }
    }

    fn on_arrival(&mut self, now: Time, sequence: u16, arrival: Arrival, news: &mut News) {
        let (packet, was_lost) = match self.history.acknowledge(sequence) {
            Acknowledged::First { packet, was_lost } => (packet, was_lost),
            Acknowledged::Again => {
                self.repeated_reports += 1;
                return;
            }
            Acknowledged::Unknown => {
                self.unknown_reports += 1;
                return;
            }
        };
        let bytes = u64::from(packet.size_bytes);
        let path = &mut self.path;
        let arrival_us = path.clock.extend(arrival.ticks);
        news.newest_sent_at = news.newest_sent_at.max(Some(packet.at));
        self.ce_marked += u64::from(arrival.ecn == Ecn::Ce);
        path.loss.on_received(bytes, was_lost);
        path.acknowledged.on_packet(arrival_us, packet.at, bytes, path.alr.is_limited());
        path.queue.on_packet(now, (packet.at.as_nanos() / 1_000).cast_signed(), arrival_us);
        if let Some(id) = packet.probe {
            let result = path.probe_results.on_packet(id, packet.at, arrival_us, bytes);
            news.probe_bps = result.or(news.probe_bps);
        }
        if let Some(delta) = path.groups.on_packet(now, packet.at, arrival_us) {
            path.detector.on_delta(now, &delta);
        }
    }

    fn on_loss(&mut self, sequence: u16) {
        if let Some(packet) = self.history.lose(sequence) {
            self.path.loss.on_lost(packet.size_bytes.into());
        }
    }

    fn estimate(&mut self, now: Time, newest_sent_at: Time, probe_bps: Option<f64>) {
        let is_echo = self.is_echo(now);
        let path = &mut self.path;
        let acknowledged_bps = path.acknowledged.bps();
        let usage = if is_echo { Usage::Under } else { path.detector.usage() };
        let delay_based_bps = match probe_bps {
            Some(probe_bps) if usage != Usage::Over && probe_bps > path.aimd.rate_bps() => {
                path.aimd.on_probe(now, probe_bps);
                path.acknowledged.expect_jump();
                path.aimd.rate_bps()
            }
            _ => {
                let rtt = path.rtt.get();
                let is_alr = path.alr.is_limited();
                let loss = path.loss.loss();
                path.aimd.update(now, &AimdInput { usage, acknowledged_bps, loss, rtt, is_alr })
            }
        };
        let input = LossInput { delay_based_bps, acknowledged_bps, queue_delay: path.queue.get() };
        let loss_based_bps = path.loss.update(newest_sent_at, &input);
        path.loss_based_bps = loss_based_bps;
        self.set_target(now, loss_based_bps);
    }

    /// Whether a queue that grows is a probe's. What is sent in steps is far below the target often, and a decrease takes the rate
    /// below what arrives: a probe that found nothing would take what there is.
    fn is_echo(&self, now: Time) -> bool {
        let is_recent = |at: Time| now.saturating_since(at) < self.path.rtt.get() + PROBE_ECHO;
        let is_little = |acknowledged_bps: f64| acknowledged_bps < ECHO_SHARE * self.target_bps;
        self.is_stepped
            && self.path.detector.usage() == Usage::Over
            && self.probed_at.is_some_and(is_recent)
            && self.path.acknowledged.bps().is_some_and(is_little)
    }

    fn set_target(&mut self, now: Time, bps: f64) {
        self.target_bps = bps.clamp(self.bounds.0, self.bounds.1);
        self.path.probes.on_target(now, self.target_bps);
    }
}

/// A receiver's clock, extended from 32 bits of ticks to 64 bits of microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct ReceiverClock {
    last: Option<(u32, i64)>,
}

impl ReceiverClock {
    fn extend(&mut self, ticks: u32) -> i64 {
        let micros = self.last.map_or(0, |(last, micros)| {
            let step = i64::from(ticks.wrapping_sub(last).cast_signed());
            micros.saturating_add(step * TICK.as_micros() as i64)
        });
        self.last = Some((ticks, micros));
        micros
    }
}
