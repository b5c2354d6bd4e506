//! The conference: everything that happens, in the order of virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_netsim::config::LinkConfig;
use sluice_netsim::nat::NatConfig;
use sluice_netsim::network::{Direction, HostConfig, Network, Partition};
use sluice_router::core::DropReason;
use sluice_wire::ticket::Suite;
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use crate::hostile::Hostile;
use crate::judge::Judge;
use crate::ledger::Ledger;
use crate::outcome::{Outcome, hostile_drops};
use crate::participant::Participant;
use crate::plan::{Action, END, PARTICIPANTS, Plan, TROUBLE_UNTIL};
use crate::router::SimRouter;
use crate::watch::Watch;
use crate::{START, Violation};

/// When the troubles have ended, every slot shows what it should within this.
const RECOVERY: Duration = Duration::from_secs(3);
/// How recent the last decodable frame of every slot must be at the end.
const FRESH: Duration = Duration::from_secs(1);

/// Packets that the router may hold between flushes: what pacing keeps of two large frames of each person.
const MAX_HELD_PACKETS: usize = 2 * 30 * PARTICIPANTS;

/// A conference on virtual time.
#[derive(Debug)]
pub struct Conference {
    now: Time,
    plan: Plan,
    rng: ChaCha8Rng,
    router: SimRouter,
    network: Network<Vec<u8>>,
    people: BTreeMap<usize, Participant>,
    /// Sockets that each person has used; the last is the current one.
    sockets: Vec<u16>,
    watch: Watch,
    ledger: Ledger,
    hostile: Hostile,
    next_attack: Time,
    tickets: usize,
    /// Somebody's machine died, which the router finds out late.
    has_ghosts: bool,
}

impl Conference {
    /// The conference of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let plan = Plan::draw(&mut rng);
        let home = rng.random_range(0..plan.shards);
        let router = SimRouter::new(router_address(), plan.shards, home, || rng.random(), None);
        let hostile = Hostile::new(ChaCha8Rng::from_seed(rng.random()));
        Self {
            now: START,
            router,
            network: Network::new(START, rng.random()),
            people: BTreeMap::new(),
            sockets: vec![0; PARTICIPANTS],
            watch: Watch::default(),
            ledger: Ledger::default(),
            hostile,
            next_attack: START,
            tickets: 0,
            has_ghosts: false,
            plan,
            rng,
        }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn run(mut self) -> Result<Outcome, Violation> {
        if self.plan.is_lossless {
            self.watch.expect_no_loss();
        }
        self.set_up().map_err(|what| self.violation(what))?;
        let actions = std::mem::take(&mut self.plan.actions);
        for (at, action) in actions {
            self.run_until(START + at)?;
            self.perform(action).map_err(|what| self.violation(what))?;
            self.settle()?;
        }
        self.run_until(START + TROUBLE_UNTIL + RECOVERY)?;
        self.judge_recovery().map_err(|what| self.violation(what + &self.paths()))?;
        self.run_until(START + END)?;
        self.judge().map_err(|what| self.violation(what + &self.paths()))
    }

    /// What the router thinks of everybody's path, for who looks into a violation.
    fn paths(&self) -> String {
        let path = |person: &Participant| {
            let quality = self.router.quality(person.id)?;
            Some(format!("\n{:?}: {quality:?}", person.id))
        };
        self.people.values().filter_map(path).collect()
    }

    fn violation(&self, what: String) -> Violation {
        Violation { at: self.now, what }
    }

