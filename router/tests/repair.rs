//! Lost packets come again, in time and at a bounded price.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod lab;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use lab::{Lab, Network, person, router};
use sluice_router::core::{Counters, ResendRefusal};
use sluice_wire::classify::{Class, classify};
use sluice_wire::control::{Message, OutMessage, PageHeader, Want, write_message};
use sluice_wire::repair::{RESEND_BURST_BYTES, RESEND_SHARE_DIVISOR, rtx};
use sluice_wire::rtcp::{CompoundWriter, Packet, packets};
use sluice_wire::rtp::RtpPacket;
use sluice_wire::srtp::{Cryptex, InboundSrtp, OutboundSrtp};
use sluice_wire::ssrc::StreamRole;
use sluice_wire::ticket::Ticket;
use sluice_wire::track::TrackNumber;

/// One way; both ways are on the way of a packet from a publisher to a receiver.
const DELAY: Duration = Duration::from_millis(25);
const SECONDS: usize = 30;
/// Receivers of each of three publishers.
const PAIRS: usize = 6;

/// What became of a meeting of three behind a lossy network.
struct Outcome {
    /// How late each picture and each sound was, after the network's delay.
    pictures: Vec<Duration>,
    sounds: Vec<Duration>,
    /// What the shard counted meanwhile.
    before: Counters,
    after: Counters,
    key_frame_requests: u64,
}

impl Outcome {
    /// The share of all pictures that could be decoded within a time.
    fn pictures_within(&self, millis: u64) -> f64 {
        share(&self.pictures, millis, PAIRS * SECONDS * 25)
    }

    fn sounds_within(&self, millis: u64) -> f64 {
        share(&self.sounds, millis, PAIRS * SECONDS * 50)
    }

    fn counted(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        of(&self.after) - of(&self.before)
    }

    /// Bytes sent again to receivers, of all bytes.
    fn overhead(&self) -> f64 {
        self.counted(|counters| counters.rtx_bytes_out) as f64
            / self.counted(|counters| counters.bytes_out) as f64
    }
}

fn share(lateness: &[Duration], millis: u64, due: usize) -> f64 {
    lateness.iter().filter(|late| **late <= Duration::from_millis(millis)).count() as f64 / due as f64
}

/// Three people meet behind a network that loses so many percent to the router and from it.
fn lossy_meeting(loss_percent: (u64, u64), seed: u64) -> Outcome {
    let mut lab = Lab::meeting_behind(Some(Network::new(DELAY.as_millis() as u64, seed)), 3);
    lab.picture_bytes = 4_000;
    lab.run(1_000);
    let requests = |lab: &Lab| -> u64 {
        lab.clients.iter().map(|client| client.session.stats().key_frame_requests_sent).sum()
    };
    let (begin, before, requests_before) = (lab.now, *lab.shard.counters(), requests(&lab));
    lab.network.as_mut().unwrap().loss_percent = loss_percent;
    lab.run(1_000 * SECONDS as u64);
    let end = lab.now;
    lab.network.as_mut().unwrap().loss_percent = (0, 0);
    lab.run(1_000);
    let mut outcome = Outcome {
        pictures: Vec::new(),
        sounds: Vec::new(),
        before,
        after: *lab.shard.counters(),
        key_frame_requests: requests(&lab) - requests_before,
    };
    for client in &lab.clients {
        for (frame, given_at) in client.frames.iter().zip(&client.given_at) {
            let captured = frame.captured_at.unwrap();
            if captured >= begin && captured < end && frame.is_decodable {
                let late = given_at.saturating_since(captured + 2 * DELAY);
                if frame.codec.is_video() { &mut outcome.pictures } else { &mut outcome.sounds }.push(late);
            }
        }
    }
    outcome
}

#[test]
fn nothing_is_asked_for_where_nothing_is_lost() {
    let outcome = lossy_meeting((0, 0), 1);
    assert_eq!((outcome.pictures_within(0), outcome.sounds_within(0)), (1.0, 1.0));
    let asked = |counters: &Counters| counters.nacks_in + counters.nacks_out + counters.rtx_out;
    assert_eq!(outcome.counted(asked), 0);
}

