//! What a slot's stream is on the wire while layers and encodings change: seen by somebody who has the receiver's keys.

mod lab;

use std::collections::BTreeMap;
use std::time::Duration;

use lab::{Lab, person, want};
use sluice_client::media::Codec;
use sluice_client::media::packetize::FrameLayer;
use sluice_client::session::{EncodingConfig, OutgoingFrame, TrackConfig};
use sluice_router::core::DropReason;
use sluice_wire::classify::{Class, classify};
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::descriptor::vp8;
use sluice_wire::ext::{FrameMarking, MediaExtensions};
use sluice_wire::rtp::{RtpHeader, RtpPacket};
use sluice_wire::srtp::{Cryptex, InboundSrtp, OutboundSrtp};
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::track::{TrackKind, TrackNumber};

const CAMERA: TrackNumber = TrackNumber::CAMERA;
const PICTURE_INTERVAL: Duration = Duration::from_millis(33);
const FPS: u8 = 30;
const SENDER: u32 = 1;
const RECEIVER: u32 = 2;

/// A video packet as the receiver got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Got {
    timestamp: u32,
    marker: bool,
    marking: Option<FrameMarking>,
    picture_id: u16,
    tl0_pic_idx: u8,
    temporal_id: u8,
}

/// Somebody films himself in layers, and somebody looks.
struct Scene {
    lab: Lab,
    ear: InboundSrtp,
    picture: u32,
    /// Packets of the slot by index.
    got: BTreeMap<u64, Got>,
}

impl Scene {
    fn new() -> Self {
        let mut lab = Lab::new();
        lab.join(SENDER);
        lab.join(RECEIVER);
        let encoding = |height| EncodingConfig {
            width: height * 16 / 9,
            height,
            fps: FPS,
            temporal_layers: 3,
            max_bitrate_bps: 500_000,
        };
        let camera = TrackConfig {
            number: CAMERA,
            kind: TrackKind::Camera,
            codec: Codec::Vp8,
            encodings: vec![encoding(180), encoding(360)],
        };
        lab.client(SENDER).session.publish(&camera).expect("a camera");
        let ticket = lab.client(RECEIVER).ticket.clone();
        let (master, block) = (&ticket.downlink.master, ticket.downlink.ssrcs);
        let ear =
            InboundSrtp::new(ticket.suite, master, block, Cryptex::Required).expect("the ticket's keys");
        lab.tap = Some(Vec::new());
        let mut scene = Self { lab, ear, picture: 0, got: BTreeMap::new() };
        scene.want(0, 0);
        scene
    }

    fn want(&mut self, max_height: u16, max_fps: u8) {
        let wish = WantedSlot { max_height, max_fps, ..want(0, Want::Track(person(SENDER).track(CAMERA))) };
        self.lab.client(RECEIVER).session.want(&[wish]);
    }

    /// Films, with `network` between the sender and the router.
    fn film(&mut self, pictures: u32, mut network: impl FnMut(&mut Vec<Vec<u8>>)) {
        for _ in 0..pictures {
            self.lab.settle();
            let mut datagrams = Vec::new();
            for encoding in 0..2 {
                self.send_picture(encoding);
                let session = &mut self.lab.client(SENDER).session;
                while let Some(transmit) = session.poll_transmit() {
                    datagrams.push(transmit.payload.to_vec());
                }
            }
            network(&mut datagrams);
            let from = self.lab.client(SENDER).address;
            for datagram in datagrams {
                self.lab.inject(from, &datagram);
            }
            // What is paced leaves in the meantime.
            for _ in 0..3 {
                self.lab.settle();
                self.lab.now += PICTURE_INTERVAL / 3;
            }
            self.picture += 1;
        }
        self.lab.settle();
        self.listen();
    }

