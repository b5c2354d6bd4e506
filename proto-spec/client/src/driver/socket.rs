//! UDP sockets of participants.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// What the kernel is asked to hold for a participant that is busy, in bytes: a key frame from each of a dozen publishers. It
/// gives what it allows.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A socket of its own for a session with the router at `remote`, bound to the unspecified address of its family.
///
/// # Errors
/// If the system has no such family, no route, or no socket left.
pub(super) fn open(remote: SocketAddr) -> io::Result<UdpSocket> {
    check_route(remote)?;
    let socket = Socket::new(Domain::for_address(remote), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).is_err() {
        // Then with what the system gives by itself.
    }
    socket.bind(&unspecified(remote).into())?;
    UdpSocket::from_std(socket.into())
}

/// Connecting a UDP socket sends nothing, but looks for a route. The session's socket stays unconnected: a router is known by
/// its key, not by its address.
fn check_route(remote: SocketAddr) -> io::Result<()> {
    std::net::UdpSocket::bind(unspecified(remote))?.connect(remote)
}

fn unspecified(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
