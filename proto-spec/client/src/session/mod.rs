//! The sans-IO session core: a ticket goes in, then datagrams, frames and wishes; datagrams and events come out.
//!
//! The caller's loop, after every call that takes `now`:
//!
//! 1. [`ClientSession::poll_transmit`] until `None`, sending each datagram;
//! 2. [`ClientSession::poll_event`] until `None`;
//! 3. wait for a datagram, a frame to send, or [`ClientSession::poll_timeout`], then [`ClientSession::handle_timeout`].
//!
//! A session belongs to one ticket and ends with it; whoever wants to go on after [`Event::Closed`] asks signaling for a new one.

mod control_in;
mod control_out;
mod event;
mod feedback;
mod gate;
mod liveness;
mod out_queue;
mod publish;
mod receive;
mod repair;
mod sent;
mod source;
mod states_in;
mod uplink;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_wire::classify::{Class, classify};
use sluice_wire::control::{AckEntry, CloseCode, ShownSlot, WANTED_PER_PAGE, WantedSlot};
use sluice_wire::repair::ResendBook;
use sluice_wire::srtp::{Cryptex, InboundSrtp, KeyError, OpenError, OutboundSrtp};
use sluice_wire::ssrc::SsrcBlock;
use sluice_wire::state_sync::PageOutbox;
use sluice_wire::ticket::{PROTOCOL_VERSION, Ticket};
use sluice_wire::time::Time;

pub use self::event::{Event, ReceivedFrame, SessionStats, SlotStats};
use self::feedback::Congestion;
use self::liveness::Liveness;
use self::out_queue::OutQueue;
pub use self::out_queue::Transmit;
use self::publish::UplinkTrack;
pub use self::publish::{EncodingConfig, OutgoingFrame, PublishError, SendError, TrackConfig};
use self::receive::SlotReceiver;
use self::states_in::Inboxes;
use self::uplink::UplinkStream;

/// The largest datagram that is sent or accepted (spec 3.3), in bytes.
pub const MAX_DATAGRAM_BYTES: usize = 1_200;
/// Events that wait to be polled. A caller that does not poll loses the oldest.
const MAX_EVENTS: usize = 1_024;

/// Why a session cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The ticket is of a version that this client does not speak.
    #[error("the ticket is for version {0} of the protocol, this client speaks {PROTOCOL_VERSION}")]
    Version(u32),
    /// The ticket has no address.
    #[error("the ticket names no router address")]
    NoAddress,
    /// The keys do not fit the suite.
    #[error("the ticket's keys cannot be used: {0}")]
    Keys(#[from] KeyError),
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// This end closes; so many closes are still to be sent.
    Closing {
        repeats: u8,
        next_at: Time,
    },
    Closed,
}

/// An answer that goes back to where the question came from.
#[derive(Clone, Copy, Debug)]
enum Echo {
    Pong(u64),
    PathResponse([u8; 8]),
}

/// One end of a media session: the client's.
#[derive(Debug)]
pub struct ClientSession {
    remote: SocketAddr,
    uplink: SsrcBlock,
    downlink: SsrcBlock,
    inbound: InboundSrtp,
    outbound: OutboundSrtp,
    rng: ChaCha8Rng,
    phase: Phase,
    liveness: Liveness,
    next_transport: u16,
    congestion: Congestion,
    streams: Vec<UplinkStream>,
    tracks: Vec<UplinkTrack>,
    published: PageOutbox,
    /// What each page of the published state lists, by position in `tracks`.
    published_pages: Vec<std::ops::Range<usize>>,
    wanted_slots: Vec<WantedSlot>,
    wanted: PageOutbox,
    inboxes: Inboxes,
    /// What each slot shows, with the page that said so.
    shown: BTreeMap<u16, (u8, ShownSlot)>,
    receivers: BTreeMap<u16, SlotReceiver>,
    acks: Vec<AckEntry>,
    echoes: Vec<(SocketAddr, Echo)>,
    next_report: Time,
    /// When something that is missing is to be asked for or given up.
    next_repair: Time,
    /// What the router was sent again.
    resends: ResendBook,
    /// The last ping that is not answered, and when it was sent.
    ping: Option<(u64, Time)>,
    /// The most that this end wants to receive, bit/s, and when that is said next; `None` until there is a limit.
    receive_limit: Option<(u64, Time)>,
    out: OutQueue,
    events: VecDeque<Event>,
    rtt: Option<Duration>,
    stats: SessionStats,
}

impl ClientSession {
    /// A session with the router of `ticket` at `remote`, which is one of the ticket's addresses that the caller can reach.
    /// The first datagram is ready at once. `seed` feeds the generator of sequence numbers and tokens.
    ///
    /// # Errors
    /// [`TicketError`] if the ticket is of another version or its keys do not fit.
    pub fn new(ticket: &Ticket, remote: SocketAddr, now: Time, seed: [u8; 32]) -> Result<Self, TicketError> {
        if ticket.protocol_version != PROTOCOL_VERSION {
            return Err(TicketError::Version(ticket.protocol_version));
        }
        let (up, down) = (&ticket.uplink, &ticket.downlink);
        let mut rng = ChaCha8Rng::from_seed(seed);
        let streams = (0..up.ssrcs.streams()).map(|_| UplinkStream::new(rng.next_u64())).collect();
        let mut session = Self {
            remote,
            uplink: up.ssrcs,
            downlink: down.ssrcs,
            inbound: InboundSrtp::new(ticket.suite, &down.master, down.ssrcs, Cryptex::Required)?,
            outbound: OutboundSrtp::new(ticket.suite, &up.master, up.ssrcs, Cryptex::Required)?,
            rng,
            phase: Phase::Open,
            liveness: Liveness::new(now),
            next_transport: 0,
            congestion: Congestion::new(),
            streams,
            tracks: Vec::new(),
            published: PageOutbox::default(),
            published_pages: Vec::new(),
            wanted_slots: Vec::new(),
            wanted: PageOutbox::default(),
            inboxes: Inboxes::default(),
            shown: BTreeMap::new(),
            receivers: BTreeMap::new(),
            acks: Vec::new(),
            echoes: Vec::new(),
            next_report: now + control_out::REPORT_INTERVAL,
            next_repair: Time::MAX,
            resends: ResendBook::new(),
            ping: None,
            receive_limit: None,
            out: OutQueue::default(),
            events: VecDeque::new(),
            rtt: None,
            stats: SessionStats::default(),
        };
        session.renew_published();
        session.wanted.set_pages(1);
        Ok(session)
    }