#[test]
fn what_is_lost_to_receivers_comes_in_time() {
    let outcome = lossy_meeting((0, 5), 2);
    let shares = [150, 300].map(|millis| outcome.pictures_within(millis));
    assert!(shares[0] > 0.98 && shares[1] > 0.995, "{shares:?}");
    assert!(outcome.sounds_within(100) > 0.98, "{}", outcome.sounds_within(100));
    assert!((0.04..0.07).contains(&outcome.overhead()), "{}", outcome.overhead());
    assert_eq!(outcome.counted(|counters| counters.nacks_out), 0, "publishers have nothing to do with it");
}

#[test]
fn what_is_lost_to_the_router_is_asked_for_once_for_all_and_forwarded_when_it_comes() {
    let outcome = lossy_meeting((5, 0), 3);
    let shares = [150, 300].map(|millis| outcome.pictures_within(millis));
    assert!(shares[0] > 0.98 && shares[1] > 0.998, "{shares:?}");
    let lost = outcome.counted(|counters| counters.rtp_lost_in) as f64;
    let asked = outcome.counted(|counters| counters.packets_asked_out) as f64;
    assert!(lost > 500.0 && (0.95..1.25).contains(&(asked / lost)), "{asked} asked of {lost}");
    let came = outcome.counted(|counters| counters.rtx_in) as f64;
    assert!(came / lost > 0.98, "{came} of {lost}");
    let again = outcome.counted(|counters| counters.rtx_out);
    assert!((again as f64) < 0.05 * lost, "{again} were sent to receivers twice");
    let unanswered = |counters: &Counters| counters.resends_refused(ResendRefusal::NotHeld);
    assert!(outcome.counted(unanswered) > 500, "receivers asked for what the router lacked itself");
}

#[test]
fn loss_on_both_ways_is_repaired_on_each() {
    let outcome = lossy_meeting((5, 5), 4);
    let shares = [150, 300].map(|millis| outcome.pictures_within(millis));
    assert!(shares[0] > 0.94 && shares[1] > 0.98, "{shares:?}");
    assert!(outcome.overhead() < 0.08, "{}", outcome.overhead());
}

#[test]
fn a_fifth_of_everything_lost_is_no_storm() {
    let outcome = lossy_meeting((20, 20), 5);
    assert!(outcome.overhead() < 0.25, "{}", outcome.overhead());
    // Every slot may ask twice a second.
    assert!(outcome.key_frame_requests < (PAIRS * SECONDS * 2) as u64);
    let asked = outcome.counted(|counters| counters.packets_asked_out);
    let lost = outcome.counted(|counters| counters.rtp_lost_in);
    assert!(asked < 3 * lost, "{asked} asked of {lost}");
}

/// One with good keys who listens to everybody, and asks for everything again.
struct Greedy {
    address: SocketAddr,
    ticket: Ticket,
    outbound: OutboundSrtp,
    inbound: InboundSrtp,
    /// By SSRC, the newest sequence number.
    newest: BTreeMap<u32, u16>,
    media_bytes: usize,
    rtx_bytes: usize,
    /// How often each packet was sent again.
    times: BTreeMap<(u32, u16), usize>,
}

impl Greedy {
    fn join(lab: &mut Lab, number: u32) -> Self {
        lab.join(number);
        let client = lab.client(number);
        client.is_dead = true;
        let (address, ticket) = (client.address, client.ticket.clone());
        let (up, down) = (&ticket.uplink, &ticket.downlink);
        let outbound = OutboundSrtp::new(ticket.suite, &up.master, up.ssrcs, Cryptex::Required).unwrap();
        let inbound = InboundSrtp::new(ticket.suite, &down.master, down.ssrcs, Cryptex::Required).unwrap();
        let (newest, times) = (BTreeMap::new(), BTreeMap::new());
        let mut greedy =
            Self { address, ticket, outbound, inbound, newest, media_bytes: 0, rtx_bytes: 0, times };
        let slots: Vec<_> = [1, 2]
            .iter()
            .flat_map(|n| [TrackNumber::MICROPHONE, TrackNumber::CAMERA].map(|t| person(*n).track(t)))
            .zip(0..)
            .map(|(track, slot)| lab::want(slot, Want::Track(track)))
            .collect();
        let page = PageHeader { version: 1, page: 0, pages: 1 };
        greedy.say(lab, |compound, control| {
            write_message(compound, control, &OutMessage::Wanted(page, &slots)).unwrap();
        });
        lab.tap = Some(Vec::new());
        greedy
    }

