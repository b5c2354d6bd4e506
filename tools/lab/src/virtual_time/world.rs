//! Everything that happens, in the order of virtual time.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_router::core::DropReason;
use sluice_router::core::limits::START_DOWNLINK_BPS;
use sluice_simulator::START;
use sluice_simulator::router::SimRouter;
use sluice_wire::ticket::Suite;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use super::network::{Net, person_at, router_address, socket};
use super::person::Person;
use super::quality::estimate_bps;
use crate::layout::{Conditions, Layout, mix};
use crate::record::{Network, Published, Run, SharedRecord, samples};
use crate::scenario::{self, Scenario};
use crate::transfers::Transfers;
use crate::{SAMPLE, SAMPLE_SECONDS};

/// How often queues are looked at.
const QUEUE_INTERVAL: Duration = Duration::from_millis(10);
/// Sets the seeds of the network and of the router apart from those of people.
const NETWORK_LABEL: u64 = 1 << 32;
const ROUTER_LABEL: u64 = 2 << 32;

/// What the router must not see, since no network here corrupts anything.
const NEVER: [DropReason; 4] = [
    DropReason::AuthenticationFailed,
    DropReason::Malformed,
    DropReason::MalformedControl,
    DropReason::Replayed,
];

/// A scenario on virtual time.
pub(super) struct World<'a> {
    scenario: &'a Scenario,
    seed: u64,
    persons: Vec<scenario::Person>,
    now: Time,
    end: Time,
    router: SimRouter,
    conditions: Conditions,
    net: Net,
    people: Vec<Person>,
    published: Published,
    transfers: Vec<Vec<Transfers>>,
    shared: Vec<SharedRecord>,
    /// Bytes of transfers at the last sample, by shared link.
    transferred: Vec<u64>,
    next_queue: Time,
    next_sample: usize,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: u64) -> Result<Self, String> {
        let persons = scenario.persons();
        let layout = Layout::new(scenario, &persons, seed);
        let net = Net::new(&layout, START, mix(seed, NETWORK_LABEL))?;
        let mut rng = ChaCha8Rng::seed_from_u64(mix(seed, ROUTER_LABEL));
        let people = persons.iter().enumerate();
        let people =
            people.map(|(number, person)| Person::new(number, person, scenario, START, seed)).collect();
        let transfers = |shared: &scenario::Shared| {
            shared.tcp.iter().map(|tcp| Transfers::new(*tcp, START, scenario.seconds)).collect()
        };
        let record = |shared: &scenario::Shared| SharedRecord {
            name: shared.name.clone(),
            tcp_bytes: vec![0; samples(scenario)],
        };
        Ok(Self {
            scenario,
            seed,
            now: START,
            end: START + SAMPLE * samples(scenario) as u32,
            router: SimRouter::new(router_address(), 1, 0, || rng.random(), Some(START_DOWNLINK_BPS)),
            conditions: Conditions::new(scenario.clone(), persons.clone(), layout),
            net,
            people,
            published: Published::default(),
            transfers: scenario.shared.iter().map(transfers).collect(),
            shared: scenario.shared.iter().map(record).collect(),
            transferred: vec![0; scenario.shared.len()],
            next_queue: START,
            next_sample: 0,
            persons,
        })
    }

    pub(super) fn run(mut self) -> Result<Run, String> {
        loop {
            // A duty that is overdue is done now; virtual time does not go back.
            let next = self.next_at().max(self.now);
            if next >= self.end {
                break;
            }
            self.now = next;
            self.step()?;
        }
        self.now = self.end;
        self.measure();
        self.check_router()?;
        Ok(self.finish())
    }

    fn next_at(&self) -> Time {
        let people = self.people.iter().filter_map(Person::next_at);
        let transfers = self.transfers.iter().flatten().map(Transfers::next_at);
        let others = [self.net.next_at(), self.router.poll_timeout(), Some(self.next_queue)];
        people.chain(transfers).chain(others.into_iter().flatten()).min().unwrap_or(self.end)
    }

    fn step(&mut self) -> Result<(), String> {
        let now = self.now;
        while let Some(delivery) = self.net.poll(now) {
            if delivery.to == self.router.address {
                self.router.receive(now, delivery.from, &delivery.item);
            } else if let Some(person) = person_at(delivery.to) {
                self.people[person].receive(now, delivery.from, &delivery.item);
            }
        }
        self.router.handle_timeout(now);
        for number in 0..self.people.len() {
            if self.people[number].next_at().is_some_and(|at| at <= now) {
                self.act(number)?;
            }
        }
        for (number, transfers) in self.transfers.iter_mut().enumerate() {
            let Some(link) = self.net.shared_link(number) else { continue };
            for transfer in transfers.iter_mut().filter(|transfer| transfer.next_at() <= now) {
                transfer.act(now, link);
            }
        }
        self.drain()?;
        if self.next_queue <= now {
            self.next_queue = now + QUEUE_INTERVAL;
            self.measure();
        }
        Ok(())
    }

    fn act(&mut self, number: usize) -> Result<(), String> {
        let now = self.now;
        let person = &mut self.people[number];
        if person.line.is_none() {
            let ticket = self.router.open(now, person.id, Suite::AeadAes128Gcm)?;
            person.join(now, &ticket, self.scenario, self.persons[number].group)?;
        }
        for datagram in person.act(now, &mut self.published)? {
            person.receiver.on_up(now, datagram.len());
            self.net.send(now, socket(number), self.router.address, datagram)?;
        }
        Ok(())
    }

    /// Sends everything that waits, and hears everything that is said.
    fn drain(&mut self) -> Result<(), String> {
        let now = self.now;
        for (number, person) in self.people.iter_mut().enumerate() {
            person.listen(now)?;
            let Some(line) = &mut person.line else { continue };
            while let Some(transmit) = line.session.poll_transmit() {
                let to = transmit.remote;
                let datagram = match &mut line.hostile {
                    Some(hostile) => hostile.replace(transmit.payload),
                    None => Some(transmit.payload.to_vec()),
                };
                if let Some(datagram) = datagram {
                    person.receiver.on_up(now, datagram.len());
                    self.net.send(now, socket(number), to, datagram)?;
                }
            }
        }
        let (people, net, from) = (&mut self.people, &mut self.net, self.router.address);
        let mut sent = Ok(());
        self.router.drain(now, |to, datagram| {
            if let Some(Person { line: Some(line), receiver, .. }) =
                person_at(to).and_then(|number| people.get_mut(number))
            {
                line.tap.see(now, datagram, receiver);
            }
            let result = net.send(now, from, to, datagram.to_vec());
            if sent.is_ok() {
                sent = result;
            }
        });
        sent
    }

    /// Looks at queues; at the end of a sample, at everything.
    fn measure(&mut self) {
        for (number, person) in self.people.iter_mut().enumerate() {
            person.receiver.on_queue(self.now, self.net.queue_delay(self.now, number));
        }
        while START + SAMPLE * (self.next_sample as u32 + 1) <= self.now {
            self.sample();
            self.next_sample += 1;
        }
    }

    fn sample(&mut self) {
        let at_s = SAMPLE_SECONDS * self.next_sample as f64;
        let losses = self.net.losses();
        for (number, loss) in losses.into_iter().enumerate() {
            let capacity_bps = self.conditions.capacity_bps(at_s, number);
            let usable_bps = self.conditions.usable_bps(at_s, number, capacity_bps);
            let person = &mut self.people[number];
            let estimate_bps = estimate_bps(&self.router, person.id);
            person
                .receiver
                .on_network(self.next_sample, Network { estimate_bps, capacity_bps, usable_bps, loss });
        }
        for (number, transfers) in self.transfers.iter().enumerate() {
            let received = transfers.iter().map(Transfers::received).sum();
            let before = std::mem::replace(&mut self.transferred[number], received);
            if let Some(bytes) = self.shared[number].tcp_bytes.get_mut(self.next_sample) {
                *bytes = received - before;
            }
        }
    }

    /// Nobody forges anything here, attackers included.
    fn check_router(&self) -> Result<(), String> {
        for reason in NEVER {
            let dropped = self.router.dropped(reason);
            if dropped > 0 {
                return Err(format!("the router dropped {dropped} datagrams: {}", reason.name()));
            }
        }
        Ok(())
    }

    fn finish(self) -> Run {
        let Self { people, published, conditions, end, .. } = self;
        let records = people.into_iter().enumerate().map(|(number, person)| {
            let delay = |track: TrackId, at: Time| {
                let from = track.participant().get() as usize - 1;
                conditions.delay(at.saturating_since(START).as_secs_f64(), from, number)
            };
            conditions.record(number, person.receiver.finish(end, &published, delay))
        });
        Run { seed: self.seed, people: records.collect(), shared: self.shared }
    }
}
