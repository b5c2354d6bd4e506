use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod rates;
mod statistics;
mod times;

const PACKET_BYTES: usize = 1_000;

fn ms(milliseconds: u64) -> Time {
    Time::from_nanos(milliseconds * 1_000_000)
}

fn link(text: &str, seed: u64) -> Link {
    Link::new(&text.parse().unwrap(), seed).unwrap()
}

/// The fates of `count` packets, one every `every_ms`.
fn fates(link: &mut Link, count: u64, every_ms: u64) -> Vec<Fate> {
    (0..count).map(|i| link.send(ms(i * every_ms), PACKET_BYTES)).collect()
}

fn arrival(fate: Fate) -> Arrival {
    let Fate::Delivered(arrival) = fate else { panic!("dropped: {fate:?}") };
    arrival
}

const EVERYTHING: &str = "delay=50ms,jitter=20ms,shape=normal,order=free,loss=5%,burst=1%/30%,reorder=5%,\
                          reorder_extra=30ms,duplicate=5%,corrupt=5%,rate=2mbit,queue=100ms";

#[test]
fn a_perfect_link_delivers_at_once() {
    let mut link = link("", 1);
    let expected = Arrival { at: ms(7), duplicate_at: None, flip_bit: None };
    assert_eq!(link.send(ms(7), PACKET_BYTES), Fate::Delivered(expected));
}

#[test]
fn the_seed_decides_the_fates() {
    let run = |seed| fates(&mut link(EVERYTHING, seed), 2_000, 5);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn other_parts_do_not_shift_the_loss() {
    let lost = |text| -> Vec<bool> {
        let fates = fates(&mut link(text, 3), 2_000, 20);
        fates.iter().map(|fate| *fate == Fate::Dropped(DropReason::Random)).collect()
    };
    let alone = lost("loss=10%");
    assert!(alone.contains(&true));
    assert_eq!(
        lost("loss=10%,delay=50ms,jitter=20ms,duplicate=5%,corrupt=1%,burst=1%/30%,rate=10mbit"),
        alone
    );
}

#[test]
fn an_invalid_configuration_is_refused_and_changes_nothing() {
    let invalid = LinkConfig { loss: 2.0, ..LinkConfig::default() };
    assert!(Link::new(&invalid, 1).is_err());
    let mut link = link("delay=5ms", 1);
    assert!(link.set_config(&invalid).is_err());
    assert_eq!(arrival(link.send(ms(0), 1)).at, ms(5));
}

#[test]
fn a_clock_that_steps_back_does_not_turn_time_back() {
    let mut link = link("delay=5ms,order=free", 1);
    link.send(ms(100), 1);
    assert_eq!(arrival(link.send(ms(50), 1)).at, ms(105));
}

#[test]
fn a_packet_of_no_bytes_has_no_bit_to_flip() {
    let mut link = link("corrupt=100%", 1);
    assert_eq!(arrival(link.send(ms(0), 0)).flip_bit, None);
    assert!(arrival(link.send(ms(0), 1)).flip_bit.is_some_and(|bit| bit < 8));
    assert_eq!(link.counters().corrupted, 1);
}

proptest! {
    #[test]
    fn the_books_balance_and_nothing_arrives_before_it_was_sent(
        seed: u64,
        packets in prop::collection::vec((0..20_000_000u64, 0..3_000usize), 1..200),
    ) {
        let mut link = link(EVERYTHING, seed);
        let mut now = Time::ZERO;
        for (gap_nanos, size_bytes) in packets {
            now += Duration::from_nanos(gap_nanos);
            if let Fate::Delivered(arrival) = link.send(now, size_bytes) {
                prop_assert!(arrival.at >= now);
                prop_assert!(arrival.duplicate_at.is_none_or(|at| at >= arrival.at));
                prop_assert!(arrival.flip_bit.is_none_or(|bit| bit < size_bytes * 8));
            }
            let counters = link.counters();
            prop_assert_eq!(counters.sent, counters.delivered + counters.lost());
        }
    }
}
