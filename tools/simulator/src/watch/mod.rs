//! The watch at the router's door: every datagram that enters or leaves is held against the protocol's promises.

mod amplification;
mod continuity;
mod nonces;
mod streams;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sluice_wire::classify::{Class, classify};
use sluice_wire::payload_type::PayloadType;
use sluice_wire::srtp::{Cryptex, InboundSrtp};
use sluice_wire::ticket::{Direction, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use self::amplification::Amplification;
use self::continuity::Continuity;
use self::nonces::Nonces;
use self::streams::Streams;
use crate::Violation;

/// The largest datagram of the protocol.
const MAX_DATAGRAM_BYTES: usize = 1_200;

/// Names a ticket of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TicketNumber(u32);

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Client to router.
    Up,
    /// Router to client.
    Down,
}

/// The watch.
#[derive(Debug, Default)]
pub struct Watch {
    tickets: u32,
    /// The ticket that owns each SSRC block now, by the block's first SSRC. A block that is given again belongs to another.
    up: BTreeMap<u32, (u32, TicketNumber)>,
    down: BTreeMap<u32, (u32, TicketNumber)>,
    nonces: Nonces,
    amplification: Amplification,
    continuity: Continuity,
    streams: Streams,
    fingerprint: u64,
}

impl Watch {
    /// Nothing is lost on the way to the router, so that frames and times can be judged more strictly.
    pub const fn expect_no_loss(&mut self) {
        self.streams.expect_no_loss();
    }

    /// A ticket was handed out to `owner`.
    ///
    /// # Errors
    /// Its keys, which must be good.
    pub fn on_ticket(&mut self, owner: ParticipantId, ticket: &Ticket) -> Result<(), String> {
        let number = TicketNumber(self.tickets);
        self.tickets += 1;
        let (up, down) = (ticket.uplink.ssrcs, ticket.downlink.ssrcs);
        self.up.insert(up.base(), (up.count(), number));
        self.down.insert(down.base(), (down.count(), number));
        let reader = |direction: &Direction| {
            InboundSrtp::new(ticket.suite, &direction.master, direction.ssrcs, Cryptex::Required)
                .map_err(|error| error.to_string())
        };
        self.amplification.on_ticket(number, reader(&ticket.uplink)?);
        self.streams.on_ticket(number, owner, reader(&ticket.downlink)?);
        Ok(())
    }

    /// A client sends a datagram.
    ///
    /// # Errors
    /// The promise that it breaks.
    pub fn on_client_sends(&mut self, now: Time, datagram: &[u8]) -> Result<(), Violation> {
        self.check(now, Way::Up, datagram).map(|_| ())
    }

    /// A datagram reaches the router.
    pub fn on_router_receives(&mut self, from: SocketAddr, datagram: &[u8]) {
        if let Class::Rtp { ssrc } | Class::Rtcp { ssrc } = classify(datagram)
            && let Some(ticket) = owner(&self.up, ssrc)
        {
            self.amplification.on_received(ticket, from, datagram);
        }
    }

    /// The router sends a datagram.
    ///
    /// # Errors
    /// The promise that it breaks.
    pub fn on_router_sends(&mut self, now: Time, to: SocketAddr, datagram: &[u8]) -> Result<(), Violation> {
        let ticket = self.check(now, Way::Down, datagram)?;
        // What is sent again keeps the time of its original, and leaves no gap.
        let is_rtx = datagram.get(1).is_some_and(|byte| byte & 0x7F == PayloadType::Rtx as u8);
        self.amplification
            .on_sent(ticket, to, datagram.len())
            .and_then(|()| if is_rtx { Ok(()) } else { self.continuity.on_sent(ticket, datagram) })
            .and_then(|()| self.streams.on_sent(now, ticket, datagram))
            .map_err(|what| Violation { at: now, what })
    }

    /// What holds for both directions: size, class, an SSRC that was given, and a nonce that was never used.
    fn check(&mut self, now: Time, way: Way, datagram: &[u8]) -> Result<TicketNumber, Violation> {
        let violation = |what: String| Violation { at: now, what };
        if datagram.len() > MAX_DATAGRAM_BYTES {
            return Err(violation(format!("{way:?}: a datagram of {} bytes", datagram.len())));
        }
        let class = classify(datagram);
        let (Class::Rtp { ssrc } | Class::Rtcp { ssrc }) = class else {
            return Err(violation(format!("{way:?}: a datagram of class {class:?}")));
        };
        let blocks = if way == Way::Up { &self.up } else { &self.down };
        let ticket = owner(blocks, ssrc)
            .ok_or_else(|| violation(format!("{way:?}: SSRC {ssrc:#010x} is nobody's")))?;
        self.fingerprint = mix(self.fingerprint, datagram);
        self.nonces.on_sealed((ticket, way), class, datagram).map_err(violation)?;
        Ok(ticket)
    }

    /// Sequence numbers that the router left out on its slots.
    #[must_use]
    pub fn forwarding_gaps(&self) -> u64 {
        self.continuity.gaps()
    }

    /// A number that any difference in any datagram changes.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// The ticket in whose block `ssrc` lies.
fn owner(blocks: &BTreeMap<u32, (u32, TicketNumber)>, ssrc: u32) -> Option<TicketNumber> {
    let (base, (count, ticket)) = blocks.range(..=ssrc).next_back()?;
    (ssrc - base < *count).then_some(*ticket)
}

fn mix(state: u64, bytes: &[u8]) -> u64 {
    state.rotate_left(5) ^ sluice_client::media::hash::frame_hash(bytes)
}

#[cfg(test)]
mod tests;
