//! Sending many datagrams with few calls.
#![expect(unsafe_code, reason = "sendmmsg and poll")]

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, RawFd};

use super::address::RawAddress;
use super::control::ControlBuffer;
use crate::core::{Path, Transmit, TransmitBatch};
use crate::io::{Family, IoCounters, Segmentation, SendDrop, ShardSockets};

/// Messages per call: enough to make the call's own cost small beside 64 sends.
const MESSAGES: usize = 64;
/// A full send buffer is waited for so often per batch, and each time so long: a shard has others to serve.
const MAX_WAITS: usize = 2;
const WAIT_MILLIS: i32 = 1;
/// ICMP errors of earlier datagrams in a row before a message is given up.
const MAX_ICMP_ERRORS: usize = 3;

/// One message: datagrams of one size for one path, or a single one.
#[derive(Clone, Copy)]
struct Message<'a> {
    path: Path,
    segment_len: usize,
    contents: &'a [u8],
}

impl Message<'_> {
    const fn datagrams(&self) -> usize {
        self.contents.len().div_ceil(self.segment_len)
    }
}

/// Messages of one family that go out together.
struct Run<'a> {
    messages: [Option<Message<'a>>; MESSAGES],
    len: usize,
}

/// What becomes of the message that could not be sent.
enum Verdict {
    Retry,
    /// Dropped, or sent in another way.
    Done,
    /// It is dropped with all behind it.
    GiveUp,
}

/// Sends transmit batches.
pub struct BatchSender {
    segments: bool,
    controls: Box<[ControlBuffer]>,
    addresses: Box<[RawAddress]>,
    waits_left: usize,
    icmp_errors: usize,
}

impl std::fmt::Debug for BatchSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchSender").field("segments", &self.segments).finish_non_exhaustive()
    }
}

impl BatchSender {
    /// A sender.
    #[must_use]
    pub fn new(segmentation: Segmentation) -> Self {
        Self {
            segments: segmentation == Segmentation::IfSupported,
            controls: vec![ControlBuffer::EMPTY; MESSAGES].into_boxed_slice(),
            addresses: vec![RawAddress::EMPTY; MESSAGES].into_boxed_slice(),
            waits_left: 0,
            icmp_errors: 0,
        }
    }

    /// Whether the kernel is given several datagrams at once.
    #[must_use]
    pub const fn segments(&self) -> bool {
        self.segments
    }

    /// Sends all of `batch` that can be sent; counts the rest.
    pub fn send(&mut self, sockets: &ShardSockets, batch: &TransmitBatch, counters: &mut IoCounters) {
        self.waits_left = MAX_WAITS;
        for family in Family::ALL {
            let sends = batch.sends().filter(|send| Family::of(send.path.remote) == family);
            let Some(socket) = sockets.get(family) else {
                sends.for_each(|send| counters.drop_out(SendDrop::NoSocket, send.datagrams().len()));
                continue;
            };
            self.send_all(socket.socket.as_raw_fd(), sends, counters);
        }
    }

