use proptest::prelude::*;

use super::*;
use crate::media::annexb::{self, START_CODE};
use crate::media::packetize::{FrameLayer, Packetizer};

/// A packet with bytes of its own.
#[derive(Clone, Debug)]
struct Sent {
    index: u64,
    frame: usize,
    edges: FrameEdges,
    payload: Vec<u8>,
}

impl Sent {
    fn packet(&self, with_edges: bool) -> MediaPacket<'_> {
        MediaPacket {
            index: self.index,
            timestamp: timestamp(self.frame),
            marker: self.edges.end,
            edges: with_edges.then_some(self.edges),
            payload: &self.payload,
        }
    }
}

/// Wraps on purpose.
fn timestamp(frame: usize) -> u32 {
    (u32::MAX - 5_000).wrapping_add(frame as u32 * 3_000)
}

const FIRST_INDEX: u64 = 65_530;

fn send(codec: Codec, frames: &[Vec<u8>], max_payload_bytes: usize) -> Vec<Sent> {
    let mut packetizer = Packetizer::new(codec, 3);
    let mut sent = Vec::new();
    for (frame, data) in frames.iter().enumerate() {
        let layer = FrameLayer { temporal_id: (frame % 3) as u8, ..FrameLayer::default() };
        for fragment in packetizer.packetize(data, layer, max_payload_bytes).unwrap() {
            let mut payload = Vec::new();
            fragment.append_to(&mut payload);
            let edges = FrameEdges { start: fragment.first, end: fragment.last };
            sent.push(Sent { index: FIRST_INDEX + sent.len() as u64, frame, edges, payload });
        }
    }
    sent
}

fn receive<'a>(
    depacketizer: &mut Depacketizer,
    packets: impl IntoIterator<Item = MediaPacket<'a>>,
) -> Vec<AssembledFrame> {
    let mut frames = Vec::new();
    for packet in packets {
        depacketizer.push(packet, &mut |frame| frames.push(frame));
    }
    frames
}

fn frame_of(codec: Codec, seed: u8, size: usize, key: bool) -> Vec<u8> {
    let body: Vec<u8> = (0..size).map(|i| 1 + ((i * 7 + usize::from(seed)) % 255) as u8).collect();
    match codec {
        Codec::Opus => body,
        Codec::Vp8 => {
            let header: &[u8] = if key { &[0x10, 0, 0, 0x9D, 0x01, 0x2A, 1, 0, 1, 0] } else { &[0x11, 0, 0] };
            [header, &body].concat()
        }
        Codec::H264 if key => {
            let units = [&[0x67, seed | 1][..], &[0x68, 3], &[0x65, 0x88], &body];
            [&START_CODE, units[0], &START_CODE, units[1], &START_CODE, units[2], units[3]].concat()
        }
        // Two slices, the second of which may be large as well.
        Codec::H264 => {
            let half = &body[size / 2..];
            [&START_CODE[..], &[0x41, 0x9A], &body, &START_CODE, &[0x41, 0x44], half].concat()
        }
    }
}

fn codecs() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::Opus), Just(Codec::Vp8), Just(Codec::H264)]
}

/// What the network does to a packet: lost, how often it arrives, and how far it falls behind.
fn fates() -> impl Strategy<Value = Vec<(bool, bool, u64)>> {
    let fate = (prop::bool::weighted(0.1), prop::bool::weighted(0.1), 0..20_u64);
    prop::collection::vec(fate, 400)
}

fn sent_frames() -> impl Strategy<Value = (Codec, Vec<Vec<u8>>, usize)> {
    let frames = prop::collection::vec((any::<u8>(), 1..400_usize, any::<bool>()), 1..25);
    (codecs(), frames, 20..90_usize).prop_map(|(codec, frames, budget)| {
        let cap = if codec == Codec::Opus { budget } else { usize::MAX };
        let frames =
            frames.into_iter().map(|(seed, size, key)| frame_of(codec, seed, size.min(cap), key)).collect();
        (codec, frames, budget)
    })
}

