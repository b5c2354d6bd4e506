//! What the router sends to one person, read on its way with the person's keys.

use std::collections::BTreeMap;

use sluice_wire::classify::{Class, classify};
use sluice_wire::ext::MediaExtensions;
use sluice_wire::rtp::RtpPacket;
use sluice_wire::srtp::{Cryptex, InboundSrtp, KeyError};
use sluice_wire::ssrc::SsrcBlock;
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use crate::record::{Receiver, Sort};

/// The largest datagram of the protocol.
const MAX_DATAGRAM_BYTES: usize = 1_200;

/// A datagram on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// What it carries.
    sort: Sort,
    /// The frame that it begins.
    begins: Option<(TrackId, Time)>,
}

/// Reads what passes.
pub(crate) struct Tap {
    block: SsrcBlock,
    reader: InboundSrtp,
    /// The timestamp of the newest frame of each SSRC. Headers are in clear up to there, so that one packet of a frame is opened.
    newest: BTreeMap<u32, u32>,
}

impl Tap {
    pub(crate) fn new(ticket: &Ticket) -> Result<Self, KeyError> {
        let down = &ticket.downlink;
        let reader = InboundSrtp::new(ticket.suite, &down.master, down.ssrcs, Cryptex::Required)?;
        Ok(Self { block: down.ssrcs, reader, newest: BTreeMap::new() })
    }

    /// A datagram passes.
    pub(crate) fn see(&mut self, now: Time, datagram: &[u8], receiver: &mut Receiver) {
        let seen = self.look(datagram);
        receiver.on_sent(now, datagram.len(), seen.sort);
        if let Some((track, captured_at)) = seen.begins {
            receiver.on_forwarded(track, captured_at);
        }
    }

    fn look(&mut self, datagram: &[u8]) -> Seen {
        let Class::Rtp { ssrc } = classify(datagram) else { return Seen::default() };
        let place = self.block.locate(ssrc);
        let sort = place.map_or(Sort::Control, |(stream, role)| Sort::of(stream, role));
        let timestamp = datagram.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let is_new = sort == Sort::Media && self.newest.get(&ssrc).copied() != timestamp;
        let begins = if is_new { self.open(datagram) } else { None };
        if let Some(timestamp) = timestamp.filter(|_| begins.is_some()) {
            self.newest.insert(ssrc, timestamp);
        }
        Seen { sort, begins }
    }

    fn open(&mut self, datagram: &[u8]) -> Option<(TrackId, Time)> {
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        let opened = self.reader.open_rtp(datagram, &mut plain).ok()?;
        let packet = RtpPacket::parse(plain.get(..opened.len)?).ok()?;
        let track = packet.csrcs().next().and_then(TrackId::from_bits)?;
        let captured = MediaExtensions::read(&packet).capture_time?;
        Some((track, Time::from_ntp(captured.0)?))
    }
}
