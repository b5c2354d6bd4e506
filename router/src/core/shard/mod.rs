//! The shard: what it owns and how it is driven.

mod api;
mod congestion;
mod control_out;
mod datagram;
mod demands;
mod follow;
mod forward;
mod lifecycle;
mod losses;
mod media;
mod pace;
mod publish;
mod quality;
mod resend;
mod rtcp;
mod share;
mod states;
mod subscribe;
mod tick;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use slotmap::SlotMap;
use sluice_wire::time::Time;

pub use self::api::{
    Command, DatagramMeta, Drained, EndReason, Event, OpenRefused, OpenRequest, Rights, ShardConfig,
    ShardGauges,
};
pub use self::quality::SessionQuality;
use super::batch::TransmitBatch;
use super::counters::{Counters, DropReason};
use super::history::History;
use super::ids::{EncodingRef, RoomKey, SessionKey, TrackKey};
use super::limits::{
    EXPECTED_WAITING_ENCODINGS, MAX_DATAGRAM_BYTES, MAX_EVENTS, MAX_PENDING_PACKETS, MAX_WAITING_PACKETS,
    ROOM_TICK_PHASES, TICK_PHASES,
};
use super::policy::Policy;
use super::pool::PacketPool;
use super::room::Room;
use super::session::Session;
use super::ssrc_table::SsrcTable;
use super::track::{Encoding, Track};

/// One core's share of the router. See the [module documentation](crate::core) for how to drive it.
#[derive(Debug)]
pub struct Shard {
    addresses: Vec<SocketAddr>,
    /// Of rooms that are told no other.
    policy: Policy,
    /// Bit/s at which paths are first used; absent if they are not measured.
    start_bps: Option<u64>,
    rng: ChaCha20Rng,
    ssrcs: SsrcTable,
    sessions: SlotMap<SessionKey, Session>,
    rooms: SlotMap<RoomKey, Room>,
    room_names: BTreeMap<Box<str>, RoomKey>,
    tracks: SlotMap<TrackKey, Track>,
    pool: PacketPool,
    history: History,
    /// Encodings with packets to forward now, each with the time since when. An encoding with pending packets is either here
    /// or in `paced`.
    dirty: VecDeque<(Time, EncodingRef)>,
    /// Encodings whose next packets wait for their time, in the order of these times.
    paced: VecDeque<(Time, EncodingRef)>,
    /// Sessions for which something waits for their pacer, each once.
    pacing: VecDeque<SessionKey>,
    /// When these are looked at next.
    next_pace: Time,
    /// How many of these are still to be looked at in the round that is under way.
    pacers_left: usize,
    /// Publishers to whom feedback is due, each with its time, in order.
    reporting: VecDeque<(Time, SessionKey)>,
    /// Sessions with packets to be sent again, each with the time from when, in order of these times.
    resending: VecDeque<(Time, SessionKey)>,
    /// Encodings of which something is missing.
    lossy: Vec<EncodingRef>,
    /// When these are to be looked at.
    next_loss: Time,
    /// An encoding's pending list is full.
    is_full: bool,
    /// Sessions with something to say, in order.
    talkative: VecDeque<SessionKey>,
    /// Sessions by the phase in which their tick comes.
    phases: [Vec<SessionKey>; TICK_PHASES],
    next_phase: usize,
    /// Rooms with microphones, by the phase in which their tick comes.
    listening: [Vec<RoomKey>; ROOM_TICK_PHASES],
    next_room_phase: usize,
    /// Sessions whose bitrate is to be shared anew.
    unshared: Vec<SessionKey>,
    /// Tracks for which the demand may have changed.
    stale: Vec<TrackKey>,
    next_tick: Time,
    events: VecDeque<Event>,
    counters: Counters,
    is_shutting_down: bool,
    /// A screen ends for another that follows at once: nobody else gets in between.
    is_taking_over: bool,
}

