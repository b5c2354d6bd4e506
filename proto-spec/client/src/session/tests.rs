//! A session against a router's end of its ticket that says and sends what the test wants.

use sluice_wire::control::{
    AckStatus, Demand, DemandStatus, Message, OutMessage, PageHeader, ShownSlot, SlotStatus, Speaker,
    StateKind, Want, write_message,
};
use sluice_wire::ext::{AudioLevel, FrameMarking, MediaExtensions};
use sluice_wire::payload_type::PayloadType;
use sluice_wire::rtcp::{CompoundWriter, Packet, packets};
use sluice_wire::rtp::{RtpHeader, RtpPacket};
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::ticket::{Direction, MasterKey, Secret, Suite};
use sluice_wire::track::{TrackId, TrackKind, TrackNumber};

mod repair;

use super::*;
use crate::media::Codec;
use crate::media::packetize::FrameLayer;

const KEY: &[u8] = &[0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xB4, 0x00, 0];
const INTER: &[u8] = &[0x11, 0, 0, 0];
const OPUS: &[u8] = &[0x7B, 1, 2, 3, 4, 5, 6, 7];
const CAMERA: TrackNumber = TrackNumber::CAMERA;

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_secs(1_000) + Duration::from_millis(millis)
}

fn direction(fill: u8, base: u32, count: u32) -> Direction {
    let (key, salt) = (Secret::new(vec![fill; 16]), Secret::new(vec![fill + 1; 12]));
    Direction { master: MasterKey { key, salt }, ssrcs: SsrcBlock::new(base, count).unwrap() }
}

/// What the router's end heard.
#[derive(Debug, Default)]
struct Heard {
    /// Audio level and payload of RTP packets.
    rtp: Vec<(Option<AudioLevel>, Vec<u8>)>,
    acks: Vec<(StateKind, u8, u32, AckStatus)>,
    /// SSRC and numbers of NACKs.
    nacks: Vec<(u32, Vec<u16>)>,
    /// RTX packets in clear.
    rtx: Vec<Vec<u8>>,
    padding: usize,
    /// Media packets in clear.
    media: Vec<Vec<u8>>,
    limits: Vec<u64>,
    key_frame_requests: usize,
}

struct Stage {
    session: ClientSession,
    down: SsrcBlock,
    outbound: OutboundSrtp,
    inbound: InboundSrtp,
}

impl Stage {
    fn new() -> Self {
        let ticket = Ticket {
            protocol_version: PROTOCOL_VERSION,
            session: "0123456789abcdef".to_owned(),
            addresses: vec!["192.0.2.1:5004".parse().unwrap()],
            suite: Suite::default(),
            uplink: direction(1, 1 << 24, 64),
            downlink: direction(3, (1 << 24) + 256, 256),
            alternate: None,
        };
        let (up, down) = (&ticket.uplink, &ticket.downlink);
        let session = ClientSession::new(&ticket, ticket.addresses[0], at(0), [7; 32]).unwrap();
        let mut stage = Self {
            session,
            down: down.ssrcs,
            outbound: OutboundSrtp::new(ticket.suite, &down.master, down.ssrcs, Cryptex::Required).unwrap(),
            inbound: InboundSrtp::new(ticket.suite, &up.master, up.ssrcs, Cryptex::Required).unwrap(),
        };
        stage.session.handle_timeout(at(0));
        stage.hear();
        stage
    }

