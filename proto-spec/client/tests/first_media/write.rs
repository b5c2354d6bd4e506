//! Makes the file: the real router and the real clients talk, and a tap with the tickets' keys writes down.

use sluice_wire::classify::{Class as WireClass, classify};
use sluice_wire::srtp::{Cryptex, InboundSrtp};
use sluice_wire::time::Time;

use crate::derive::session_keys;
use crate::prose;
use crate::says::Says;
use crate::stage::{ClientStage, Flying, RouterStage};
use crate::vector::{
    Class, Datagram, Direction, Example, Frame, Hex, PATH, Participant, Router, Track, Want,
};

/// From one end to the other.
const LATENCY_MS: u64 = 10;
/// Until all that the first media brought about is acknowledged.
const END_MS: u64 = 75;
/// 2026-01-01T00:00:00Z.
const START_UNIX_MS: u64 = 1_767_225_600_000;

const SOURCE: &str =
    "made by this project's router and client on virtual time: proto-spec/client/tests/first_media";

#[test]
#[ignore = "writes the vector file and the bytes in the prose anew"]
fn write_the_file() {
    let example = perform(script());
    let mut text = serde_json::to_string_pretty(&example).unwrap();
    text.push('\n');
    std::fs::write(PATH, text).unwrap();
    let prose = std::fs::read_to_string(prose::PATH).unwrap();
    std::fs::write(prose::PATH, prose::refreshed(&example, &prose)).unwrap();
}

#[test]
fn the_file_is_what_its_own_script_gives() {
    let recorded = Example::load();
    assert_eq!(recorded.protocol_version, 1);
    let script = Example {
        participants: recorded
            .participants
            .iter()
            .cloned()
            .map(|one| Participant { ticket: None, session_keys: None, ..one })
            .collect(),
        datagrams: Vec::new(),
        ..recorded.clone()
    };
    assert_eq!(perform(script), recorded);
}

/// Who does what: participant 2 is there first and wants the tracks that participant 1 publishes later.
fn script() -> Example {
    let picture =
        Track { track: 1, payload_type: 97, width: 320, height: 180, fps: 15, max_bitrate: 150_000 };
    let voice = Track { track: 0, payload_type: 96, width: 0, height: 0, fps: 0, max_bitrate: 32_000 };
    Example {
        source: SOURCE.to_owned(),
        protocol_version: 1,
        start_unix_ms: START_UNIX_MS,
        end_ms: END_MS,
        router: Router {
            seed: Hex(vec![0x11; 32]),
            shard: 1,
            address: ([203, 0, 113, 7], 5_004).into(),
            room: "example".to_owned(),
        },
        participants: vec![
            Participant {
                participant: 2,
                seed: Hex(vec![0x22; 32]),
                address: ([198, 51, 100, 2], 40_002).into(),
                opens_at_ms: 0,
                starts_at_ms: 0,
                ticket: None,
                session_keys: None,
                publishes: Vec::new(),
                wants: vec![want(0, 0x0000_0100, 0, 255), want(1, 0x0000_0101, 360, 128)],
                frames: Vec::new(),
            },
            Participant {
                participant: 1,
                seed: Hex(vec![0x33; 32]),
                address: ([198, 51, 100, 1], 40_001).into(),
                opens_at_ms: 20,
                starts_at_ms: 40,
                ticket: None,
                session_keys: None,
                publishes: vec![voice, picture],
                wants: vec![want(0, 0x0000_0200, 0, 255)],
                frames: vec![
                    Frame { track: 0, key: false, audio_level: Some(42), data: Hex(opus_packet()) },
                    Frame { track: 1, key: true, audio_level: None, data: Hex(vp8_key_frame()) },
                ],
            },
        ],
        datagrams: Vec::new(),
    }
}

fn want(slot: u16, track_id: u32, max_height: u16, priority: u8) -> Want {
    Want { slot, track_id: track_id.into(), max_height, max_fps: 0, priority }
}

/// A table of contents for 20 ms of full-band CELT, and bytes that nobody decodes.
fn opus_packet() -> Vec<u8> {
    let mut packet = vec![0xF8];
    packet.extend((0..23).map(|i: u8| i.wrapping_mul(11)));
    packet
}

/// The header of a key frame of 320 by 180 (RFC 6386 section 9.1), and bytes that nobody decodes: enough for two packets.
fn vp8_key_frame() -> Vec<u8> {
    let mut frame = vec![0x10, 0x44, 0x00, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xB4, 0x00];
    frame.extend((0..1_090_u32).map(|i| (i * 7) as u8));
    frame
}

