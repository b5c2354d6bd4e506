//! Receiving many datagrams with one call.
#![expect(unsafe_code, reason = "recvmmsg")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use super::address::RawAddress;
use super::control::{CONTROL_BYTES, ControlBuffer};
use crate::clock::{Clock, Reading};
use crate::core::DatagramMeta;
use crate::io::{Family, IoCounters, Queue, ShardSocket};

/// Messages per call: enough to make the call's own cost small beside 32 packets of work.
const MESSAGES: usize = 32;
/// The largest message: a coalesced one fits any UDP length.
const MESSAGE_BYTES: usize = 65_536;
/// Distance of two buffers: with a power of two, the beginnings of all would compete for the same few lines of the caches.
const BUFFER_STRIDE: usize = MESSAGE_BYTES + 1_216;
/// ICMP errors in a row before a call gives up for now.
const MAX_ERRORS: usize = 8;

/// A message that was received.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    meta: DatagramMeta,
    buffer: usize,
    len: usize,
    segment_len: usize,
}

/// Buffers for received datagrams, used again and again: 2 MiB, of which the system provides what gets touched.
pub struct ReceiveBatch {
    buffers: Box<[u8]>,
    controls: Box<[ControlBuffer]>,
    addresses: Box<[RawAddress]>,
    arrivals: Vec<Arrival>,
    /// The kernel's count of lost datagrams, per family.
    overflowed: [u32; 2],
}

impl std::fmt::Debug for ReceiveBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveBatch").field("arrivals", &self.arrivals.len()).finish_non_exhaustive()
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffers: vec![0; MESSAGES * BUFFER_STRIDE].into_boxed_slice(),
            controls: vec![ControlBuffer::EMPTY; MESSAGES].into_boxed_slice(),
            addresses: vec![RawAddress::EMPTY; MESSAGES].into_boxed_slice(),
            arrivals: Vec::with_capacity(MESSAGES),
            overflowed: [0; 2],
        }
    }

    /// Forgets what it has and takes what `socket` has waiting. Never blocks; errors are counted.
    pub fn receive(&mut self, socket: &ShardSocket, clock: &Clock, counters: &mut IoCounters) -> Queue {
        self.arrivals.clear();
        for _ in 0..MAX_ERRORS {
            counters.receive_calls += 1;
            match self.receive_some(socket, clock, counters) {
                Ok(MESSAGES) => return Queue::MayHaveMore,
                Ok(_) => return Queue::Drained,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Queue::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if super::send::is_icmp(&error) => counters.icmp_errors += 1,
                Err(_) => {
                    counters.receive_errors += 1;
                    return Queue::Drained;
                }
            }
        }
        Queue::MayHaveMore
    }

    /// The datagrams, in the order in which they came.
    pub fn datagrams(&self) -> impl Iterator<Item = (DatagramMeta, &[u8])> {
        self.arrivals.iter().flat_map(|arrival| {
            let start = arrival.buffer * BUFFER_STRIDE;
            let contents = &self.buffers[start..start + arrival.len];
            // An empty datagram is a datagram too.
            let empty = contents.is_empty().then_some(contents);
            let datagrams = contents.chunks(arrival.segment_len).chain(empty);
            datagrams.map(|datagram| (arrival.meta, datagram))
        })
    }

    fn receive_some(
        &mut self,
        socket: &ShardSocket,
        clock: &Clock,
        counters: &mut IoCounters,
    ) -> io::Result<usize> {
        // SAFETY: all zeros is a valid mmsghdr: null pointers and integers.
        let mut headers: [libc::mmsghdr; MESSAGES] = unsafe { std::mem::zeroed() };
        let mut slices = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MESSAGES];
        let parts = headers
            .iter_mut()
            .zip(&mut slices)
            .zip(self.buffers.chunks_mut(BUFFER_STRIDE))
            .zip(&mut self.controls)
            .zip(&mut self.addresses);
        for ((((header, slice), buffer), control), address) in parts {
            *slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: MESSAGE_BYTES };
            header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = RawAddress::CAPACITY;
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr();
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
        }
        let fd = socket.socket.as_raw_fd();
        // SAFETY: each of the MESSAGES headers points to one slice, which points to MESSAGE_BYTES writable bytes of its own
        // buffer, to a control buffer of CONTROL_BYTES and to an address of CAPACITY, all of which outlive the call and are
        // borrowed by nothing else. No time-out is given. The kernel writes initialised bytes of any pattern.
        let received =
            unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), MESSAGES as u32, 0, std::ptr::null_mut()) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        let reading = clock.read();
        for (buffer, header) in headers.iter().enumerate().take(received) {
            self.take_in(socket, reading, buffer, header, counters);
        }
        Ok(received)
    }

    fn take_in(
        &mut self,
        socket: &ShardSocket,
        reading: Reading,
        buffer: usize,
        header: &libc::mmsghdr,
        counters: &mut IoCounters,
    ) {
        counters.messages_in += 1;
        let Some(remote) = self.addresses[buffer].get() else {
            counters.receive_errors += 1;
            return;
        };
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            counters.truncated_in += 1;
            return;
        }
        // The field's type depends on the C library.
        let control_len: usize = header.msg_hdr.msg_controllen as _;
        let details = Details::read(&self.controls[buffer], control_len);
        if let Some(overflowed) = details.overflowed {
            let before = std::mem::replace(&mut self.overflowed[Family::of(remote) as usize], overflowed);
            counters.overflowed_in += u64::from(overflowed.wrapping_sub(before));
        }
        let len = (header.msg_len as usize).min(MESSAGE_BYTES);
        let segment_len = details.segment_len.unwrap_or(len).max(1);
        counters.datagrams_in += len.div_ceil(segment_len).max(1) as u64;
        let meta = DatagramMeta {
            local: SocketAddr::new(details.local.unwrap_or(socket.bound.ip()), socket.bound.port()),
            remote,
            ecn: details.ecn,
            received_at: details.stamp.map_or(reading.now(), |stamp| reading.at_stamp(stamp)),
        };
        self.arrivals.push(Arrival { meta, buffer, len, segment_len });
    }
}