    fn send_all<'a>(
        &mut self,
        fd: RawFd,
        sends: impl Iterator<Item = Transmit<'a>>,
        counters: &mut IoCounters,
    ) {
        let mut run = Run { messages: [None; MESSAGES], len: 0 };
        for Transmit { path, segment_len, contents } in sends {
            let message_len = if self.segments { contents.len() } else { segment_len };
            for contents in contents.chunks(message_len) {
                run.messages[run.len] = Some(Message { path, segment_len, contents });
                run.len += 1;
                if run.len == MESSAGES {
                    self.send_run(fd, &run.messages, counters);
                    run.len = 0;
                }
            }
        }
        self.send_run(fd, &run.messages[..run.len], counters);
    }

    fn send_run(&mut self, fd: RawFd, mut messages: &[Option<Message<'_>>], counters: &mut IoCounters) {
        while let Some(Some(first)) = messages.first() {
            counters.send_calls += 1;
            match self.send_some(fd, messages) {
                Ok(sent) => {
                    self.icmp_errors = 0;
                    let (done, rest) = messages.split_at(sent.min(messages.len()));
                    counters.messages_out += done.len() as u64;
                    counters.datagrams_out += count(done) as u64;
                    messages = rest;
                }
                Err(error) => match self.judge(fd, *first, &error, counters) {
                    Verdict::Retry => {}
                    Verdict::Done => messages = &messages[1..],
                    Verdict::GiveUp => {
                        counters.drop_out(SendDrop::QueueFull, count(messages));
                        return;
                    }
                },
            }
        }
    }

    /// Decides about the first message of a run, at which the call failed.
    fn judge(
        &mut self,
        fd: RawFd,
        message: Message<'_>,
        error: &io::Error,
        counters: &mut IoCounters,
    ) -> Verdict {
        match error.raw_os_error() {
            Some(libc::EINTR) => return Verdict::Retry,
            Some(libc::EAGAIN) => {
                if self.waits_left == 0 {
                    return Verdict::GiveUp;
                }
                self.waits_left -= 1;
                counters.send_waits += 1;
                wait_writable(fd);
                return Verdict::Retry;
            }
            _ if is_icmp(error) => {
                counters.icmp_errors += 1;
                self.icmp_errors += 1;
                if self.icmp_errors <= MAX_ICMP_ERRORS {
                    return Verdict::Retry;
                }
                self.icmp_errors = 0;
            }
            Some(libc::EINVAL | libc::EIO | libc::ENOPROTOOPT | libc::EMSGSIZE)
                if message.datagrams() > 1 =>
            {
                self.send_singly(fd, message, error, counters);
                return Verdict::Done;
            }
            _ => {}
        }
        counters.drop_out(reason(error), message.datagrams());
        Verdict::Done
    }

    /// The kernel refused a segmented message. If it takes the datagrams one by one, then segmentation is what it cannot do:
    /// it is not tried again. If not, the addresses are to blame, which says nothing about others.
    fn send_singly(
        &mut self,
        fd: RawFd,
        message: Message<'_>,
        refusal: &io::Error,
        counters: &mut IoCounters,
    ) {
        counters.segmentation_refused += 1;
        let mut sent = 0;
        for contents in message.contents.chunks(message.segment_len) {
            counters.send_calls += 1;
            match self.send_some(fd, &[Some(Message { contents, ..message })]) {
                Ok(_) => sent += 1,
                Err(error) => counters.drop_out(reason(&error), 1),
            }
        }
        counters.messages_out += sent;
        counters.datagrams_out += sent;
        if sent > 0 && std::mem::replace(&mut self.segments, false) {
            tracing::warn!(error = %refusal, "the kernel does not segment here (UDP_SEGMENT): sending datagrams one by one");
        }
    }

    /// One call. Returns how many of the messages were sent, at least one.
    fn send_some(&mut self, fd: RawFd, messages: &[Option<Message<'_>>]) -> io::Result<usize> {
        // SAFETY: all zeros is a valid mmsghdr: null pointers and integers.
        let mut headers: [libc::mmsghdr; MESSAGES] = unsafe { std::mem::zeroed() };
        let mut slices = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MESSAGES];
        let parts = messages
            .iter()
            .flatten()
            .zip(&mut headers)
            .zip(&mut slices)
            .zip(&mut self.controls)
            .zip(&mut self.addresses);
        let mut filled = 0;
        for ((((message, header), slice), control), address) in parts {
            let (remote, remote_len) = RawAddress::new(message.path.remote);
            *address = remote;
            *slice = libc::iovec {
                iov_base: message.contents.as_ptr().cast_mut().cast(),
                iov_len: message.contents.len(),
            };
            header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = remote_len;
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            let control_len = write_control(control, message);
            if control_len > 0 {
                header.msg_hdr.msg_control = control.as_mut_ptr();
                header.msg_hdr.msg_controllen = control_len as _;
            }
            filled += 1;
        }
        // SAFETY: each of the `filled` headers points to one slice of initialised bytes, which the kernel only reads and which
        // `messages` borrows, to an address of its length and to a control buffer of which `control_len` bytes are written;
        // all outlive the call.
        let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), filled, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

fn count(messages: &[Option<Message<'_>>]) -> usize {
    messages.iter().flatten().map(Message::datagrams).sum()
}

/// Writes the source address and the size of the segments; returns the bytes used.
fn write_control(control: &mut ControlBuffer, message: &Message<'_>) -> usize {
    let mut used = 0;
    match message.path.local.ip() {
        ip if ip.is_unspecified() => {}
        IpAddr::V4(ip) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            used = control.push(used, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        IpAddr::V6(ip) => {
            let info =
                libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            used = control.push(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
    }
    if message.datagrams() > 1 {
        used = control.push(used, libc::SOL_UDP, libc::UDP_SEGMENT, message.segment_len as u16);
    }
    used
}

fn wait_writable(fd: RawFd) {
    let mut entry = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry that lives through the call. What it says does not matter: the send is tried again anyway.
    unsafe { libc::poll(&mut entry, 1, WAIT_MILLIS) };
}

/// An error of an earlier datagram, which any socket of the group may be told.
pub(super) fn is_icmp(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::EPROTO | libc::EHOSTDOWN))
}

fn reason(error: &io::Error) -> SendDrop {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => SendDrop::QueueFull,
        Some(libc::ENOBUFS | libc::ENOMEM) => SendDrop::NoBuffers,
        Some(libc::EMSGSIZE) => SendDrop::TooLarge,
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN) => SendDrop::Unreachable,
        Some(libc::EPERM | libc::EACCES) => SendDrop::Denied,
        Some(libc::EINVAL | libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => SendDrop::InvalidAddress,
        _ if is_icmp(error) => SendDrop::IcmpErrors,
        _ => SendDrop::Other,
    }
}