    fn say(&mut self, lab: &mut Lab, write: impl FnOnce(&mut CompoundWriter<'_>, u32)) {
        let control = self.ticket.uplink.ssrcs.control();
        let (mut plain, mut sealed) = ([0; 1_100], [0; 1_200]);
        let mut compound = CompoundWriter::new(&mut plain);
        compound.receiver_report(control, &[]).unwrap();
        write(&mut compound, control);
        let len = compound.finish();
        let len = self.outbound.seal_rtcp(&plain[..len], &mut sealed).unwrap();
        lab.inject(self.address, &sealed[..len]);
    }

    /// Looks at what came, answers challenges, and asks for all of the last packets of every slot.
    fn act(&mut self, lab: &mut Lab) {
        for (to, datagram) in lab.tap.replace(Vec::new()).unwrap() {
            if to == self.address {
                self.take(lab, &datagram);
            }
        }
        for (ssrc, newest) in self.newest.clone() {
            let all: Vec<u16> = (0..20).rev().map(|age| newest.wrapping_sub(age)).collect();
            self.say(lab, |compound, control| compound.nack(control, ssrc, &all).unwrap());
        }
    }

    fn take(&mut self, lab: &mut Lab, datagram: &[u8]) {
        let mut plain = [0; 1_200];
        match classify(datagram) {
            Class::Rtp { ssrc } => {
                let opened = self.inbound.open_rtp(datagram, &mut plain).unwrap();
                if opened.role == StreamRole::Media {
                    self.newest.insert(ssrc, opened.index as u16);
                    self.media_bytes += datagram.len();
                } else {
                    let packet = RtpPacket::parse(&plain[..opened.len]).unwrap();
                    let (sequence, _) = rtx::split(packet.payload()).unwrap();
                    *self.times.entry((ssrc, sequence)).or_default() += 1;
                    self.rtx_bytes += datagram.len();
                }
            }
            Class::Rtcp { .. } => {
                let opened = self.inbound.open_rtcp(datagram, &mut plain).unwrap();
                for packet in packets(&plain[..opened.len]).flatten() {
                    if let Packet::App(app) = packet
                        && let Ok(Message::PathChallenge(data)) = Message::parse(&app)
                    {
                        self.say(lab, |compound, control| {
                            write_message(compound, control, &OutMessage::PathResponse(data)).unwrap();
                        });
                    }
                }
            }
            Class::Runt | Class::Other => panic!("the router sends no such thing to {}", router()),
        }
    }
}

#[test]
fn who_asks_for_everything_again_gets_half_as_much_again_and_nobody_else_suffers() {
    let mut lab = Lab::meeting(2);
    lab.picture_bytes = 2_000;
    let mut greedy = Greedy::join(&mut lab, 3);
    for _ in 0..500 {
        lab.run(20);
        greedy.act(&mut lab);
    }
    let amplification = greedy.rtx_bytes as f64 / greedy.media_bytes as f64;
    let bound = greedy.media_bytes / RESEND_SHARE_DIVISOR as usize + RESEND_BURST_BYTES as usize;
    assert!(greedy.media_bytes > 1_000_000 && amplification > 0.4, "{amplification:.2} bytes again per byte");
    assert!(greedy.rtx_bytes < bound + bound / 20, "{amplification:.2} bytes again per byte");
    let most = greedy.times.values().max();
    assert!(most <= Some(&3), "a packet was sent {most:?} times again");
    let counters = lab.shard.counters();
    for refusal in [ResendRefusal::TooOften, ResendRefusal::TooSoon, ResendRefusal::Budget] {
        assert!(counters.resends_refused(refusal) > 0, "{refusal:?}");
    }
    assert_eq!((counters.nacks_out, lab.dropped(sluice_router::core::DropReason::NotContinuous)), (0, 0));
    lab.assert_meeting_goes_on(&[1, 2]);
}
