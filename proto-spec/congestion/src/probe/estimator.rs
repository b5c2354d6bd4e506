//! What the path carried of a cluster.

use std::time::Duration;

use sluice_wire::time::Time;

use super::{ProbeCluster, ProbeId};

/// Clusters that are told apart: the one that is on its way, and those before it whose packets still come in.
const CLUSTERS: usize = 3;
/// The share of a cluster's packets and bytes that must have arrived.
const MIN_SHARE: f64 = 0.8;
/// A longer cluster has no rate.
const MAX_INTERVAL_US: i64 = 1_000_000;
/// A cluster that arrives faster than it was sent by more than this was held back and let go.
const MAX_RATIO: f64 = 2.0;
/// A cluster that arrives slower than this share of what was sent filled the path...
const FULL_RATIO: f64 = 0.9;
/// ... of which then so much is taken.
const FULL_SHARE: f64 = 0.95;

#[derive(Clone, Copy, Debug)]
struct Cluster {
    probe: ProbeCluster,
    packets: u32,
    bytes: u64,
    first_sent: Option<(Time, u64)>,
    last_sent: (Time, u64),
    first_arrival: (i64, u64),
    last_arrival_us: i64,
}

impl Cluster {
    const fn new(probe: ProbeCluster) -> Self {
        Self {
            probe,
            packets: 0,
            bytes: 0,
            first_sent: None,
            last_sent: (Time::ZERO, 0),
            first_arrival: (i64::MAX, 0),
            last_arrival_us: i64::MIN,
        }
    }

    fn add(&mut self, sent_at: Time, arrival_us: i64, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
        if self.first_sent.is_none_or(|(first, _)| sent_at < first) {
            self.first_sent = Some((sent_at, bytes));
        }
        if sent_at >= self.last_sent.0 {
            self.last_sent = (sent_at, bytes);
        }
        if arrival_us < self.first_arrival.0 {
            self.first_arrival = (arrival_us, bytes);
        }
        self.last_arrival_us = self.last_arrival_us.max(arrival_us);
    }

    fn result(&self) -> Option<f64> {
        let enough = f64::from(self.packets) >= MIN_SHARE * f64::from(self.probe.min_packets)
            && self.bytes as f64 >= MIN_SHARE * f64::from(self.probe.min_bytes);
        let (first_sent_at, _) = self.first_sent.filter(|_| enough)?;
        let sent_in = self.last_sent.0.saturating_since(first_sent_at);
        let arrived_us = self.last_arrival_us.saturating_sub(self.first_arrival.0);
        if sent_in.is_zero() || sent_in.as_micros() > MAX_INTERVAL_US.unsigned_abs().into() {
            return None;
        }
        if !(1..=MAX_INTERVAL_US).contains(&arrived_us) {
            return None;
        }
        // The last packet sent, and the first one received, are at the ends of the intervals and not in them.
        let sent_bps = crate::rate_bps(self.bytes - self.last_sent.1, sent_in);
        let arrived_in = Duration::from_micros(arrived_us.unsigned_abs());
        let arrived_bps = crate::rate_bps(self.bytes - self.first_arrival.1, arrived_in);
        if arrived_bps > MAX_RATIO * sent_bps {
            return None;
        }
        let is_full = arrived_bps < FULL_RATIO * sent_bps;
        Some(if is_full { arrived_bps * FULL_SHARE } else { arrived_bps.min(sent_bps) })
    }
}

/// Measures clusters, as libwebrtc's `ProbeBitrateEstimator` does. No result is above the rate at which the cluster was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProbeEstimator {
    clusters: [Option<Cluster>; CLUSTERS],
    next: usize,
}

impl ProbeEstimator {
    /// Expects a cluster, and forgets the oldest.
    pub fn expect(&mut self, probe: ProbeCluster) {
        self.clusters[self.next] = Some(Cluster::new(probe));
        self.next = (self.next + 1) % CLUSTERS;
    }

    /// Takes a packet of a cluster that arrived. Gives the rate that the path carried, in bit/s, if enough has arrived; later
    /// packets may correct it.
    pub fn on_packet(&mut self, id: ProbeId, sent_at: Time, arrival_us: i64, bytes: u64) -> Option<f64> {
        let cluster = self.clusters.iter_mut().flatten().find(|cluster| cluster.probe.id == id)?;
        cluster.add(sent_at, arrival_us, bytes);
        cluster.result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ProbeId = ProbeId(std::num::NonZeroU8::MIN);

    /// A cluster of 1 Mbit/s, of 10 packets of 250 bytes, sent and received at these intervals in us; its last result.
    fn probe(packets: u64, sent_us: u64, arrives_us: i64) -> Option<f64> {
        let mut estimator = ProbeEstimator::default();
        estimator.expect(ProbeCluster::new(ID, 1e6, crate::probe::FIRST_PROBE_DURATION));
        let packet = |n: u64| {
            let sent_at = Time::from_nanos(n * sent_us * 1_000);
            estimator.on_packet(ID, sent_at, 77 + n as i64 * arrives_us, 250)
        };
        (0..packets).map(packet).last()?
    }

    #[test]
    fn what_arrives_as_it_was_sent_is_the_rate() {
        assert!((probe(10, 2_000, 2_000).unwrap() - 1e6).abs() < 1.0);
        assert!((probe(10, 2_000, 1_500).unwrap() - 1e6).abs() < 1.0, "never above what was sent");
    }

    #[test]
    fn a_full_path_is_taken_for_a_little_less() {
        assert!((probe(10, 2_000, 4_000).unwrap() - 0.475e6).abs() < 1.0);
    }

    #[test]
    fn what_proves_nothing_gives_nothing() {
        assert_eq!(probe(5, 2_000, 2_000), None, "too few bytes");
        assert_eq!(probe(10, 2_000, 900), None, "let go at once");
        assert_eq!(probe(10, 2_000, 0), None, "all at one time");
        assert_eq!(probe(10, 0, 2_000), None, "sent at one time");
        assert_eq!(probe(10, 2_000, 200_000), None, "too slow");
        assert_eq!(probe(10, 2_000, -5_000), Some(0.4e6 * 0.95), "backwards is as good as forwards");
    }

    #[test]
    fn other_clusters_are_ignored_and_old_ones_forgotten() {
        let mut estimator = ProbeEstimator::default();
        assert_eq!(estimator.on_packet(ID, Time::ZERO, 0, 250), None);
        let mut id = None;
        for _ in 0..300 {
            id = Some(ProbeId::next(id));
            estimator.expect(ProbeCluster::new(id.unwrap(), 1e6, crate::probe::FIRST_PROBE_DURATION));
        }
        assert_eq!(estimator.clusters.iter().flatten().filter(|cluster| cluster.packets > 0).count(), 0);
        assert_eq!(id.unwrap().get(), 45, "255 names");
    }
}
