//! The group of sockets that share the router's UDP port: one per shard and address family.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::platform;
pub use super::platform::PortLock;

/// The shard is 8 bits of the SSRC.
const MAX_SHARDS: usize = 256;
/// With port 0, another daemon or program may hold the chosen port of the other family: so many ports are tried.
const PORT_ATTEMPTS: usize = 16;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, in order of their numbers.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    #[must_use]
    pub const fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Where to listen: at least one family, one port for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The IPv4 address; `None` for no IPv4.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address; `None` for no IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// The UDP port; 0 lets the system choose.
    pub port: u16,
}

impl Listen {
    fn address(&self, family: Family, port: u16) -> Option<SocketAddr> {
        match family {
            Family::V4 => self.ipv4.map(|ip| (ip, port).into()),
            Family::V6 => self.ipv6.map(|ip| (ip, port).into()),
        }
    }
}

/// Why the group could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Neither family has an address.
    #[error("neither an IPv4 nor an IPv6 address to listen on")]
    NoAddress,
    /// No shards, or more than SSRCs can name, or more than one where the system cannot steer.
    #[error("{0} shards; this system can have 1 to {max}", max = max_shards())]
    Shards(usize),
    /// Another router holds the port. Its sockets would share the port's datagrams with ours.
    #[error("another router is running on UDP port {0}")]
    Locked(u16),
    /// A socket could not be made or bound.
    #[error("UDP socket on {address}: {step}")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// What was tried.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The exclusive lock could not be had for another reason.
    #[error("cannot lock UDP port {port}")]
    Lock {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

const fn max_shards() -> usize {
    if platform::STEERS { MAX_SHARDS } else { 1 }
}

/// A bound socket with its address.
#[derive(Debug)]
pub struct ShardSocket {
    pub(super) socket: mio::net::UdpSocket,
    pub(super) bound: SocketAddr,
}

impl ShardSocket {
    /// The address that it is bound to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.bound
    }

    /// The socket, to register for readiness.
    pub const fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }
}

/// What the kernel tells beside each datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Details {
    /// All that a shard asks for: local address, ECN, time of arrival, lost predecessors; and coalescing.
    All,
    /// Nothing; datagrams are coalesced.
    CoalescedOnly,
}

/// The sockets of one shard.
#[derive(Debug, Default)]
pub struct ShardSockets {
    by_family: [Option<ShardSocket>; 2],
}

impl ShardSockets {
    /// A single socket that shares its port with nobody: the other end of a router, in load generators and measurements.
    ///
    /// # Errors
    /// [`BindError::Socket`].
    pub fn bind_alone(address: SocketAddr, details: Details) -> Result<Self, BindError> {
        let (socket, _) = bind_socket(address, None, details)?;
        let mut sockets = Self::default();
        sockets.by_family[Family::of(address) as usize] = Some(socket);
        Ok(sockets)
    }

    /// The socket of a family.
    #[must_use]
    pub const fn get(&self, family: Family) -> Option<&ShardSocket> {
        self.by_family[family as usize].as_ref()
    }

    /// The socket of a family.
    pub const fn get_mut(&mut self, family: Family) -> Option<&mut ShardSocket> {
        self.by_family[family as usize].as_mut()
    }
}

/// All sockets of a router, bound in the order of the shards, which is the order in which the kernel numbers them.
#[derive(Debug)]
pub struct SocketGroup {
    /// Held as long as the sockets are: keeps a second router from joining the group.
    pub lock: PortLock,
    /// Per shard.
    pub shards: Vec<ShardSockets>,
    /// The bound addresses, IPv4 first.
    pub addresses: Vec<SocketAddr>,
    /// Bytes that the sockets' buffers really have.
    pub buffer_sizes: BufferSizes,
}

/// Sizes of a socket's buffers in the kernel's accounting, which counts its own overhead too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferSizes {
    /// Bytes for datagrams that the shard did not fetch yet.
    pub receive: usize,
    /// Bytes for datagrams that the device did not take yet.
    pub send: usize,
}

impl SocketGroup {
    /// Binds the sockets of `shards` shards.
    ///
    /// # Errors
    /// [`BindError`], most notably [`BindError::Locked`] if another router of this machine (of this network namespace) has
    /// the port.
    pub fn bind(listen: Listen, shards: usize) -> Result<Self, BindError> {
        if listen.ipv4.is_none() && listen.ipv6.is_none() {
            return Err(BindError::NoAddress);
        }
        if shards == 0 || shards > max_shards() {
            return Err(BindError::Shards(shards));
        }
        let attempts = if listen.port == 0 { PORT_ATTEMPTS } else { 1 };
        let mut bound = bind_once(listen, shards);
        for _ in 1..attempts {
            if bound.is_ok() {
                break;
            }
            bound = bind_once(listen, shards);
        }
        bound
    }
}

fn bind_once(listen: Listen, shards: usize) -> Result<SocketGroup, BindError> {
    let mut port = listen.port;
    // A fixed port is locked before anything joins its group; a chosen one can only be locked once it is known.
    let mut lock = if port == 0 { None } else { Some(PortLock::take(port)?) };
    let mut sockets: Vec<ShardSockets> = (0..shards).map(|_| ShardSockets::default()).collect();
    let (mut addresses, mut buffer_sizes) = (Vec::new(), BufferSizes::default());
    for family in Family::ALL {
        if listen.address(family, port).is_none() {
            continue;
        }
        for shard in &mut sockets {
            let Some(address) = listen.address(family, port) else { continue };
            let (socket, sizes) = bind_socket(address, Some(shards), Details::All)?;
            port = socket.bound.port();
            buffer_sizes = sizes;
            if lock.is_none() {
                lock = Some(PortLock::take(port)?);
            }
            shard.by_family[family as usize] = Some(socket);
        }
        let first = sockets.first().and_then(|shard| shard.get(family));
        if let Some(ShardSocket { socket, bound }) = first {
            platform::attach_steering(socket).map_err(|source| BindError::Socket {
                address: *bound,
                step: "attach steering",
                source,
            })?;
            addresses.push(*bound);
        }
    }
    let lock = lock.ok_or(BindError::NoAddress)?;
    Ok(SocketGroup { lock, shards: sockets, addresses, buffer_sizes })
}

/// Binds a socket that shares its port with those of `shards` shards, or with nobody.
fn bind_socket(
    address: SocketAddr,
    shards: Option<usize>,
    details: Details,
) -> Result<(ShardSocket, BufferSizes), BindError> {
    let failed = |step| move |source| BindError::Socket { address, step, source };
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).map_err(failed("create"))?;
    socket.set_nonblocking(true).map_err(failed("make non-blocking"))?;
    if address.is_ipv6() {
        socket.set_only_v6(true).map_err(failed("restrict to IPv6"))?;
    }
    if let Some(shards) = shards {
        platform::share_port(&socket, shards).map_err(failed("share the port"))?;
    }
    let buffer_sizes = platform::size_buffers(&socket).map_err(failed("size the buffers"))?;
    match details {
        Details::All => platform::ask_for_details(&socket, Family::of(address)),
        Details::CoalescedOnly => platform::coalesce(&socket),
    }
    .map_err(failed("set options"))?;
    socket.bind(&address.into()).map_err(failed("bind"))?;
    let socket = UdpSocket::from(socket);
    let bound = socket.local_addr().map_err(failed("read the address"))?;
    Ok((ShardSocket { socket: mio::net::UdpSocket::from_std(socket), bound }, buffer_sizes))
}
