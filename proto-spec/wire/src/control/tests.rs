mod malformed;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::payload_type::PayloadType;
use crate::rtcp::{self, CompoundWriter, Packet};
use crate::rtp::BufferTooSmall;
use crate::ssrc::StreamIndex;
use crate::track::{TrackId, TrackKind, TrackNumber};

const CONTROL_SSRC: u32 = 0x0300_0040;

fn write(message: &OutMessage<'_>) -> Result<Vec<u8>, BufferTooSmall> {
    let mut buffer = vec![0xEE; 2_000];
    let mut compound = CompoundWriter::new(&mut buffer);
    write_message(&mut compound, CONTROL_SSRC, message)?;
    let len = compound.finish();
    buffer.truncate(len);
    Ok(buffer)
}

/// The data of the APP packet that a message becomes.
fn data(message: &OutMessage<'_>) -> Vec<u8> {
    write(message).unwrap()[12..].to_vec()
}

#[track_caller]
fn read(bytes: &[u8]) -> Message<'_> {
    let Some(Ok(Packet::App(app))) = rtcp::packets(bytes).next() else { panic!("no APP packet") };
    assert_eq!(app.ssrc, CONTROL_SSRC);
    Message::parse(&app).unwrap()
}

fn any_header() -> impl Strategy<Value = PageHeader> {
    (1..=u32::MAX, 1..=MAX_PAGES).prop_flat_map(|(version, pages)| {
        (0..pages).prop_map(move |page| PageHeader { version, page, pages })
    })
}

fn any_track_id() -> impl Strategy<Value = TrackId> {
    (256..=u32::MAX).prop_map(|bits| TrackId::from_bits(bits).unwrap())
}

/// Tracks with numbers and streams of their own.
fn any_tracks() -> impl Strategy<Value = Vec<PublishedTrack>> {
    let kinds = [TrackKind::Microphone, TrackKind::Camera, TrackKind::Screen, TrackKind::ScreenAudio];
    let video = [PayloadType::Vp8, PayloadType::H264, PayloadType::Vp9, PayloadType::Av1];
    let audio = [PayloadType::Opus, PayloadType::Red];
    let encoding = (0..=MAX_LAYERS, 0..=MAX_LAYERS, any::<u8>(), any::<u16>(), any::<u16>(), any::<u32>());
    let track = (0..4usize, 0..4usize, any::<bool>(), vec(encoding, 1..=MAX_ENCODINGS));
    vec(track, 0..=MAX_TRACKS).prop_map(move |tracks| {
        let mut stream = 0;
        let tracks = tracks.into_iter().enumerate().map(|(number, (kind, codec, muted, mut encodings))| {
            let kind = kinds[kind];
            encodings.truncate(if kind.is_audio() { 1 } else { MAX_ENCODINGS });
            encodings.sort_by_key(|encoding| encoding.4);
            let encodings =
                encodings.into_iter().map(|(temporal_layers, spatial_layers, fps, width, height, rate)| {
                    stream += 1;
                    let picture = u8::from(!kind.is_audio());
                    PublishedEncoding {
                        stream: StreamIndex(stream),
                        temporal_layers,
                        spatial_layers,
                        fps: fps * picture,
                        width: width * u16::from(picture),
                        height: height * u16::from(picture),
                        max_bitrate_bps: rate,
                    }
                });
            PublishedTrack {
                number: TrackNumber(number as u8),
                kind,
                payload_type: if kind.is_audio() { audio[codec % 2] } else { video[codec] },
                muted,
                encodings: Encodings::from_slice(&encodings.collect::<Vec<_>>()).unwrap(),
            }
        });
        tracks.collect()
    })
}

fn any_wanted() -> impl Strategy<Value = Vec<WantedSlot>> {
    let want = prop_oneof![
        Just(Want::Nothing),
        any_track_id().prop_map(Want::Track),
        any::<u32>().prop_map(Want::Speaker),
        any::<u32>().prop_map(Want::Voice),
    ];
    let slots = proptest::collection::btree_set(any::<u16>(), 0..=WANTED_PER_PAGE);
    let rest = (want, any::<bool>(), any::<u16>(), any::<u8>(), any::<u8>());
    (slots, vec(rest, WANTED_PER_PAGE)).prop_map(|(slots, rest)| {
        let slot = |(slot, (want, paused, max_height, max_fps, priority))| WantedSlot {
            slot,
            want,
            paused,
            max_height,
            max_fps,
            priority,
        };
        slots.into_iter().zip(rest).map(slot).collect()
    })
}

