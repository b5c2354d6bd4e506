//! A bottleneck in virtual time: one drop-tail queue, flows under congestion control, and one that behaves like CUBIC.

mod cubic;
mod flow;
mod link;

pub(crate) use cubic::Cubic;
pub(crate) use flow::Flow;
pub(crate) use link::{Link, Packet};

use std::time::Duration;

use sluice_wire::time::Time;

/// The step of the model's clock.
const STEP: Duration = Duration::from_micros(250);

/// A small generator (splitmix64), so that a seed is a run.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) rtt: Duration,
    /// Capacities in bit/s, each from a time on in ms.
    pub(crate) capacity: Vec<(u64, f64)>,
    /// The queue in bytes.
    pub(crate) queue_bytes: u64,
    /// The share lost at random.
    pub(crate) loss: f64,
    /// Flows under congestion control.
    pub(crate) flows: usize,
    /// What each could use at most, in bit/s.
    pub(crate) wanted_bps: f64,
    pub(crate) is_with_cubic: bool,
}

impl Scenario {
    pub(crate) fn new(seed: u64, capacity_bps: f64) -> Self {
        let rtt = Duration::from_millis(50);
        Self {
            seed,
            rtt,
            capacity: vec![(0, capacity_bps)],
            queue_bytes: bdp_bytes(capacity_bps, rtt) * 4,
            loss: 0.0,
            flows: 1,
            wanted_bps: 20e6,
            is_with_cubic: false,
        }
    }
}

/// The bandwidth-delay product, of ten packets at least.
pub(crate) fn bdp_bytes(capacity_bps: f64, rtt: Duration) -> u64 {
    ((capacity_bps * rtt.as_secs_f64() / 8.0) as u64).max(12_000)
}

pub(crate) fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// A run.
pub(crate) struct World {
    now: Time,
    link: Link,
    random: Random,
    scenario: Scenario,
    pub(crate) flows: Vec<Flow>,
    pub(crate) cubic: Option<Cubic>,
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let mut random = Random(scenario.seed);
        let one_way = scenario.rtt / 2;
        let flows = (0..scenario.flows)
            .map(|index| {
                let start = Duration::from_micros(random.next() % 2_000_000);
                Flow::new(index, Time::ZERO + start, one_way, scenario.wanted_bps, Random(random.next()))
            })
            .collect();
        let cubic = scenario.is_with_cubic.then(|| Cubic::new(scenario.flows, one_way));
        let link = Link::new(scenario.queue_bytes);
        Self { now: Time::ZERO, link, random, scenario, flows, cubic }
    }

    /// Runs until a time in ms.
    pub(crate) fn run_until(&mut self, millis: u64) {
        while self.now < at(millis) {
            self.now += STEP;
            self.step();
        }
    }

    fn step(&mut self) {
        let (now, link) = (self.now, &mut self.link);
        let millis = now.as_nanos() / 1_000_000;
        let capacity =
            self.scenario.capacity.iter().rev().find(|(from, _)| *from <= millis).expect("it is there").1;
        let first = self.random.next() as usize;
        let count = self.flows.len();
        for turn in 0..count {
            self.flows[(first + turn) % count].send(now, link);
        }
        if let Some(cubic) = &mut self.cubic {
            cubic.send(now, link);
        }
        while let Some(packet) = link.serve(now, capacity) {
            if self.random.unit() < self.scenario.loss {
                continue;
            }
            match self.flows.get_mut(packet.flow) {
                Some(flow) => flow.deliver(&packet),
                None => self.cubic.iter_mut().for_each(|cubic| cubic.deliver(&packet)),
            }
        }
        self.flows.iter_mut().for_each(|flow| flow.receive(now));
    }
}

/// The index of Jain of some shares: 1 if all are the same.
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) =
        shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    sum * sum / (shares.len() as f64 * squares)
}

/// The value below which the share `p` of values lies.
pub(crate) fn percentile(mut values: Vec<f64>, p: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() as f64 * p) as usize).copied().unwrap_or(f64::NAN)
}
