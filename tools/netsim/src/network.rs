//! Hosts, their links and their NATs: the network that the deterministic simulator runs on.
//!
//! ```text
//! host -> NAT -> up link -> core (routing, partitions) -> [shared link] -> down link -> NAT -> host
//! ```
//!
//! The core itself is instant and loses nothing. Each link has a seed derived from the network's seed, the address of its host
//! and its direction, so that neither other hosts nor the order in which they come shift its draws.

mod partition;
mod transit;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sluice_wire::time::Time;

use crate::config::{ConfigError, LinkConfig};
use crate::counters::Counters;
use crate::draws::derive_seed;
use crate::link::Link;
use crate::nat::{Nat, NatConfig};
use crate::timed_queue::{Capacity, TimedQueue};

pub use partition::Partition;
pub use transit::{Delivery, NetworkCounters};

/// Most sockets of a network: several for each of ten thousand participants.
pub const MAX_SOCKETS: usize = 65_536;
/// Most packets in flight: a second of ten thousand participants at 100 packets per second.
pub const MAX_IN_FLIGHT_PACKETS: usize = 1 << 20;
/// Most bytes in flight: that many packets of 1,024 bytes.
pub const MAX_IN_FLIGHT_BYTES: usize = 1 << 30;
/// Most partitions at a time; a crossing packet looks at each.
pub const MAX_PARTITIONS: usize = 1_024;

/// Sets the seeds of shared links apart from those of hosts.
const SHARED_LABEL: u64 = 0x5348_4152_4544;

/// Why the network refused a call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// There is no such shared link.
    #[error("the network has no such shared link")]
    UnknownLink,
    /// No host has this socket.
    #[error("no host has the socket {0}")]
    UnknownSocket(SocketAddr),
    /// A socket, or the external address of a NAT, exists already.
    #[error("the address {0} is taken")]
    AddressTaken(IpAddr),
    /// [`MAX_SOCKETS`] or [`MAX_PARTITIONS`] is reached.
    #[error("the network holds as many {0} as it may")]
    Full(&'static str),
    /// A link configuration is invalid.
    #[error("{direction} link: {source}")]
    Link {
        /// `up` or `down`.
        direction: &'static str,
        /// What is wrong.
        source: ConfigError,
    },
}

/// How a host is attached.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostConfig {
    /// From the host to the core.
    pub up: LinkConfig,
    /// From the core to the host.
    pub down: LinkConfig,
    /// The NAT in front of it; its external address is for this host alone.
    pub nat: Option<NatConfig>,
}

/// One of the two links of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the host to the core.
    Up,
    /// From the core to the host.
    Down,
}

/// A link that the traffic of several hosts shares, on its way from the core to their down links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedLink(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HostId(u64);

#[derive(Clone, Debug)]
struct Host {
    up: Link,
    down: Link,
    nat: Option<Nat>,
    sockets: BTreeSet<SocketAddr>,
    behind: Option<SharedLink>,
}

/// A network that carries packets of type `T`. Time is what the caller says; all times of link configurations count from the
/// network's start.
#[derive(Clone, Debug)]
pub struct Network<T> {
    start: Time,
    seed: u64,
    hosts: BTreeMap<HostId, Host>,
    sockets: BTreeMap<SocketAddr, HostId>,
    externals: BTreeMap<IpAddr, HostId>,
    next_host: u64,
    shared: Vec<Link>,
    partitions: Vec<partition::Cut>,
    in_flight: TimedQueue<transit::Event<T>>,
    counters: NetworkCounters,
}

impl<T> Network<T> {
    /// An empty network.
    #[must_use]
    pub const fn new(start: Time, seed: u64) -> Self {
        let capacity = Capacity { packets: MAX_IN_FLIGHT_PACKETS, bytes: MAX_IN_FLIGHT_BYTES };
        Self {
            start,
            seed,
            hosts: BTreeMap::new(),
            sockets: BTreeMap::new(),
            externals: BTreeMap::new(),
            next_host: 0,
            shared: Vec::new(),
            partitions: Vec::new(),
            in_flight: TimedQueue::new(capacity),
            counters: NetworkCounters::new(),
        }
    }

