use super::*;

const NORMAL: AimdInput = AimdInput {
    usage: Usage::Normal,
    acknowledged_bps: Some(1e6),
    loss: 0.0,
    rtt: Duration::from_millis(50),
    is_alr: false,
};
const OVER: AimdInput = AimdInput { usage: Usage::Over, ..NORMAL };

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn aimd() -> Aimd {
    Aimd::new(1e6, 5e4, 1e7)
}

/// Feedback every 50 ms from one time to another; the rate in the end.
fn run(aimd: &mut Aimd, from: u64, until: u64, input: AimdInput) -> f64 {
    (from..=until).step_by(50).map(|now| aimd.update(at(now), &input)).last().unwrap()
}

#[test]
fn far_from_the_capacity_it_grows_by_eight_percent_a_second() {
    let mut aimd = aimd();
    let rate = run(&mut aimd, 0, 2_000, NORMAL);
    assert!((rate - 1e6 * 1.08 * 1.08).abs() < 1e3, "{rate}");
}

#[test]
fn it_never_grows_beyond_what_was_tried() {
    let mut aimd = aimd();
    assert_eq!(run(&mut aimd, 0, 60_000, NORMAL), 1.5e6 + 1e4);
    // And stays there when less arrives: nothing says that the path became worse.
    let quiet = AimdInput { acknowledged_bps: Some(1e5), ..NORMAL };
    assert_eq!(run(&mut aimd, 60_000, 70_000, quiet), 1.5e6 + 1e4);
}

#[test]
fn a_sender_without_much_to_send_learns_nothing() {
    let mut aimd = aimd();
    assert_eq!(run(&mut aimd, 0, 10_000, AimdInput { is_alr: true, ..NORMAL }), 1e6);
}

#[test]
fn overuse_takes_it_below_what_arrives_once_a_round_trip() {
    let mut aimd = aimd();
    run(&mut aimd, 0, 1_000, NORMAL);
    assert_eq!(aimd.update(at(1_010), &OVER), 0.85e6 - 5e3);
    let less = AimdInput { acknowledged_bps: Some(0.8e6), ..OVER };
    assert_eq!(aimd.update(at(1_040), &less), 0.85e6 - 5e3, "within a round trip");
    assert_eq!(aimd.update(at(1_060), &less), 0.68e6 - 5e3);
    let collapsed = AimdInput { acknowledged_bps: Some(0.2e6), ..OVER };
    assert_eq!(aimd.update(at(1_061), &collapsed), 0.17e6 - 5e3, "at once");
    assert_eq!(aimd.decreased_at(), Some(at(1_061)));
}

#[test]
fn what_was_lost_at_random_was_sent_as_well() {
    let rate = |loss| aimd().update(at(0), &AimdInput { acknowledged_bps: Some(0.9e6), loss, ..OVER });
    assert_eq!(rate(0.1), 0.85e6 - 5e3);
    assert_eq!(rate(0.9), rate(MAX_LOSS), "and not much of it");
}

#[test]
fn overuse_never_raises_the_rate() {
    let mut aimd = aimd();
    let drained = AimdInput { acknowledged_bps: Some(4e6), ..OVER };
    assert_eq!(aimd.update(at(0), &drained), 1e6);
}

#[test]
fn near_the_capacity_it_grows_by_packets_a_response() {
    let mut aimd = aimd();
    let before = aimd.update(at(0), &OVER);
    aimd.update(at(50), &NORMAL);
    let grown = run(&mut aimd, 100, 1_050, NORMAL) - before;
    // 28.2 kbit a frame in 3 packets of 9.4 kbit, soon in 4 of 7.2 to 8; a response takes 150 ms.
    let packet_bits = grown * 0.15 / NEAR_PACKETS;
    assert!((7_000.0..9_400.0).contains(&packet_bits), "{packet_bits}");
    // Much more arrives than the link ever carried: the link is another one.
    let more = AimdInput { acknowledged_bps: Some(1.3e6), ..NORMAL };
    let grown = run(&mut aimd, 1_100, 2_100, more) - before - grown;
    assert!(grown > 6e4, "8 % of 0.9 Mbit/s: {grown}");
}

#[test]
fn while_the_queue_drains_it_holds() {
    let mut aimd = aimd();
    let rate = aimd.update(at(0), &OVER);
    assert_eq!(run(&mut aimd, 50, 1_000, AimdInput { usage: Usage::Under, ..NORMAL }), rate);
    assert_eq!(aimd.update(at(1_050), &NORMAL), rate, "growth counts from here");
}

#[test]
fn without_a_measurement_overuse_halves() {
    let mut aimd = aimd();
    assert_eq!(aimd.update(at(0), &AimdInput { acknowledged_bps: None, ..OVER }), 5e5);
}

#[test]
fn bounds_hold() {
    let mut aimd = aimd();
    aimd.on_probe(at(0), 1e9);
    assert_eq!(aimd.rate_bps(), 1e7);
    assert_eq!(aimd.update(at(1), &AimdInput { acknowledged_bps: Some(0.0), ..OVER }), 5e4);
}
