//! A shard's thread: the loop that [`crate::core`] asks for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use sluice_wire::time::Time;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

use super::stats::{Published, RoundStats, ShardSnapshot};
use crate::clock::Clock;
use crate::core::{Command, Drained, Event, Shard, TransmitBatch};
use crate::io::{
    BatchSender, Family, IoCounters, PortLock, PreciseTimer, Queue, ReceiveBatch, Segmentation, ShardSockets,
    thread_cpu_time,
};

/// Commands taken in one round: a burst of joins must not hold up media.
const MAX_COMMANDS_PER_ROUND: usize = 32;
/// The snapshot is at most this old while anything happens.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// Events that the control side has no room for are offered again after this.
const EVENT_RETRY: Duration = Duration::from_millis(5);
/// Closes are sent for at most this long after the order to shut down (three of them take 300 ms).
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// Readiness events taken with one call: two sockets, the waker and the timer.
const POLL_EVENTS: usize = 4;
/// The readiness queue waits for whole milliseconds: shorter waits are the timer's.
const COARSE_WAIT: Duration = Duration::from_millis(1);
/// The token of the waker; those of the sockets are the numbers of their families.
pub(super) const WAKER: Token = Token(Family::ALL.len());
/// The token of the timer.
const TIMER: Token = Token(Family::ALL.len() + 1);

/// What a worker is given.
pub(super) struct Equipment {
    pub(super) number: usize,
    pub(super) core: Shard,
    pub(super) sockets: ShardSockets,
    pub(super) poll: Poll,
    pub(super) mailbox: mpsc::Receiver<Command>,
    pub(super) events: mpsc::Sender<(usize, Event)>,
    pub(super) published: Arc<Published<ShardSnapshot>>,
    pub(super) clock: Clock,
    /// A receive batch that does not end by itself ends after this: the latency that batching may cost under load.
    pub(super) max_batch_wait: Duration,
    /// Held as long as the sockets are.
    pub(super) lock: Arc<PortLock>,
}

/// A shard at work.
pub(super) struct Worker {
    number: usize,
    core: Shard,
    sockets: ShardSockets,
    poll: Poll,
    mailbox: mpsc::Receiver<Command>,
    events: mpsc::Sender<(usize, Event)>,
    published: Arc<Published<ShardSnapshot>>,
    clock: Clock,
    max_batch_wait: Duration,
    timer: PreciseTimer,
    _lock: Arc<PortLock>,
    inbox: ReceiveBatch,
    outbox: Outbox,
    io: IoCounters,
    rounds: RoundStats,
    /// Per family: the socket may have something.
    is_readable: [bool; Family::ALL.len()],
    /// The mailbox may have something.
    has_mail: bool,
    /// An event that did not fit the queue.
    held_event: Option<Event>,
    published_at: Time,
    /// Something happened since.
    has_news: bool,
    /// When to stop at the latest, once that was ordered.
    stop_by: Option<Time>,
}

/// What leaves the shard.
struct Outbox {
    batch: TransmitBatch,
    sender: BatchSender,
}

impl Outbox {
    /// Drains the core's transmits.
    fn flush(&mut self, now: Time, core: &mut Shard, sockets: &ShardSockets, io: &mut IoCounters) {
        loop {
            let drained = core.poll_transmit(now, &mut self.batch);
            if !self.batch.is_empty() {
                self.sender.send(sockets, &self.batch, io);
                self.batch.clear();
            }
            if drained == Drained::Done {
                return;
            }
        }
    }
}

impl Worker {
    pub(super) fn new(equipment: Equipment) -> io::Result<Self> {
        let Equipment {
            number,
            core,
            mut sockets,
            poll,
            mailbox,
            events,
            published,
            clock,
            max_batch_wait,
            lock,
        } = equipment;
        for family in Family::ALL {
            if let Some(socket) = sockets.get_mut(family) {
                poll.registry().register(socket.source(), Token(family as usize), Interest::READABLE)?;
            }
        }
        let timer = PreciseTimer::new(poll.registry(), TIMER)?;
        Ok(Self {
            number,
            core,
            sockets,
            poll,
            mailbox,
            events,
            published,
            published_at: clock.now(),
            clock,
            max_batch_wait,
            timer,
            _lock: lock,
            inbox: ReceiveBatch::new(),
            outbox: Outbox {
                batch: TransmitBatch::new(),
                sender: BatchSender::new(Segmentation::IfSupported),
            },
            io: IoCounters::default(),
            rounds: RoundStats::default(),
            is_readable: [true; Family::ALL.len()],
            has_mail: true,
            held_event: None,
            has_news: true,
            stop_by: None,
        })
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// If the system's readiness queue fails.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut ready = Events::with_capacity(POLL_EVENTS);
        loop {
            let began = self.clock.now();
            // 1. Commands come first: they are few, and media that follows a ticket must find its session.
            self.take_commands(began);
            // 2. What came in, until there is no more or the batch is old enough.
            self.receive();
            // 3. What is due.
            let now = self.clock.now();
            if self.core.poll_timeout().is_some_and(|due| due <= now) {
                self.core.handle_timeout(now);
            }
            // 4. What goes out.
            self.outbox.flush(self.clock.now(), &mut self.core, &self.sockets, &mut self.io);
            // 5. What the control side must know.
            self.hand_over_events();
            // 6. What anybody may see.
            let ended = self.clock.now();
            self.rounds.note(ended.saturating_since(began));
            if self.is_over(ended) {
                self.publish(ended);
                return Ok(());
            }
            if self.has_news && ended >= self.published_at + PUBLISH_INTERVAL {
                self.publish(ended);
            }
            // 7. Wait.
            self.wait(ended, &mut ready)?;
        }
    }