fn any_shown() -> impl Strategy<Value = Vec<ShownSlot>> {
    let slots = proptest::collection::btree_set(any::<u16>(), 0..=SHOWN_PER_PAGE);
    let status = (0..=9u8).prop_map(|byte| SlotStatus::from_u8(byte).unwrap());
    let rest = (status, proptest::option::of(any_track_id()), any::<[u8; 4]>(), any::<[u16; 2]>());
    (slots, vec(rest, SHOWN_PER_PAGE)).prop_map(|(slots, rest)| {
        let slot = |(slot, (status, track, bytes, size))| {
            let ([payload_type, fps, encoding, temporal_layers], [width, height]) = (bytes, size);
            ShownSlot { slot, status, payload_type, track, width, height, fps, encoding, temporal_layers }
        };
        slots.into_iter().zip(rest).map(slot).collect()
    })
}

fn any_demand() -> impl Strategy<Value = Vec<Demand>> {
    let names = proptest::collection::btree_set((0..MAX_TRACKS as u8, 0..MAX_ENCODINGS as u8), 0..=64);
    let layers = prop_oneof![Just((0, 0)), (1..=MAX_LAYERS, 1..=MAX_LAYERS)];
    (names, vec((0..4u8, layers), 64)).prop_map(|(names, rest)| {
        let entry = |((track, encoding), (status, (temporal_layers, spatial_layers)))| Demand {
            track: TrackNumber(track),
            encoding,
            status: DemandStatus::from_u8(status).unwrap(),
            temporal_layers,
            spatial_layers,
        };
        names.into_iter().zip(rest).map(entry).collect()
    })
}

fn any_speakers() -> impl Strategy<Value = Vec<Speaker>> {
    let tracks = proptest::collection::btree_set(256..=u32::MAX, 0..=MAX_SPEAKERS);
    let rest = vec((0..=127u8, any::<bool>(), any::<bool>()), MAX_SPEAKERS);
    (tracks, rest, 0..=MAX_SPEAKERS).prop_map(|(tracks, rest, dominant)| {
        let entry = |(index, (track, (level, talking, talking_while_muted)))| Speaker {
            track: TrackId::from_bits(track).unwrap(),
            level,
            talking,
            dominant: index == dominant,
            talking_while_muted,
        };
        // Speakers are in order of time, not of track.
        tracks.into_iter().rev().zip(rest).enumerate().map(entry).collect()
    })
}

#[test]
fn a_ping_in_bytes() {
    let bytes = write(&OutMessage::Ping(0x0102_0304_0506_0708)).unwrap();
    let expected = [0x80CC_0004, CONTROL_SSRC, 0x534C_4345, 0x0102_0304, 0x0506_0708u32];
    assert_eq!(bytes, expected.map(u32::to_be_bytes).concat());
}

#[test]
fn a_move_is_empty() {
    let bytes = write(&OutMessage::Move).unwrap();
    assert_eq!(bytes.len(), 12);
    assert_eq!(bytes[0], 0x84);
    assert_eq!(read(&bytes), Message::Move);
}

#[test]
fn an_ack_in_bytes() {
    let entry =
        AckEntry { kind: StateKind::Wanted, page: 3, status: AckStatus::Malformed, version: 0x0102_0304 };
    assert_eq!(data(&OutMessage::Ack(&[entry])), [9, 3, 1, 0, 1, 2, 3, 4]);
}

#[test]
fn a_published_page_in_bytes() {
    let encoding = PublishedEncoding {
        stream: StreamIndex(2),
        temporal_layers: 3,
        spatial_layers: 1,
        fps: 30,
        width: 640,
        height: 360,
        max_bitrate_bps: 500_000,
    };
    let track = PublishedTrack {
        number: TrackNumber::CAMERA,
        kind: TrackKind::Camera,
        payload_type: PayloadType::Vp8,
        muted: true,
        encodings: Encodings::from_slice(&[encoding]).unwrap(),
    };
    let header = PageHeader { version: 7, page: 1, pages: 2 };
    let expected =
        [[0, 0, 0, 7, 1, 2, 0, 1], [1, 1, 97, 1, 1, 0, 0, 0], [2, 3, 1, 30, 0x02, 0x80, 0x01, 0x68]];
    let written = data(&OutMessage::Published(header, &[track]));
    assert_eq!(written[..24], *expected.as_flattened());
    assert_eq!(written[24..], 500_000u32.to_be_bytes());
}