proptest! {
    #[test]
    fn without_loss_every_frame_arrives_as_it_was_sent((codec, frames, budget) in sent_frames(), with_edges: bool) {
        let sent = send(codec, &frames, budget);
        let mut depacketizer = Depacketizer::new(codec);
        // A first frame of H.264 without frame marking cannot be known to be whole.
        let skipped = usize::from(codec == Codec::H264 && !with_edges);
        let received = receive(&mut depacketizer, sent.iter().map(|sent| sent.packet(with_edges)));
        let data: Vec<&Vec<u8>> = received.iter().map(|frame| &frame.data).collect();
        prop_assert_eq!(data, frames.iter().skip(skipped).collect::<Vec<_>>());
        prop_assert_eq!(depacketizer.missing_since(), None);
    }

    #[test]
    fn whatever_the_network_does_frames_are_whole_or_absent(
        (codec, frames, budget) in sent_frames(), fates in fates(), with_edges: bool
    ) {
        let sent = send(codec, &frames, budget);
        // The first packet defines where the stream begins, so it arrives first.
        let mut arrivals: Vec<(u64, &Sent)> = vec![(0, &sent[0])];
        for (packet, &(lost, twice, behind)) in sent[1..].iter().zip(fates.iter().cycle()) {
            if !lost {
                arrivals.extend((0..=u64::from(twice)).map(|copy| (packet.index + behind + copy * 9, packet)));
            }
        }
        arrivals.sort_by_key(|&(when, _)| when);

        let mut depacketizer = Depacketizer::new(codec);
        let packets = arrivals.iter().map(|(_, sent)| sent.packet(with_edges));
        let mut received = receive(&mut depacketizer, packets);
        let end = FIRST_INDEX + sent.len() as u64;
        depacketizer.give_up_before(end, &mut |frame| received.push(frame));

        let arrived = |packet: &Sent| arrivals.iter().any(|(_, sent)| sent.index == packet.index);
        let whole: Vec<usize> = (0..frames.len())
            .filter(|&frame| sent.iter().filter(|packet| packet.frame == frame).all(arrived))
            .collect();
        if with_edges || codec != Codec::H264 {
            let times: Vec<u32> = received.iter().map(|frame| frame.timestamp).collect();
            prop_assert_eq!(times, whole.iter().map(|&frame| timestamp(frame)).collect::<Vec<_>>());
        }
        let mut last = None;
        for got in &received {
            let frame = (0..frames.len()).find(|&frame| timestamp(frame) == got.timestamp).unwrap();
            prop_assert!(last < Some(frame), "in order");
            prop_assert_eq!(&got.data, &frames[frame]);
            let first = sent.iter().find(|packet| packet.frame == frame).unwrap();
            prop_assert_eq!(got.first_index, first.index);
            let follows = last.map_or(0, |last| last + 1) == frame;
            prop_assert_eq!(got.follows_gap, !follows);
            last = Some(frame);
        }
        let touched = (0..frames.len())
            .filter(|&frame| sent.iter().any(|packet| packet.frame == frame && arrived(packet)))
            .count();
        let lost = sent.iter().filter(|packet| !arrived(packet)).count();
        let stats = depacketizer.stats();
        prop_assert_eq!(stats.frames, received.len() as u64);
        prop_assert_eq!(stats.broken_frames, (touched - received.len()) as u64);
        prop_assert_eq!(stats.lost_packets, lost as u64);
        prop_assert_eq!(stats.duplicate_packets, (arrivals.len() + lost - sent.len()) as u64);
        prop_assert_eq!((stats.late_packets, stats.malformed_packets), (0, 0));
    }

    #[test]
    fn any_packets_are_taken_within_bounds(
        codec in codecs(),
        packets in prop::collection::vec(
            (
                prop_oneof![8 => 0..40_u64, 1 => any::<u64>()], 0..4_u32, any::<bool>(),
                prop::option::of((any::<bool>(), any::<bool>())),
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..30),
                    prop::collection::vec(prop_oneof![Just(0x7C_u8), Just(0x85), Just(0x45), Just(0x78), Just(0)], 0..6),
                ],
            ),
            0..80,
        )
    ) {
        let mut depacketizer = Depacketizer::new(codec);
        let packets = packets.iter().map(|(index, timestamp, marker, edges, payload)| MediaPacket {
            index: *index,
            timestamp: *timestamp,
            marker: *marker,
            edges: edges.map(|(start, end)| FrameEdges { start, end }),
            payload,
        });
        let frames = receive(&mut depacketizer, packets);
        prop_assert!(frames.iter().all(|frame| !frame.data.is_empty()));
        prop_assert!(depacketizer.pending.len() <= 80);
        let pending_bytes: usize = depacketizer.pending.values().map(|pending| pending.payload.len()).sum();
        prop_assert_eq!(depacketizer.pending_bytes, pending_bytes);
    }
}