/// What the kernel tells beside a message.
#[derive(Default)]
struct Details {
    local: Option<IpAddr>,
    ecn: u8,
    /// Time since the Unix epoch on the system's clock.
    stamp: Option<Duration>,
    segment_len: Option<usize>,
    overflowed: Option<u32>,
}

impl Details {
    fn read(control: &ControlBuffer, used: usize) -> Self {
        let mut details = Self::default();
        for (level, kind, contents) in control.messages(used) {
            match (level, kind) {
                // struct in_pktinfo: interface, the address to answer from, the address in the header.
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    details.local = array::<4>(contents, 4).map(|octets| Ipv4Addr::from(octets).into());
                }
                // struct in6_pktinfo: address, interface.
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    details.local = array::<16>(contents, 0).map(|octets| Ipv6Addr::from(octets).into());
                }
                // A byte for IPv4 and an integer for IPv6; the two ECN bits come last in both (RFC 3168 section 5).
                (libc::IPPROTO_IP, libc::IP_TOS) => {
                    details.ecn = contents.first().map_or(0, |tos| tos & 3);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    details.ecn = array(contents, 0).map_or(0, |class| (i32::from_ne_bytes(class) & 3) as u8);
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => details.stamp = stamp(contents),
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    details.overflowed = array(contents, 0).map(u32::from_ne_bytes);
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let len = array(contents, 0).map(i32::from_ne_bytes);
                    details.segment_len = len.and_then(|len| usize::try_from(len).ok());
                }
                _ => {}
            }
        }
        details
    }
}

/// A `timespec` of 64-bit systems; others do without.
fn stamp(contents: &[u8]) -> Option<Duration> {
    let seconds = u64::from_ne_bytes(array(contents, 0)?);
    let nanos = u64::from_ne_bytes(array(contents, 8)?);
    Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos))
}

fn array<const N: usize>(bytes: &[u8], start: usize) -> Option<[u8; N]> {
    bytes.get(start..start + N)?.try_into().ok()
}