#[test]
fn a_wanted_page_in_bytes() {
    let slot = WantedSlot {
        slot: 0x0102,
        want: Want::Track(TrackId::from_bits(0x0000_0701).unwrap()),
        paused: true,
        max_height: 720,
        max_fps: 15,
        priority: 200,
    };
    let header = PageHeader { version: 1, page: 0, pages: 1 };
    let expected = [0, 0, 0, 1, 0, 1, 0, 1, 1, 2, 1, 1, 0, 0, 7, 1, 0x02, 0xD0, 15, 200];
    assert_eq!(data(&OutMessage::Wanted(header, &[slot])), expected);
}

#[test]
fn a_shown_page_in_bytes() {
    let slot = ShownSlot {
        slot: 2,
        status: SlotStatus::WaitingForKeyFrame,
        payload_type: 97,
        track: TrackId::from_bits(0x0000_0701),
        width: 1280,
        height: 720,
        fps: 30,
        encoding: 1,
        temporal_layers: 2,
    };
    let header = PageHeader { version: 1, page: 0, pages: 1 };
    let expected = [0, 2, 1, 97, 0, 0, 7, 1, 0x05, 0x00, 0x02, 0xD0, 30, 1, 2, 0];
    assert_eq!(data(&OutMessage::Shown(header, &[slot]))[8..], expected);
}

#[test]
fn a_demand_page_in_bytes() {
    let demand = Demand {
        track: TrackNumber::SCREEN,
        encoding: 1,
        status: DemandStatus::TakenOver,
        temporal_layers: 3,
        spatial_layers: 2,
    };
    let header = PageHeader { version: 1, page: 0, pages: 1 };
    assert_eq!(write(&OutMessage::Demand(header, &[])).unwrap()[0], 0x80 | 11);
    assert_eq!(data(&OutMessage::Demand(header, &[demand]))[8..], [2, 1, 3, 3, 2, 0, 0, 0]);
}

#[test]
fn a_speakers_page_in_bytes() {
    let quiet = Speaker {
        track: TrackId::from_bits(0x0102_0300).unwrap(),
        level: 127,
        talking: false,
        dominant: false,
        talking_while_muted: true,
    };
    let loud = Speaker { level: 30, talking: true, dominant: true, talking_while_muted: false, ..quiet };
    let header = PageHeader { version: 1, page: 0, pages: 1 };
    assert_eq!(write(&OutMessage::Speakers(header, &[])).unwrap()[0], 0x80 | 12);
    let expected = [[1, 2, 3, 0, 127, 4, 0, 0], [1, 2, 3, 0, 30, 3, 0, 0]];
    assert_eq!(data(&OutMessage::Speakers(header, &[quiet, loud]))[8..], *expected.as_flattened());
}

#[test]
fn who_sends_which_state() {
    let from_clients = (0..=255).filter_map(StateKind::from_u8).filter(|kind| kind.is_from_client());
    assert!(from_clients.eq([StateKind::Published, StateKind::Wanted]));
}

#[test]
fn a_page_holds_what_fits_1000_bytes() {
    let header = PageHeader { version: 1, page: 0, pages: 1 };
    let wanted = |slot| WantedSlot {
        slot,
        want: Want::Nothing,
        paused: false,
        max_height: 0,
        max_fps: 0,
        priority: 0,
    };
    let slots: Vec<_> = (0..=WANTED_PER_PAGE as u16).map(wanted).collect();
    assert!(data(&OutMessage::Wanted(header, &slots[..WANTED_PER_PAGE])).len() <= MAX_PAGE_BODY_BYTES);
    assert_eq!(write(&OutMessage::Wanted(header, &slots)), Err(BufferTooSmall));
}

