//! What each client address has taken of the daemon.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_wire::time::Time;

use crate::rate::{Limiter, Rate};

/// Addresses that are remembered; above, new ones are refused until old ones have been forgotten. About 10 MiB.
const MAX_ADDRESSES: usize = 65_536;

/// Limits by address. An IPv6 address stands for its /64, which is what one customer gets.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    table: Arc<Mutex<BTreeMap<IpAddr, Entry>>>,
    max_connections: u32,
    requests: Rate,
}

#[derive(Debug)]
struct Entry {
    connections: u32,
    requests: Limiter,
}

/// A connection of an address; it counts until the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Peer(Arc<Admission>);

#[derive(Debug)]
struct Admission {
    peers: Peers,
    address: IpAddr,
    /// Another daemon has counted it.
    forwarded: bool,
}

impl Peers {
    pub(super) fn new(max_connections: u32, requests: Rate) -> Self {
        Self { table: Arc::default(), max_connections, requests }
    }

    /// Counts a connection; `None` if the address has as many as it may.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Peer> {
        let address = network(address);
        let mut table = self.lock();
        if table.len() >= MAX_ADDRESSES && !table.contains_key(&address) {
            return None;
        }
        let entry = table
            .entry(address)
            .or_insert_with(|| Entry { connections: 0, requests: Limiter::new(self.requests) });
        if entry.connections >= self.max_connections {
            return None;
        }
        entry.connections += 1;
        Some(Peer(Arc::new(Admission { peers: self.clone(), address, forwarded: false })))
    }

    /// Forgets addresses without a connection and with their whole burst.
    pub(super) fn sweep(&self, now: Time) {
        self.lock().retain(|_, entry| entry.connections > 0 || !entry.requests.is_full(now));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Entry>> {
        // Each use leaves the table whole, whatever panics elsewhere.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Takes one request of the address's rate, if one is left.
    pub(super) fn take(&self, now: Time) -> bool {
        let mut table = self.0.peers.lock();
        self.0.forwarded || table.get_mut(&self.0.address).is_some_and(|entry| entry.requests.take(now))
    }
}

impl Peer {
    /// The address; for IPv6 its /64.
    pub(super) fn address(&self) -> IpAddr {
        self.0.address
    }

    /// The same for a participant whose connection comes by way of another daemon, which has counted it.
    pub(super) fn forwarded(&self, address: IpAddr) -> Self {
        let (peers, address) = (self.0.peers.clone(), network(address));
        Self(Arc::new(Admission { peers, address, forwarded: true }))
    }

    /// Whether the connection comes by way of another daemon.
    pub(super) fn is_forwarded(&self) -> bool {
        self.0.forwarded
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.forwarded {
            return;
        }
        if let Some(entry) = self.peers.lock().get_mut(&self.address) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }
}

/// What one customer of a network has: an IPv4 address, or a /64 of IPv6.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_count_until_they_are_dropped() {
        let peers = Peers::new(2, Rate { per_second: 1, burst: 1 });
        let first = peers.admit(address("192.0.2.1")).unwrap();
        let second = peers.admit(address("::ffff:192.0.2.1")).unwrap();
        assert!(peers.admit(address("192.0.2.1")).is_none());
        assert!(peers.admit(address("192.0.2.2")).is_some());
        drop((first.clone(), second));
        assert!(peers.admit(address("192.0.2.1")).is_some());
        drop(first);
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let peers = Peers::new(1, Rate { per_second: 1, burst: 1 });
        let _first = peers.admit(address("2001:db8:0:1::1")).unwrap();
        assert!(peers.admit(address("2001:db8:0:1:ffff::2")).is_none());
        assert!(peers.admit(address("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn who_comes_by_way_of_another_daemon_was_counted_there() {
        let peers = Peers::new(1, Rate { per_second: 1, burst: 1 });
        let daemon = peers.admit(address("192.0.2.1")).unwrap();
        let participants: Vec<Peer> = (0..3).map(|_| daemon.forwarded(address("192.0.2.9"))).collect();
        assert!(participants.iter().all(|peer| peer.is_forwarded() && peer.take(Time::ZERO)));
        assert_eq!(participants[0].address(), address("192.0.2.9"));
        drop(participants);
        assert!(peers.admit(address("192.0.2.1")).is_none(), "the daemon's own connection counts still");
        drop(daemon);
        assert!(peers.admit(address("192.0.2.1")).is_some());
    }

    #[test]
    fn a_new_connection_does_not_renew_the_rate() {
        let peers = Peers::new(9, Rate { per_second: 1, burst: 2 });
        let now = Time::from_nanos(1);
        let takes = |peers: &Peers| peers.admit(address("192.0.2.1")).unwrap().take(now);
        assert_eq!([takes(&peers), takes(&peers), takes(&peers)], [true, true, false]);
        peers.sweep(now);
        assert!(!takes(&peers));
        peers.sweep(now + std::time::Duration::from_secs(2));
        assert!(peers.lock().is_empty());
    }
}
