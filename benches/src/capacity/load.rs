//! The other side of the measured process: all clients of all rooms, in one thread.
//!
//! Every client has a socket of its own. What is due is sent, one segmented send a frame; what came is received, counted and in
//! part checked; when there is neither, the thread sleeps for a moment. When it falls behind, its own lag says so.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sluice_router::clock::Clock;
use sluice_router::core::{Path, TransmitBatch};
use sluice_router::io::{
    BatchSender, Details, Family, IoCounters, Queue, ReceiveBatch, Segmentation, SendDrop, ShardSockets,
    thread_cpu_time,
};
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;

use super::ring::Ring;
use crate::peer::{Peer, Received, SlotCounts, TEND_INTERVAL};
use crate::scenario::{KEY_FRAME_INTERVAL, Scenario, VOICE_INTERVAL, participant};

/// The longest sleep: a multiple of what a timer is late anyway.
const NAP: Duration = Duration::from_micros(100);
/// Sockets taken from the readiness queue at once.
const EVENTS: usize = 1_024;
/// First frames, which are key frames, are spread over this time.
const RAMP: Duration = Duration::from_secs(1);
/// How long it may take until everything flows.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// What is on its way has arrived after this.
const DRAIN: Duration = Duration::from_millis(150);
/// Latencies above are counted as this.
const MAX_LATENCY_NS: u64 = 10_000_000_000;

/// Whether the measured process is a whole router, or the floor, which knows no control and whose packets cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// States are sent, packets are checked.
    Protocol,
    /// Media only.
    MediaOnly,
}

/// Sockets for the clients of some rooms.
#[derive(Debug)]
pub struct Sockets(Vec<ShardSockets>);

impl Sockets {
    /// Binds `count` sockets on loopback.
    ///
    /// # Errors
    /// If the system has no more.
    pub fn bind(count: usize) -> Result<Self> {
        let bind = |_| ShardSockets::bind_alone(([127, 0, 0, 1], 0).into(), Details::All);
        Ok(Self((0..count).map(bind).collect::<Result<_, _>>().context("sockets of the load")?))
    }

    /// The addresses, in order.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|sockets| Some(sockets.get(Family::V4)?.address())).collect()
    }
}

/// What happened since [`Load::begin`].
#[derive(Clone, Debug)]
pub struct Tally {
    /// Media packets that the clients sent.
    pub sent: u64,
    /// Packets that should have come of them.
    pub expected: u64,
    /// What the receivers counted.
    pub counts: SlotCounts,
    /// Packets that were opened and were right.
    pub verified: u64,
    /// Packets that were wrong.
    pub wrong: u64,
    /// RTCP received.
    pub control: u64,
    /// From before sealing, in the load, to the kernel's stamp at the receiver's socket: nanoseconds.
    pub latency: Histogram<u64>,
    /// How late frames and voices were sent: nanoseconds.
    pub lag: Histogram<u64>,
    /// CPU time of the load's thread.
    pub cpu: Duration,
    /// How long it was.
    pub elapsed: Duration,
    /// A receiver's socket was full: what is missing may be the load's fault.
    pub overflowed: bool,
    /// Datagrams that the load could not send.
    pub unsent: u64,
}

impl Tally {
    fn new() -> Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3);
        Ok(Self {
            sent: 0,
            expected: 0,
            counts: SlotCounts::default(),
            verified: 0,
            wrong: 0,
            control: 0,
            latency: histogram()?,
            lag: histogram()?,
            cpu: Duration::ZERO,
            elapsed: Duration::ZERO,
            overflowed: false,
            unsent: 0,
        })
    }

    /// Packets that did not come, however that is seen: by number, or by gaps.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.counts.received).max(self.counts.missing)
    }
}

#[derive(Debug)]
struct Seat {
    peer: Peer,
    sockets: ShardSockets,
    /// Frames until the next periodic key frame.
    until_key: u32,
    /// Its camera starts so much after the others' beginning.
    ramp: Duration,
    sends_camera: bool,
}

