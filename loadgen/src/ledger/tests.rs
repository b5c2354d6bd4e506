use sluice_client::media::packetize::FrameLayer;
use sluice_wire::track::TrackNumber;

use super::*;

fn at(millis: u64) -> Time {
    Time::from_nanos(1_700_000_000_123_456_789) + Duration::from_millis(millis)
}

fn sent(millis: u64, encoding: u8, hash: u64, packets: usize) -> SentFrame {
    let handed_at = at(millis) + Duration::from_micros(300);
    SentFrame {
        track: TrackNumber::CAMERA,
        encoding,
        captured_at: at(millis),
        handed_at,
        hash,
        packets,
        bytes: packets * 1_000,
        key: false,
        layer: FrameLayer::default(),
    }
}

/// The capture time as a receiver has it.
fn received(millis: u64) -> Option<Time> {
    Time::from_ntp(at(millis).to_ntp())
}

fn subscription(frames: &[SentFrame]) -> (Arc<Mutex<TrackLedger>>, Subscription) {
    let ledger = Arc::new(Mutex::new(TrackLedger::default()));
    frames.iter().for_each(|frame| lock(&ledger).record(frame));
    let subscription = Subscription::new(TrackId::from_bits(0x101).unwrap(), Arc::clone(&ledger));
    (ledger, subscription)
}

#[test]
fn a_frame_is_known_by_its_capture_time_and_its_bytes() {
    let (_, mut subscription) = subscription(&[sent(0, 0, 11, 3), sent(33, 0, 22, 2)]);
    assert!(!subscription.is_flowing());
    let place = Place {
        number: 1,
        encoding: 0,
        packets_before: 3,
        handed_at: sent(33, 0, 22, 2).handed_at,
        key: false,
        needs: [Some(0), None],
    };
    assert_eq!(subscription.on_frame(received(33), 22), Verdict::Intact(place));
    assert_eq!(subscription.on_frame(received(33), 23), Verdict::Corrupt);
    assert_eq!(subscription.on_frame(received(34), 22), Verdict::Unknown);
    assert_eq!(subscription.on_frame(None, 22), Verdict::Unknown);
    assert!(subscription.is_flowing());
    assert_eq!((subscription.intact, subscription.corrupt, subscription.unknown), (1, 1, 2));
}

#[test]
fn a_frame_that_comes_again_or_late_is_not_what_was_sent() {
    let (_, mut subscription) = subscription(&[sent(0, 0, 11, 1), sent(20, 0, 22, 1)]);
    assert!(matches!(subscription.on_frame(received(20), 22), Verdict::Intact(_)));
    assert_eq!(subscription.on_frame(received(20), 22), Verdict::Corrupt);
    assert_eq!(subscription.on_frame(received(0), 11), Verdict::Corrupt);
}

#[test]
fn what_is_expected_counts_from_the_first_frame() {
    let frames = [sent(0, 0, 1, 10), sent(33, 0, 2, 2), sent(66, 0, 3, 3), sent(99, 0, 4, 4)];
    let (ledger, mut subscription) = subscription(&frames);
    assert_eq!(subscription.expected(), Expected::default());
    subscription.on_frame(received(33), 2);
    assert_eq!(subscription.expected(), Expected { frames: 3, packets: 9 });
    // One is lost, and one more is sent.
    subscription.on_frame(received(99), 4);
    lock(&ledger).record(&sent(133, 0, 5, 1));
    assert_eq!(subscription.expected(), Expected { frames: 4, packets: 10 });
    assert_eq!(subscription.intact, 2);
}

