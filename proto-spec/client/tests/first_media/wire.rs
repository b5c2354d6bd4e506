//! The file on the wire: keys, sealed bytes, clear bytes and words belong together.

use sluice_wire::classify::{Class as WireClass, classify};
use sluice_wire::rtp::RtpPacket;
use sluice_wire::srtp::{Cryptex, InboundSrtp, OutboundSrtp};
use sluice_wire::ticket::{Direction as TicketDirection, Suite, Ticket};

use crate::derive::session_keys;
use crate::says::Says;
use crate::vector::{Class, Datagram, Direction, Example};

fn side(ticket: &Ticket, direction: Direction) -> &TicketDirection {
    match direction {
        Direction::Uplink => &ticket.uplink,
        Direction::Downlink => &ticket.downlink,
    }
}

/// Every session and direction of the file with its datagrams.
fn each_direction(example: &Example, mut check: impl FnMut(Suite, &TicketDirection, &[&Datagram])) {
    for one in &example.participants {
        for direction in [Direction::Uplink, Direction::Downlink] {
            let datagrams = example.sent(direction, Some(one.participant));
            assert!(datagrams.iter().any(|datagram| datagram.class == Class::Srtcp));
            check(one.ticket().suite, side(one.ticket(), direction), &datagrams);
        }
    }
}

#[test]
fn what_is_sealed_opens_to_the_plaintext() {
    each_direction(&Example::load(), |suite, side, datagrams| {
        let mut inbound = InboundSrtp::new(suite, &side.master, side.ssrcs, Cryptex::Required).unwrap();
        for datagram in datagrams {
            let mut plain = vec![0; datagram.sealed.0.len()];
            let (len, index) = match (datagram.class, classify(&datagram.sealed.0)) {
                (Class::Srtp, WireClass::Rtp { .. }) => {
                    let opened = inbound.open_rtp(&datagram.sealed.0, &mut plain).unwrap();
                    (opened.len, opened.index)
                }
                (Class::Srtcp, WireClass::Rtcp { .. }) => {
                    let opened = inbound.open_rtcp(&datagram.sealed.0, &mut plain).unwrap();
                    (opened.len, opened.index.into())
                }
                other => panic!("datagram {} is {other:?}", datagram.number),
            };
            assert_eq!((&plain[..len], index), (datagram.plaintext.0.as_slice(), datagram.index));
        }
    });
}

#[test]
fn the_plaintext_seals_to_what_was_sent() {
    each_direction(&Example::load(), |suite, side, datagrams| {
        let mut outbound = OutboundSrtp::new(suite, &side.master, side.ssrcs, Cryptex::Required).unwrap();
        for datagram in datagrams {
            let plain = &datagram.plaintext.0;
            let mut sealed = vec![0; plain.len() + 64];
            let len = match datagram.class {
                Class::Srtp => {
                    let (header, payload) = plain.split_at(RtpPacket::parse(plain).unwrap().header_len());
                    outbound.seal_rtp(datagram.index, header, payload, &mut sealed).unwrap()
                }
                Class::Srtcp => outbound.seal_rtcp(plain, &mut sealed).unwrap(),
            };
            assert_eq!(sealed[..len], datagram.sealed.0, "datagram {}", datagram.number);
        }
    });
}

#[test]
fn every_message_says_what_the_file_says() {
    for datagram in Example::load().datagrams {
        let says = match datagram.class {
            Class::Srtp => Says::of_rtp(&datagram.plaintext.0),
            Class::Srtcp => Says::of_rtcp(&datagram.plaintext.0),
        };
        assert_eq!(says, datagram.says, "datagram {}", datagram.number);
    }
}

#[test]
fn the_session_keys_follow_from_the_master_keys() {
    for one in Example::load().participants {
        assert_eq!(Some(session_keys(one.ticket())), one.session_keys);
    }
}

#[test]
fn sizes_are_within_the_limits() {
    for datagram in Example::load().datagrams {
        let limit = match datagram.direction {
            Direction::Uplink => 1_136,
            Direction::Downlink => 1_200,
        };
        assert!(datagram.sealed.0.len() <= limit, "datagram {}", datagram.number);
    }
}
