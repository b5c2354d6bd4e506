//! The measured process: the floor. It receives, opens, copies, seals and sends what a router would, and decides nothing.
//!
//! The same batches: what a receive brought is forwarded stream by stream, at most ten packets for each receiver in a row, and
//! sent with segmentation. Keys and addresses are known beforehand; there is no control, no path, no report, no clock but for
//! ending a batch. What goes out is sealed by the bare AEAD over as many bytes as a router's packet has, under a key per
//! receiver. No receiver could open it: the load counts it by its header.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use mio::{Events, Interest, Poll, Token};
use sluice_router::clock::Clock;
use sluice_router::core::limits::PACING_QUANTUM_PACKETS;
use sluice_router::core::{Path, TransmitBatch};
use sluice_router::io::{
    BatchSender, Details, Family, IoCounters, Queue, ReceiveBatch, Segmentation, SendDrop, ShardSockets,
    thread_cpu_time,
};
use sluice_wire::srtp::{Cryptex, InboundSrtp};
use sluice_wire::ssrc::MIN_BLOCK_SSRCS;
use sluice_wire::ticket::Suite;
use sluice_wire::time::Time;

use super::protocol::{Answer, Ask, FloorPlan, Stats};
use super::{child, system};
use crate::bare::BareKey;

/// The name of the thread that forwards.
pub const THREAD: &str = "floor";
const MAX_DATAGRAM_BYTES: usize = 1_200;
/// Opened packets until the next flush.
const PACKETS: usize = 4_096;
/// As the router's.
const MAX_BATCH_AGE: Duration = Duration::from_micros(300);
/// The counters are shown this often.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(50);
const WAKE_UP: Duration = Duration::from_millis(10);

/// Runs a floor on `core` until nobody asks any more.
///
/// # Errors
/// If its thread cannot start.
pub fn run(core: usize) -> Result<()> {
    system::pin_to(core)?;
    let shown = Arc::<Mutex<Stats>>::default();
    let (plans, plan) = channel();
    let sockets = ShardSockets::bind_alone(([127, 0, 0, 1], 0).into(), Details::CoalescedOnly)?;
    let address = sockets.get(Family::V4).context("no socket")?.address();
    let publish = Arc::clone(&shown);
    let _thread =
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || work(sockets, &plan, &publish))?;
    child::answer_all(|ask| match ask {
        Ask::Forward(plan) => {
            plans.send(plan).map_err(|_| anyhow!("the floor's thread ended"))?;
            Ok(Answer::Ready(address))
        }
        Ask::Stats => {
            let stats = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Ok(Answer::Stats(Box::new(stats)))
        }
        Ask::Open(_) => bail!("a floor has no sessions"),
    })
}

/// The body of the thread; it ends when something is wrong, which the load notices by the silence.
fn work(sockets: ShardSockets, plan: &Receiver<FloorPlan>, shown: &Mutex<Stats>) -> Result<()> {
    let plan = plan.recv().context("nobody asks any more")?;
    Floor::new(sockets, plan)?.run(shown)
}

struct Route {
    destination: usize,
    ssrc: u32,
    sequence_number: u16,
}

struct Source {
    routes: Vec<Route>,
    /// Opened packets: where, and how many bytes.
    pending: Vec<(usize, usize)>,
}

struct Session {
    inbound: InboundSrtp,
    key: BareKey,
    path: Path,
    /// The source of each stream of the uplink.
    streams: Vec<Option<usize>>,
}

struct Floor {
    sockets: ShardSockets,
    sessions: Vec<Session>,
    sources: Vec<Source>,
    dirty: Vec<usize>,
    packets: Box<[[u8; MAX_DATAGRAM_BYTES]]>,
    used: usize,
    inbox: ReceiveBatch,
    batch: TransmitBatch,
    sender: BatchSender,
    io: IoCounters,
    stats: Stats,
    clock: Clock,
}

impl Floor {
    fn new(sockets: ShardSockets, plan: FloorPlan) -> Result<Self> {
        let local = ([0, 0, 0, 0], 0).into();
        let mut sessions = Vec::new();
        for session in &plan.sessions {
            let Ok(inbound) = InboundSrtp::new(
                Suite::AeadAes128Gcm,
                &session.uplink.master,
                session.uplink.ssrcs,
                Cryptex::Required,
            ) else {
                bail!("keys");
            };
            sessions.push(Session {
                inbound,
                key: BareKey::new(session.uplink.master.key.expose()).context("key")?,
                path: Path { local, remote: session.remote },
                streams: vec![None; usize::from(session.uplink.ssrcs.streams())],
            });
        }
        let mut sources = Vec::new();
        for source in plan.sources {
            let uplink = plan.sessions[source.session].uplink.ssrcs;
            let (stream, _) = uplink.locate(source.ssrc).context("an SSRC outside of its block")?;
            sessions[source.session].streams[usize::from(stream.0)] = Some(sources.len());
            let route = |(destination, ssrc)| Route { destination, ssrc, sequence_number: 0 };
            sources.push(Source {
                routes: source.routes.into_iter().map(route).collect(),
                pending: Vec::with_capacity(PACKETS),
            });
        }
        Ok(Self {
            sockets,
            sessions,
            sources,
            dirty: Vec::new(),
            packets: vec![[0; MAX_DATAGRAM_BYTES]; PACKETS].into_boxed_slice(),
            used: 0,
            inbox: ReceiveBatch::new(),
            batch: TransmitBatch::new(),
            sender: BatchSender::new(Segmentation::IfSupported),
            io: IoCounters::default(),
            stats: Stats::default(),
            clock: Clock::new(),
        })
    }

