//! What paths carry, as the router finds out, and what comes of it.

mod lab;

use sluice_router::core::DropReason;
use sluice_router::core::limits::START_DOWNLINK_BPS;
use sluice_wire::control::SlotStatus;

use lab::{Lab, Network, person};
use sluice_wire::track::TrackNumber;

const ROOM: &str = "lab";

fn meeting(start_bps: u64, seed: u64, people: u32) -> Lab {
    let mut lab = Lab::starting_at(Some(start_bps));
    lab.network = Some(Network::new(20, seed));
    lab.with_meeting(people)
}

#[test]
fn probes_find_out_that_a_path_is_wide() {
    let mut lab = meeting(START_DOWNLINK_BPS, 1, 3);
    lab.run(8_000);
    for number in 1..=3 {
        let quality = lab.shard.quality(ROOM, person(number)).unwrap();
        assert!(quality.estimate_bps > Some(START_DOWNLINK_BPS), "{quality:?}");
        assert_eq!(quality.limit_bps, None, "nothing is scarce: {quality:?}");
        assert!(quality.loss < 0.01 && quality.rtt.is_some_and(|rtt| (38..60).contains(&rtt.as_millis())));
        let uplink = lab.client(number).session.uplink_stats();
        assert!(uplink.rtt.is_some() && uplink.acknowledged_bps.is_some(), "{uplink:?}");
    }
    assert!(lab.shard.counters().padding_out > 5 && lab.shard.counters().feedback_in > 300);
    assert_eq!(lab.dropped(DropReason::PacerFull) + lab.dropped(DropReason::PacedTooLong), 0);
    lab.assert_all_frames_are_intact();
}

#[test]
fn a_path_that_loses_half_gets_less_and_only_that_one() {
    let mut lab = meeting(START_DOWNLINK_BPS, 2, 3);
    lab.picture_bytes = 3_000;
    lab.run(6_000);
    let bad = lab.client(3).address;
    lab.network.as_mut().unwrap().loss_to = Some((bad, 50));
    let before = lab.shard.quality(ROOM, person(3)).unwrap();
    lab.run(15_000);
    let [good, bad] = [1, 3].map(|number| lab.shard.quality(ROOM, person(number)).unwrap());
    assert!(bad.estimate_bps < before.estimate_bps.map(|bps| bps / 2), "{before:?} {bad:?}");
    assert!(bad.loss > 0.2 && good.loss < 0.01);
    assert_eq!(good.limit_bps, None);
    let starved = lab.client(3).shown.values().any(|shown| shown.status == SlotStatus::NoBandwidth);
    assert!(starved, "{bad:?}");
}

#[test]
fn what_waits_for_the_pacer_comes_in_order_and_whole() {
    let mut lab = meeting(300_000, 3, 2);
    let now = lab.now;
    let large = lab::picture(person(1), 1, 0, 60_000, true);
    lab::send(&mut lab.client(1).session, now, TrackNumber::CAMERA, 1, &large, true).unwrap();
    lab.run(30);
    assert!(lab.shard.quality(ROOM, person(2)).unwrap().paced_bytes > 10_000);
    assert!(lab.shard.counters().paced > 10);
    lab.run(1_000);
    assert_eq!(lab.shard.quality(ROOM, person(2)).unwrap().paced_bytes, 0);
    assert_eq!(lab.dropped(DropReason::PacedTooLong) + lab.dropped(DropReason::NotContinuous), 0);
    lab.assert_all_frames_are_intact();
}
