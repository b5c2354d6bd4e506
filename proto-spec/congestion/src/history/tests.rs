use std::time::Duration;

use super::*;

fn sent(sequence: u16) -> PacketSent {
    let at = Time::ZERO + Duration::from_millis(sequence.into());
    PacketSent { sequence, at, size_bytes: 100, probe: None }
}

fn history(sequences: impl IntoIterator<Item = u16>) -> SentHistory {
    let mut history = SentHistory::new(0);
    sequences.into_iter().for_each(|sequence| history.insert(&sent(sequence)));
    history
}

#[test]
fn a_packet_arrives_once() {
    let mut history = history([65_534, 65_535, 0, 1]);
    assert_eq!(history.in_flight_bytes(), 400);
    assert_eq!(history.acknowledge(0), Acknowledged::First { packet: sent(0), was_lost: false });
    assert_eq!((history.acknowledge(0), history.in_flight_bytes()), (Acknowledged::Again, 300));
    assert_eq!(history.lose(0), None);
}

#[test]
fn a_lost_packet_may_arrive_after_all() {
    let mut history = history(0..4);
    assert_eq!(history.lose(2), Some(sent(2)));
    assert_eq!((history.lose(2), history.in_flight_bytes()), (None, 300));
    assert_eq!(history.acknowledge(2), Acknowledged::First { packet: sent(2), was_lost: true });
    assert_eq!(history.in_flight_bytes(), 300);
}

#[test]
fn what_was_never_sent_or_was_forgotten_is_unknown() {
    assert_eq!(SentHistory::new(0).acknowledge(7), Acknowledged::Unknown);
    let mut history = history(0..100);
    assert_eq!(history.capacity(), MIN_HISTORY_PACKETS);
    for unknown in [100, 101, 35, 0, 65_535, 32_868] {
        assert_eq!(
            (history.acknowledge(unknown), history.lose(unknown)),
            (Acknowledged::Unknown, None),
            "{unknown}"
        );
    }
    assert!(matches!(history.acknowledge(36), Acknowledged::First { .. }));
    assert_eq!(history.in_flight_bytes(), 6_300, "what was forgotten is not in flight");
    history.forget();
    assert_eq!((history.acknowledge(99), history.in_flight_bytes()), (Acknowledged::Unknown, 0));
}

#[test]
fn a_gap_in_the_numbers_leaves_no_ghosts() {
    let mut history = history([0, 1, 70]);
    assert_eq!(history.acknowledge(6), Acknowledged::Unknown);
    assert_eq!(history.acknowledge(1), Acknowledged::Unknown, "older than the ring");
    history.insert(&sent(69));
    assert_eq!(history.acknowledge(69), Acknowledged::Unknown, "numbers go up");
}

#[test]
fn a_slot_is_as_small_as_promised() {
    assert_eq!(size_of::<Slot>(), 16);
}