    /// The first address of a ticket that `usable` accepts: the one to give to [`Self::new`].
    ///
    /// # Errors
    /// [`TicketError::NoAddress`] if there is none.
    pub fn choose_address(
        ticket: &Ticket,
        mut usable: impl FnMut(&SocketAddr) -> bool,
    ) -> Result<SocketAddr, TicketError> {
        ticket.addresses.iter().find(|address| usable(address)).copied().ok_or(TicketError::NoAddress)
    }

    // --- wishes ---

    /// Sets what the slots are to show. Slots that are not listed become empty. At most as many as [`Self::slot_limit`].
    pub fn want(&mut self, slots: &[WantedSlot]) {
        if slots == self.wanted_slots {
            return;
        }
        let before = std::mem::replace(&mut self.wanted_slots, slots.to_vec());
        self.ask_receivers(&before);
        let pages = slots.len().div_ceil(WANTED_PER_PAGE).max(1) as u8;
        self.wanted.set_pages(pages);
        for page in 0..pages {
            self.wanted.touch(page);
        }
    }

    /// States the most that the router may send, in bits per second for the whole session: the router then shows less, down to
    /// sound alone at 0. [`u64::MAX`] takes the limit away again.
    pub const fn set_receive_limit(&mut self, bits_per_second: u64) {
        self.receive_limit = Some((bits_per_second, Time::ZERO));
    }

    /// The caller's socket has another address now: the router is asked to move there.
    pub const fn local_address_changed(&mut self) {
        self.liveness.ask_to_move();
    }

    /// Talks to another address of the same router from now on: for a caller who got no answer from the one before. Nothing
    /// else changes; what waits to be sent still goes to the address before.
    pub const fn try_remote(&mut self, remote: SocketAddr) {
        self.remote = remote;
    }

    /// Begins to close the session: the router is told.
    pub fn close(&mut self, now: Time) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing { repeats: control_out::CLOSE_REPEATS, next_at: now };
            self.tend(now);
        }
    }

    // --- input ---

    /// Takes in a datagram. What does not authenticate changes nothing but a counter.
    pub fn handle_datagram(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        if self.phase == Phase::Closed {
            return;
        }
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += datagram.len() as u64;
        let handled = match classify(datagram) {
            _ if datagram.len() > MAX_DATAGRAM_BYTES => Err(OpenError::Malformed),
            Class::Rtp { .. } => self.handle_rtp(now, datagram),
            Class::Rtcp { .. } => self.handle_rtcp(now, from, datagram),
            Class::Runt | Class::Other => Err(OpenError::Malformed),
        };
        match handled {
            Ok(()) => self.on_sign_of_life(now),
            Err(OpenError::Replayed | OpenError::TooOld) => self.stats.replayed += 1,
            Err(OpenError::AuthenticationFailed) => self.stats.auth_failures += 1,
            Err(_) => self.stats.malformed += 1,
        }
        self.tend(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.tend(now);
    }

    // --- output ---

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.out.pop()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] must be called; `None` once the session is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.phase {
            Phase::Closed => None,
            Phase::Closing { next_at, .. } => Some(next_at),
            Phase::Open => {
                let pages = [self.published.next_at(), self.wanted.next_at()].into_iter().flatten();
                let others =
                    [Some(self.liveness.next_tick()), Some(self.next_repair), self.congestion.poll_timeout()];
                pages.chain(others.into_iter().flatten()).min()
            }
        }
    }

    // --- getters ---

    /// Whether the session is over; nothing comes out of it any more but what is queued.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether the router has acknowledged all that was published and wanted.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.published.is_settled() && self.wanted.is_settled()
    }

    /// How many slots the session has.
    #[must_use]
    pub const fn slot_limit(&self) -> u16 {
        self.downlink.streams() - 1
    }

    /// Smoothed round-trip time to the router by sender and receiver reports, and by pings.
    #[must_use]
    pub const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// What the router said that a slot shows.
    #[must_use]
    pub fn shown(&self, slot: u16) -> Option<&ShownSlot> {
        self.shown.get(&slot).map(|(_, shown)| shown)
    }

    /// What happened so far, in numbers.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        let mut stats = self.stats;
        for receiver in self.receivers.values() {
            receiver.add_to(&mut stats);
        }
        stats
    }

    fn emit(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
            self.stats.events_lost += 1;
        }
        self.events.push_back(event);
    }

    fn finish(&mut self, code: CloseCode) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.emit(Event::Closed(code));
        }
    }
}

#[cfg(test)]
mod tests;
