//! The watch must bite: each promise, broken on purpose.

use super::*;
use sluice_wire::srtp::OutboundSrtp;
use sluice_wire::ssrc::{SsrcBlock, StreamIndex, StreamRole};
use sluice_wire::ticket::{MasterKey, PROTOCOL_VERSION, Secret, Suite};
use sluice_wire::track::TrackNumber;

fn direction(base: u32, count: u32, fill: u8) -> Direction {
    Direction {
        master: MasterKey { key: Secret::new(vec![fill; 16]), salt: Secret::new(vec![fill; 12]) },
        ssrcs: SsrcBlock::new(base, count).unwrap(),
    }
}

fn ticket() -> Ticket {
    Ticket {
        protocol_version: PROTOCOL_VERSION,
        session: "0".repeat(16),
        addresses: vec![client()],
        suite: Suite::AeadAes128Gcm,
        uplink: direction(0, 64, 1),
        downlink: direction(256, 256, 2),
        alternate: None,
    }
}

fn client() -> SocketAddr {
    ([10, 0, 0, 2], 9).into()
}

struct Sender(OutboundSrtp, u32);

impl Sender {
    fn new(of: &Direction) -> Self {
        let ssrc = of.ssrcs.ssrc(StreamIndex(1), StreamRole::Media).unwrap();
        Self(OutboundSrtp::new(Suite::AeadAes128Gcm, &of.master, of.ssrcs, Cryptex::Required).unwrap(), ssrc)
    }

    fn rtp(&mut self, index: u64, timestamp: u32) -> Vec<u8> {
        self.rtp_of(ParticipantId::new(2).unwrap(), index, timestamp)
    }

    fn rtp_of(&mut self, participant: ParticipantId, index: u64, timestamp: u32) -> Vec<u8> {
        let mut header = vec![0x81, 96];
        header.extend_from_slice(&(index as u16).to_be_bytes());
        header.extend_from_slice(&timestamp.to_be_bytes());
        header.extend_from_slice(&self.1.to_be_bytes());
        let track = participant.track(TrackNumber::MICROPHONE);
        header.extend_from_slice(&track.to_bits().to_be_bytes());
        // Cryptex encrypts a CSRC only beside an extension block.
        header[0] |= 0x10;
        header.extend_from_slice(&[0xBE, 0xDE, 0, 0]);
        let mut out = vec![0; 200];
        let len = self.0.seal_rtp(index, &header, &timestamp.to_be_bytes(), &mut out).unwrap();
        out.truncate(len);
        out
    }
}

/// A watch with one ticket whose client was heard with plenty of bytes.
fn watch() -> (Watch, Ticket) {
    let ticket = ticket();
    let mut watch = Watch::default();
    watch.on_ticket(ParticipantId::new(1).unwrap(), &ticket).unwrap();
    let mut up = Sender::new(&ticket.uplink);
    for index in 0..20 {
        watch.on_router_receives(client(), &up.rtp(index, 0));
    }
    (watch, ticket)
}

fn what(result: Result<(), Violation>) -> String {
    result.unwrap_err().what
}

#[test]
fn a_second_seal_under_one_nonce_is_seen_and_a_copy_is_not() {
    let (mut watch, ticket) = watch();
    let first = Sender::new(&ticket.downlink).rtp(7, 0);
    let second = Sender::new(&ticket.downlink).rtp(7, 1);
    watch.on_router_sends(Time::ZERO, client(), &first).unwrap();
    watch.on_router_sends(Time::ZERO, client(), &first).unwrap();
    assert!(what(watch.on_router_sends(Time::ZERO, client(), &second)).contains("sealed twice"));
}

#[test]
fn too_much_to_an_unvalidated_address_is_seen() {
    let (mut watch, ticket) = watch();
    let mut down = Sender::new(&ticket.downlink);
    let sent = (0..1_000).map(|index| watch.on_router_sends(Time::ZERO, client(), &down.rtp(index, 0)));
    assert!(what(sent.into_iter().find(Result::is_err).unwrap()).contains("not validated"));
}

#[test]
fn an_address_that_sent_nothing_authentic_gets_nothing() {
    let (mut watch, ticket) = watch();
    let mut forged = Sender::new(&ticket.uplink).rtp(99, 0);
    forged[15] ^= 1;
    let stranger: SocketAddr = ([10, 6, 6, 6], 6).into();
    watch.on_router_receives(stranger, &forged);
    let datagram = Sender::new(&ticket.downlink).rtp(1, 0);
    assert!(what(watch.on_router_sends(Time::ZERO, stranger, &datagram)).contains("not validated"));
}

#[test]
fn gaps_are_counted_and_time_must_not_go_back() {
    let (mut watch, ticket) = watch();
    let mut down = Sender::new(&ticket.downlink);
    for (index, timestamp) in [(0, 100), (3, 300), (2, 200)] {
        watch.on_router_sends(Time::ZERO, client(), &down.rtp(index, timestamp)).unwrap();
    }
    assert_eq!(watch.forwarding_gaps(), 1);
    assert!(what(watch.on_router_sends(Time::ZERO, client(), &down.rtp(4, 299))).contains("goes back"));
}

#[test]
fn tracks_of_one_s_own_are_seen() {
    let (mut watch, ticket) = watch();
    let mut down = Sender::new(&ticket.downlink);
    let own = down.rtp_of(ParticipantId::new(1).unwrap(), 1, 0);
    assert!(what(watch.on_router_sends(Time::ZERO, client(), &own)).contains("its own"));
}

#[test]
fn strange_datagrams_of_the_router_are_seen() {
    let (mut watch, _) = watch();
    assert!(what(watch.on_router_sends(Time::ZERO, client(), &[0; 40])).contains("class"));
    assert!(what(watch.on_router_sends(Time::ZERO, client(), &[0x80; 1_201])).contains("1201 bytes"));
    let mut foreign = vec![0x80; 40];
    foreign[1] = 96;
    assert!(what(watch.on_router_sends(Time::ZERO, client(), &foreign)).contains("nobody's"));
}
