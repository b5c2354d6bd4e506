//! The way of a packet through the network.

use std::net::SocketAddr;

use sluice_wire::time::Time;

use crate::pipe::{Payload, carry};

use super::{HostId, Network, NetworkError};

/// A packet that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<T> {
    /// When it arrived; not after the `now` of the call that gave it.
    pub at: Time,
    /// The sender as the receiver sees it: behind a NAT, its external address.
    pub from: SocketAddr,
    /// The socket of the receiver: behind a NAT, its internal address.
    pub to: SocketAddr,
    /// The packet.
    pub item: T,
}

/// What happened to packets between the links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    /// Handed to a receiver, duplicates included.
    pub delivered: u64,
    /// Dropped because no host has the destination.
    pub no_route: u64,
    /// Dropped by a partition.
    pub partitioned: u64,
    /// Dropped by the receiver's NAT: no mapping, or a sender that it has not sent to.
    pub filtered: u64,
}

impl NetworkCounters {
    pub(super) const fn new() -> Self {
        Self { delivered: 0, no_route: 0, partitioned: 0, filtered: 0 }
    }
}

/// A packet on its way.
#[derive(Clone, Debug)]
pub(super) struct Event<T> {
    /// As the outside sees it.
    from: SocketAddr,
    to: SocketAddr,
    leg: Leg,
    item: T,
}

#[derive(Clone, Copy, Debug)]
enum Leg {
    /// On the up link of this host, towards the core.
    Up(HostId),
    /// On a shared link, towards this host.
    Shared(HostId),
    /// On the down link of this host.
    Down(HostId),
}

impl<T: Payload> Payload for Event<T> {
    fn size_bytes(&self) -> usize {
        self.item.size_bytes()
    }

    fn flip_bit(&mut self, bit: usize) {
        self.item.flip_bit(bit);
    }
}

impl<T: Payload> Network<T> {
    /// Sends a packet from a socket of a host. Loss is silent, as on a real network.
    ///
    /// # Errors
    /// When no host has the socket `from`.
    pub fn send(&mut self, now: Time, from: SocketAddr, to: SocketAddr, item: T) -> Result<(), NetworkError> {
        let id = self.id_of(from)?;
        let host = self.hosts.get_mut(&id).ok_or(NetworkError::UnknownSocket(from))?;
        let from = host.nat.as_mut().map_or(from, |nat| nat.outbound(now, from, to));
        let size_bytes = item.size_bytes();
        let event = Event { from, to, leg: Leg::Up(id), item };
        carry(&mut host.up, &mut self.in_flight, now, size_bytes, event);
        Ok(())
    }

    /// When something is next to be done by [`Self::poll`]; `None` if nothing is on the way.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.in_flight.next_at()
    }

    /// Packets on the way, duplicates included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Moves packets on to `now` and gives the next one that has arrived; call it until it gives `None`. Packets come in the
    /// order of their arrival, and those of equal times in the order in which they entered their last link.
    pub fn poll(&mut self, now: Time) -> Option<Delivery<T>> {
        while let Some((at, event)) = self.in_flight.pop_due(now) {
            match event.leg {
                Leg::Up(sender) => self.cross(at, sender, event),
                Leg::Shared(receiver) => self.descend(at, receiver, event),
                Leg::Down(receiver) => {
                    if let Some(delivery) = self.hand_over(at, receiver, event) {
                        return Some(delivery);
                    }
                }
            }
        }
        None
    }

    /// From the sender's up link to the receiver's down link.
    fn cross(&mut self, at: Time, sender: HostId, event: Event<T>) {
        let Some(receiver) = self.route(event.to) else {
            self.counters.no_route += 1;
            return;
        };
        if self.is_cut(at, sender, receiver) {
            self.counters.partitioned += 1;
            return;
        }
        let behind = self.hosts.get(&receiver).and_then(|host| host.behind);
        let Some(link) = behind.and_then(|id| self.shared.get_mut(id.0)) else {
            return self.descend(at, receiver, event);
        };
        let size_bytes = event.size_bytes();
        let event = Event { leg: Leg::Shared(receiver), ..event };
        carry(link, &mut self.in_flight, at, size_bytes, event);
    }

    /// Onto the receiver's down link.
    fn descend(&mut self, at: Time, receiver: HostId, event: Event<T>) {
        let Some(host) = self.hosts.get_mut(&receiver) else { return };
        let size_bytes = event.size_bytes();
        let event = Event { leg: Leg::Down(receiver), ..event };
        carry(&mut host.down, &mut self.in_flight, at, size_bytes, event);
    }

    /// The host that the outside reaches at an address. The internal address of a host behind a NAT is not on the outside.
    fn route(&self, to: SocketAddr) -> Option<HostId> {
        if let Some(id) = self.externals.get(&to.ip()) {
            return Some(*id);
        }
        let id = self.sockets.get(&to)?;
        let behind_nat = self.hosts.get(id)?.nat.is_some();
        if behind_nat { None } else { Some(*id) }
    }

    /// From the receiver's down link, through its NAT, to its socket.
    fn hand_over(&mut self, at: Time, receiver: HostId, event: Event<T>) -> Option<Delivery<T>> {
        let Event { from, to, item, .. } = event;
        let host = self.hosts.get(&receiver);
        let to = match host.and_then(|host| host.nat.as_ref()) {
            Some(nat) => nat.inbound(at, to, from),
            None => Some(to),
        };
        let Some(to) = to else {
            self.counters.filtered += 1;
            return None;
        };
        if !host.is_some_and(|host| host.sockets.contains(&to)) {
            self.counters.no_route += 1;
            return None;
        }
        self.counters.delivered += 1;
        Some(Delivery { at, from, to, item })
    }
}
