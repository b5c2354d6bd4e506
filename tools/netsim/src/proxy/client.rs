//! One client of the proxy: its upstream socket, its two links, its timers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_wire::time::Time;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::LinkConfig;
use crate::counters::Counters;
use crate::draws::derive_seed;
use crate::link::{Fate, Link};
use crate::pipe::Pipe;

use super::clock::Clock;
use super::sockets::{connect, is_passing, receive_batch};
use super::stats::{ClientSnapshot, ProxyStats};
use super::{ProxyConfig, ProxyError, SharedLink, Tap};

/// Most packets on the way per client and direction: a second of 100 Mbit/s in packets of 1,200 bytes, and half as much again.
const PIPE_PACKETS: usize = 16_384;
/// Most bytes on the way per client and direction: that many packets of 1,024 bytes.
const PIPE_BYTES: usize = 16 << 20;

pub(super) struct Client {
    number: u64,
    address: SocketAddr,
    upstream_address: SocketAddr,
    downstream: Arc<UdpSocket>,
    upstream: UdpSocket,
    up: Pipe<Vec<u8>>,
    down: Pipe<Vec<u8>>,
    behind: Option<SharedLink>,
    tap: Option<Tap>,
    clock: Clock,
    active_at: Time,
    idle_timeout: Duration,
    rebind_every: Option<Duration>,
    rebind_at: Time,
    stats: ProxyStats,
    published: (Counters, Counters),
}

impl Client {
    /// The `number`-th client.
    pub(super) fn new(
        address: SocketAddr,
        number: u64,
        config: &ProxyConfig,
        downstream: Arc<UdpSocket>,
        clock: Clock,
        stats: ProxyStats,
    ) -> Result<Self, ProxyError> {
        let pipe = |link: &LinkConfig, direction: &'static str, label| {
            Link::new(link, derive_seed(derive_seed(config.seed, number), label))
                .map(|link| Pipe::with_capacity(link, PIPE_PACKETS, PIPE_BYTES))
                .map_err(|source| ProxyError::Link { direction, source })
        };
        let own = usize::try_from(number).ok().and_then(|number| config.clients.get(number));
        let (up, down) = own.map_or((&config.up, &config.down), |links| (&links.up, &links.down));
        let now = clock.now();
        Ok(Self {
            number,
            behind: own.and_then(|links| links.behind.clone()),
            tap: own.and_then(|links| links.tap.clone()),
            address,
            upstream_address: config.upstream,
            downstream,
            upstream: connect(config.upstream).map_err(ProxyError::Receive)?,
            up: pipe(up, "up", 0)?,
            down: pipe(down, "down", 1)?,
            clock,
            active_at: now,
            idle_timeout: config.idle_timeout,
            rebind_every: config.rebind_every,
            rebind_at: config.rebind_every.map_or(Time::MAX, |every| now + every),
            stats,
            published: Default::default(),
        })
    }

    /// Forwards until the client is idle, its socket breaks, or `stop` is cancelled.
    pub(super) async fn run(
        mut self,
        first: Vec<u8>,
        mut datagrams: mpsc::Receiver<Vec<u8>>,
        stop: CancellationToken,
    ) {
        self.take_up(first);
        loop {
            self.rebind_if_due();
            self.deliver_due().await;
            self.publish();
            let now = self.clock.now();
            if self.is_idle(now) {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(datagram) = datagrams.recv() => self.take_up(datagram),
                ready = self.upstream.readable() => {
                    if ready.and_then(|()| self.take_down()).is_err() {
                        self.count_error();
                        break;
                    }
                }
                () = tokio::time::sleep(self.wake_at().saturating_since(now)) => {}
            }
        }
        self.publish();
    }

    fn take_up(&mut self, datagram: Vec<u8>) {
        let now = self.clock.now();
        self.active_at = now;
        self.up.push(now, datagram.len(), datagram);
    }

    fn take_down(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let Self { down, behind, tap, active_at, .. } = self;
        let errors = receive_batch(&self.upstream, |_, bytes| {
            *active_at = now;
            if let Some(tap) = tap {
                tap.see(bytes);
            }
            match behind.as_ref().map(|shared| shared.lock().send(now, bytes.len())) {
                None => drop(down.push(now, bytes.len(), bytes.to_vec())),
                // The shared link keeps the order, so times only grow.
                Some(Fate::Delivered(arrival)) => drop(down.push(arrival.at, bytes.len(), bytes.to_vec())),
                Some(Fate::Dropped(_)) => {}
            }
        })?;
        self.stats.update(|snapshot| snapshot.socket_errors += errors);
        Ok(())
    }

    async fn deliver_due(&mut self) {
        let now = self.clock.now();
        while let Some(datagram) = self.up.poll(now) {
            if let Err(error) = self.upstream.send(&datagram).await {
                self.count_error();
                // Such an error tells of an earlier datagram and has kept this one from being sent.
                if is_passing(&error) && self.upstream.send(&datagram).await.is_err() {
                    self.count_error();
                }
            }
        }
        while let Some(datagram) = self.down.poll(now) {
            if self.downstream.send_to(&datagram, self.address).await.is_err() {
                self.count_error();
            }
        }
    }

    fn rebind_if_due(&mut self) {
        let now = self.clock.now();
        let Some(every) = self.rebind_every.filter(|_| self.rebind_at <= now) else { return };
        self.rebind_at = now + every;
        match connect(self.upstream_address) {
            Ok(fresh) => {
                self.upstream = fresh;
                self.stats.update(|snapshot| snapshot.rebinds += 1);
            }
            Err(_) => self.count_error(),
        }
    }

    /// When there is next something to do. A client with packets on their way is not idle yet.
    fn wake_at(&self) -> Time {
        let arrivals = self.up.next_at().into_iter().chain(self.down.next_at());
        let work = arrivals.min().unwrap_or(self.active_at + self.idle_timeout);
        work.min(self.rebind_at)
    }

    fn is_idle(&self, now: Time) -> bool {
        let silent = now.saturating_since(self.active_at) >= self.idle_timeout;
        silent && self.up.in_flight() == 0 && self.down.in_flight() == 0
    }

    fn count_error(&self) {
        self.stats.update(|snapshot| snapshot.socket_errors += 1);
    }

    fn publish(&mut self) {
        let current = (*self.up.counters(), *self.down.counters());
        if current == self.published {
            return;
        }
        self.stats.update(|snapshot| {
            snapshot.up += current.0 - self.published.0;
            snapshot.down += current.1 - self.published.1;
        });
        let now = self.clock.now();
        let shared = self.behind.as_ref().map(|shared| shared.lock().queue_delay(now)).unwrap_or_default();
        let queue_delay = self.down.queue_delay(now) + shared;
        self.stats
            .set_client(self.number, ClientSnapshot { up: current.0, down: current.1, at: now, queue_delay });
        self.published = current;
    }
}
