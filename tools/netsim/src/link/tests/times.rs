//! Order, partitions, schedules.

use super::*;

/// How many packets arrive after one that was sent later, by looking at all pairs.
fn reordered_pairwise(arrivals: &[Time]) -> u64 {
    let late = |(i, at): (usize, &Time)| arrivals[i + 1..].iter().any(|later| later < at);
    arrivals.iter().enumerate().filter(|packet| late(*packet)).count() as u64
}

fn arrivals(link: &mut Link) -> Vec<Time> {
    fates(link, 500, 1).into_iter().map(|fate| arrival(fate).at).collect()
}

#[test]
fn jitter_keeps_the_order_unless_told_otherwise() {
    let mut kept = link("delay=50ms,jitter=20ms", 1);
    assert!(arrivals(&mut kept).is_sorted());
    assert_eq!(kept.counters().reordered, 0);
    let mut free = link("delay=50ms,jitter=20ms,order=free", 1);
    assert!(!arrivals(&mut free).is_sorted());
}

#[test]
fn reordered_packets_are_counted_exactly() {
    for text in [
        "delay=50ms,jitter=20ms,order=free",
        "delay=50ms,reorder=10%,reorder_extra=7ms",
        "delay=50ms,jitter=20ms,reorder=10%,reorder_extra=30ms",
    ] {
        let mut link = link(text, 2);
        let expected = reordered_pairwise(&arrivals(&mut link));
        assert!(expected > 0);
        assert_eq!(link.counters().reordered, expected, "{text}");
    }
}

#[test]
fn nothing_gets_through_while_the_link_is_down() {
    let mut link = link("down=5ms..8ms+20ms..21ms", 1);
    let fates = fates(&mut link, 30, 1);
    let down: Vec<usize> = (0..30).filter(|i| fates[*i] == Fate::Dropped(DropReason::Partition)).collect();
    assert_eq!(down, [5, 6, 7, 20]);
    assert_eq!(link.counters().lost_partition, 4);
}

#[test]
fn a_packet_that_the_down_link_dropped_uses_no_rate() {
    let mut link = link("rate=8kbit,down=0ms..1ms", 1);
    link.send(ms(0), 100);
    assert_eq!(arrival(link.send(ms(1), 100)).at, ms(101));
}

#[test]
fn steps_take_effect_at_their_time() {
    let mut link = link("delay=10ms,down=25ms..30ms;at=20ms,delay=50ms;at=40ms,loss=100%;at=60ms", 1);
    assert_eq!(arrival(link.send(ms(19), 1)).at, ms(29));
    assert_eq!(arrival(link.send(ms(20), 1)).at, ms(70));
    assert_eq!(link.send(ms(29), 1), Fate::Dropped(DropReason::Partition)); // steps leave down times alone
    assert_eq!(link.send(ms(40), 1), Fate::Dropped(DropReason::Random));
    assert_eq!(arrival(link.send(ms(100), 1)).at, ms(100));
}

#[test]
fn a_late_packet_sees_the_newest_step_only() {
    let mut link = link("delay=10ms;at=20ms,delay=50ms;at=40ms,delay=30ms", 1);
    assert_eq!(arrival(link.send(ms(50), 1)).at, ms(80));
}

#[test]
fn a_shorter_delay_does_not_overtake() {
    let mut link = link("delay=100ms;at=20ms,delay=10ms", 1);
    assert_eq!(arrival(link.send(ms(19), 1)).at, ms(119));
    assert_eq!(arrival(link.send(ms(20), 1)).at, ms(119));
    assert_eq!(arrival(link.send(ms(119), 1)).at, ms(129));
}

#[test]
fn times_count_from_the_start() {
    let config = "delay=10ms,down=5ms..6ms;at=20ms,delay=50ms".parse().unwrap();
    let mut link = Link::starting_at(ms(1_000), &config, 1).unwrap();
    assert_eq!(arrival(link.send(ms(1_004), 1)).at, ms(1_014));
    assert_eq!(link.send(ms(1_005), 1), Fate::Dropped(DropReason::Partition));
    assert_eq!(arrival(link.send(ms(1_020), 1)).at, ms(1_070));
}

#[test]
fn a_new_configuration_holds_at_once_and_keeps_the_draws_going() {
    let half: LinkConfig = "loss=50%".parse().unwrap();
    let mut changed = Link::new(&LinkConfig::default(), 4).unwrap();
    let mut unchanged = Link::new(&half, 4).unwrap();
    fates(&mut unchanged, 100, 1);
    assert!(fates(&mut changed, 100, 1).iter().all(|fate| matches!(fate, Fate::Delivered(_))));
    changed.set_config(&half).unwrap();
    let after =
        |link: &mut Link| -> Vec<Fate> { (100..200).map(|i| link.send(ms(i), PACKET_BYTES)).collect() };
    assert_eq!(after(&mut changed), after(&mut unchanged));
}

#[test]
fn the_end_of_time_is_no_trap() {
    let mut link = link(EVERYTHING, 1);
    for _ in 0..100 {
        if let Fate::Delivered(arrival) = link.send(Time::MAX, usize::MAX / 16) {
            assert_eq!(arrival.at, Time::MAX);
        }
    }
}