#[test]
fn published_tracks_that_fit_are_counted() {
    let encoding = PublishedEncoding {
        stream: StreamIndex(1),
        temporal_layers: 1,
        spatial_layers: 1,
        fps: 0,
        width: 0,
        height: 0,
        max_bitrate_bps: 0,
    };
    let track = PublishedTrack {
        number: TrackNumber::CAMERA,
        kind: TrackKind::Camera,
        payload_type: PayloadType::Vp8,
        muted: false,
        encodings: Encodings::from_slice(&[encoding; 4]).unwrap(),
    };
    // 992 bytes hold 17 of 56; a smaller one behind would still fit, but order is kept.
    let small = PublishedTrack { encodings: Encodings::from_slice(&[encoding]).unwrap(), ..track };
    let mut tracks = vec![track; 18];
    tracks.push(small);
    assert_eq!(published_fitting(&tracks), 17);
    assert_eq!(published_fitting(&tracks[..3]), 3);
    assert_eq!(published_fitting(&[]), 0);
}

#[test]
fn a_stream_past_8_bits_does_not_fit() {
    let encoding = PublishedEncoding {
        stream: StreamIndex(256),
        temporal_layers: 1,
        spatial_layers: 1,
        fps: 0,
        width: 0,
        height: 0,
        max_bitrate_bps: 0,
    };
    let track = PublishedTrack {
        number: TrackNumber::MICROPHONE,
        kind: TrackKind::Microphone,
        payload_type: PayloadType::Opus,
        muted: false,
        encodings: Encodings::from_slice(&[encoding]).unwrap(),
    };
    let header = PageHeader { version: 1, page: 0, pages: 1 };
    assert_eq!(write(&OutMessage::Published(header, &[track])), Err(BufferTooSmall));
}

#[test]
fn a_message_that_does_not_fit_leaves_the_compound_as_it_was() {
    let mut buffer = [0; 31];
    let mut compound = CompoundWriter::new(&mut buffer);
    write_message(&mut compound, CONTROL_SSRC, &OutMessage::Move).unwrap();
    assert_eq!(write_message(&mut compound, CONTROL_SSRC, &OutMessage::Ping(1)), Err(BufferTooSmall));
    assert_eq!(compound.len(), 12);
    assert_eq!(read(&buffer[..12]), Message::Move);
}

#[test]
fn encodings_are_one_to_four() {
    assert_eq!(Encodings::from_slice(&[]), None);
    let encoding = microphone().encodings.as_slice()[0];
    assert_eq!(Encodings::from_slice(&[encoding; 5]), None);
    assert_eq!(Encodings::from_slice(&[encoding; 4]).unwrap().as_slice(), [encoding; 4]);
}

fn microphone() -> PublishedTrack {
    let encoding = PublishedEncoding {
        stream: StreamIndex(1),
        temporal_layers: 1,
        spatial_layers: 1,
        fps: 0,
        width: 0,
        height: 0,
        max_bitrate_bps: 32_000,
    };
    PublishedTrack {
        number: TrackNumber::MICROPHONE,
        kind: TrackKind::Microphone,
        payload_type: PayloadType::Opus,
        muted: false,
        encodings: Encodings::from_slice(&[encoding]).unwrap(),
    }
}