#[derive(Clone, Copy, Debug)]
enum Duty {
    Frame(usize),
    Voice(usize),
    Tend(usize),
}

/// All clients.
#[derive(Debug)]
pub struct Load {
    scenario: Scenario,
    mode: Mode,
    clock: Clock,
    seats: Vec<Seat>,
    poll: Poll,
    inbox: ReceiveBatch,
    batch: TransmitBatch,
    sender: BatchSender,
    io: IoCounters,
    frames: Ring<Duty>,
    voices: Ring<Duty>,
    tending: Ring<Duty>,
    sends_media: bool,
    media_since: Time,
    tally: Tally,
    began: Time,
    began_cpu: Duration,
}

impl Load {
    /// Clients for the rooms of `scenario`, one per socket and ticket, in the order of rooms and people; `router` is where they
    /// send to. They neither publish nor want anything yet.
    ///
    /// # Errors
    /// If a ticket cannot be used, or the system has no readiness queue.
    pub fn new(
        scenario: Scenario,
        mode: Mode,
        sockets: Sockets,
        tickets: &[Ticket],
        router: SocketAddr,
    ) -> Result<Self> {
        let poll = Poll::new()?;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let clock = Clock::new();
        let mut seats = Vec::with_capacity(tickets.len());
        let path = Path { local: ([0, 0, 0, 0], 0).into(), remote: router };
        let total = tickets.len();
        for (number, (mut sockets, ticket)) in sockets.0.into_iter().zip(tickets).enumerate() {
            let person = number % scenario.people;
            let socket = sockets.get_mut(Family::V4).context("no socket")?;
            poll.registry().register(socket.source(), Token(number), Interest::READABLE)?;
            let peer = Peer::new(participant(person), ticket, path, rng.next_u32())?;
            seats.push(Seat {
                peer,
                sockets,
                until_key: 0,
                ramp: RAMP.mul_f64(number as f64 / total as f64),
                sends_camera: false,
            });
        }
        let mut place = |period: Duration| Duration::from_nanos(rng.next_u64() % period.as_nanos() as u64);
        let person = |seat: &usize| seat % scenario.people;
        let interval = scenario.camera.interval();
        let cameras = (0..total).filter(|seat| person(seat) < scenario.cameras);
        let frames = cameras.map(|seat| (place(interval), Duty::Frame(seat))).collect();
        let talkers = (0..total).filter(|seat| person(seat) < scenario.voices);
        let voices = talkers.map(|seat| (place(VOICE_INTERVAL), Duty::Voice(seat))).collect();
        let tending = (0..total).map(|seat| (place(TEND_INTERVAL), Duty::Tend(seat))).collect();
        let mut load = Self {
            scenario,
            mode,
            clock,
            seats,
            poll,
            inbox: ReceiveBatch::new(),
            batch: TransmitBatch::new(),
            sender: BatchSender::new(Segmentation::IfSupported),
            io: IoCounters::default(),
            frames: Ring::new(interval, frames),
            voices: Ring::new(VOICE_INTERVAL, voices),
            tending: Ring::new(TEND_INTERVAL, tending),
            sends_media: false,
            media_since: Time::ZERO,
            tally: Tally::new()?,
            began: Time::ZERO,
            began_cpu: Duration::ZERO,
        };
        load.tending.restart(load.clock.now());
        Ok(load)
    }

