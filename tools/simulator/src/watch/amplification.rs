//! No more than three times what came from an address goes to it before it is validated (spec 5.2).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use sluice_wire::classify::{Class, classify};
use sluice_wire::control::Message;
use sluice_wire::rtcp::{Packet, packets};
use sluice_wire::srtp::InboundSrtp;

use super::{MAX_DATAGRAM_BYTES, TicketNumber};

const FACTOR: u64 = 3;

#[derive(Debug, Default)]
struct Traffic {
    received: u64,
    sent: u64,
}

#[derive(Debug, Default)]
pub(super) struct Amplification {
    /// A second reader of each session's control messages, with the session's keys.
    readers: BTreeMap<TicketNumber, InboundSrtp>,
    /// The addresses from which a path response came.
    validated: BTreeSet<(TicketNumber, SocketAddr)>,
    traffic: BTreeMap<(TicketNumber, SocketAddr), Traffic>,
}

impl Amplification {
    pub(super) fn on_ticket(&mut self, ticket: TicketNumber, reader: InboundSrtp) {
        self.readers.insert(ticket, reader);
    }

    pub(super) fn on_received(&mut self, ticket: TicketNumber, from: SocketAddr, datagram: &[u8]) {
        let Some(reader) = self.readers.get_mut(&ticket) else { return };
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        if datagram.len() > plain.len() {
            return;
        }
        let is_authentic = match classify(datagram) {
            Class::Rtp { .. } => reader.open_rtp(datagram, &mut plain).is_ok(),
            Class::Rtcp { .. } => match reader.open_rtcp(datagram, &mut plain) {
                Ok(opened) => {
                    if has_path_response(&plain[..opened.len]) {
                        self.validated.insert((ticket, from));
                    }
                    true
                }
                Err(_) => false,
            },
            Class::Runt | Class::Other => false,
        };
        if is_authentic {
            self.traffic.entry((ticket, from)).or_default().received += datagram.len() as u64;
        }
    }

    pub(super) fn on_sent(&mut self, ticket: TicketNumber, to: SocketAddr, len: usize) -> Result<(), String> {
        if self.validated.contains(&(ticket, to)) {
            return Ok(());
        }
        let traffic = self.traffic.entry((ticket, to)).or_default();
        traffic.sent += len as u64;
        if traffic.sent > FACTOR * traffic.received {
            return Err(format!(
                "{} bytes went to {to}, which is not validated and sent {} authentic bytes",
                traffic.sent, traffic.received
            ));
        }
        Ok(())
    }
}

fn has_path_response(compound: &[u8]) -> bool {
    packets(compound).any(|packet| {
        matches!(packet, Ok(Packet::App(app)) if matches!(Message::parse(&app), Ok(Message::PathResponse(_))))
    })
}