    /// What has left the session since the last call.
    fn hear(&mut self) -> Heard {
        let mut heard = Heard::default();
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        while let Some(transmit) = self.session.poll_transmit() {
            if matches!(classify(transmit.payload), Class::Rtp { .. }) {
                let opened = self.inbound.open_rtp(transmit.payload, &mut plain).unwrap();
                let rtp = RtpPacket::parse(&plain[..opened.len]).unwrap();
                if rtp.payload_type() == PayloadType::Padding as u8 {
                    heard.padding += 1;
                    continue;
                }
                if opened.role == StreamRole::Rtx {
                    heard.rtx.push(plain[..opened.len].to_vec());
                    continue;
                }
                heard.media.push(plain[..opened.len].to_vec());
                heard.rtp.push((MediaExtensions::read(&rtp).audio_level, rtp.payload().to_vec()));
                continue;
            }
            let opened = self.inbound.open_rtcp(transmit.payload, &mut plain).unwrap();
            for packet in packets(&plain[..opened.len]) {
                match packet.unwrap() {
                    Packet::Remb(remb) => heard.limits.push(remb.bitrate_bps),
                    Packet::Nack(nack) => heard.nacks.push((nack.media_ssrc, nack.lost().collect())),
                    Packet::Pli(_) => heard.key_frame_requests += 1,
                    Packet::App(app) => {
                        if let Ok(Message::Ack(acks)) = Message::parse(&app) {
                            let entries = acks.entries();
                            heard
                                .acks
                                .extend(entries.map(|ack| (ack.kind, ack.page, ack.version, ack.status)));
                        }
                    }
                    _ => {}
                }
            }
        }
        heard
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// The router misses packets of the first stream.
    fn miss(&mut self, now: Time, lost: &[u16]) {
        let control = self.down.control();
        let (mut plain, mut sealed) = ([0; 1_100], [0; MAX_DATAGRAM_BYTES]);
        let mut compound = CompoundWriter::new(&mut plain);
        compound.receiver_report(control, &[]).unwrap();
        compound.nack(control, (1 << 24) + 4, lost).unwrap();
        let len = compound.finish();
        let len = self.outbound.seal_rtcp(&plain[..len], &mut sealed).unwrap();
        self.session.handle_datagram(now, "192.0.2.1:5004".parse().unwrap(), &sealed[..len]);
    }

    /// The router says something.
    fn say(&mut self, now: Time, message: &OutMessage<'_>) {
        let control = self.down.control();
        let (mut plain, mut sealed) = ([0; 1_100], [0; MAX_DATAGRAM_BYTES]);
        let mut compound = CompoundWriter::new(&mut plain);
        compound.receiver_report(control, &[]).unwrap();
        write_message(&mut compound, control, message).unwrap();
        let len = compound.finish();
        let len = self.outbound.seal_rtcp(&plain[..len], &mut sealed).unwrap();
        self.session.handle_datagram(now, "192.0.2.1:5004".parse().unwrap(), &sealed[..len]);
    }

    fn demand(&mut self, now: Time, version: u32, encoding: u8, temporal_layers: u8) -> Demand {
        let demand = Demand {
            track: CAMERA,
            encoding,
            status: DemandStatus::Granted,
            temporal_layers,
            spatial_layers: temporal_layers.min(1),
        };
        self.say(now, &OutMessage::Demand(PageHeader { version, page: 0, pages: 1 }, &[demand]));
        demand
    }

    /// The router sends a VP8 frame of one packet on slot 4.
    fn frame(&mut self, now: Time, index: u64, track: TrackId, tl0_pic_idx: u8, key: bool) {
        let payload = [&[0x10][..], if key { KEY } else { INTER }].concat();
        let marking =
            FrameMarking { start: true, end: true, independent: key, tl0_pic_idx, ..Default::default() };
        let header = RtpHeader {
            marker: true,
            payload_type: PayloadType::Vp8 as u8,
            sequence_number: index as u16,
            timestamp: index as u32 * 3_000,
            ssrc: self.down.ssrc(StreamIndex(5), StreamRole::Media).unwrap(),
            csrcs: &[track.to_bits()],
            extensions: &MediaExtensions { frame_marking: Some(marking), ..Default::default() },
        };
        let (mut head, mut sealed) = ([0; 64], [0; MAX_DATAGRAM_BYTES]);
        let len = header.write(&mut head).unwrap();
        let len = self.outbound.seal_rtp(index, &head[..len], &payload, &mut sealed).unwrap();
        self.session.handle_datagram(now, "192.0.2.1:5004".parse().unwrap(), &sealed[..len]);
    }

    fn publish(&mut self, number: TrackNumber, kind: TrackKind, codec: Codec, encodings: usize) {
        let picture = |pixels: u16| if kind.is_audio() { 0 } else { pixels };
        let encoding = |position: usize| EncodingConfig {
            width: picture(320 << position),
            height: picture(180 << position),
            fps: picture(30) as u8,
            temporal_layers: 1,
            max_bitrate_bps: 1_000_000,
        };
        let encodings = (0..encodings).map(encoding).collect();
        self.session.publish(&TrackConfig { number, kind, codec, encodings }).unwrap();
    }

    fn send(&mut self, now: Time, track: TrackNumber, encoding: u8, key: bool) -> Result<usize, SendError> {
        let data = match track {
            TrackNumber::MICROPHONE => OPUS,
            _ if key => KEY,
            _ => INTER,
        };
        let (layer, audio_level) = (FrameLayer::default(), Some(33));
        let frame = OutgoingFrame { data, key, layer, audio_level, captured_at: now };
        self.session.send_frame(now, track, encoding, &frame)
    }
}

fn track(participant: u32) -> TrackId {
    TrackId::from_bits((participant << 8) | 1).unwrap()
}

fn want(subject: Want) -> WantedSlot {
    WantedSlot { slot: 4, want: subject, paused: false, max_height: 0, max_fps: 0, priority: 1 }
}

#[test]
fn what_nobody_wants_stops_at_once_and_restarts_with_a_key_frame() {
    let mut stage = Stage::new();
    stage.publish(CAMERA, TrackKind::Camera, Codec::Vp8, 2);
    assert!(stage.send(at(0), CAMERA, 0, true).is_ok() && stage.send(at(0), CAMERA, 1, true).is_ok());
    let demand = stage.demand(at(10), 1, 1, 0);
    assert!(stage.events().contains(&Event::Demand(demand)));
    assert_eq!(stage.send(at(33), CAMERA, 0, false), Ok(1), "no word of encoding 0");
    assert_eq!(stage.send(at(33), CAMERA, 1, false), Err(SendError::NotWanted));
    stage.hear();
    let demand = stage.demand(at(40), 2, 1, 3);
    let asked = Event::KeyFrameRequested { track: CAMERA, encoding: 1 };
    assert_eq!(stage.events(), [Event::Demand(demand), asked]);
    assert_eq!(stage.send(at(66), CAMERA, 1, false), Err(SendError::NotWanted));
    assert_eq!(stage.send(at(100), CAMERA, 1, true), Ok(1));
    assert_eq!(stage.send(at(133), CAMERA, 1, false), Ok(1));
    let stats = stage.session.stats();
    assert_eq!((stats.frames_sent, stats.frames_withheld, stats.bytes_withheld), (5, 2, 8));
    // An old version changes nothing and is acknowledged with the new one; so is the same again.
    let heard = stage.hear();
    assert_eq!(heard.acks, [(StateKind::Demand, 0, 2, AckStatus::Applied)]);
    stage.demand(at(150), 1, 1, 0);
    assert_eq!(stage.hear().acks, [(StateKind::Demand, 0, 2, AckStatus::Applied)]);
    assert_eq!((stage.events(), stage.send(at(166), CAMERA, 1, false)), (vec![], Ok(1)));
}

#[test]
fn demand_for_what_is_not_published_is_acknowledged_and_forgotten() {
    let mut stage = Stage::new();
    stage.publish(CAMERA, TrackKind::Camera, Codec::Vp8, 1);
    stage.events();
    stage.demand(at(10), 1, 1, 0);
    assert_eq!(stage.events(), [Event::Connected]);
    assert_eq!(stage.hear().acks, [(StateKind::Demand, 0, 1, AckStatus::Applied)]);
    stage.demand(at(20), 2, 0, 0);
    stage.session.unpublish(CAMERA);
    stage.publish(CAMERA, TrackKind::Camera, Codec::Vp8, 1);
    assert_eq!(
        stage.send(at(33), CAMERA, 0, false),
        Ok(1),
        "a new track is wanted until the router says otherwise"
    );
}

#[test]
fn a_microphone_goes_on_whether_it_is_heard_or_not_and_the_sound_of_a_screen_does_not() {
    let mut stage = Stage::new();
    stage.publish(TrackNumber::MICROPHONE, TrackKind::Microphone, Codec::Opus, 1);
    stage.publish(TrackNumber::SCREEN_AUDIO, TrackKind::ScreenAudio, Codec::Opus, 1);
    let unwanted = |track| Demand {
        track,
        encoding: 0,
        status: DemandStatus::Granted,
        temporal_layers: 0,
        spatial_layers: 0,
    };
    let demand = [unwanted(TrackNumber::MICROPHONE), unwanted(TrackNumber::SCREEN_AUDIO)];
    stage.say(at(10), &OutMessage::Demand(PageHeader { version: 1, page: 0, pages: 1 }, &demand));
    assert_eq!(stage.send(at(20), TrackNumber::MICROPHONE, 0, true), Ok(1));
    assert_eq!(stage.send(at(20), TrackNumber::SCREEN_AUDIO, 0, true), Err(SendError::NotWanted));
}

#[test]
fn who_speaks_is_told() {
    let mut stage = Stage::new();
    let speaker = |participant: u32, dominant| Speaker {
        track: TrackId::from_bits(participant << 8).unwrap(),
        level: 30,
        talking: true,
        dominant,
        talking_while_muted: false,
    };
    let speakers = [speaker(2, true), speaker(1, false)];
    stage.say(at(10), &OutMessage::Speakers(PageHeader { version: 3, page: 0, pages: 1 }, &speakers));
    assert!(stage.events().contains(&Event::Speakers(speakers.to_vec())));
    assert_eq!(stage.hear().acks, [(StateKind::Speakers, 0, 3, AckStatus::Applied)]);
}

#[test]
fn a_page_of_a_state_that_clients_say_is_not_acknowledged() {
    let mut stage = Stage::new();
    stage.say(at(10), &OutMessage::Wanted(PageHeader { version: 1, page: 0, pages: 1 }, &[]));
    assert_eq!((stage.hear().acks, stage.session.stats().malformed), (vec![], 1));
}

#[test]
fn the_receive_limit_is_said_at_once_and_every_second() {
    let mut stage = Stage::new();
    let mut limits = Vec::new();
    for millis in (0..5_000).step_by(50) {
        match millis {
            1_020..1_070 => stage.session.set_receive_limit(1_000_000),
            3_500 => stage.session.set_receive_limit(u64::MAX),
            _ => {}
        }
        stage.session.handle_timeout(at(millis));
        limits.extend(stage.hear().limits.iter().map(|limit| (millis, *limit)));
    }
    let none = limits.pop().unwrap();
    assert_eq!(limits[..4], [(1_050, 1_000_000), (2_050, 1_000_000), (3_050, 1_000_000), (3_500, none.1)]);
    assert!(none.0 == 4_500 && none.1 > u64::MAX / 2);
}

#[test]
fn a_muted_microphone_says_how_loud_it_is_and_nothing_else() {
    let mut stage = Stage::new();
    stage.publish(TrackNumber::MICROPHONE, TrackKind::Microphone, Codec::Opus, 1);
    assert_eq!(stage.send(at(0), TrackNumber::MICROPHONE, 0, true), Ok(1));
    let loud = Some(AudioLevel { voice: true, level: 33 });
    assert_eq!(stage.hear().rtp, [(loud, OPUS.to_vec())]);
    stage.session.set_muted(TrackNumber::MICROPHONE, true);
    for frame in 1..=50 {
        assert_eq!(stage.send(at(frame * 20), TrackNumber::MICROPHONE, 0, true), Err(SendError::Muted));
    }
    // The first byte says that it is one frame, which then has no bytes.
    assert_eq!(stage.hear().rtp, vec![(loud, vec![0x78]); 10]);
    let stats = stage.session.stats();
    assert_eq!((stats.frames_sent, stats.levels_sent), (1, 10));
    stage.publish(CAMERA, TrackKind::Camera, Codec::Vp8, 1);
    stage.session.set_muted(CAMERA, true);
    assert_eq!(stage.send(at(1_100), CAMERA, 0, true), Err(SendError::Muted));
    assert_eq!(stage.hear().rtp, []);
}

/// Track, whether it can be decoded, of frames; the track of a change of source.
fn told(events: Vec<Event>) -> Vec<(u32, Option<bool>)> {
    let line = |event| match event {
        Event::Frame(frame) => Some((frame.track.participant().get(), Some(frame.is_decodable))),
        Event::SourceChanged { slot: 4, track } => Some((track.participant().get(), None)),
        _ => None,
    };
    events.into_iter().filter_map(line).collect()
}

#[test]
fn a_slot_turns_to_another_track_by_its_packets_whatever_their_order() {
    let mut stage = Stage::new();
    stage.session.want(&[want(Want::Speaker(0))]);
    stage.frame(at(0), 100, track(1), 0, true);
    stage.frame(at(33), 101, track(1), 1, false);
    // The last frame of the first track is overtaken by the key frame of the second.
    stage.frame(at(66), 103, track(2), 0, true);
    stage.frame(at(67), 102, track(1), 2, false);
    stage.frame(at(99), 104, track(2), 1, false);
    let seen = told(stage.events());
    let (yes, change) = (Some(true), None);
    assert_eq!(seen, [(1, change), (1, yes), (1, yes), (2, change), (2, yes), (1, yes), (2, yes)]);
    // Back, with the first frame lost: nothing can be decoded, and that is asked for.
    stage.frame(at(132), 106, track(1), 9, false);
    stage.session.handle_timeout(at(300));
    assert_eq!(told(stage.events()), [(1, change), (1, Some(false))]);
    assert_eq!(stage.hear().key_frame_requests, 1);
    let [stats] = stage.session.slot_stats()[..] else { panic!("one slot") };
    assert_eq!((stats.slot, stats.packets, stats.packets_missing), (4, 6, 1));
    assert_eq!((stats.frames, stats.frames_undecodable), (6, 1));
    assert_eq!(stage.session.stats().frames_undecodable, 1);
}

#[test]
fn a_lost_base_layer_frame_is_noticed_and_the_next_key_frame_heals_it() {
    let mut stage = Stage::new();
    stage.frame(at(0), 100, track(1), 0, true);
    stage.frame(at(33), 102, track(1), 2, false);
    stage.session.handle_timeout(at(700));
    stage.frame(at(733), 103, track(1), 3, false);
    stage.frame(at(766), 104, track(1), 4, true);
    let seen: Vec<_> =
        told(stage.events()).into_iter().filter_map(|(_, is_decodable)| is_decodable).collect();
    assert_eq!(seen, [true, false, false, true]);
}

#[test]
fn first_frames_and_freezes_are_measured_per_slot() {
    let mut stage = Stage::new();
    stage.session.want(&[want(Want::Track(track(1)))]);
    stage.session.handle_timeout(at(50));
    stage.session.handle_timeout(at(170));
    let stats = |stage: &Stage| stage.session.slot_stats()[0];
    assert_eq!(stats(&stage).first_frame, None);
    // One of another track, still on its way, is not what was asked for.
    stage.frame(at(180), 100, track(2), 0, true);
    assert_eq!(stats(&stage).first_frame, None);
    stage.frame(at(200), 101, track(1), 0, true);
    assert_eq!(stats(&stage).first_frame, Some(Duration::from_millis(150)));
    let shown = |stage: &mut Stage, version, status| {
        let slot = ShownSlot {
            slot: 4,
            status,
            payload_type: 97,
            track: Some(track(1)),
            width: 0,
            height: 0,
            fps: 0,
            encoding: 0,
            temporal_layers: 1,
        };
        stage.say(at(500), &OutMessage::Shown(PageHeader { version, page: 0, pages: 1 }, &[slot]));
    };
    for frame in 1..=30 {
        stage.frame(at(200 + frame * 10), 101 + frame, track(1), frame as u8, false);
    }
    // Muted: a gap that is meant.
    shown(&mut stage, 1, SlotStatus::Muted);
    shown(&mut stage, 2, SlotStatus::Flowing);
    stage.frame(at(1_500), 132, track(1), 31, false);
    assert_eq!(stats(&stage).freezes.count, 0);
    stage.frame(at(1_700), 133, track(1), 32, false);
    let freezes = stats(&stage).freezes;
    assert_eq!((freezes.count, freezes.frozen), (1, Duration::from_millis(200)));
    // The same wish again measures nothing anew; another one does, and a paused slot has none.
    stage.session.want(&[WantedSlot { max_height: 180, ..want(Want::Track(track(1))) }]);
    assert!(stats(&stage).first_frame.is_some());
    stage.session.want(&[WantedSlot { paused: true, ..want(Want::Track(track(1))) }]);
    stage.session.handle_timeout(at(1_800));
    stage.frame(at(1_850), 134, track(1), 33, false);
    assert_eq!(stats(&stage).first_frame, None);
    stage.session.want(&[want(Want::Track(track(1)))]);
    stage.session.handle_timeout(at(1_900));
    stage.frame(at(1_910), 135, track(1), 34, false);
    assert_eq!(stats(&stage).first_frame, Some(Duration::from_millis(10)));
}
