//! The bottleneck. 8 kbit/s are 1,000 bytes per second: 100 bytes take 100 ms.

use super::*;

#[test]
fn packets_leave_one_after_the_other() {
    let mut link = link("rate=8kbit,queue=10s", 1);
    for i in 1..=50 {
        assert_eq!(arrival(link.send(ms(0), 100)).at, ms(100 * i));
    }
}

#[test]
fn odd_rates_do_not_drift() {
    let mut link = link("rate=3bit,queue=600s", 1);
    for i in 1..=200u64 {
        let exact = (8 * i * 1_000_000_000).div_ceil(3);
        assert_eq!(arrival(link.send(ms(0), 1)).at, Time::from_nanos(exact));
    }
}

#[test]
fn an_idle_bottleneck_saves_nothing_up() {
    let mut link = link("rate=8kbit,queue=10s", 1);
    link.send(ms(0), 100);
    assert_eq!(arrival(link.send(ms(50), 100)).at, ms(200));
    assert_eq!(arrival(link.send(ms(5_000), 100)).at, ms(5_100));
}

#[test]
fn the_delay_comes_on_top_of_the_queue() {
    let mut link = link("rate=8kbit,delay=30ms", 1);
    link.send(ms(0), 100);
    assert_eq!(arrival(link.send(ms(0), 100)).at, ms(230));
}

#[test]
fn a_queue_in_bytes_drops_its_tail() {
    let mut link = link("rate=8kbit,queue=300b", 1);
    let queue_full = Fate::Dropped(DropReason::Queue);
    let fates: Vec<bool> = (0..5).map(|_| link.send(ms(0), 100) == queue_full).collect();
    assert_eq!(fates, [false, false, false, true, true]);
    assert_eq!(link.send(ms(99), 100), queue_full);
    assert_eq!(arrival(link.send(ms(100), 100)).at, ms(400));
    assert_eq!(link.send(ms(100), 1), queue_full);
    assert_eq!(link.counters().lost_queue, 4);
}

#[test]
fn a_queue_in_time_drops_what_would_wait_longer() {
    let mut link = link("rate=8kbit,queue=200ms", 1);
    let fates: Vec<bool> = (0..4).map(|_| matches!(link.send(ms(0), 100), Fate::Delivered(_))).collect();
    assert_eq!(fates, [true, true, true, false]); // they wait 0, 100, 200, and would wait 300 ms
    assert_eq!(link.send(ms(99), 100), Fate::Dropped(DropReason::Queue));
    assert_eq!(arrival(link.send(ms(100), 100)).at, ms(400));
}

#[test]
fn a_rate_without_a_queue_has_the_default_queue() {
    let mut link = link("rate=8kbit", 1);
    let accepted = (0..10).filter(|_| matches!(link.send(ms(0), 100), Fate::Delivered(_))).count();
    assert_eq!(accepted, 3);
}

#[test]
fn an_idle_bottleneck_takes_a_packet_of_any_size() {
    let mut link = link("rate=8kbit,queue=10b", 1);
    assert_eq!(arrival(link.send(ms(0), 100)).at, ms(100));
}

#[test]
fn an_overloaded_link_runs_at_its_rate_behind_a_full_queue() {
    let mut link = link("rate=1mbit,queue=500ms", 1);
    let fates = fates(&mut link, 2_500, 4); // 2 Mbit/s for ten seconds
    let last = fates.iter().rev().find_map(|fate| match fate {
        Fate::Delivered(arrival) => Some(arrival.at),
        Fate::Dropped(_) => None,
    });
    let delivered_bits = link.counters().delivered_bytes * 8;
    assert_eq!(last.unwrap(), Time::from_nanos(delivered_bits * 1_000)); // never idle, never faster
    let bloat = last.unwrap().saturating_since(ms(9_996));
    assert!((Duration::from_millis(492)..=Duration::from_millis(508)).contains(&bloat), "{bloat:?}");
}

#[test]
fn a_lost_packet_has_used_its_share_of_the_rate() {
    let mut link = link("rate=8kbit,loss=100%;at=1ms,rate=8kbit", 1);
    assert_eq!(link.send(ms(0), 100), Fate::Dropped(DropReason::Random));
    assert_eq!(arrival(link.send(ms(1), 100)).at, ms(200));
}

#[test]
fn a_change_of_rate_leaves_the_queue_its_fate() {
    let mut link = link("rate=8kbit,queue=10s;at=50ms,rate=16kbit,queue=10s;at=60ms,rate=8kbit,queue=10s", 1);
    assert_eq!(arrival(link.send(ms(0), 100)).at, ms(100));
    assert_eq!(arrival(link.send(ms(50), 100)).at, ms(150));
    assert_eq!(arrival(link.send(ms(60), 100)).at, ms(250));
}

#[test]
fn the_queue_is_bounded_whatever_is_configured() {
    let mut link = link("rate=1bit,queue=1000mb", 1);
    let accepted = (0..70_000).filter(|_| matches!(link.send(ms(0), 1), Fate::Delivered(_))).count();
    assert_eq!(accepted, 65_536);
}