#[test]
fn key_frames_are_recognised() {
    for codec in [Codec::Opus, Codec::Vp8, Codec::H264] {
        let frames = [true, false, true].map(|key| frame_of(codec, 3, 30, key));
        let sent = send(codec, &frames, 200);
        let received = receive(&mut Depacketizer::new(codec), sent.iter().map(|sent| sent.packet(true)));
        let keys: Vec<bool> = received.iter().map(|frame| frame.key).collect();
        assert_eq!(keys, [true, codec == Codec::Opus, true], "{codec:?}");
    }
}

fn opus_packet(index: u64, payload: &[u8]) -> MediaPacket<'_> {
    MediaPacket { index, timestamp: (index as u32).wrapping_mul(960), marker: false, edges: None, payload }
}

#[test]
fn a_gap_is_given_up_when_the_window_is_full() {
    let mut depacketizer = Depacketizer::new(Codec::Opus);
    let before_full = [0].into_iter().chain(2..=AUDIO_WINDOW_PACKETS);
    let frames = receive(&mut depacketizer, before_full.map(|index| opus_packet(index, b"x")));
    assert_eq!((frames.len(), depacketizer.missing_since()), (1, Some(1)));
    let frames = receive(&mut depacketizer, [opus_packet(AUDIO_WINDOW_PACKETS + 1, b"x")]);
    assert_eq!((frames.len() as u64, depacketizer.missing_since()), (AUDIO_WINDOW_PACKETS, None));
    assert!(frames[0].follows_gap && !frames[1].follows_gap);
    assert_eq!(depacketizer.stats().lost_packets, 1);
    assert!(receive(&mut depacketizer, [opus_packet(1, b"x"), opus_packet(1, b"x")]).is_empty());
    let stats = depacketizer.stats();
    assert_eq!((stats.late_packets, stats.duplicate_packets), (1, 1), "late once, then a duplicate");
}

#[test]
fn a_gap_is_given_up_when_too_many_bytes_wait() {
    let large = vec![1; 60_000];
    let mut depacketizer = Depacketizer::new(Codec::Opus);
    let fit = (MAX_PENDING_BYTES / large.len()) as u64;
    let packets = [0].into_iter().chain(2..2 + fit);
    assert_eq!(receive(&mut depacketizer, packets.map(|index| opus_packet(index, &large))).len(), 1);
    let frames = receive(&mut depacketizer, [opus_packet(2 + fit, &large)]);
    assert_eq!((frames.len() as u64, depacketizer.pending_bytes), (fit + 1, 0));
}

#[test]
fn a_leap_of_the_index_costs_no_more_than_a_step() {
    let mut depacketizer = Depacketizer::new(Codec::Opus);
    let frames = receive(&mut depacketizer, [0, 1 << 60, u64::MAX].map(|index| opus_packet(index, b"x")));
    assert_eq!(frames.len(), 3);
    assert_eq!(depacketizer.stats().lost_packets, u64::MAX - 2);
}

#[test]
fn a_frame_without_marker_ends_where_the_next_begins() {
    let frames = [1, 2, 3].map(|seed| frame_of(Codec::H264, seed, 100, true));
    let sent = send(Codec::H264, &frames, 40);
    let packets = sent.iter().map(|sent| MediaPacket {
        edges: None,
        marker: sent.frame != 1 && sent.edges.end,
        ..sent.packet(true)
    });
    // Without frame marking the stream's first frame is not known to be whole, but here it is.
    let received = receive(&mut Depacketizer::new(Codec::H264), packets);
    assert_eq!(received.into_iter().map(|frame| frame.data).collect::<Vec<_>>(), frames[1..]);
}

#[test]
fn a_marked_frame_without_an_end_is_broken_though_nothing_is_missing() {
    let frames = [frame_of(Codec::Vp8, 1, 100, true), frame_of(Codec::Vp8, 2, 100, true)];
    let mut sent = send(Codec::Vp8, &frames, 40);
    let cut = sent.iter().position(|packet| packet.frame == 0 && packet.edges.end).unwrap();
    sent.remove(cut);
    let packets =
        sent.iter().enumerate().map(|(index, sent)| MediaPacket { index: index as u64, ..sent.packet(true) });
    let mut depacketizer = Depacketizer::new(Codec::Vp8);
    let received = receive(&mut depacketizer, packets);
    assert_eq!(received.iter().map(|frame| &frame.data).collect::<Vec<_>>(), [&frames[1]]);
    assert_eq!((received[0].follows_gap, depacketizer.stats().broken_frames), (true, 1));
}

