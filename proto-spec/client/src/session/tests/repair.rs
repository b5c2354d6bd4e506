//! What is lost comes again, both ways.

use sluice_wire::repair::rtx;

use super::*;

impl Stage {
    /// The router sends a frame of slot 4 again, as its RTX packet number `rtx_index`.
    fn frame_again(&mut self, now: Time, rtx_index: u64, index: u64, tl0_pic_idx: u8) {
        let marking = FrameMarking { start: true, end: true, tl0_pic_idx, ..Default::default() };
        let header = RtpHeader {
            marker: true,
            payload_type: PayloadType::Rtx as u8,
            sequence_number: rtx_index as u16,
            timestamp: index as u32 * 3_000,
            ssrc: self.down.ssrc(StreamIndex(5), StreamRole::Rtx).unwrap(),
            csrcs: &[track(1).to_bits()],
            extensions: &MediaExtensions { frame_marking: Some(marking), ..Default::default() },
        };
        let (mut head, mut payload, mut sealed) = ([0; 64], [0; 64], [0; MAX_DATAGRAM_BYTES]);
        let head_len = header.write(&mut head).unwrap();
        let len = rtx::write(index as u16, &[&[0x10][..], INTER].concat(), &mut payload).unwrap();
        let len = self.outbound.seal_rtp(rtx_index, &head[..head_len], &payload[..len], &mut sealed).unwrap();
        self.session.handle_datagram(now, "192.0.2.1:5004".parse().unwrap(), &sealed[..len]);
    }

    /// Lets time pass, as the session asks for it. Gives the NACKs, each with its time.
    fn pass(&mut self, until: Time) -> Vec<(u64, Vec<u16>)> {
        let mut nacks = Vec::new();
        while let Some(now) = self.session.poll_timeout().filter(|now| *now <= until) {
            self.session.handle_timeout(now);
            let millis = now.saturating_since(at(0)).as_millis() as u64;
            nacks.extend(self.hear().nacks.into_iter().map(|(_, lost)| (millis, lost)));
        }
        nacks
    }
}

fn decodable(events: Vec<Event>) -> Vec<bool> {
    told(events).into_iter().filter_map(|(_, is_decodable)| is_decodable).collect()
}

#[test]
fn what_is_missing_on_a_slot_is_asked_for_and_completes_the_picture_when_it_comes() {
    let mut stage = Stage::new();
    stage.frame(at(0), 100, track(1), 0, true);
    stage.frame(at(33), 102, track(1), 2, false);
    assert_eq!(stage.pass(at(42)), []);
    assert_eq!(stage.pass(at(90)), [(43, vec![101])]);
    stage.frame(at(99), 103, track(1), 3, false);
    assert_eq!(decodable(stage.events()), [true], "the others wait");
    stage.frame_again(at(100), 7, 101, 1);
    assert_eq!(decodable(stage.events()), [true, true, true]);
    assert_eq!(stage.pass(at(500)), [], "nothing is missing any more");
    stage.frame_again(at(500), 8, 101, 1);
    stage.frame(at(501), 101, track(1), 1, false);
    assert_eq!(decodable(stage.events()), [] as [bool; 0]);
    let stats = stage.session.stats();
    assert_eq!((stats.rtp_received, stats.rtp_recovered, stats.rtx_useless), (4, 1, 1));
    assert_eq!((stats.nacks_sent, stats.packets_nacked, stats.malformed), (1, 1, 0));
    assert_eq!(stage.session.slot_stats()[0].packets_recovered, 1);
}

#[test]
fn what_does_not_come_is_given_up_and_a_key_frame_asked_for_once() {
    let mut stage = Stage::new();
    stage.frame(at(0), 100, track(1), 0, true);
    stage.frame(at(33), 102, track(1), 2, false);
    let asked: Vec<u64> = stage.pass(at(532)).into_iter().map(|(millis, _)| millis).collect();
    assert_eq!(asked, [43, 168, 293, 418]);
    assert_eq!(decodable(stage.events()), [true]);
    stage.session.handle_timeout(at(533));
    assert_eq!(decodable(stage.events()), [false]);
    assert_eq!(stage.hear().key_frame_requests, 1);
    assert_eq!(stage.pass(at(900)), []);
    assert_eq!(stage.session.stats().rtp_given_up, 1);
}

#[test]
fn a_wide_gap_is_skipped_at_once() {
    let mut stage = Stage::new();
    stage.frame(at(0), 100, track(1), 0, true);
    stage.frame(at(33), 200, track(1), 50, false);
    assert_eq!(stage.hear().key_frame_requests, 1);
    assert_eq!(decodable(stage.events()), [true, false]);
    assert_eq!(stage.pass(at(1_000)), []);
}

#[test]
fn the_router_gets_again_what_it_misses_but_not_without_end() {
    let mut stage = Stage::new();
    stage.publish(CAMERA, TrackKind::Camera, Codec::Vp8, 1);
    for frame in 0..30 {
        stage.send(at(frame * 33), CAMERA, 0, frame == 0).unwrap();
    }
    let media = stage.hear().media;
    let original = &media[29];
    let sequence = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
    let last = sequence(original);
    stage.miss(at(1_000), &[last, last, last.wrapping_add(1), last - 29]);
    let [resent] = &mut stage.hear().rtx[..] else { panic!("one packet is there and young enough") };
    let transport =
        |packet: &[u8]| MediaExtensions::read(&RtpPacket::parse(packet).unwrap()).transport_sequence.unwrap();
    assert!(transport(resent) > transport(original), "it counts as a packet of its own");
    let restored = rtx::restore(resent, (1 << 24) + 4, PayloadType::Vp8 as u8).unwrap();
    let extensions_at = 12 + 4 + 1;
    assert_eq!(restored[..extensions_at], original[..extensions_at]);
    assert_eq!(restored[extensions_at + 2..], original[extensions_at + 2..]);
    let again = (1_001..1_500).filter(|millis| {
        stage.miss(at(*millis), &[last]);
        !stage.hear().rtx.is_empty()
    });
    assert_eq!(again.collect::<Vec<_>>(), [1_100, 1_200]);
    let stats = stage.session.stats();
    assert_eq!(
        (stats.rtx_sent, stats.resends_refused, stats.nacks_received),
        (3, 2 + 497, 500),
        "a number that is named twice is one wish"
    );
}

#[test]
fn listeners_learn_the_round_trip_by_pings() {
    let mut stage = Stage::new();
    stage.session.handle_timeout(at(1_100));
    let mut plain = [0; MAX_DATAGRAM_BYTES];
    let mut token = None;
    while let Some(transmit) = stage.session.poll_transmit() {
        let opened = stage.inbound.open_rtcp(transmit.payload, &mut plain).unwrap();
        for packet in packets(&plain[..opened.len]).flatten() {
            if let Packet::App(app) = packet
                && let Ok(Message::Ping(ping)) = Message::parse(&app)
            {
                token = Some(ping);
            }
        }
    }
    let token = token.unwrap();
    stage.say(at(1_130), &OutMessage::Pong(token ^ 1));
    assert_eq!(stage.session.rtt(), None);
    stage.say(at(1_140), &OutMessage::Pong(token));
    stage.say(at(1_900), &OutMessage::Pong(token));
    assert_eq!(stage.session.rtt(), Some(Duration::from_millis(40)));
}
