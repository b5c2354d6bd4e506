//! Systems other than Linux: one shard, one datagram per call, plain sockets. Compiled in tests everywhere.

use std::io;
use std::time::Duration;

use socket2::Socket;

use super::group::BufferSizes;
use super::{BindError, Family, IoCounters, Queue, Segmentation, SendDrop, ShardSocket, ShardSockets};
use crate::clock::Clock;
use crate::core::{DatagramMeta, TransmitBatch};

/// Only one shard can have the port.
pub(super) const STEERS: bool = false;
/// Datagrams per batch.
const MESSAGES: usize = 32;
/// Bytes of one datagram's buffer: more than the protocol allows, so that a longer one is seen as such.
const MESSAGE_BYTES: usize = 2_048;
/// Bytes asked for a socket's buffers.
const BUFFER_BYTES: usize = 4 << 20;

/// Nothing to hold: without address sharing the port itself is exclusive.
#[derive(Debug)]
pub struct PortLock;

impl PortLock {
    #[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
    pub(super) const fn take(_port: u16) -> Result<Self, BindError> {
        Ok(Self)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(super) const fn share_port(_socket: &Socket, _shards: usize) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(super) const fn ask_for_details(_socket: &Socket, _family: Family) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(super) const fn coalesce(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(super) const fn attach_steering(_socket: &mio::net::UdpSocket) -> io::Result<()> {
    Ok(())
}

pub(super) fn size_buffers(socket: &Socket) -> io::Result<BufferSizes> {
    let asked = socket.set_recv_buffer_size(BUFFER_BYTES);
    if let Err(error) = asked.and_then(|()| socket.set_send_buffer_size(BUFFER_BYTES)) {
        tracing::debug!(%error, "the system keeps its buffer sizes");
    }
    Ok(BufferSizes { receive: socket.recv_buffer_size()?, send: socket.send_buffer_size()? })
}

/// CPU time that the calling thread has used: not told here.
#[must_use]
pub const fn thread_cpu_time() -> Option<Duration> {
    None
}

/// Buffers for received datagrams.
#[derive(Debug)]
pub struct ReceiveBatch {
    buffers: Box<[u8]>,
    arrivals: Vec<(DatagramMeta, usize)>,
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
            buffers: vec![0; MESSAGES * MESSAGE_BYTES].into_boxed_slice(),
            arrivals: Vec::with_capacity(MESSAGES),
        }
    }

    /// Forgets what it has and takes what `socket` has waiting. Never blocks; errors are counted.
    pub fn receive(&mut self, socket: &ShardSocket, clock: &Clock, counters: &mut IoCounters) -> Queue {
        self.arrivals.clear();
        for buffer in self.buffers.chunks_mut(MESSAGE_BYTES) {
            counters.receive_calls += 1;
            match socket.socket.recv_from(buffer) {
                Ok((len, remote)) => {
                    counters.messages_in += 1;
                    counters.datagrams_in += 1;
                    let meta = DatagramMeta { local: socket.bound, remote, ecn: 0, received_at: clock.now() };
                    self.arrivals.push((meta, len));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Queue::Drained,
                Err(error) if reason(&error) == SendDrop::IcmpErrors => {
                    counters.icmp_errors += 1;
                    return Queue::MayHaveMore;
                }
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
        let buffers = self.buffers.chunks(MESSAGE_BYTES);
        self.arrivals.iter().zip(buffers).map(|((meta, len), buffer)| (*meta, &buffer[..*len]))
    }
}

/// Sends transmit batches.
#[derive(Debug)]
pub struct BatchSender;

impl BatchSender {
    /// A sender. There is no segmentation here.
    #[must_use]
    pub const fn new(_segmentation: Segmentation) -> Self {
        Self
    }

    /// Whether the kernel is given several datagrams at once: no.
    #[must_use]
    pub const fn segments(&self) -> bool {
        false
    }

    /// Sends all of `batch` that can be sent; counts the rest.
    pub fn send(&mut self, sockets: &ShardSockets, batch: &TransmitBatch, counters: &mut IoCounters) {
        for send in batch.sends() {
            let Some(socket) = sockets.get(Family::of(send.path.remote)) else {
                counters.drop_out(SendDrop::NoSocket, send.datagrams().len());
                continue;
            };
            for datagram in send.datagrams() {
                counters.send_calls += 1;
                match socket.socket.send_to(datagram, send.path.remote) {
                    Ok(_) => {
                        counters.messages_out += 1;
                        counters.datagrams_out += 1;
                    }
                    Err(error) => counters.drop_out(reason(&error), 1),
                }
            }
        }
    }
}

fn reason(error: &io::Error) -> SendDrop {
    match error.kind() {
        io::ErrorKind::WouldBlock => SendDrop::QueueFull,
        io::ErrorKind::OutOfMemory => SendDrop::NoBuffers,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => SendDrop::Unreachable,
        io::ErrorKind::PermissionDenied => SendDrop::Denied,
        io::ErrorKind::InvalidInput | io::ErrorKind::AddrNotAvailable => SendDrop::InvalidAddress,
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => SendDrop::IcmpErrors,
        _ => SendDrop::Other,
    }
}

/// A timer finer than the system's readiness queue: there is none here.
#[derive(Debug)]
pub struct PreciseTimer(());

impl PreciseTimer {
    /// A timer that cannot be set.
    ///
    /// # Errors
    /// None.
    pub const fn new(_: &mio::Registry, _: mio::Token) -> io::Result<Self> {
        Ok(Self(()))
    }

    /// `false`: it cannot be set.
    #[must_use]
    pub const fn set(&self, _: Duration) -> bool {
        false
    }
}