    /// Adds a host with its first socket. Behind a NAT, `socket` is its internal address, which must still be unique here.
    ///
    /// # Errors
    /// When an address is taken, a configuration is invalid, or the network is full.
    pub fn add_host(&mut self, socket: SocketAddr, config: &HostConfig) -> Result<(), NetworkError> {
        self.check_free(socket)?;
        let external = config.nat.as_ref().map(|nat| nat.external_ip);
        if let Some(ip) = external.filter(|ip| self.is_known(*ip)) {
            return Err(NetworkError::AddressTaken(ip));
        }
        let label = address_label(socket);
        let link = |config, direction: Direction| {
            Link::starting_at(
                self.start,
                config,
                derive_seed(derive_seed(self.seed, label), direction as u64),
            )
            .map_err(|source| NetworkError::Link { direction: direction.name(), source })
        };
        let host = Host {
            up: link(&config.up, Direction::Up)?,
            down: link(&config.down, Direction::Down)?,
            nat: config.nat.as_ref().map(Nat::new),
            sockets: BTreeSet::from([socket]),
            behind: None,
        };
        let id = HostId(self.next_host);
        self.next_host += 1;
        self.hosts.insert(id, host);
        self.sockets.insert(socket, id);
        external.and_then(|ip| self.externals.insert(ip, id));
        Ok(())
    }

    /// Adds a socket to the host that has `existing`; it shares the host's links and NAT.
    ///
    /// # Errors
    /// When `existing` is unknown, `socket` is taken, or the network is full.
    pub fn add_socket(&mut self, existing: SocketAddr, socket: SocketAddr) -> Result<(), NetworkError> {
        self.check_free(socket)?;
        let id = self.id_of(existing)?;
        self.host_mut(existing)?.sockets.insert(socket);
        self.sockets.insert(socket, id);
        Ok(())
    }

    /// Removes a socket, and with its last socket the host. Packets on their way to it find no route.
    ///
    /// # Errors
    /// When no host has the socket.
    pub fn remove_socket(&mut self, socket: SocketAddr) -> Result<(), NetworkError> {
        let id = self.id_of(socket)?;
        let host = self.host_mut(socket)?;
        host.sockets.remove(&socket);
        if host.sockets.is_empty() {
            let external = host.nat.as_ref().map(Nat::external_ip);
            external.and_then(|ip| self.externals.remove(&ip));
            self.hosts.remove(&id);
        }
        self.sockets.remove(&socket);
        Ok(())
    }

    /// Adds a link for several hosts to be put behind. Its seed is the network's and its number.
    ///
    /// # Errors
    /// When the configuration is invalid, or there are [`MAX_SOCKETS`] of them.
    pub fn add_shared_link(&mut self, config: &LinkConfig) -> Result<SharedLink, NetworkError> {
        if self.shared.len() >= MAX_SOCKETS {
            return Err(NetworkError::Full("shared links"));
        }
        let number = self.shared.len();
        let seed = derive_seed(derive_seed(self.seed, SHARED_LABEL), number as u64);
        let link = Link::starting_at(self.start, config, seed)
            .map_err(|source| NetworkError::Link { direction: "shared", source })?;
        self.shared.push(link);
        Ok(SharedLink(number))
    }

    /// What comes for a host goes through a shared link first, and then through its own.
    ///
    /// # Errors
    /// When no host has the socket, or the link is not of this network.
    pub fn put_behind(&mut self, socket: SocketAddr, link: SharedLink) -> Result<(), NetworkError> {
        if link.0 >= self.shared.len() {
            return Err(NetworkError::UnknownLink);
        }
        self.host_mut(socket)?.behind = Some(link);
        Ok(())
    }

    /// A shared link, for traffic that is none of any host's: what is sent over it takes its share of the rate and of the queue.
    pub fn shared_link_mut(&mut self, link: SharedLink) -> Option<&mut Link> {
        self.shared.get_mut(link.0)
    }