    /// Everybody declares what he sends.
    pub fn publish(&mut self) {
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let person = number % self.scenario.people;
            seat.peer.publish(person < self.scenario.cameras, person < self.scenario.voices);
        }
    }

    /// Everybody asks for all of his room.
    pub fn want(&mut self) {
        for (number, seat) in self.seats.iter_mut().enumerate() {
            seat.peer.want(&self.scenario.tracks_for(number % self.scenario.people));
        }
    }

    /// Runs until the router knows what everybody sends and wants.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn settle(&mut self) -> Result<()> {
        self.run_while("what clients said was acknowledged", |load| {
            load.mode == Mode::Protocol && !load.seats.iter().all(|seat| seat.peer.is_settled())
        })
    }

    /// Sends media until everybody gets everything.
    ///
    /// # Errors
    /// If something does not flow.
    pub fn start_media(&mut self) -> Result<()> {
        self.resume();
        // Those who subscribe late wait for a key frame that they cause.
        self.run_while("everything flowed", |load| {
            let ramp_is_over = load.clock.now() > load.media_since + RAMP;
            !ramp_is_over || !load.seats.iter().all(|seat| seat.peer.is_flowing())
        })
    }

    fn run_while(&mut self, what: &str, is_going_on: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = self.clock.now() + START_TIMEOUT;
        while is_going_on(self) {
            if self.clock.now() >= deadline {
                let flowing = self.seats.iter().filter(|seat| seat.peer.is_flowing()).count();
                let settled = self.seats.iter().filter(|seat| seat.peer.is_settled()).count();
                let count = self.seats.len();
                bail!(
                    "20 s passed before {what}: of {count} clients {settled} are settled, {flowing} get all"
                );
            }
            self.run_for(Duration::from_millis(20))?;
        }
        Ok(())
    }

    fn resume(&mut self) {
        let now = self.clock.now();
        self.sends_media = true;
        if self.media_since == Time::ZERO {
            self.media_since = now;
        }
        self.frames.restart(now);
        self.voices.restart(now);
    }

    /// Stops the media and waits for what is on its way.
    ///
    /// # Errors
    /// If the readiness queue fails.
    pub fn stop_media(&mut self) -> Result<()> {
        self.sends_media = false;
        self.run_for(DRAIN)
    }

    /// Begins to count, and resumes the media. Nothing may be on its way.
    ///
    /// # Errors
    /// Never in practice: a histogram with constant bounds.
    pub fn begin(&mut self) -> Result<()> {
        self.seats.iter_mut().for_each(|seat| seat.peer.reset_counts());
        self.tally = Tally::new()?;
        self.io = IoCounters::default();
        self.began = self.clock.now();
        self.began_cpu = thread_cpu_time().unwrap_or_default();
        self.resume();
        Ok(())
    }

    /// What was counted since [`Self::begin`].
    ///
    /// # Errors
    /// If the router ended a session, after which nothing is right.
    pub fn tally(&self) -> Result<Tally> {
        let closed = self.seats.iter().filter(|seat| seat.peer.is_closed()).count();
        if closed > 0 {
            bail!("the router ended {closed} sessions");
        }
        let mut tally = self.tally.clone();
        tally.counts = self.seats.iter().fold(SlotCounts::default(), |sum, seat| sum + seat.peer.counts());
        tally.cpu = thread_cpu_time().unwrap_or_default().saturating_sub(self.began_cpu);
        tally.elapsed = self.clock.now().saturating_since(self.began);
        tally.overflowed = self.io.overflowed_in > 0;
        tally.unsent = SendDrop::ALL.iter().map(|reason| self.io.dropped_out(*reason)).sum();
        Ok(tally)
    }

    /// Latencies and lag are counted from now on.
    pub fn reset_histograms(&mut self) {
        self.tally.latency.reset();
        self.tally.lag.reset();
    }

    /// Runs for a while.
    ///
    /// # Errors
    /// If the readiness queue fails.
    pub fn run_for(&mut self, duration: Duration) -> Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let end = self.clock.now() + duration;
        loop {
            let now = self.clock.now();
            if now >= end {
                return Ok(());
            }
            let has_sent = self.send_due(now);
            self.poll.poll(&mut events, Some(Duration::ZERO))?;
            for event in events.iter() {
                self.receive(event.token().0);
                let now = self.clock.now();
                if now >= self.next_due() {
                    self.send_due(now);
                }
            }
            if !has_sent && events.is_empty() {
                let until = self.next_due().min(end);
                thread::sleep(until.saturating_since(self.clock.now()).min(NAP));
            }
        }
    }

    fn next_due(&self) -> Time {
        let media =
            if self.sends_media { self.frames.next_due().min(self.voices.next_due()) } else { Time::MAX };
        media.min(self.tending.next_due())
    }

    /// Sends all that is due; `false` if there is none.
    fn send_due(&mut self, now: Time) -> bool {
        let mut has_sent = false;
        if self.sends_media {
            while let Some((due, duty)) = self.frames.pop_due(now).or_else(|| self.voices.pop_due(now)) {
                self.send(due, duty);
                has_sent = true;
            }
        }
        while let Some((due, duty)) = self.tending.pop_due(now) {
            if self.mode == Mode::Protocol {
                self.send(due, duty);
            }
            has_sent = true;
        }
        has_sent
    }

    fn send(&mut self, due: Time, duty: Duty) {
        let now = self.clock.now();
        let (Duty::Frame(number) | Duty::Voice(number) | Duty::Tend(number)) = duty;
        let seat = &mut self.seats[number];
        let audience = self.scenario.people as u64 - 1;
        match duty {
            Duty::Frame(_) if now < self.media_since + seat.ramp => return,
            Duty::Frame(_) => {
                let is_key = seat.next_is_key(&self.scenario);
                seat.peer.send_frame(now, self.scenario.camera.frame(is_key), &mut self.batch);
            }
            Duty::Voice(_) => seat.peer.send_voice(now, self.scenario.voice_bytes, &mut self.batch),
            Duty::Tend(_) => seat.peer.tend(now, &mut self.batch),
        }
        if !matches!(duty, Duty::Tend(_)) {
            self.tally.sent += self.batch.datagrams() as u64;
            self.tally.expected += self.batch.datagrams() as u64 * audience;
            self.tally.lag.saturating_record(now.saturating_since(due).as_nanos() as u64);
        }
        self.flush(number);
    }

    fn flush(&mut self, number: usize) {
        if !self.batch.is_empty() {
            self.sender.send(&self.seats[number].sockets, &self.batch, &mut self.io);
            self.batch.clear();
        }
    }

    fn receive(&mut self, number: usize) {
        let Some(seat) = self.seats.get_mut(number) else { return };
        let Some(socket) = seat.sockets.get(Family::V4) else { return };
        let may_verify = self.mode == Mode::Protocol;
        loop {
            let queue = self.inbox.receive(socket, &self.clock, &mut self.io);
            for (meta, datagram) in self.inbox.datagrams() {
                match seat.peer.receive(meta.received_at, datagram, may_verify) {
                    Received::Counted => {}
                    Received::Verified { sent_at } => {
                        self.tally.verified += 1;
                        let latency = meta.received_at.saturating_since(sent_at);
                        self.tally.latency.saturating_record(latency.as_nanos() as u64);
                    }
                    Received::Control => self.tally.control += 1,
                    Received::Wrong => self.tally.wrong += 1,
                }
            }
            if queue == Queue::Drained {
                break;
            }
        }
        if seat.peer.has_answers() {
            seat.peer.answer(self.clock.now(), &mut self.batch);
            self.flush(number);
        }
    }
}

impl Seat {
    fn next_is_key(&mut self, scenario: &Scenario) -> bool {
        let every = (KEY_FRAME_INTERVAL.as_secs_f64() * f64::from(scenario.camera.fps)) as u32;
        let is_first = !std::mem::replace(&mut self.sends_camera, true);
        let is_asked_for = self.peer.take_key_frame_request();
        let is_due = self.until_key == 0;
        self.until_key = if is_due { every - 1 } else { self.until_key - 1 };
        is_first || is_asked_for || is_due
    }
}