impl Shard {
    /// A shard without rooms. `seed` feeds a cryptographic generator from which keys come: outside of simulations it must be
    /// 32 bytes of the operating system's entropy.
    #[must_use]
    pub fn new(config: ShardConfig, seed: [u8; 32]) -> Self {
        Self {
            addresses: config.addresses,
            policy: config.policy,
            start_bps: config.start_bps,
            rng: ChaCha20Rng::from_seed(seed),
            ssrcs: SsrcTable::new(config.number),
            sessions: SlotMap::with_key(),
            rooms: SlotMap::with_key(),
            room_names: BTreeMap::new(),
            tracks: SlotMap::with_key(),
            pool: PacketPool::new(),
            history: History::default(),
            dirty: VecDeque::with_capacity(EXPECTED_WAITING_ENCODINGS),
            paced: VecDeque::with_capacity(EXPECTED_WAITING_ENCODINGS),
            pacing: VecDeque::new(),
            next_pace: Time::ZERO,
            pacers_left: 0,
            reporting: VecDeque::new(),
            resending: VecDeque::new(),
            lossy: Vec::new(),
            next_loss: Time::MAX,
            is_full: false,
            talkative: VecDeque::new(),
            phases: std::array::from_fn(|_| Vec::new()),
            next_phase: 0,
            listening: std::array::from_fn(|_| Vec::new()),
            next_room_phase: 0,
            unshared: Vec::new(),
            stale: Vec::new(),
            next_tick: Time::ZERO,
            events: VecDeque::new(),
            counters: Counters::default(),
            is_shutting_down: false,
            is_taking_over: false,
        }
    }

    /// Takes in a command.
    pub fn handle_command(&mut self, now: Time, command: Command) {
        match command {
            Command::Open(request) => self.open_session(now, request),
            Command::Close { room, participant, session, code } => {
                self.close_by_command(now, &room, participant, session, code);
            }
            Command::CloseRoom { room, code } => self.close_room(now, &room, code),
            Command::SetRights { room, participant, session, rights } => {
                self.set_rights(now, &room, participant, session, rights);
            }
            Command::SetPolicy { room, policy } => self.set_policy(now, &room, policy),
            Command::Shutdown => self.shut_down(now),
        }
        self.settle(now);
    }

    /// Seals what waits to be sent into `batch` until it is full or nothing is left.
    pub fn poll_transmit(&mut self, now: Time, batch: &mut TransmitBatch) -> Drained {
        self.report_arrivals(now);
        // Control first: media must not use up what an unvalidated address may be sent before its challenge has gone there. And
        // again last: media makes slots show something else. What is sent again was due before what is new.
        if self.flush_control(now, batch) == Drained::BatchFull
            || self.flush_paced(now, batch) == Drained::BatchFull
            || self.flush_resends(now, batch) == Drained::BatchFull
            || self.flush_media(now, batch) == Drained::BatchFull
        {
            return Drained::BatchFull;
        }
        self.settle(now);
        self.flush_control(now, batch)
    }

    /// The next thing that the shell should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] must be called and the shard be drained; `None` while there are no sessions.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let paced = self.paced.front().map_or(Time::MAX, |(at, _)| *at);
        let pacers = if self.pacing.is_empty() { Time::MAX } else { self.next_pace };
        let reports = self.reporting.front().map_or(Time::MAX, |(at, _)| *at);
        let resending = self.resending.front().map_or(Time::MAX, |(at, _)| *at);
        let next = [self.next_tick, paced, pacers, reports, resending, self.next_loss].into_iter().min();
        next.filter(|_| !self.sessions.is_empty())
    }

    /// The receive batch should be interrupted by a flush: buffers are nearly full.
    #[must_use]
    pub fn wants_flush(&self) -> bool {
        self.is_full || self.waiting_packets() > MAX_WAITING_PACKETS - MAX_PENDING_PACKETS
    }

    /// The counters as they are.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How much the shard holds.
    #[must_use]
    pub fn gauges(&self) -> ShardGauges {
        ShardGauges {
            sessions: self.sessions.len(),
            rooms: self.rooms.len(),
            tracks: self.tracks.len(),
            waiting_packets: self.waiting_packets(),
            history_packets: self.history.len(),
        }
    }

    /// Packets that were not forwarded yet.
    fn waiting_packets(&self) -> usize {
        self.pool.in_use() - self.history.len()
    }

    fn emit(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.counters.drop(DropReason::EventQueueFull);
        } else {
            self.events.push_back(event);
        }
    }

    fn encoding_mut(&mut self, at: EncodingRef) -> Option<&mut Encoding> {
        self.tracks.get_mut(at.track)?.encodings.get_mut(usize::from(at.encoding))
    }

    /// Puts a session into the list of those with something to say.
    fn has_something_to_say(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key)
            && !std::mem::replace(&mut session.duties.is_queued, true)
        {
            self.talkative.push_back(key);
        }
    }
}

/// Draws the 8 bytes of a path challenge.
fn draw_challenge(rng: &mut ChaCha20Rng) -> [u8; 8] {
    rng.next_u64().to_be_bytes()
}

const _: () = assert!(MAX_DATAGRAM_BYTES <= u16::MAX as usize);