    fn run(mut self, shown: &Mutex<Stats>) -> Result<()> {
        let mut poll = Poll::new()?;
        let socket = self.sockets.get_mut(Family::V4).context("no socket")?;
        poll.registry().register(socket.source(), Token(0), Interest::READABLE)?;
        let mut events = Events::with_capacity(1);
        let (mut may_have_more, mut published_at) = (true, Time::ZERO);
        loop {
            let began = self.clock.now();
            while may_have_more && self.clock.now() < began + MAX_BATCH_AGE {
                may_have_more = self.receive();
            }
            self.flush();
            let now = self.clock.now();
            if now >= published_at + PUBLISH_INTERVAL {
                published_at = now;
                self.publish(now, shown);
            }
            let timeout = if may_have_more { Duration::ZERO } else { WAKE_UP };
            poll.poll(&mut events, Some(timeout))?;
            may_have_more |= !events.is_empty();
        }
    }

    /// Takes one batch in and opens it; `false` if the socket is empty.
    fn receive(&mut self) -> bool {
        let Some(socket) = self.sockets.get(Family::V4) else { return false };
        let queue = self.inbox.receive(socket, &self.clock, &mut self.io);
        for (_, datagram) in self.inbox.datagrams() {
            let Some(ssrc) = datagram.get(8..12) else { continue };
            let ssrc = u32::from_be_bytes([ssrc[0], ssrc[1], ssrc[2], ssrc[3]]);
            // Blocks of the smallest size follow each other from 0.
            let Some(session) = self.sessions.get_mut((ssrc / MIN_BLOCK_SSRCS) as usize) else { continue };
            let Some(packet) = self.packets.get_mut(self.used) else { continue };
            let Ok(opened) = session.inbound.open_rtp(datagram, packet) else { continue };
            self.stats.rtp_in += 1;
            let Some(source) = session.streams[usize::from(opened.stream.0)] else { continue };
            if self.sources[source].pending.is_empty() {
                self.dirty.push(source);
            }
            self.sources[source].pending.push((self.used, opened.len));
            self.used += 1;
        }
        // A batch of coalesced datagrams has room left only in half of the packets.
        if self.used > PACKETS / 2 {
            self.flush();
        }
        queue == Queue::MayHaveMore
    }

    fn flush(&mut self) {
        for source in std::mem::take(&mut self.dirty) {
            let mut pending = std::mem::take(&mut self.sources[source].pending);
            for packets in pending.chunks(PACING_QUANTUM_PACKETS) {
                for route in 0..self.sources[source].routes.len() {
                    if self.batch.spare().len() < PACING_QUANTUM_PACKETS * MAX_DATAGRAM_BYTES {
                        self.send();
                    }
                    self.forward(source, route, packets);
                }
            }
            pending.clear();
            self.sources[source].pending = pending;
        }
        self.used = 0;
        self.send();
    }

    fn forward(&mut self, source: usize, route: usize, packets: &[(usize, usize)]) {
        let route = &mut self.sources[source].routes[route];
        let session = &self.sessions[route.destination];
        for (packet, len) in packets {
            let packet = &self.packets[*packet][..*len];
            let out = self.batch.spare();
            let Some(len) = session.key.seal(packet, route.ssrc, route.sequence_number, out) else {
                continue;
            };
            route.sequence_number = route.sequence_number.wrapping_add(1);
            self.batch.commit(session.path, len);
            self.stats.rtp_out += 1;
        }
    }

    fn send(&mut self) {
        if !self.batch.is_empty() {
            self.sender.send(&self.sockets, &self.batch, &mut self.io);
            self.batch.clear();
        }
    }

    fn publish(&mut self, now: Time, shown: &Mutex<Stats>) {
        let dropped: u64 = SendDrop::ALL.iter().map(|reason| self.io.dropped_out(*reason)).sum();
        self.stats = Stats {
            taken_at_ns: now.as_nanos(),
            cpu_ns: thread_cpu_time().unwrap_or_default().as_nanos() as u64,
            receive_calls: self.io.receive_calls,
            messages_in: self.io.messages_in,
            datagrams_in: self.io.datagrams_in,
            send_calls: self.io.send_calls,
            messages_out: self.io.messages_out,
            datagrams_out: self.io.datagrams_out,
            drops: (dropped > 0).then(|| ("sends".to_owned(), dropped)).into_iter().collect(),
            sessions: self.sessions.len() as u64,
            ..std::mem::take(&mut self.stats)
        };
        if let Ok(mut shown) = shown.try_lock() {
            shown.clone_from(&self.stats);
        }
    }
}
