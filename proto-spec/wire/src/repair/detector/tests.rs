use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const RTT: Duration = Duration::from_millis(40);
const PATIENCE: Patience = Patience { useful_for: Duration::from_millis(300), fec_grace: Duration::ZERO };

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_secs(100) + Duration::from_millis(millis)
}

/// A detector that has got these indices, one each millisecond from 0.
fn after(indices: &[u64]) -> LossDetector {
    let mut detector = LossDetector::new();
    for (millis, index) in (0..).zip(indices) {
        detector.on_packet(*index, at(millis));
    }
    detector
}

fn ask(detector: &mut LossDetector, now: Time, patience: Patience) -> Vec<u16> {
    let mut lost = [0; 200];
    let due = detector.due(now, RTT, patience, &mut lost);
    lost[..due.asked].to_vec()
}

#[test]
fn what_is_in_order_is_never_asked_for_and_makes_no_state() {
    let mut detector = after(&(100..5_000).collect::<Vec<_>>());
    assert_eq!((detector.poll_timeout(), detector.missing.capacity()), (None, 0));
    assert_eq!(ask(&mut detector, at(9_000), PATIENCE), [0; 0]);
    assert_eq!(detector.highest(), Some(4_999));
}

#[test]
fn a_packet_is_asked_for_once_three_came_behind_it_or_after_ten_milliseconds() {
    let mut detector = after(&[7, 9, 10]);
    assert_eq!(detector.poll_timeout(), Some(at(1) + REORDER_TIME));
    assert_eq!(ask(&mut detector, at(2), PATIENCE), [0; 0]);
    detector.on_packet(11, at(3));
    assert_eq!(detector.poll_timeout(), Some(at(3)));
    assert_eq!(ask(&mut detector, at(3), PATIENCE), [8]);

    let mut detector = after(&[7, 9]);
    assert_eq!(ask(&mut detector, at(10), PATIENCE), [0; 0]);
    assert_eq!(ask(&mut detector, at(11), PATIENCE), [8]);
}

#[test]
fn a_request_is_repeated_after_a_round_trip_and_a_quarter_until_the_answer_would_be_too_late() {
    let mut detector = after(&[7, 9]);
    let mut asked = Vec::new();
    let mut given_up = None;
    while let Some(now) = detector.poll_timeout() {
        let mut lost = [0; 4];
        let due = detector.due(now, RTT, PATIENCE, &mut lost);
        (0..due.asked).for_each(|_| asked.push(now.saturating_since(at(1)).as_millis()));
        given_up = (due.given_up == 1).then_some(now).or(given_up);
    }
    assert_eq!(asked, [10, 60, 110, 160, 210, 260]);
    assert_eq!(given_up, Some(at(1) + PATIENCE.useful_for));
    let mut detector = after(&[7, 9]);
    let hasty = Patience { useful_for: 45 * MS, ..PATIENCE };
    assert_eq!(ask(&mut detector, at(11), hasty), [0; 0], "the answer would come after 50 ms");
}

#[test]
fn a_packet_that_is_not_sent_is_given_up_after_six_requests() {
    let mut detector = after(&[7, 9]);
    let patience = Patience { useful_for: 9_000 * MS, ..PATIENCE };
    let (mut asked, mut given_up) = (0, 0);
    while let Some(now) = detector.poll_timeout() {
        let due = detector.due(now, Duration::ZERO, patience, &mut [0; 4]);
        (asked, given_up) = (asked + due.asked, given_up + due.given_up);
        assert!(now <= at(200));
    }
    assert_eq!((asked, given_up), (usize::from(MAX_REQUESTS), 1));
}

#[test]
fn one_that_is_missing_alone_waits_for_fec_and_a_burst_does_not() {
    let patience = Patience { fec_grace: 30 * MS, ..PATIENCE };
    let mut detector = after(&[7, 9, 10, 11, 12, 15, 16, 17]);
    assert_eq!(ask(&mut detector, at(7), patience), [13, 14]);
    assert_eq!(ask(&mut detector, at(30), patience), [0; 0]);
    assert_eq!(ask(&mut detector, at(31), patience), [8]);
}

#[test]
fn too_wide_a_gap_and_too_many_gaps_are_skipped_and_that_is_said_once() {
    let last = 8 + MAX_GAP_PACKETS;
    assert_eq!(after(&[7]).on_packet(last, at(9)), Arrival::Ahead(MAX_GAP_PACKETS));
    let mut detector = after(&[1, 3, 7]);
    assert_eq!(detector.on_packet(last + 1, at(9)), Arrival::Jumped);
    assert_eq!(detector.poll_timeout(), Some(at(9)));
    let due = detector.due(at(9), RTT, PATIENCE, &mut [0; 4]);
    assert_eq!(due, Due { skip_to_key_frame: true, ..Due::default() });
    assert_eq!((detector.poll_timeout(), detector.missing()), (None, 0));
    assert_eq!(detector.due(at(99), RTT, PATIENCE, &mut [0; 4]), Due::default());

    let mut detector = after(&[0]);
    let outcomes = (1..=129).map(|number| detector.on_packet(2 * number, at(0)));
    assert_eq!(outcomes.filter(|outcome| *outcome == Arrival::Jumped).count(), 1);
}

