//! A router of several shards, driven by hand.

use std::net::SocketAddr;

use sluice_router::core::{
    Command, Counters, DatagramMeta, Drained, DropReason, Event, OpenRequest, Policy, Rights, Shard,
    ShardConfig, TransmitBatch,
};
use sluice_wire::classify::{Class, classify};
use sluice_wire::control::CloseCode;
use sluice_wire::ssrc::SHARD_SHIFT;
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

/// The room of every conference.
const ROOM: &str = "simulated";

/// The router under test.
#[derive(Debug)]
pub struct SimRouter {
    /// Its address.
    pub address: SocketAddr,
    shards: Vec<Shard>,
    home: usize,
    batch: TransmitBatch,
    next_request: u64,
}

impl SimRouter {
    /// A router at `address`; the meeting lives on shard `home`. With `start_bps` it measures the paths of receivers.
    #[must_use]
    pub fn new(
        address: SocketAddr,
        shards: u8,
        home: u8,
        mut seed: impl FnMut() -> [u8; 32],
        start_bps: Option<u64>,
    ) -> Self {
        Self {
            address,
            shards: (0..shards)
                .map(|number| {
                    Shard::new(
                        ShardConfig {
                            number,
                            addresses: vec![address],
                            policy: Policy::default(),
                            start_bps,
                        },
                        seed(),
                    )
                })
                .collect(),
            home: usize::from(home),
            batch: TransmitBatch::new(),
            next_request: 0,
        }
    }

    /// Hands in a datagram as the kernel's steering would: by SSRC, and anywhere if that says nothing.
    pub fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        let shard = match classify(datagram) {
            Class::Rtp { ssrc } | Class::Rtcp { ssrc } => (ssrc >> SHARD_SHIFT) as usize,
            Class::Runt | Class::Other => 0,
        };
        let shard = if shard < self.shards.len() { shard } else { datagram.len() % self.shards.len() };
        let meta = DatagramMeta { local: self.address, remote: from, ecn: 0, received_at: now };
        self.shards[shard].handle_datagram(now, meta, datagram);
    }

    /// Opens a session, ending one that the participant may have.
    ///
    /// # Errors
    /// What the router said instead of a ticket.
    pub fn open(&mut self, now: Time, participant: ParticipantId, suite: Suite) -> Result<Ticket, String> {
        self.next_request += 1;
        let (request, rights) = (self.next_request, Rights::default());
        let request = OpenRequest { request, room: ROOM.into(), participant, suite, rights };
        let shard = &mut self.shards[self.home];
        shard.handle_command(now, Command::Open(request));
        while let Some(event) = shard.poll_event() {
            match event {
                Event::Opened { ticket, .. } => return Ok(*ticket),
                Event::Refused { reason, .. } => return Err(reason.to_string()),
                Event::Ended { .. } => {}
            }
        }
        Err("no answer to the request for a session".into())
    }

    /// Signaling ends a participant's session.
    pub fn close(&mut self, now: Time, participant: ParticipantId) {
        let command =
            Command::Close { room: ROOM.into(), participant, session: None, code: CloseCode::Removed };
        self.shards[self.home].handle_command(now, command);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        for shard in &mut self.shards {
            if shard.poll_timeout().is_some_and(|at| at <= now) {
                shard.handle_timeout(now);
            }
        }
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.shards.iter().filter_map(Shard::poll_timeout).min()
    }

    /// Hands everything that waits to `send`.
    pub fn drain(&mut self, now: Time, mut send: impl FnMut(SocketAddr, &[u8])) {
        for shard in &mut self.shards {
            loop {
                let drained = shard.poll_transmit(now, &mut self.batch);
                for transmit in self.batch.sends() {
                    for datagram in transmit.datagrams() {
                        send(transmit.path.remote, datagram);
                    }
                }
                self.batch.clear();
                if drained == Drained::Done {
                    break;
                }
            }
            while shard.poll_event().is_some() {}
        }
    }

    /// How the session of a participant fares.
    #[must_use]
    pub fn quality(&self, id: ParticipantId) -> Option<sluice_router::core::SessionQuality> {
        self.shards[self.home].quality(ROOM, id)
    }

    /// Sessions, rooms and retained packets of all shards.
    #[must_use]
    pub fn held(&self) -> (usize, usize, usize) {
        self.shards.iter().map(Shard::gauges).fold((0, 0, 0), |(sessions, rooms, packets), gauges| {
            (sessions + gauges.sessions, rooms + gauges.rooms, packets + gauges.waiting_packets)
        })
    }

    /// The counters of the meeting's shard.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.shards[self.home].counters()
    }

    /// How often any shard dropped something for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.shards.iter().map(|shard| shard.counters().dropped(reason)).sum()
    }

    /// Counters of all shards.
    pub fn all_counters(&self) -> impl Iterator<Item = &Counters> {
        self.shards.iter().map(Shard::counters)
    }
}
