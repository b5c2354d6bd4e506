use std::time::Duration;

use super::*;

const A: &str = "192.0.2.1:1000";
const B: &str = "192.0.2.2:2000";
const C: &str = "192.0.2.3:3000";
const INSIDE: &str = "10.0.0.2:5000";
const OUTSIDE: &str = "203.0.113.1";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(milliseconds: u64) -> Time {
    Time::from_nanos(milliseconds * 1_000_000)
}

fn host(up: &str, down: &str) -> HostConfig {
    HostConfig { up: up.parse().unwrap(), down: down.parse().unwrap(), nat: None }
}

fn behind_nat(up: &str, down: &str) -> HostConfig {
    HostConfig { nat: Some(NatConfig::new(OUTSIDE.parse().unwrap())), ..host(up, down) }
}

fn network(hosts: &[(&str, HostConfig)]) -> Network<Vec<u8>> {
    let mut network = Network::new(Time::ZERO, 7);
    hosts.iter().for_each(|(socket, config)| network.add_host(at(socket), config).unwrap());
    network
}

fn send(network: &mut Network<Vec<u8>>, now: Time, from: &str, to: &str) {
    network.send(now, at(from), at(to), from.as_bytes().to_vec()).unwrap();
}

/// Everything that arrives by `now`: when, from and to.
fn arrivals(network: &mut Network<Vec<u8>>, now: Time) -> Vec<(Time, SocketAddr, SocketAddr)> {
    std::iter::from_fn(|| network.poll(now))
        .map(|delivery| (delivery.at, delivery.from, delivery.to))
        .collect()
}

#[test]
fn a_packet_takes_the_senders_up_link_and_the_receivers_down_link() {
    let mut network = network(&[(A, host("delay=10ms", "delay=1s")), (B, host("delay=1s", "delay=5ms"))]);
    send(&mut network, ms(0), A, B);
    assert_eq!(network.next_at(), Some(ms(10)));
    assert_eq!(network.poll(ms(14)), None);
    assert_eq!(network.next_at(), Some(ms(15)));
    let delivery = network.poll(ms(100)).unwrap();
    assert_eq!(delivery, Delivery { at: ms(15), from: at(A), to: at(B), item: A.as_bytes().to_vec() });
    assert_eq!((network.next_at(), network.in_flight(), network.counters().delivered), (None, 0, 1));
}

#[test]
fn a_late_poll_gives_the_same_arrivals_in_the_same_order() {
    let run = |step_ms: usize| {
        let lossy =
            || host("delay=20ms,jitter=15ms,loss=10%", "delay=5ms,jitter=3ms,duplicate=10%,rate=1mbit");
        let mut network = network(&[(A, lossy()), (B, lossy()), (C, lossy())]);
        for i in 0..200 {
            let (from, to) = [(A, B), (B, C), (C, A), (A, C)][i % 4];
            send(&mut network, ms(i as u64 / 2), from, to);
        }
        (0..1_000)
            .step_by(step_ms)
            .flat_map(|now| arrivals(&mut network, ms(now as u64 + 100)))
            .collect::<Vec<_>>()
    };
    assert!(run(1).len() > 300 / 2);
    assert!(run(1).is_sorted_by_key(|(at, ..)| *at));
    assert_eq!(run(1), run(999));
}

#[test]
fn other_hosts_do_not_shift_the_draws_of_a_link() {
    let lossy = || host("loss=30%,jitter=10ms", "loss=30%");
    let run = |hosts: &[(&str, HostConfig)]| {
        let mut network = network(hosts);
        for i in 0..100 {
            send(&mut network, ms(i * 20), A, B);
            if hosts.len() > 2 {
                send(&mut network, ms(i * 20), C, A);
            }
        }
        let mut seen = arrivals(&mut network, ms(10_000));
        seen.retain(|(_, from, _)| *from == at(A));
        seen
    };
    assert_eq!(run(&[(A, lossy()), (B, lossy())]), run(&[(C, lossy()), (B, lossy()), (A, lossy())]));
}

#[test]
fn the_links_of_hosts_have_different_draws() {
    let mut network = network(&[(A, host("loss=50%", "")), (B, host("loss=50%", "")), (C, host("", ""))]);
    let mut got = |from| -> Vec<bool> {
        let mut one = |i| {
            send(&mut network, ms(i), from, C);
            !arrivals(&mut network, ms(i)).is_empty()
        };
        (0..64).map(&mut one).collect()
    };
    assert_ne!(got(A), got(B));
}