#[test]
fn reordering_is_learned_and_forgotten() {
    let mut detector = after(&[7, 9]);
    for index in 10..20 {
        detector.on_packet(index, at(2));
    }
    assert_eq!(detector.on_packet(8, at(25)), Arrival::Late);
    assert_eq!((detector.tolerance.packets, detector.tolerance.time), (12, 30 * MS));
    detector.on_packet(21, at(100));
    assert_eq!(ask(&mut detector, at(129), PATIENCE), [0; 0]);
    assert_eq!(ask(&mut detector, at(130), PATIENCE), [20]);
    detector.on_packet(23, at(11_000));
    assert_eq!(ask(&mut detector, at(11_010), PATIENCE), [22]);

    let mut detector = after(&[7, 9]);
    detector.on_packet(8, at(1) + DEFAULT_RTT / 2);
    assert_eq!(detector.tolerance.time, REORDER_TIME, "it may have been sent again further up");
}

#[test]
fn what_came_by_repair_is_missed_no_more_and_comes_once() {
    let mut detector = after(&[7, 9, 12]);
    assert!(detector.on_recovered(8, at(4)));
    assert!(!detector.on_recovered(8, at(4)), "again");
    assert!(!detector.on_recovered(9, at(4)), "it was there");
    assert_eq!(detector.on_packet(8, at(5)), Arrival::Known);
    assert_eq!(ask(&mut detector, at(20), PATIENCE), [10, 11]);
    assert!(detector.on_recovered(14, at(20)), "newer than all");
    assert!(!detector.on_recovered(14 + 2 + MAX_GAP_PACKETS, at(20)), "it has nothing to do with the stream");
    assert_eq!(ask(&mut detector, at(30), PATIENCE), [13]);
    assert!(!LossDetector::new().on_recovered(3, at(0)));
}

#[test]
fn nothing_is_missed_of_what_nobody_wanted() {
    let mut detector = after(&[7, 9]);
    detector.pass_over(40);
    detector.pass_over(39);
    assert_eq!((detector.poll_timeout(), detector.missing()), (None, 0));
    assert_eq!(detector.on_packet(41, at(3)), Arrival::Next);
}

#[test]
fn what_does_not_fit_goes_with_the_next_request() {
    let mut detector = after(&[0, 11]);
    let mut lost = [0; 6];
    assert_eq!(detector.due(at(11), RTT, PATIENCE, &mut lost).asked, 6);
    assert_eq!(detector.poll_timeout(), Some(at(11)));
    assert_eq!(detector.due(at(11), RTT, PATIENCE, &mut lost).asked, 4);
    assert_eq!(lost[..4], [7, 8, 9, 10]);
}

/// What a network does to a packet.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    /// So many milliseconds after it was sent.
    Comes(u64),
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        8 => (0..3_u64).prop_map(Fate::Comes),
        2 => Just(Fate::Lost),
        1 => (3..120_u64).prop_map(Fate::Comes),
    ];
    prop::collection::vec(fate, 1..300)
}

proptest! {
    /// Every request is for a packet that was seen to be missing, in time, not too often, and every such packet is asked for.
    #[test]
    fn requests_are_for_what_is_missing_and_bounded(fates in fates(), rtt_ms in 0..200_u64, room in 1..9_usize) {
        let rtt = Duration::from_millis(rtt_ms);
        let mut arrivals: BTreeMap<(Time, usize), u64> = BTreeMap::new();
        for (number, fate) in fates.iter().enumerate() {
            if let Fate::Comes(late) = fate {
                arrivals.insert((at(number as u64 * 2 + late), number), 1_000 + number as u64);
            }
        }
        let mut detector = LossDetector::new();
        let (mut come, mut shown) = (BTreeSet::new(), BTreeMap::new());
        let mut requests: BTreeMap<u64, Vec<Time>> = BTreeMap::new();
        let mut jumped = false;
        for millis in 0..2_000 {
            let now = at(millis);
            while let Some(entry) = arrivals.first_entry().filter(|entry| entry.key().0 <= now) {
                let index = entry.remove();
                if let Some(highest) = come.last().copied().filter(|highest| *highest < index) {
                    shown.extend((highest + 1..index).map(|between| (between, now)));
                }
                jumped |= detector.on_packet(index, now) == Arrival::Jumped;
                come.insert(index);
            }
            let mut calls = 0;
            while detector.poll_timeout().is_some_and(|due| due <= now) {
                calls += 1;
                prop_assert!(calls < 200, "it is never done");
                let mut lost = [0; 8];
                let due = detector.due(now, rtt, PATIENCE, &mut lost[..room.min(8)]);
                for sequence in &lost[..due.asked] {
                    requests.entry((*sequence).into()).or_default().push(now);
                    prop_assert!(!come.contains(&(*sequence).into()));
                }
            }
        }
        prop_assert_eq!(detector.missing(), 0, "everything ends");
        for (index, times) in &requests {
            let shown = shown[index];
            prop_assert!(times.len() <= usize::from(MAX_REQUESTS));
            prop_assert!(times.iter().all(|time| *time + rtt <= shown + PATIENCE.useful_for));
            let spacing = (rtt * 5 / 4).max(MIN_RETRY_INTERVAL);
            prop_assert!(times.windows(2).all(|pair| pair[1].saturating_since(pair[0]) >= spacing));
        }
        let asks = rtt + MAX_REORDER_TIME < PATIENCE.useful_for && !jumped;
        for (index, _) in shown.iter().filter(|(index, _)| asks && !come.contains(*index)) {
            prop_assert!(requests.contains_key(index), "{index} was lost and not asked for");
        }
    }
}
