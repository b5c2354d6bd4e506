//! Receiving from UDP sockets.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

/// The largest UDP datagram, so that nothing is ever cut short.
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// Datagrams taken per wake-up, so that one busy socket does not keep its task from its timers.
const BATCH_DATAGRAMS: usize = 64;

/// Takes what is there and gives how many errors were passed over. The buffer is on the stack, so that waiting tasks hold none.
pub(super) fn receive_batch(socket: &UdpSocket, mut each: impl FnMut(SocketAddr, &[u8])) -> io::Result<u64> {
    let mut buffer = [0; MAX_DATAGRAM_BYTES];
    let mut errors = 0;
    for _ in 0..BATCH_DATAGRAMS {
        match socket.try_recv_from(&mut buffer) {
            Ok((size, from)) => each(from, buffer.get(..size).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if is_passing(&error) => errors += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(errors)
}

/// Does this error tell of the other end or of the path, rather than of the socket?
pub(super) fn is_passing(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable | Interrupted
    )
}

/// A socket on a free port that talks to `upstream` alone.
pub(super) fn connect(upstream: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(upstream)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}