#[test]
fn a_receiver_sees_the_external_address_and_answers_to_it() {
    let mut network = network(&[(INSIDE, behind_nat("", "")), (B, host("", ""))]);
    send(&mut network, ms(0), INSIDE, B);
    let (_, from, _) = arrivals(&mut network, ms(0))[0];
    assert_eq!(from.ip(), at(&format!("{OUTSIDE}:0")).ip());
    send(&mut network, ms(1), B, &from.to_string());
    assert_eq!(arrivals(&mut network, ms(1)), [(ms(1), at(B), at(INSIDE))]);
}

#[test]
fn a_nat_keeps_strangers_out_and_hides_the_inside() {
    let mut network = network(&[(INSIDE, behind_nat("", "")), (B, host("", "")), (C, host("", ""))]);
    send(&mut network, ms(0), INSIDE, B);
    let (_, from, _) = arrivals(&mut network, ms(0))[0];
    send(&mut network, ms(1), C, &from.to_string());
    send(&mut network, ms(1), B, INSIDE);
    assert_eq!(arrivals(&mut network, ms(1)), []);
    assert_eq!((network.counters().filtered, network.counters().no_route), (1, 1));
}

#[test]
fn a_rebind_changes_the_port_and_loses_what_was_on_its_way() {
    let mut network = network(&[(INSIDE, behind_nat("", "delay=50ms")), (B, host("", ""))]);
    send(&mut network, ms(0), INSIDE, B);
    let (_, old, _) = arrivals(&mut network, ms(0))[0];
    send(&mut network, ms(1), B, &old.to_string());
    network.rebind_nat(at(INSIDE)).unwrap();
    send(&mut network, ms(2), INSIDE, B);
    let (_, new, _) = arrivals(&mut network, ms(2))[0];
    assert_eq!(old.ip(), new.ip());
    assert_ne!(old.port(), new.port());
    assert_eq!(arrivals(&mut network, ms(51)), []);
    assert_eq!(network.counters().filtered, 1);
    send(&mut network, ms(60), B, &new.to_string());
    assert_eq!(arrivals(&mut network, ms(110)), [(ms(110), at(B), at(INSIDE))]);
}

#[test]
fn a_partition_holds_for_its_time_and_both_ways() {
    let mut network = network(&[(A, host("", "")), (B, host("", "")), (C, host("", ""))]);
    let partition =
        Partition { left: vec![at(A)], right: vec![at(B)], one_way: false, from: ms(10), until: ms(20) };
    network.partition(&partition).unwrap();
    for now in [9, 10, 19, 20] {
        [(A, B), (B, A), (A, C)].iter().for_each(|(from, to)| send(&mut network, ms(now), from, to));
        let arrived = if (10..20).contains(&now) { 1 } else { 3 };
        assert_eq!(arrivals(&mut network, ms(now)).len(), arrived, "at {now} ms");
    }
    assert_eq!(network.counters().partitioned, 4);
}

#[test]
fn a_one_way_partition_lets_the_other_way_through_until_healed() {
    let mut network = network(&[(A, host("", "")), (B, host("", ""))]);
    let partition = Partition {
        left: vec![at(A)],
        right: vec![at(B)],
        one_way: true,
        from: Time::ZERO,
        until: Time::MAX,
    };
    network.partition(&partition).unwrap();
    send(&mut network, ms(0), A, B);
    send(&mut network, ms(0), B, A);
    assert_eq!(arrivals(&mut network, ms(0)), [(ms(0), at(B), at(A))]);
    network.heal();
    send(&mut network, ms(1), A, B);
    assert_eq!(arrivals(&mut network, ms(1)).len(), 1);
}

#[test]
fn sockets_of_a_host_share_its_link_and_its_partition() {
    let second = "192.0.2.9:1001";
    let mut network = network(&[(A, host("rate=8kbit", "")), (B, host("", ""))]);
    network.add_socket(at(A), at(second)).unwrap();
    network.send(ms(0), at(A), at(B), vec![0; 100]).unwrap();
    network.send(ms(0), at(second), at(B), vec![0; 100]).unwrap();
    assert_eq!(
        arrivals(&mut network, ms(500)),
        [(ms(100), at(A), at(B)), (ms(200), at(second), at(B))] // the second waits for the first
    );
    let partition = Partition {
        left: vec![at(A)],
        right: vec![at(B)],
        one_way: false,
        from: Time::ZERO,
        until: Time::MAX,
    };
    network.partition(&partition).unwrap();
    send(&mut network, ms(600), B, second);
    assert_eq!(arrivals(&mut network, ms(600)), []);
}

