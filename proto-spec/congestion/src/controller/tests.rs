use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const CONFIG: Config = Config {
    start_bps: 1_000_000,
    min_bps: 50_000,
    max_bps: 10_000_000,
    history_packets: 512,
    is_stepped: false,
};

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn sent(sequence: u16, millis: u64) -> PacketSent {
    PacketSent { sequence, at: at(millis), size_bytes: 1_250, probe: None }
}

fn arrived(sequence: u16, ticks: u32) -> PacketReport {
    PacketReport { sequence, arrival: Some(Arrival { ticks, ecn: Ecn::NotEct }) }
}

/// 1 Mbit/s for so many ms; each packet takes 30 ms to the receiver, and its report as long. Gives the next number.
fn run(controller: &mut Controller, first: u16, from: u64, millis: u64) -> u16 {
    let mut sequence = first;
    for now in (from..from + millis).step_by(10) {
        controller.on_sent(&sent(sequence, now));
        if now >= from + 60 {
            let ticks = (now as u32 - 30) * 4;
            controller.on_reports(at(now), Duration::ZERO, [arrived(sequence - 6, ticks)].into_iter());
        }
        sequence = sequence.wrapping_add(1);
    }
    sequence
}

#[test]
fn it_is_as_small_as_promised() {
    let size = size_of::<Controller>();
    assert!(size <= 2_560, "{size}");
}

#[test]
fn a_path_that_carries_all_raises_the_target_within_the_bound() {
    let mut controller = Controller::new(&CONFIG);
    run(&mut controller, 0, 0, 10_000);
    let stats = controller.stats();
    assert!((1_450_000..=1_560_000).contains(&stats.target_bps), "{stats:?}");
    assert!(stats.acknowledged_bps.unwrap().abs_diff(1_000_000) < 20_000);
    assert_eq!((stats.rtt, stats.loss, stats.usage), (Some(Duration::from_millis(60)), 0.0, Usage::Normal));
    assert_eq!(controller.pacing_rate_bps(), (controller.target_bps * PACING_FACTOR) as u64);
}

#[test]
fn silence_lowers_the_target_again_and_again_and_feedback_ends_it() {
    let mut controller = Controller::new(&CONFIG);
    let next = run(&mut controller, 0, 0, 2_000);
    let before = controller.target_bps();
    assert_eq!(controller.poll_timeout(), None, "nothing waits");
    controller.on_sent(&sent(next, 2_000));
    let due = controller.poll_timeout().unwrap();
    assert_eq!(due, at(2_400));
    controller.on_timeout(at(2_300));
    assert_eq!(controller.target_bps(), before);
    controller.on_timeout(due);
    assert!(controller.stats().is_out && controller.target_bps().abs_diff(before * 7 / 10) < 2);
    for _ in 0..40 {
        controller.on_timeout(controller.poll_timeout().unwrap());
    }
    assert_eq!(controller.target_bps(), CONFIG.min_bps);
    assert_eq!(controller.next_probe(at(60_000)), None, "no probes into a dead path");
    controller.on_reports(at(60_000), Duration::ZERO, [arrived(next, 240_000)].into_iter());
    assert_eq!((controller.stats().is_out, controller.poll_timeout()), (false, None));
}

#[test]
fn probes_raise_the_target_to_what_the_path_carried_of_them() {
    let mut controller = Controller::new(&CONFIG);
    let cluster = controller.next_probe(at(0)).unwrap();
    assert_eq!(cluster.rate_bps, 3_000_000);
    for sequence in 0..6 {
        // 1,250 bytes in 3.333 ms are 3 Mbit/s.
        let at = Time::from_nanos(u64::from(sequence) * 3_333_333);
        controller.on_sent(&PacketSent { sequence, at, size_bytes: 1_250, probe: Some(cluster.id) });
    }
    let reports = (0..6).map(|sequence| arrived(sequence, 1_000 + u32::from(sequence) * 13));
    controller.on_reports(at(80), Duration::ZERO, reports);
    assert!(controller.target_bps().abs_diff(3_000_000) < 30_000, "{}", controller.target_bps());
}

#[test]
fn reports_without_news_change_nothing_but_counters() {
    let mut controller = Controller::new(&CONFIG);
    let next = run(&mut controller, 0, 0, 2_000);
    controller.on_sent(&sent(next, 2_000));
    let before = controller.stats();
    let due = controller.poll_timeout();
    assert!(due.is_some());
    controller.on_reports(at(2_050), Duration::ZERO, (next + 1..=next + 300).map(|n| arrived(n, 1)));
    controller.on_reports(at(2_050), Duration::ZERO, (0..100).map(|n| arrived(n, 1)));
    let after = controller.stats();
    assert_eq!((after.unknown_reports, after.repeated_reports), (300, 100));
    assert_eq!(Stats { unknown_reports: 0, repeated_reports: 0, ..after }, before);
    assert_eq!(controller.poll_timeout(), due, "nor do they end an outage");
}

#[test]
fn a_new_path_starts_at_half() {
    let mut controller = Controller::new(&CONFIG);
    let next = run(&mut controller, 0, 0, 4_000);
    let before = controller.target_bps();
    controller.on_new_path();
    assert_eq!((controller.target_bps(), controller.stats().in_flight_bytes), (before / 2, 0));
    run(&mut controller, next, 4_000, 2_000);
    assert_eq!(controller.stats().unknown_reports, 0);
}

#[test]
fn marks_of_congestion_are_counted() {
    let mut controller = Controller::new(&CONFIG);
    controller.on_sent(&sent(0, 0));
    let arrival = Some(Arrival { ticks: 5, ecn: Ecn::Ce });
    controller.on_reports(at(50), Duration::ZERO, [PacketReport { sequence: 0, arrival }].into_iter());
    assert_eq!(controller.stats().ce_marked, 1);
}

proptest! {
    /// Whatever a receiver claims, the target stays within bounds and below what was sent, with the margin.
    #[test]
    fn lies_raise_nothing_beyond_what_was_sent(
        steps in vec((0..30u64, 0..60u16, vec((any::<u16>(), any::<bool>(), any::<u32>()), 0..8)), 1..300),
        is_eager: bool,
    ) {
        let mut controller = Controller::new(&Config { start_bps: 300_000, ..CONFIG });
        let (mut now, mut sequence, mut liar) = (0, 0u16, 0u32);
        for (pause, size, claims) in steps {
            // 40 to 100 bytes every 15 ms on average: some 40 kbit/s, and never 800.
            now += pause.max(1);
            controller.on_sent(&PacketSent { sequence, at: at(now), size_bytes: 40 + size, probe: None });
            let honest = is_eager.then(|| {
                liar = liar.wrapping_add(1);
                arrived(sequence, liar)
            });
            let claims = claims.into_iter().map(|(offset, is_arrival, ticks)| {
                let sequence = sequence.wrapping_sub(offset % 700);
                PacketReport { sequence, arrival: is_arrival.then_some(Arrival { ticks, ecn: Ecn::Ce }) }
            });
            controller.on_reports(at(now), Duration::from_millis(now % 90), claims.chain(honest));
            controller.on_timeout(at(now));
            sequence = sequence.wrapping_add(1);
            let bound = (1.5 * 800_000.0 + 10_000.0) as u64;
            prop_assert!((CONFIG.min_bps..=bound).contains(&controller.target_bps()));
            prop_assert!(controller.stats().loss <= 1.0);
        }
    }
}