#[test]
fn payloads_that_break_rfc_6184_break_their_frame_and_no_other() {
    let whole = |index, timestamp, payload| MediaPacket {
        index,
        timestamp,
        marker: true,
        edges: Some(FrameEdges { start: true, end: true }),
        payload,
    };
    let bad: [&[u8]; 10] = [
        &[],
        &[0x7C],                // an FU-A without its header
        &[0x7C, 0x05, 1],       // continues what has not begun
        &[0x7C, 0x45, 1],       // ends what has not begun
        &[0x7C, 0x85, 1],       // begins and does not end
        &[0x7C, 0xC5, 1],       // begins and ends at once
        &[0x78],                // an aggregate of nothing
        &[0x78, 0, 9, 1],       // cut short
        &[0x79, 0, 0, 0, 1, 1], // STAP-B is not of mode 1
        &[0x60, 1],             // type 0
    ];
    for payload in bad {
        let mut depacketizer = Depacketizer::new(Codec::H264);
        let packets = [whole(0, 0, payload), whole(1, 1, &[0x65, 1])];
        let received = receive(&mut depacketizer, packets);
        assert_eq!(received.len(), 1, "{payload:x?}");
        assert_eq!(received[0].data, [0, 0, 0, 1, 0x65, 1]);
        assert!(received[0].follows_gap);
        let stats = depacketizer.stats();
        assert_eq!((stats.malformed_packets, stats.broken_frames), (1, 1), "{payload:x?}");
    }
}

#[test]
fn a_unit_that_interrupts_a_fragmented_one_breaks_the_frame() {
    let interruptions: [&[u8]; 3] = [&[0x41, 1], &[0x7C, 0x85, 1], &[0x78, 0, 1, 0x41]];
    for interruption in interruptions {
        let mut depacketizer = Depacketizer::new(Codec::H264);
        let payloads = [&[0x7C, 0x85, 1], interruption, &[0x7C, 0x45, 1]];
        let packets = payloads.into_iter().enumerate().map(|(position, payload)| MediaPacket {
            index: position as u64,
            timestamp: 0,
            marker: position == 2,
            edges: Some(FrameEdges { start: position == 0, end: position == 2 }),
            payload,
        });
        assert!(receive(&mut depacketizer, packets).is_empty(), "{interruption:x?}");
        assert_eq!(depacketizer.stats().broken_frames, 1, "{interruption:x?}");
    }
}

#[test]
fn a_frame_larger_than_the_limit_is_broken() {
    let frame = vec![0x11; MAX_FRAME_BYTES + 1];
    let sent = send(Codec::Vp8, &[frame, vec![0x11; 9]], 60_000);
    let mut depacketizer = Depacketizer::new(Codec::Vp8);
    let received = receive(&mut depacketizer, sent.iter().map(|sent| sent.packet(true)));
    assert_eq!((received.len(), depacketizer.stats().broken_frames), (1, 1));
}

#[test]
fn the_shipped_clips_survive_the_trip() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen/media");
    let manifest = crate::media::manifest::Manifest::load(&directory).unwrap();
    for entry in &manifest.clips {
        let clip = entry.load(&directory).unwrap();
        let frames: Vec<Vec<u8>> = clip.frames().iter().map(|frame| frame.data.to_vec()).collect();
        let sent = send(clip.codec(), &frames, 1_080);
        let mut depacketizer = Depacketizer::new(clip.codec());
        let received = receive(&mut depacketizer, sent.iter().map(|sent| sent.packet(true)));
        assert_eq!(received.len(), frames.len(), "{}", entry.file);
        for (got, frame) in received.iter().zip(clip.frames()) {
            assert_eq!((got.key, crate::media::hash::frame_hash(&got.data)), (frame.key, frame.hash));
        }
        if clip.codec() == Codec::H264 {
            let kinds: Vec<u8> = annexb::nal_units(&frames[0]).map(|unit| unit[0] & 0x1F).collect();
            assert_eq!(kinds, [7, 8, 5], "parameter sets travel with the key frame");
            assert_eq!(sent[0].payload[0] & 0x1F, 24);
        }
    }
}