    fn send_picture(&mut self, encoding: u8) {
        let (now, number) = (self.lab.now, self.picture);
        let client = self.lab.client(SENDER);
        let wanted = client.wants_key_frame.iter().position(|wanted| *wanted == (CAMERA, encoding));
        let key = number == 0 || wanted.map(|at| client.wants_key_frame.remove(at)).is_some();
        // A key frame restarts the pattern of nobody: it comes instead of a frame of the base layer.
        let temporal_id = if key { 0 } else { [0, 2, 1, 2][number as usize % 4] };
        let base_sync = temporal_id == 1 || (temporal_id == 2 && number % 4 == 1);
        let layer = FrameLayer { temporal_id, base_sync, discardable: temporal_id == 2 };
        let data = lab::picture(person(SENDER), encoding, u64::from(number), 2_500, key);
        let frame = OutgoingFrame { data: &data, key, layer, audio_level: None, captured_at: now };
        let _unpublished = client.session.send_frame(now, CAMERA, encoding, &frame);
    }

    fn listen(&mut self) {
        let address = self.lab.client(RECEIVER).address;
        for (to, datagram) in self.lab.tap.replace(Vec::new()).unwrap_or_default() {
            let Class::Rtp { .. } = classify(&datagram) else { continue };
            if to != address {
                continue;
            }
            let mut plain = vec![0; datagram.len()];
            let opened = self.ear.open_rtp(&datagram, &mut plain).expect("no index is sealed twice");
            assert_eq!(opened.stream, StreamIndex(1));
            if opened.role == StreamRole::Rtx {
                continue;
            }
            let rtp = RtpPacket::parse(&plain[..opened.len]).expect("RTP");
            let numbers = vp8::Descriptor::parse(rtp.payload()).expect("VP8");
            let got = Got {
                timestamp: rtp.timestamp(),
                marker: rtp.marker(),
                marking: MediaExtensions::read(&rtp).frame_marking,
                picture_id: numbers.picture_id.expect("a picture id").value,
                tl0_pic_idx: numbers.tl0_pic_idx.map_or(0, |index| index.value),
                temporal_id: numbers.temporal_id,
            };
            self.got.insert(opened.index, got);
        }
    }

    /// Asserts that the stream has no gap in any of its numbers.
    #[track_caller]
    fn assert_continuous(&self) {
        let packets: Vec<(&u64, &Got)> = self.got.iter().collect();
        assert!(packets.len() > 30, "{} packets", packets.len());
        for pair in packets.windows(2) {
            let [(index, before), (next, after)] = [pair[0], pair[1]];
            assert_eq!(index + 1, *next, "between {before:?} and {after:?}");
            let ticks = after.timestamp.wrapping_sub(before.timestamp);
            let pictures = after.picture_id.wrapping_sub(before.picture_id) & 0x7FFF;
            assert_eq!(before.marker, pictures == 1, "the marker ends a picture: {before:?} {after:?}");
            assert!(pictures < 2, "picture ids go on: {before:?} {after:?}");
            assert_eq!(ticks > 0, pictures == 1, "{before:?} {after:?}");
            assert!(ticks < 90_000, "{before:?} {after:?}");
            let bases = u8::from(pictures == 1 && after.temporal_id == 0);
            assert_eq!(after.tl0_pic_idx, before.tl0_pic_idx.wrapping_add(bases), "{before:?} {after:?}");
            let [of_before, of_after] = [before, after].map(|got| got.marking.expect("frame marking"));
            assert_eq!(of_after.tl0_pic_idx, of_before.tl0_pic_idx.wrapping_add(bases));
            assert_eq!(of_after.temporal_id, after.temporal_id);
        }
    }

    #[track_caller]
    fn assert_receiver_is_content(&mut self) {
        let client = self.lab.client(RECEIVER);
        assert!(client.frames.iter().all(|frame| frame.is_decodable));
        assert_eq!((client.session.stats().rtp_lost, client.session.stats().frames_broken), (0, 0));
    }

