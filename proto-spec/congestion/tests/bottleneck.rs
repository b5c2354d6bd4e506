//! The goals of bad networks at the level of the estimator: a controller with its feedback in a model of a bottleneck, in virtual
//! time, from seeds. Each test prints the worst and the median figure of its seeds (`--nocapture`).
#![expect(clippy::print_stdout, reason = "figures, for who asks for them")]

mod support;

use support::{Scenario, World, bdp_bytes, jain, percentile};

const SEEDS: u64 = 20;

/// Runs a scenario from each seed for so many ms.
fn worlds(until: u64, scenario: impl Fn(u64) -> Scenario) -> impl Iterator<Item = World> {
    (0..SEEDS).map(move |seed| {
        let mut world = World::new(scenario(0x5EED + seed));
        world.run_until(until);
        world
    })
}

/// Prints figures of all seeds, and gives the least and the greatest.
fn figures(name: &str, values: Vec<f64>) -> (f64, f64) {
    let (least, most) = (percentile(values.clone(), 0.0), percentile(values.clone(), 0.9999));
    println!("{name}: least {least:.3}, median {:.3}, most {most:.3}", percentile(values, 0.5));
    (least, most)
}

/// Capacity in Mbit/s: 3, from 20 s on 0.75, from 40 s on 3 again.
fn steps(seed: u64) -> Scenario {
    let capacity = vec![(0, 3e6), (20_000, 0.75e6), (40_000, 3e6)];
    Scenario { capacity, wanted_bps: 4e6, ..Scenario::new(seed, 3e6) }
}

#[test]
fn when_the_capacity_falls_the_sender_is_within_it_in_a_second_and_a_half() {
    let sent = worlds(24_000, steps).map(|world| world.flows[0].sent_bps(21_500, 23_000) / 0.75e6);
    let (_, most) = figures("share of the new capacity sent from 1.5 s to 3 s", sent.collect());
    assert!(most <= 1.0, "{most}");
}

#[test]
fn when_the_capacity_returns_ninety_percent_are_back_in_ten_seconds() {
    let back = worlds(60_000, steps).map(|world| {
        let back = world.flows[0].target_first(40_000, |target| target >= 0.9 * 3e6);
        back.map_or(f64::INFINITY, |millis| millis as f64)
    });
    let (_, most) = figures("ms until 90 % are back", back.collect());
    assert!(most <= 10_000.0, "{most}");
}

#[track_caller]
fn steady(queue_bdps: u64, capacity: f64) {
    let scenario = |seed| Scenario {
        queue_bytes: queue_bdps * bdp_bytes(capacity, Scenario::new(0, capacity).rtt),
        ..Scenario::new(seed, capacity)
    };
    let (waits, used): (Vec<_>, Vec<_>) = worlds(60_000, scenario)
        .map(|world| {
            let flow = &world.flows[0];
            (percentile(flow.waits(20_000, 60_000), 0.95), flow.received_bps(20_000, 60_000) / capacity)
        })
        .unzip();
    let (_, longest) = figures(&format!("{queue_bdps} BDP: p95 of the wait in ms"), waits);
    let (least, _) = figures(&format!("{queue_bdps} BDP: share used"), used);
    assert!(longest < 60.0, "{longest}");
    assert!(least >= 0.85, "{least}");
}

#[test]
fn steady_state_behind_a_short_queue() {
    steady(1, 3e6);
}

#[test]
fn steady_state_behind_a_long_queue() {
    steady(4, 3e6);
}

#[track_caller]
fn random_loss(loss: f64) {
    let scenario = |seed| Scenario { loss, ..Scenario::new(seed, 3e6) };
    let used = worlds(60_000, scenario).map(|world| world.flows[0].sent_bps(20_000, 60_000) / 3e6);
    let (least, _) = figures(&format!("{loss} lost at random: share used"), used.collect());
    assert!(least >= 0.85, "{least}");
}

#[test]
fn five_percent_of_random_loss_starve_nobody() {
    random_loss(0.05);
}

#[test]
#[ignore = "not met yet, over 20 seeds: share used least 0.684, median 0.808, most 0.854"]
fn ten_percent_of_random_loss_starve_nobody() {
    random_loss(0.10);
}

#[track_caller]
fn fair(flows: usize, queue_bdps: u64) {
    let capacity = 2e6 * flows as f64;
    let scenario = |seed| Scenario {
        flows,
        queue_bytes: queue_bdps * bdp_bytes(capacity, Scenario::new(0, capacity).rtt),
        ..Scenario::new(seed, capacity)
    };
    let (fairness, used): (Vec<_>, Vec<_>) = worlds(50_000, scenario)
        .map(|world| {
            let shares: Vec<_> = world.flows.iter().map(|flow| flow.received_bps(20_000, 50_000)).collect();
            (jain(&shares), shares.iter().sum::<f64>() / capacity)
        })
        .unzip();
    let (least, _) = figures(&format!("{flows} flows, {queue_bdps} BDP: Jain"), fairness);
    figures(&format!("{flows} flows, {queue_bdps} BDP: share used"), used);
    assert!(least >= 0.9, "{least}");
}

#[test]
fn two_flows_share_a_short_queue() {
    fair(2, 1);
}

#[test]
fn two_flows_share_a_long_queue() {
    fair(2, 4);
}

#[test]
#[ignore = "not met yet, over 20 seeds: Jain least 0.517, median 0.985, most 0.993"]
fn five_flows_share_a_short_queue() {
    fair(5, 1);
}

#[test]
fn five_flows_share_a_long_queue() {
    fair(5, 4);
}

#[track_caller]
fn beside_cubic(queue_bdps: u64) {
    let capacity = 4e6;
    let scenario = |seed| Scenario {
        is_with_cubic: true,
        queue_bytes: queue_bdps * bdp_bytes(capacity, Scenario::new(0, capacity).rtt),
        ..Scenario::new(seed, capacity)
    };
    let (ours, theirs): (Vec<_>, Vec<_>) = worlds(50_000, scenario)
        .map(|world| {
            let ours = world.flows[0].received_bps(20_000, 50_000);
            (ours / capacity, world.cubic.expect("it is there").received_bps(20_000, 50_000) / capacity)
        })
        .unzip();
    let (our_least, _) = figures(&format!("beside CUBIC, {queue_bdps} BDP: our share"), ours);
    let (their_least, _) = figures(&format!("beside CUBIC, {queue_bdps} BDP: its share"), theirs);
    assert!(our_least >= 0.25 && their_least >= 0.25, "{our_least} {their_least}");
}

#[test]
fn beside_cubic_behind_a_short_queue() {
    beside_cubic(1);
}

#[test]
#[ignore = "not met yet, over 20 seeds: our share least 0.133, median 0.175, most 0.229"]
fn beside_cubic_behind_a_long_queue() {
    beside_cubic(4);
}
