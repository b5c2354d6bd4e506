//! Socket options that no safe crate sets.
#![expect(unsafe_code, reason = "setsockopt with C structures")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, RawFd};
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::Socket;

use crate::io::Family;
use crate::io::group::BufferSizes;
use crate::io::steering::{Instruction, PROGRAM};

/// Receive buffer of a socket: what a fully loaded shard is sent in a quarter of a second, so that a thread that the system does not
/// run for so long loses nothing.
const RECEIVE_BUFFER_BYTES: usize = 32 << 20;
/// Send buffer of a socket: several full transmit batches.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// Has `socket` share its port with others of this process.
pub(in crate::io) fn share_port(socket: &Socket, _shards: usize) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Enlarges the buffers as far as the system lets us; returns what they really have.
pub(in crate::io) fn size_buffers(socket: &Socket) -> io::Result<BufferSizes> {
    let (receive, send) = (RECEIVE_BUFFER_BYTES as libc::c_int, SEND_BUFFER_BYTES as libc::c_int);
    // Beyond the system's limit only with CAP_NET_ADMIN; without it up to the limit.
    if set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &receive).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    }
    if set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &send).is_err() {
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    }
    Ok(BufferSizes { receive: socket.recv_buffer_size()?, send: socket.send_buffer_size()? })
}

/// Asks for what comes beside each datagram: the address that it was sent to, ECN, the time of arrival, lost predecessors; and
/// for coalescing. Path MTU discovery must not be left to ICMP messages that anybody can forge: datagrams are small enough
/// for any path, and never fragmented.
pub(in crate::io) fn ask_for_details(socket: &Socket, family: Family) -> io::Result<()> {
    const ON: libc::c_int = 1;
    let socket = socket.as_fd();
    match family {
        Family::V4 => {
            set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, &ON)?;
            set(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, &ON)?;
            set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_PROBE)?;
        }
        Family::V6 => {
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, &ON)?;
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, &ON)?;
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, &libc::IPV6_PMTUDISC_PROBE)?;
        }
    }
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &ON)?;
    set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &ON)?;
    // Everything else works.
    if let Err(error) = set(socket, libc::SOL_UDP, libc::UDP_GRO, &ON) {
        tracing::warn!(%error, "the kernel does not coalesce UDP datagrams (UDP_GRO)");
    }
    Ok(())
}

/// Asks for coalescing and nothing else. Kernels before 5.0 do not coalesce.
pub(in crate::io) fn coalesce(socket: &Socket) -> io::Result<()> {
    set(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, &1)
}

/// Attaches the steering program to the group of `socket`.
pub(in crate::io) fn attach_steering(socket: &impl AsRawFd) -> io::Result<()> {
    let mut program = PROGRAM.map(|Instruction { code, jump_if_true, jump_if_false, operand }| {
        libc::sock_filter { code, jt: jump_if_true, jf: jump_if_false, k: operand }
    });
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set_raw(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

/// Sends datagrams without checksums, with which the kernel refuses to segment: how a device without offload looks.
#[cfg(test)]
pub(in crate::io) fn forbid_checksums(socket: &impl AsRawFd) -> io::Result<()> {
    const ON: libc::c_int = 1;
    set_raw(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, &ON)
}

fn set(socket: BorrowedFd<'_>, level: i32, name: i32, value: &libc::c_int) -> io::Result<()> {
    set_raw(socket.as_raw_fd(), level, name, value)
}

fn set_raw<T>(socket: RawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let (value, len) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: `value` points to `len` readable bytes. The kernel copies them, and the instructions that a `sock_fprog` points
    // to, before it returns. A wrong descriptor or option is an error, not undefined.
    let result = unsafe { libc::setsockopt(socket, level, name, value, len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