    fn encodings_and_layers(&mut self) -> Vec<(u8, u8)> {
        let temporal_ids = self.temporal_ids();
        let encodings = self.lab.client(RECEIVER).frames.iter().map(|frame| {
            let head = if frame.frame.key { 10 } else { 3 };
            frame.frame.data[head]
        });
        let mut seen: Vec<(u8, u8)> = encodings.zip(temporal_ids).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// Of each picture that came.
    fn temporal_ids(&self) -> Vec<u8> {
        self.got.values().filter(|got| got.marker).map(|got| got.temporal_id).collect()
    }

    /// The frame marking of each picture that came.
    fn pictures(&self) -> Vec<FrameMarking> {
        self.got.values().filter(|got| got.marker).filter_map(|got| got.marking).collect()
    }
}

#[test]
fn up_and_down_between_encodings_all_numbers_go_on() {
    let mut scene = Scene::new();
    scene.film(8, |_| {});
    for round in 0..12 {
        scene.want([100, 0][round % 2], 0);
        scene.film(24, |_| {});
    }
    scene.assert_continuous();
    scene.assert_receiver_is_content();
    let seen = scene.encodings_and_layers();
    assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)], "both encodings in all their layers");
}

#[test]
fn layers_that_are_left_out_leave_no_gap() {
    let mut scene = Scene::new();
    scene.film(8, |_| {});
    // Of the patterns of the layers that remain it is the half, or the quarter, that comes.
    for (max_fps, highest, of_24) in [(8, 0, 6), (15, 1, 12), (0, 2, 24), (15, 1, 12), (8, 0, 6), (0, 2, 24)]
    {
        scene.want(0, max_fps);
        scene.film(12, |_| {});
        let before = scene.temporal_ids().len();
        scene.film(24, |_| {});
        let ids = scene.temporal_ids().split_off(before);
        assert_eq!(ids.iter().max(), Some(&highest), "at most {max_fps} frames per second");
        assert_eq!(ids.len(), of_24, "at most {max_fps} frames per second");
    }
    scene.assert_continuous();
    scene.assert_receiver_is_content();
}

#[test]
fn a_temporal_layer_begins_where_it_needs_the_base_alone() {
    // The pattern has four pictures: whenever the wish comes, no layer begins elsewhere.
    for phase in 0..4 {
        let mut scene = Scene::new();
        scene.want(0, 8);
        scene.film(8 + phase, |_| {});
        let before = scene.pictures().len();
        scene.want(0, 0);
        scene.film(12, |_| {});
        let mut highest = 0;
        for marking in scene.pictures().split_off(before) {
            if marking.temporal_id > highest {
                assert!(marking.base_sync, "phase {phase}: {marking:?} refers to what never came");
                assert_eq!(marking.temporal_id, highest + 1, "phase {phase}: one after the other");
                highest = marking.temporal_id;
            }
        }
        assert_eq!(highest, 2, "phase {phase}");
        scene.assert_continuous();
        scene.assert_receiver_is_content();
    }
}

#[test]
fn what_comes_in_disorder_gets_the_numbers_that_it_would_have_in_order() {
    let mut scene = Scene::new();
    scene.film(8, |_| {});
    for round in 0..8 {
        scene.want([100, 0][round % 2], 0);
        // The switch itself is in order, but for what is behind its first packet.
        scene.film(24, |datagrams| {
            for pair in datagrams[1..].chunks_mut(2) {
                pair.reverse();
            }
        });
    }
    scene.want(0, 0);
    scene.film(8, |_| {});
    let lost = scene.lab.client(RECEIVER).session.stats().rtp_lost;
    assert!(scene.got.len() > 300);
    let indices: Vec<u64> = scene.got.keys().copied().collect();
    let missing = indices[indices.len() - 1] - indices[0] + 1 - indices.len() as u64;
    // A second packet of a key frame that overtakes its first comes before the switch.
    assert!(missing <= 8, "{missing} indices are missing");
    assert!(lost <= 8, "{lost}");
    for pair in scene.got.values().collect::<Vec<_>>().windows(2) {
        let pictures = pair[1].picture_id.wrapping_sub(pair[0].picture_id) & 0x7FFF;
        assert!(pictures < 2, "{pair:?}");
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 90_000, "{pair:?}");
    }
}