#[test]
fn simulcast_counts_the_encoding_that_comes() {
    let mut frames = Vec::new();
    for picture in 0..4 {
        frames.push(sent(picture * 33, 0, 100 + picture, 1));
        frames.push(sent(picture * 33, 1, 200 + picture, 5));
    }
    let (ledger, mut subscription) = subscription(&frames);
    for picture in 0..2 {
        assert!(matches!(subscription.on_frame(received(picture * 33), 100 + picture), Verdict::Intact(_)));
    }
    assert_eq!(subscription.expected(), Expected { frames: 4, packets: 4 });
    // The slot changes to the larger encoding at picture 2.
    for picture in 2..4 {
        let verdict = subscription.on_frame(received(picture * 33), 200 + picture);
        assert!(matches!(verdict, Verdict::Intact(Place { encoding: 1, .. })));
    }
    assert_eq!(subscription.expected(), Expected { frames: 4, packets: 2 + 2 * 5 });
    assert_eq!(lock(&ledger).frames(), 4);
}

#[test]
fn memory_is_bounded_and_numbers_go_on() {
    let mut ledger = TrackLedger::default();
    for frame in 0..5_000 {
        ledger.record(&sent(frame * 20, 0, frame, 2));
    }
    assert_eq!((ledger.frames(), ledger.packets(0)), (5_000, 10_000));
    assert_eq!(ledger.entries.len(), 501);
    assert_eq!(ledger.find(received(0).unwrap(), 0), Verdict::Unknown);
    let Verdict::Intact(place) = ledger.find(received(4_999 * 20).unwrap(), 4_999) else { panic!("known") };
    assert_eq!((place.number, place.packets_before), (4_999, 9_998));
}

#[test]
fn an_encoding_beyond_the_protocol_is_not_written_down() {
    let mut ledger = TrackLedger::default();
    ledger.record(&sent(0, 4, 1, 1));
    assert_eq!((ledger.frames(), ledger.packets(4)), (0, 0));
}

/// A frame of a temporal layer, of one packet of 1,000 bytes.
fn layered(millis: u64, encoding: u8, hash: u64, layer: (u8, bool, bool)) -> SentFrame {
    let (temporal_id, base_sync, discardable) = layer;
    let layer = FrameLayer { temporal_id, base_sync, discardable };
    SentFrame { layer, key: hash == 0, ..sent(millis, encoding, hash, 1) }
}

const T0: (u8, bool, bool) = (0, false, false);
const T1_SYNC: (u8, bool, bool) = (1, true, false);
const T2_SYNC: (u8, bool, bool) = (2, true, true);
const T2: (u8, bool, bool) = (2, false, true);

#[test]
fn what_a_frame_refers_to_follows_from_its_layer() {
    let mut ledger = TrackLedger::default();
    for (number, layer) in
        [T0, T2_SYNC, T1_SYNC, T2, T0, T2_SYNC, T2, T0, T1_SYNC, T2_SYNC].into_iter().enumerate()
    {
        ledger.record(&layered(number as u64 * 33, 2, number as u64, layer));
    }
    let needs = |number: u64| match ledger.find(received(number * 33).unwrap(), number) {
        Verdict::Intact(place) => place.needs,
        verdict => panic!("{verdict:?}"),
    };
    let expected = [
        [None, None],
        [Some(0), None],
        [Some(0), None],
        [Some(0), Some(2)],
        [Some(0), None],
        [Some(4), None],
        // Without a T1 since the last T0, and the T2 before it discardable.
        [Some(4), None],
        [Some(4), None],
        [Some(7), None],
        // A sync frame needs no T1, though there is one.
        [Some(7), None],
    ];
    assert_eq!((0..10).map(needs).collect::<Vec<_>>(), expected);
}

#[test]
fn bytes_are_counted_by_layer() {
    let mut ledger = TrackLedger::default();
    for (number, layer) in [T0, T2_SYNC, T1_SYNC, T2].into_iter().enumerate() {
        ledger.record(&layered(number as u64 * 33, 1, number as u64, layer));
    }
    assert_eq!([0, 1, 2, 3, 4].map(|layers| ledger.bytes(1, layers)), [0, 1_052, 2_104, 4_208, 4_208]);
    assert_eq!((ledger.bytes(0, 3), ledger.bytes(9, 3)), (0, 0));
    let before = |millis| ledger.bytes_before(received(millis).unwrap(), 1, 3);
    assert_eq!([before(0), before(66), before(67), before(1_000)], [0, 2_104, 3_156, 4_208]);
}
