//! A media session with its socket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::JoinError;
use super::socket;
use crate::clock::Clock;
use crate::session::{ClientSession, TicketError};

/// How long an address of the router may be silent before the next one is tried: longer than round trips are. An answer that
/// is later than that still counts.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);
/// Datagrams that are taken from the socket before timers and orders get their turn.
const MAX_BURST: usize = 128;
/// Larger than any datagram of the protocol, so that a longer one is seen to be longer.
const RECEIVE_BYTES: usize = 2_048;
/// How long a full socket may hold up the participant. Then the datagram is dropped, as the network would.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// A session, its socket, and the addresses that are left to try.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) session: ClientSession,
    socket: UdpSocket,
    addresses: Vec<SocketAddr>,
    /// Position in `addresses`.
    current: usize,
    /// When the next address is tried; `None` once the router has answered, or if there is no other.
    next_address_at: Option<Time>,
}

impl Line {
    /// A session of a ticket that no other session has used.
    pub(super) fn open(ticket: &Ticket, now: Time, seed: [u8; 32]) -> Result<Self, JoinError> {
        let mut failure = None;
        for (current, address) in ticket.addresses.iter().enumerate() {
            match socket::open(*address) {
                Ok(socket) => {
                    return Ok(Self {
                        session: ClientSession::new(ticket, *address, now, seed)?,
                        socket,
                        addresses: ticket.addresses.clone(),
                        current,
                        next_address_at: (ticket.addresses.len() > 1).then(|| now + ADDRESS_TIMEOUT),
                    });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.map_or(JoinError::Ticket(TicketError::NoAddress), JoinError::Socket))
    }

    /// When [`Self::on_timeout`] is due.
    pub(super) fn next_at(&self) -> Option<Time> {
        [self.session.poll_timeout(), self.next_address_at].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn on_timeout(&mut self, now: Time) {
        if self.next_address_at.is_some_and(|at| at <= now) {
            self.next_address_at = Some(now + ADDRESS_TIMEOUT);
            self.try_next_address();
        }
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
    }

    /// The router answered: the address is good.
    pub(super) const fn on_connected(&mut self) {
        self.next_address_at = None;
    }

    /// Moves to a new socket, as if the network had changed.
    pub(super) fn rebind(&mut self) -> io::Result<SocketAddr> {
        self.socket = socket::open(self.addresses[self.current])?;
        self.session.local_address_changed();
        self.socket.local_addr()
    }

    /// Waits until a datagram is there.
    pub(super) async fn readable(&self) {
        if self.socket.readable().await.is_err() {
            // Only a runtime that shuts down says so.
            std::future::pending::<()>().await;
        }
    }

    /// Takes in what is there, up to a limit. `after_each` sees the session behind every datagram.
    pub(super) fn receive(&mut self, clock: Clock, mut after_each: impl FnMut(&mut ClientSession)) {
        let mut buffer = [0; RECEIVE_BYTES];
        for _ in 0..MAX_BURST {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((len, from)) => {
                    self.session.handle_datagram(clock.now(), from, &buffer[..len]);
                    after_each(&mut self.session);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error of an earlier datagram, or a datagram that is too long: neither concerns the next one.
                Err(_) => {}
            }
        }
    }

    /// Sends what waits. Returns how many datagrams the system refused.
    pub(super) async fn flush(&mut self) -> u64 {
        let mut failed = 0;
        while let Some(transmit) = self.session.poll_transmit() {
            let sent = match self.socket.try_send_to(transmit.payload, transmit.remote) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let sending = self.socket.send_to(transmit.payload, transmit.remote);
                    timeout(SEND_TIMEOUT, sending).await.is_ok_and(|sent| sent.is_ok())
                }
                sent => sent.is_ok(),
            };
            failed += u64::from(!sent);
        }
        failed
    }

    fn try_next_address(&mut self) {
        for step in 1..self.addresses.len() {
            let next = (self.current + step) % self.addresses.len();
            let remote = self.addresses[next];
            let reuse = remote.is_ipv4() == self.addresses[self.current].is_ipv4();
            if !reuse {
                let Ok(socket) = socket::open(remote) else { continue };
                self.socket = socket;
            }
            self.current = next;
            self.session.try_remote(remote);
            return;
        }
    }
}