#[test]
fn what_the_uplink_lost_for_good_is_what_the_receiver_misses() {
    let mut scene = Scene::new();
    scene.film(8, |_| {});
    scene.lab.loses_rtx = true;
    let (mut number, mut lost) = (0, 0);
    scene.film(60, |datagrams| {
        datagrams.retain(|datagram| {
            number += 1;
            let is_high = matches!(classify(datagram), Class::Rtp { ssrc } if ssrc % 64 == 2 * 4);
            let loses = is_high && number % 11 == 0;
            lost += u64::from(loses);
            !loses
        });
    });
    scene.film(20, |_| {});
    let indices: Vec<u64> = scene.got.keys().copied().collect();
    let missing = indices[indices.len() - 1] - indices[0] + 1 - indices.len() as u64;
    assert!(lost > 10);
    assert_eq!(missing, lost);
}

/// A VP8 payload: descriptor with a 15-bit picture id, TL0PICIDX and TID, and the first byte of a frame.
fn payload(picture_id: u16, tl0_pic_idx: u8, temporal_id: u8, key: bool) -> Vec<u8> {
    let [high, low] = picture_id.to_be_bytes();
    let layer = (temporal_id << 6) | 0x20;
    let mut payload = vec![0x90, 0xE0, 0x80 | high, low, tl0_pic_idx, layer, u8::from(!key)];
    payload.resize(200, 7);
    payload
}

#[test]
fn without_frame_marking_the_payloads_descriptor_says_where_to_begin() {
    let mut scene = Scene::new();
    for _ in 0..5 {
        scene.lab.settle();
        scene.lab.now += PICTURE_INTERVAL;
    }
    let ticket = scene.lab.client(SENDER).ticket.clone();
    let (master, block) = (&ticket.uplink.master, ticket.uplink.ssrcs);
    let mut srtp = OutboundSrtp::new(ticket.suite, master, block, Cryptex::Required).unwrap();
    // The tracks' streams are handed out from 1 on; the higher encoding is shown.
    let ssrc = block.ssrc(StreamIndex(2), StreamRole::Media).unwrap();
    let from = scene.lab.client(SENDER).address;
    let mut send = |scene: &mut Scene, sequence_number: u16, payload: &[u8]| {
        let header = RtpHeader {
            marker: true,
            payload_type: 97,
            sequence_number,
            timestamp: u32::from(sequence_number) * 3_000,
            ssrc,
            csrcs: &[],
            extensions: &MediaExtensions {
                transport_sequence: Some(sequence_number),
                ..MediaExtensions::default()
            },
        };
        let (mut plain, mut sealed) = ([0; 64], [0; 600]);
        let len = header.write(&mut plain).unwrap();
        let len = srtp.seal_rtp(sequence_number.into(), &plain[..len], payload, &mut sealed).unwrap();
        scene.lab.inject(from, &sealed[..len]);
        scene.lab.settle();
    };
    send(&mut scene, 1, &payload(500, 7, 0, false));
    send(&mut scene, 2, &payload(501, 8, 0, true));
    send(&mut scene, 3, &payload(502, 8, 1, false));
    send(&mut scene, 4, &[0x80]);
    scene.listen();
    let ids: Vec<(u16, u8)> = scene.got.values().map(|got| (got.picture_id, got.temporal_id)).collect();
    assert_eq!(ids, [(501, 0), (502, 1)]);
    assert!(scene.got.values().all(|got| got.marking.is_none()), "what was not published is not made up");
    assert_eq!(scene.lab.dropped(DropReason::MissingFrameMarking), 1);
}
