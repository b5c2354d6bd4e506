//! The exclusive lock on a UDP port.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::io::BindError;

/// Keeps another router off the port while it lives. It is an abstract Unix socket: of the network namespace, as the port
/// is, and given back by the kernel however the process ends.
#[derive(Debug)]
pub struct PortLock {
    _socket: UnixDatagram,
}

impl PortLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`BindError::Locked`] if another router has it, [`BindError::Lock`] if the system refuses.
    pub(in crate::io) fn take(port: u16) -> Result<Self, BindError> {
        let bound = SocketAddr::from_abstract_name(format!("sluice-router/udp/{port}"))
            .and_then(|name| UnixDatagram::bind_addr(&name));
        match bound {
            Ok(socket) => Ok(Self { _socket: socket }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(BindError::Locked(port)),
            Err(source) => Err(BindError::Lock { port, source }),
        }
    }
}