    /// A shared link.
    #[must_use]
    pub fn shared_link(&self, link: SharedLink) -> Option<&Link> {
        self.shared.get(link.0)
    }

    /// How long a packet would wait now in the queues of one direction of a host's attachment, a shared link's included.
    ///
    /// # Errors
    /// When no host has the socket.
    pub fn queue_delay(
        &self,
        now: Time,
        socket: SocketAddr,
        direction: Direction,
    ) -> Result<Duration, NetworkError> {
        let id = self.id_of(socket)?;
        let host = self.hosts.get(&id).ok_or(NetworkError::UnknownSocket(socket))?;
        Ok(match direction {
            Direction::Up => host.up.queue_delay(now),
            Direction::Down => {
                let shared = host.behind.and_then(|link| self.shared_link(link));
                host.down.queue_delay(now) + shared.map_or(Duration::ZERO, |link| link.queue_delay(now))
            }
        })
    }

    /// Replaces the configuration of one link of a host, see [`Link::set_config`].
    ///
    /// # Errors
    /// When no host has the socket or the configuration is invalid.
    pub fn set_link(
        &mut self,
        socket: SocketAddr,
        direction: Direction,
        config: &LinkConfig,
    ) -> Result<(), NetworkError> {
        let host = self.host_mut(socket)?;
        let link = match direction {
            Direction::Up => &mut host.up,
            Direction::Down => &mut host.down,
        };
        link.set_config(config).map_err(|source| NetworkError::Link { direction: direction.name(), source })
    }

    /// Lets the NAT of a host forget its mappings, see [`Nat::rebind`]; does nothing for a host without one. Packets on their
    /// way to an old mapping are lost.
    ///
    /// # Errors
    /// When no host has the socket.
    pub fn rebind_nat(&mut self, socket: SocketAddr) -> Result<(), NetworkError> {
        if let Some(nat) = &mut self.host_mut(socket)?.nat {
            nat.rebind();
        }
        Ok(())
    }

    /// What has happened on one link of a host.
    ///
    /// # Errors
    /// When no host has the socket.
    pub fn link_counters(&self, socket: SocketAddr, direction: Direction) -> Result<Counters, NetworkError> {
        let id = self.id_of(socket)?;
        let host = self.hosts.get(&id).ok_or(NetworkError::UnknownSocket(socket))?;
        Ok(*match direction {
            Direction::Up => host.up.counters(),
            Direction::Down => host.down.counters(),
        })
    }

    /// What has happened between the links.
    #[must_use]
    pub const fn counters(&self) -> &NetworkCounters {
        &self.counters
    }

    fn id_of(&self, socket: SocketAddr) -> Result<HostId, NetworkError> {
        self.sockets.get(&socket).copied().ok_or(NetworkError::UnknownSocket(socket))
    }

    fn host_mut(&mut self, socket: SocketAddr) -> Result<&mut Host, NetworkError> {
        let id = self.id_of(socket)?;
        self.hosts.get_mut(&id).ok_or(NetworkError::UnknownSocket(socket))
    }

    fn check_free(&self, socket: SocketAddr) -> Result<(), NetworkError> {
        if self.sockets.len() >= MAX_SOCKETS {
            return Err(NetworkError::Full("sockets"));
        }
        if self.sockets.contains_key(&socket) || self.externals.contains_key(&socket.ip()) {
            return Err(NetworkError::AddressTaken(socket.ip()));
        }
        Ok(())
    }

    /// Is this address in use, as a NAT's external address or as that of a socket?
    fn is_known(&self, ip: IpAddr) -> bool {
        let first = SocketAddr::new(ip, 0);
        self.externals.contains_key(&ip)
            || self.sockets.range(first..).next().is_some_and(|(at, _)| at.ip() == ip)
    }
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A number for an address, for seeds.
fn address_label(socket: SocketAddr) -> u64 {
    let bits = match socket.ip() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) | 0xFFFF << 32, // as the IPv4-mapped IPv6 address
        IpAddr::V6(ip) => ip.to_bits(),
    };
    derive_seed(derive_seed((bits >> 64) as u64, bits as u64), u64::from(socket.port()))
}
