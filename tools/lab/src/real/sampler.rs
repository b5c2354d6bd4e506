//! Looks at a real run every so often.

use std::time::Duration;

use sluice_client::clock::Clock as ClientClock;
use sluice_netsim::counters::Counters;
use sluice_netsim::proxy::{Clock as ProxyClock, ProxyStats, SharedLink};
use sluice_wire::time::Time;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RealError;
use super::member::Member;
use crate::SAMPLE_SECONDS;
use crate::layout::Conditions;
use crate::record::{Network, SharedRecord, samples};
use crate::scenario::Scenario;
use crate::transfers::Transfers;

/// Transfers have their turn at least this often, whatever else happens.
const TURN: Duration = Duration::from_millis(2);

/// What was counted of a person so far.
#[derive(Clone, Copy, Default)]
struct Before {
    down: Counters,
    received_bytes: u64,
    up_bytes: u64,
    key_frame_requests: u64,
}

/// Counts what happens between samples, and lets bulk transfers go on meanwhile.
pub(super) struct Sampler {
    conditions: Conditions,
    stats: ProxyStats,
    clock: ProxyClock,
    links: Vec<SharedLink>,
    /// The proxy's number of each person.
    places: Vec<usize>,
    before: Vec<Before>,
    transfers: Vec<Vec<Transfers>>,
    shared_before: Vec<(Counters, u64)>,
    records: Vec<SharedRecord>,
}

impl Sampler {
    pub(super) fn new(
        scenario: &Scenario,
        conditions: Conditions,
        stats: ProxyStats,
        clock: ProxyClock,
        links: Vec<SharedLink>,
        order: Vec<usize>,
    ) -> Self {
        let place = |person: usize| order.iter().position(|number| *number == person).unwrap_or(person);
        let transfers = scenario.shared.iter().map(|shared| {
            shared.tcp.iter().map(|tcp| Transfers::new(*tcp, Time::ZERO, scenario.seconds)).collect()
        });
        let record =
            |name: &String| SharedRecord { name: name.clone(), tcp_bytes: vec![0; samples(scenario)] };
        Self {
            conditions,
            stats,
            clock,
            places: (0..order.len()).map(place).collect(),
            before: vec![Before::default(); order.len()],
            transfers: transfers.collect(),
            shared_before: vec![Default::default(); links.len()],
            records: scenario.shared.iter().map(|shared| record(&shared.name)).collect(),
            links,
        }
    }

    /// Waits, while transfers go on.
    pub(super) async fn until(
        &mut self,
        clock: ClientClock,
        at: Time,
        stop: &CancellationToken,
    ) -> Result<(), RealError> {
        while clock.now() < at {
            let now = self.clock.now();
            for (transfers, link) in self.transfers.iter_mut().zip(&self.links) {
                for transfer in transfers.iter_mut().filter(|transfer| transfer.next_at() <= now) {
                    transfer.act(now, &mut link.lock());
                }
            }
            let turn = if self.transfers.iter().all(Vec::is_empty) { at } else { at.min(clock.now() + TURN) };
            tokio::select! {
                () = stop.cancelled() => return Err(RealError::Interrupted),
                () = tokio::time::sleep_until(Instant::from_std(clock.instant(turn))) => {}
            }
        }
        Ok(())
    }

    /// Notes what happened since the last sample as that of `sample`.
    pub(super) async fn sample(
        &mut self,
        sample: usize,
        members: &[Option<Member>],
    ) -> Result<(), RealError> {
        let shared_losses = self.sample_shared(sample);
        let at_s = sample as f64 * SAMPLE_SECONDS;
        for (number, member) in members.iter().enumerate() {
            let Some(member) = member else { continue };
            let stats = member.stats().await?.media;
            let place = self.stats.client(self.places[number]).unwrap_or_default();
            let now = Before {
                down: place.down,
                received_bytes: stats.bytes_received,
                up_bytes: stats.bytes_sent,
                key_frame_requests: stats.key_frame_requests_sent,
            };
            let before = std::mem::replace(&mut self.before[number], now);
            let down = now.down - before.down;
            let shared = self.conditions.behind(number).and_then(|link| shared_losses.get(link));
            let capacity_bps = self.conditions.capacity_bps(at_s, number);
            let network = Network {
                // The daemon says nothing of single sessions yet.
                estimate_bps: None,
                capacity_bps,
                usable_bps: self.conditions.usable_bps(at_s, number, capacity_bps),
                loss: 1.0 - (1.0 - lost_share(down)) * (1.0 - shared.copied().unwrap_or(0.0)),
            };
            // The queue is as it was when a packet last came; without packets it drains.
            let queue_delay = place.queue_delay.saturating_sub(self.clock.now().saturating_since(place.at));
            let mut receiver = member.receiver();
            let middle = receiver.time_of(sample);
            receiver.on_received(middle, (now.received_bytes - before.received_bytes) as usize);
            receiver.on_up(middle, (now.up_bytes - before.up_bytes) as usize);
            receiver.on_key_frame_requests(middle, now.key_frame_requests - before.key_frame_requests);
            receiver.on_queue(middle, queue_delay);
            receiver.on_network(sample, network);
        }
        Ok(())
    }

    /// Share of packets that each shared link lost.
    fn sample_shared(&mut self, sample: usize) -> Vec<f64> {
        let mut losses = Vec::with_capacity(self.links.len());
        for (number, link) in self.links.iter().enumerate() {
            let counters = *link.lock().counters();
            let transferred = self.transfers[number].iter().map(Transfers::received).sum();
            let before = std::mem::replace(&mut self.shared_before[number], (counters, transferred));
            losses.push(lost_share(counters - before.0));
            if let Some(bytes) = self.records[number].tcp_bytes.get_mut(sample) {
                *bytes = transferred - before.1;
            }
        }
        losses
    }

    pub(super) fn finish(self) -> (Conditions, Vec<SharedRecord>) {
        (self.conditions, self.records)
    }
}

fn lost_share(counted: Counters) -> f64 {
    counted.lost() as f64 / counted.sent.max(1) as f64
}