/// Everything of one session that writes down what it sees.
struct Tap {
    uplink: InboundSrtp,
    downlink: InboundSrtp,
}

struct Performance {
    example: Example,
    router: RouterStage,
    clients: Vec<Option<ClientStage>>,
    taps: Vec<Option<Tap>>,
}

/// Runs the script of an example that has no tickets and no datagrams yet.
fn perform(script: Example) -> Example {
    let count = script.participants.len();
    let mut performance = Performance {
        router: RouterStage::new(&script.router),
        clients: (0..count).map(|_| None).collect(),
        taps: (0..count).map(|_| None).collect(),
        example: script,
    };
    for ms in 0..=performance.example.end_ms {
        performance.open_and_start(ms);
        performance.step_router(ms);
        for client in 0..count {
            performance.step_client(ms, client);
        }
    }
    performance.example
}

impl Performance {
    fn open_and_start(&mut self, ms: u64) {
        let now = self.example.time(ms);
        for (number, who) in self.example.participants.iter_mut().enumerate() {
            if who.opens_at_ms == ms {
                let ticket = self.router.open(now, who.participant);
                let (up, down) = (&ticket.uplink, &ticket.downlink);
                let tap = |side: &sluice_wire::ticket::Direction| {
                    InboundSrtp::new(ticket.suite, &side.master, side.ssrcs, Cryptex::Required)
                        .expect("the ticket's keys fit")
                };
                self.taps[number] = Some(Tap { uplink: tap(up), downlink: tap(down) });
                who.session_keys = Some(session_keys(&ticket));
                who.ticket = Some(ticket);
            }
            if who.starts_at_ms == ms {
                self.clients[number] = Some(ClientStage::start(now, who, who.ticket()));
            }
        }
    }

    fn arriving(&self, ms: u64, direction: Direction) -> impl Iterator<Item = &Datagram> {
        let arrives = move |one: &&Datagram| one.received_at_ms == ms && one.direction == direction;
        self.example.datagrams.iter().filter(arrives)
    }

    fn step_router(&mut self, ms: u64) {
        let address = |one: &Datagram| self.example.participant(one.participant).address;
        let arrived: Vec<Flying> =
            self.arriving(ms, Direction::Uplink).map(|one| (address(one), one.sealed.0.clone())).collect();
        for (remote, datagram) in self.router.step(self.example.time(ms), &arrived) {
            let receiver = self.example.participants.iter().position(|one| one.address == remote);
            self.write_down(ms, receiver.expect("a participant's address"), Direction::Downlink, datagram);
        }
    }

    fn step_client(&mut self, ms: u64, number: usize) {
        let participant = self.example.participants[number].participant;
        let arrived: Vec<Vec<u8>> = self
            .arriving(ms, Direction::Downlink)
            .filter(|one| one.participant == participant)
            .map(|one| one.sealed.0.clone())
            .collect();
        let now: Time = self.example.time(ms);
        let Some(client) = &mut self.clients[number] else { return };
        for datagram in client.step(now, &arrived) {
            self.write_down(ms, number, Direction::Uplink, datagram);
        }
    }

    fn write_down(&mut self, ms: u64, session: usize, direction: Direction, sealed: Vec<u8>) {
        let tap = self.taps[session].as_mut().expect("an open session");
        let tap = match direction {
            Direction::Uplink => &mut tap.uplink,
            Direction::Downlink => &mut tap.downlink,
        };
        let mut plain = vec![0; sealed.len()];
        let (class, index, len) = match classify(&sealed) {
            WireClass::Rtp { .. } => {
                let opened = tap.open_rtp(&sealed, &mut plain).expect("it opens");
                (Class::Srtp, opened.index, opened.len)
            }
            WireClass::Rtcp { .. } => {
                let opened = tap.open_rtcp(&sealed, &mut plain).expect("it opens");
                (Class::Srtcp, opened.index.into(), opened.len)
            }
            other => panic!("neither RTP nor RTCP: {other:?}"),
        };
        plain.truncate(len);
        self.example.datagrams.push(Datagram {
            number: self.example.datagrams.len() + 1,
            participant: self.example.participants[session].participant,
            direction,
            sent_at_ms: ms,
            received_at_ms: ms + LATENCY_MS,
            class,
            index,
            says: if class == Class::Srtp { Says::of_rtp(&plain) } else { Says::of_rtcp(&plain) },
            plaintext: Hex(plain),
            sealed: Hex(sealed),
        });
    }
}