#[test]
fn what_is_on_its_way_to_a_removed_host_is_lost() {
    let mut network =
        network(&[(A, host("", "")), (B, host("", "delay=10ms")), (INSIDE, behind_nat("", ""))]);
    send(&mut network, ms(0), A, B);
    assert_eq!(arrivals(&mut network, ms(5)), []);
    network.remove_socket(at(B)).unwrap();
    send(&mut network, ms(6), A, B);
    assert_eq!(arrivals(&mut network, ms(50)), []);
    assert_eq!(network.counters().no_route, 2);
    network.remove_socket(at(INSIDE)).unwrap();
    network.add_host(at(INSIDE), &behind_nat("", "")).unwrap(); // its external address is free again
}

#[test]
fn a_link_can_be_changed_and_its_books_read() {
    let mut network = network(&[(A, host("", "")), (B, host("", ""))]);
    network.set_link(at(A), Direction::Up, &"loss=100%".parse().unwrap()).unwrap();
    send(&mut network, ms(0), A, B);
    send(&mut network, ms(0), B, A);
    assert_eq!(arrivals(&mut network, ms(0)).len(), 1);
    assert_eq!(network.link_counters(at(A), Direction::Up).unwrap().lost_random, 1);
    assert_eq!(network.link_counters(at(A), Direction::Down).unwrap().delivered, 1);
}

#[test]
fn times_of_links_count_from_the_start_of_the_network() {
    let start = ms(1_000_000);
    let mut network = Network::new(start, 1);
    network.add_host(at(A), &host("down=10ms..20ms", "")).unwrap();
    network.add_host(at(B), &host("", "")).unwrap();
    for (after_ms, arrived) in [(9, 1), (10, 0), (20, 1)] {
        let now = start + Duration::from_millis(after_ms);
        send(&mut network, now, A, B);
        assert_eq!(arrivals(&mut network, now).len(), arrived);
    }
}

#[test]
fn misuse_is_an_error() {
    let mut network = network(&[(A, host("", "")), (INSIDE, behind_nat("", ""))]);
    let outside = at(&format!("{OUTSIDE}:1"));
    let unknown = NetworkError::UnknownSocket(at(B));
    assert_eq!(network.send(ms(0), at(B), at(A), vec![]), Err(unknown.clone()));
    assert_eq!(network.rebind_nat(at(B)), Err(unknown.clone()));
    assert_eq!(network.remove_socket(at(B)), Err(unknown));
    assert!(matches!(network.add_host(at(A), &host("", "")), Err(NetworkError::AddressTaken(_))));
    assert!(matches!(network.add_host(outside, &host("", "")), Err(NetworkError::AddressTaken(_))));
    assert!(matches!(network.add_host(at(B), &behind_nat("", "")), Err(NetworkError::AddressTaken(_))));
    let on_a = HostConfig { nat: Some(NatConfig::new(at(A).ip())), ..HostConfig::default() };
    assert!(matches!(network.add_host(at(B), &on_a), Err(NetworkError::AddressTaken(_))));
    let invalid =
        HostConfig { down: LinkConfig { loss: 2.0, ..LinkConfig::default() }, ..HostConfig::default() };
    assert!(matches!(network.add_host(at(B), &invalid), Err(NetworkError::Link { direction: "down", .. })));
    network.add_host(at(B), &host("", "")).unwrap(); // none of the failures left anything behind
}

#[test]
fn hosts_behind_a_shared_link_wait_for_each_other_and_for_strangers() {
    let hosts = [(A, host("", "")), (B, host("", "delay=5ms")), (C, host("", ""))];
    let mut network = network(&hosts);
    let link = network.add_shared_link(&"rate=80kbit,queue=1s".parse().unwrap()).unwrap();
    network.put_behind(at(B), link).unwrap();
    network.put_behind(at(C), link).unwrap();
    // 14 bytes are 1.4 ms.
    send(&mut network, ms(0), A, B);
    send(&mut network, ms(0), A, C);
    send(&mut network, ms(0), B, A);
    let us = |micros: u64| Time::from_nanos(micros * 1_000);
    assert_eq!(network.poll(ms(0)).map(|delivery| delivery.to), Some(at(A)), "only what comes is behind it");
    assert_eq!(network.queue_delay(ms(0), at(B), Direction::Down), Ok(Duration::from_micros(2_800)));
    assert_eq!(network.queue_delay(ms(0), at(A), Direction::Down), Ok(Duration::ZERO));
    network.shared_link_mut(link).unwrap().send(ms(0), 100);
    send(&mut network, ms(0), A, C);
    let expected = [(us(2_800), at(A), at(C)), (us(6_400), at(A), at(B)), (us(14_200), at(A), at(C))];
    assert_eq!(arrivals(&mut network, ms(100)), expected);
    assert_eq!(network.shared_link(link).unwrap().counters().sent, 4);
    assert_eq!(network.put_behind(at(B), SharedLink(1)), Err(NetworkError::UnknownLink));
}