    fn take_commands(&mut self, now: Time) {
        if !std::mem::take(&mut self.has_mail) {
            return;
        }
        for _ in 0..MAX_COMMANDS_PER_ROUND {
            let command = match self.mailbox.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) if self.stop_by.is_some() => return,
                // Nobody is left who could order it.
                Err(TryRecvError::Disconnected) => Command::Shutdown,
            };
            if matches!(command, Command::Shutdown) {
                self.stop_by.get_or_insert(now + SHUTDOWN_GRACE);
            }
            self.core.handle_command(now, command);
        }
        self.has_mail = true;
    }

    fn receive(&mut self) {
        let until = self.clock.now() + self.max_batch_wait;
        while self.is_readable != [false; Family::ALL.len()] {
            for family in Family::ALL {
                self.receive_from(family);
            }
            if self.clock.now() >= until {
                return;
            }
        }
    }

    fn receive_from(&mut self, family: Family) {
        let is_readable = &mut self.is_readable[family as usize];
        let Some(socket) = self.sockets.get(family) else {
            *is_readable = false;
            return;
        };
        if !*is_readable {
            return;
        }
        *is_readable = self.inbox.receive(socket, &self.clock, &mut self.io) == Queue::MayHaveMore;
        let now = self.clock.now();
        for (meta, datagram) in self.inbox.datagrams() {
            self.core.handle_datagram(now, meta, datagram);
            if self.core.wants_flush() {
                self.outbox.flush(self.clock.now(), &mut self.core, &self.sockets, &mut self.io);
            }
        }
    }

    /// Hands events over in order. One that does not fit is held, and holds up those behind it.
    fn hand_over_events(&mut self) {
        while let Some(event) = self.held_event.take().or_else(|| self.core.poll_event()) {
            match self.events.try_send((self.number, event)) {
                Ok(()) => {}
                Err(TrySendError::Full((_, event))) => {
                    self.held_event = Some(event);
                    return;
                }
                // Nobody is left who could know.
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }

    fn is_over(&self, now: Time) -> bool {
        let is_done = self.core.gauges().sessions == 0 && self.held_event.is_none();
        self.stop_by.is_some_and(|stop_by| is_done || now >= stop_by)
    }

    fn publish(&mut self, now: Time) {
        let snapshot = ShardSnapshot {
            taken_at: now,
            counters: *self.core.counters(),
            gauges: self.core.gauges(),
            io: self.io,
            rounds: self.rounds,
            cpu_time: thread_cpu_time().unwrap_or_default(),
            segments: self.outbox.sender.segments(),
        };
        if self.published.try_set(snapshot) {
            self.published_at = now;
            self.has_news = false;
            self.rounds.longest_lately = Duration::ZERO;
        }
    }

    fn wait(&mut self, now: Time, ready: &mut Events) -> io::Result<()> {
        let timeout = self.timeout(now);
        let is_fine = timeout.is_some_and(|timeout| !timeout.is_zero() && timeout < COARSE_WAIT);
        let is_set = is_fine && timeout.is_some_and(|timeout| self.timer.set(timeout));
        match self.poll.poll(ready, if is_set { Some(COARSE_WAIT) } else { timeout }) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        let is_due = self.core.poll_timeout().is_some_and(|due| due <= self.clock.now());
        self.has_news |= is_due || !ready.is_empty();
        for event in ready.iter() {
            match event.token() {
                WAKER => self.has_mail = true,
                // What is due is found by the clock.
                TIMER => {}
                Token(family) => self.is_readable[family] = true,
            }
        }
        Ok(())
    }

    /// How long nothing needs to be done; `None` for ever.
    fn timeout(&self, now: Time) -> Option<Duration> {
        if self.has_mail || self.is_readable != [false; Family::ALL.len()] {
            return Some(Duration::ZERO);
        }
        let held = self.held_event.as_ref().map(|_| now + EVENT_RETRY);
        let publish = self.has_news.then_some(self.published_at + PUBLISH_INTERVAL);
        let deadlines = [self.core.poll_timeout(), self.stop_by, held, publish];
        deadlines.into_iter().flatten().min().map(|deadline| deadline.saturating_since(now))
    }
}