proptest! {
    #[test]
    fn small_messages_round_trip(token: u64, bytes: [u8; 8], code: u16) {
        let code = CloseCode::from_u16(code);
        let pairs = [
            (OutMessage::Ping(token), Message::Ping(token)),
            (OutMessage::Pong(token), Message::Pong(token)),
            (OutMessage::PathChallenge(bytes), Message::PathChallenge(bytes)),
            (OutMessage::PathResponse(bytes), Message::PathResponse(bytes)),
            (OutMessage::Close(code), Message::Close(code)),
        ];
        for (out, expected) in pairs {
            let bytes = write(&out).unwrap();
            prop_assert_eq!(read(&bytes), expected);
        }
    }

    #[test]
    fn acks_round_trip(entries in vec((8..13u8, 0..MAX_PAGES, 0..4u8, any::<u32>()), 0..20)) {
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(kind, page, status, version)| AckEntry {
                kind: StateKind::from_u8(kind).unwrap(),
                page,
                status: AckStatus::from_u8(status).unwrap(),
                version,
            })
            .collect();
        let bytes = write(&OutMessage::Ack(&entries)).unwrap();
        let Message::Ack(acks) = read(&bytes) else { panic!() };
        prop_assert_eq!(acks.entries().collect::<Vec<_>>(), entries);
    }

    #[test]
    fn published_pages_round_trip(header in any_header(), tracks in any_tracks()) {
        let tracks = &tracks[..published_fitting(&tracks)];
        let bytes = write(&OutMessage::Published(header, tracks)).unwrap();
        let Message::Page(page) = read(&bytes) else { panic!() };
        prop_assert_eq!(page.kind, StateKind::Published);
        prop_assert_eq!(PageHeader { version: page.version, page: page.page, pages: page.pages }, header);
        prop_assert_eq!(page.published().collect::<Vec<_>>(), tracks);
        prop_assert_eq!((page.wanted().count(), page.shown().count()), (0, 0));
    }

    #[test]
    fn wanted_pages_round_trip(header in any_header(), slots in any_wanted()) {
        let bytes = write(&OutMessage::Wanted(header, &slots)).unwrap();
        let Message::Page(page) = read(&bytes) else { panic!() };
        prop_assert_eq!((page.kind, usize::from(page.entry_count())), (StateKind::Wanted, slots.len()));
        prop_assert_eq!(page.wanted().collect::<Vec<_>>(), slots);
        prop_assert_eq!((page.published().count(), page.shown().count()), (0, 0));
    }

    #[test]
    fn shown_pages_round_trip(header in any_header(), slots in any_shown()) {
        let bytes = write(&OutMessage::Shown(header, &slots)).unwrap();
        let Message::Page(page) = read(&bytes) else { panic!() };
        prop_assert_eq!((page.kind, usize::from(page.entry_count())), (StateKind::Shown, slots.len()));
        prop_assert_eq!(page.shown().collect::<Vec<_>>(), slots);
        prop_assert_eq!((page.published().count(), page.wanted().count()), (0, 0));
        prop_assert_eq!((page.demand().count(), page.speakers().count()), (0, 0));
    }

    #[test]
    fn demand_pages_round_trip(header in any_header(), demand in any_demand()) {
        let bytes = write(&OutMessage::Demand(header, &demand)).unwrap();
        let Message::Page(page) = read(&bytes) else { panic!() };
        prop_assert_eq!((page.kind, usize::from(page.entry_count())), (StateKind::Demand, demand.len()));
        prop_assert_eq!(page.demand().collect::<Vec<_>>(), demand);
        prop_assert_eq!((page.shown().count(), page.speakers().count()), (0, 0));
    }

    #[test]
    fn speakers_pages_round_trip(header in any_header(), speakers in any_speakers()) {
        let bytes = write(&OutMessage::Speakers(header, &speakers)).unwrap();
        let Message::Page(page) = read(&bytes) else { panic!() };
        prop_assert_eq!((page.kind, usize::from(page.entry_count())), (StateKind::Speakers, speakers.len()));
        prop_assert_eq!(page.speakers().collect::<Vec<_>>(), speakers);
        prop_assert_eq!((page.shown().count(), page.demand().count()), (0, 0));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..64), subtype in 0..32u8) {
        let mut bytes = bytes;
        crate::fuzzing::control(&bytes);
        bytes.insert(0, subtype);
        crate::fuzzing::control(&bytes);
    }

    #[test]
    fn damaged_pages_are_pages_or_errors(
        header in any_header(), tracks in any_tracks(), wanted in any_wanted(), shown in any_shown(),
        demand in any_demand(), speakers in any_speakers(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in 0..20usize,
    ) {
        let tracks = &tracks[..published_fitting(&tracks)];
        for message in [
            OutMessage::Published(header, tracks),
            OutMessage::Wanted(header, &wanted),
            OutMessage::Shown(header, &shown),
            OutMessage::Demand(header, &demand),
            OutMessage::Speakers(header, &speakers),
        ] {
            let mut bytes = write(&message).unwrap()[12..].to_vec();
            bytes.insert(0, write(&message).unwrap()[0]);
            crate::fuzzing::control(&bytes);
            for &(index, byte) in &damage {
                *index.get_mut(&mut bytes) = byte;
                crate::fuzzing::control(&bytes);
            }
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            crate::fuzzing::control(&bytes);
        }
    }
}