    fn set_up(&mut self) -> Result<(), String> {
        let open = HostConfig::default();
        self.network.add_host(self.router.address, &open).map_err(|error| error.to_string())?;
        self.network.add_host(hostile_address(), &open).map_err(|error| error.to_string())?;
        for (person, (up, down)) in self.plan.links.iter().enumerate() {
            let nat = Some(NatConfig::new([100, 64, 0, person as u8 + 1].into()));
            let config = HostConfig { up: up.clone(), down: down.clone(), nat };
            self.network.add_host(socket(person, 0), &config).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    // --- time ---

    fn run_until(&mut self, until: Time) -> Result<(), Violation> {
        while let Some(at) = self.next_at().filter(|at| *at < until) {
            // A duty that is overdue is done now; virtual time does not go back.
            self.now = self.now.max(at);
            self.step()?;
        }
        self.now = until;
        Ok(())
    }

    fn next_at(&self) -> Option<Time> {
        let people = self.people.values().filter_map(Participant::next_at);
        let others = [self.network.next_at(), self.router.poll_timeout(), Some(self.next_attack)];
        people.chain(others.into_iter().flatten()).min()
    }

    fn step(&mut self) -> Result<(), Violation> {
        while let Some(delivery) = self.network.poll(self.now) {
            if delivery.to == self.router.address {
                self.watch.on_router_receives(delivery.from, &delivery.item);
                self.router.receive(self.now, delivery.from, &delivery.item);
            } else if let Some(person) = self.people.values_mut().find(|person| person.socket == delivery.to)
            {
                person.session.handle_datagram(self.now, delivery.from, &delivery.item);
            }
        }
        self.router.handle_timeout(self.now);
        for person in self.people.values_mut() {
            if person.next_at().is_some_and(|at| at <= self.now) {
                person.act(self.now, &mut self.ledger).map_err(|what| Violation { at: self.now, what })?;
            }
        }
        self.attack()?;
        self.settle()
    }

    /// Drains everything that waits, and checks what must hold in between.
    fn settle(&mut self) -> Result<(), Violation> {
        let now = self.now;
        let all_arrives = self.plan.is_lossless && self.unsent() == 0;
        for person in self.people.values_mut() {
            let heard = person.listen(now, &mut self.ledger, all_arrives);
            heard.map_err(|what| Violation { at: now, what })?;
            while let Some(transmit) = person.session.poll_transmit() {
                self.watch.on_client_sends(now, transmit.payload)?;
                self.hostile.capture(transmit.payload);
                let sent = self.network.send(now, person.socket, transmit.remote, transmit.payload.to_vec());
                sent.map_err(|error| Violation { at: now, what: error.to_string() })?;
            }
        }
        let mut sent = Ok(());
        let (watch, network, from) = (&mut self.watch, &mut self.network, self.router.address);
        self.router.drain(now, |to, datagram| {
            if sent.is_ok() {
                sent = watch.on_router_sends(now, to, datagram);
            }
            if network.send(now, from, to, datagram.to_vec()).is_err() {
                sent = Err(Violation { at: now, what: "the router's host is gone".into() });
            }
        });
        sent?;
        self.check_bounds().map_err(|what| self.violation(what))
    }

    fn check_bounds(&self) -> Result<(), String> {
        let (sessions, rooms, packets) = self.router.held();
        if sessions > self.tickets {
            return Err(format!("{sessions} sessions from {} tickets", self.tickets));
        }
        if rooms > 1 {
            return Err(format!("{rooms} rooms for one meeting"));
        }
        if packets > MAX_HELD_PACKETS {
            return Err(format!("{packets} packets are held though everything that may leave was flushed"));
        }
        Ok(())
    }

    // --- what happens ---

    fn perform(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Join(person) => self.join(person)?,
            Action::Leave(person) => {
                if let Some(mut person) = self.people.remove(&person) {
                    person.session.close(self.now);
                    while let Some(transmit) = person.session.poll_transmit() {
                        let payload = transmit.payload.to_vec();
                        self.network.send(self.now, person.socket, transmit.remote, payload).map_err(text)?;
                    }
                    self.router.close(self.now, person.id);
                }
            }
            Action::Kill(person) => {
                self.has_ghosts |= self.people.remove(&person).is_some();
            }
            Action::Rebind(person) => self.network.rebind_nat(self.socket(person)).map_err(text)?,
            Action::MoveAddress(person) => self.move_address(person)?,
            Action::Partition { person, lasting, one_way } => {
                let partition = Partition {
                    left: vec![self.socket(person)],
                    right: vec![self.router.address],
                    one_way,
                    from: self.now,
                    until: (self.now + lasting).min(START + TROUBLE_UNTIL),
                };
                self.network.partition(&partition).map_err(text)?;
            }
            Action::ToggleScreen(person) => {
                if let Some(person) = self.people.get_mut(&person) {
                    person.toggle_screen(self.now, &mut self.rng)?;
                }
            }
            Action::Replace(person) => {
                if self.people.remove(&person).is_some() {
                    self.join(person)?;
                }
            }
            Action::Calm => self.calm()?,
            Action::ToggleCamera(person)
            | Action::ToggleMicrophone(person)
            | Action::Talk { person, .. }
            | Action::Height(person, _)
            | Action::Fps(person, _)
            | Action::TogglePause(person)
            | Action::ToggleLayout(person)
            | Action::Limit(person, _) => {
                if let Some(person) = self.people.get_mut(&person) {
                    act_alone(person, self.now, action);
                }
            }
        }
        self.renew_wishes();
        Ok(())
    }

    fn join(&mut self, person: usize) -> Result<(), String> {
        let id = participant_id(person);
        let ticket = self.router.open(self.now, id, Suite::AeadAes128Gcm)?;
        self.watch.on_ticket(id, &ticket)?;
        self.tickets += 1;
        let socket = self.socket(person);
        let participant = Participant::new(id, socket, &ticket, self.now, &mut self.rng)?;
        self.people.insert(person, participant);
        Ok(())
    }

    fn move_address(&mut self, person: usize) -> Result<(), String> {
        let old = self.socket(person);
        self.sockets[person] += 1;
        let new = self.socket(person);
        self.network.add_socket(old, new).map_err(text)?;
        self.network.remove_socket(old).map_err(text)?;
        if let Some(participant) = self.people.get_mut(&person) {
            participant.socket = new;
            participant.session.local_address_changed();
        }
        Ok(())
    }

    fn calm(&mut self) -> Result<(), String> {
        for person in self.people.values_mut() {
            person.fall_silent(self.now);
        }
        // One person goes on with what he can take, if that was little.
        for (_, person) in self.people.iter_mut().filter(|(person, _)| **person != 0) {
            person.set_limit(u64::MAX);
        }
        self.network.heal();
        let clean = LinkConfig { delay_ms: 20.0, ..LinkConfig::default() };
        for person in 0..PARTICIPANTS {
            for direction in [Direction::Up, Direction::Down] {
                self.network.set_link(self.socket(person), direction, &clean).map_err(text)?;
            }
        }
        Ok(())
    }

    /// As signaling's roster would: everybody wants everybody.
    fn renew_wishes(&mut self) {
        let present: Vec<ParticipantId> = self.people.values().map(|person| person.id).collect();
        for person in self.people.values_mut() {
            person.want(&present);
        }
    }

    fn attack(&mut self) -> Result<(), Violation> {
        while self.next_attack <= self.now {
            self.next_attack += Duration::from_secs(1) / self.plan.hostile_rate_hz;
            if self.now < START + TROUBLE_UNTIL {
                let datagram = self.hostile.attack();
                let sent = self.network.send(self.now, hostile_address(), self.router.address, datagram);
                sent.map_err(|error| self.violation(error.to_string()))?;
            }
        }
        Ok(())
    }

    fn socket(&self, person: usize) -> SocketAddr {
        socket(person, self.sockets[person])
    }

    // --- the end ---

    fn judge_recovery(&self) -> Result<(), String> {
        Judge::new(self.people.values(), self.has_ghosts).everybody_sees(START + TROUBLE_UNTIL, true)
    }

    fn judge(&self) -> Result<Outcome, String> {
        let judge = Judge::new(self.people.values(), self.has_ghosts);
        let last = Time::from_nanos(self.now.as_nanos() - FRESH.as_nanos() as u64);
        judge.everybody_sees(last, false)?;
        judge.nobody_pays_for_nothing(START + TROUBLE_UNTIL + RECOVERY)?;
        judge.layers_are_right(last)?;
        let has_limit = |person: &Participant| {
            self.router.quality(person.id).is_some_and(|quality| quality.limit_bps.is_some())
        };
        judge.demand_is_the_union(self.people.values().any(has_limit))?;
        judge.views_are_full()?;
        judge.has_the_floor(participant_id(self.plan.last_speaker))?;
        self.judge_forwarding()?;
        let mut outcome = Outcome {
            virtual_ms: self.now.saturating_since(START).as_millis() as u64,
            frames_intact: self.ledger.intact,
            frames_undecodable: self.ledger.undecodable,
            switches: self.ledger.switches,
            fingerprint: self.watch.fingerprint(),
            ..Outcome::default()
        };
        for counters in self.router.all_counters() {
            outcome.datagrams_in += counters.datagrams_in;
            outcome.rtp_out += counters.rtp_out;
            outcome.migrations += counters.migrations;
            outcome.hostile_drops += hostile_drops(counters);
        }
        Ok(outcome)
    }

    /// Packets that the router withheld after it had numbered them, for want of a path or of room.
    fn unsent(&self) -> u64 {
        [
            DropReason::UnvalidatedBudget,
            DropReason::NoPath,
            DropReason::NotContinuous,
            DropReason::TooLarge,
            DropReason::PacerFull,
            DropReason::PacedTooLong,
            DropReason::PoolFull,
        ]
        .iter()
        .map(|reason| self.router.dropped(*reason))
        .sum()
    }

    /// The router makes no gaps of its own, and forwards nothing that it did not open.
    fn judge_forwarding(&self) -> Result<(), String> {
        let counters = self.router.counters();
        let receivers = PARTICIPANTS as u64 - 1;
        if counters.rtp_out > counters.rtp_in * receivers {
            return Err(format!("{} packets in became {} out", counters.rtp_in, counters.rtp_out));
        }
        let excused = counters.rtp_lost_in * receivers + self.unsent();
        let gaps = self.watch.forwarding_gaps();
        if gaps > excused {
            return Err(format!("{gaps} gaps on slots, but only {excused} packets missing or withheld"));
        }
        Ok(())
    }
}

/// What a person does that concerns nobody else.
fn act_alone(person: &mut Participant, now: Time, action: Action) {
    match action {
        Action::ToggleCamera(_) => person.toggle_camera(),
        Action::ToggleMicrophone(_) => person.toggle_microphone(),
        Action::Talk { lasting, .. } => person.talk(now, lasting),
        Action::Height(_, height) => person.set_max_height(height),
        Action::Fps(_, fps) => person.set_max_fps(fps),
        Action::TogglePause(_) => person.toggle_pause(),
        Action::ToggleLayout(_) => person.toggle_layout(),
        Action::Limit(_, bits_per_second) => person.set_limit(bits_per_second),
        _ => {}
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

const fn router_address() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)), 5_004)
}

const fn hostile_address() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 66)), 666)
}

fn socket(person: usize, generation: u16) -> SocketAddr {
    ([10, 0, person as u8 + 1, 2], 40_000 + generation).into()
}

fn participant_id(person: usize) -> ParticipantId {
    ParticipantId::new(person as u32 + 1).expect("a small number from 1 is a participant id")
}
