//! Simulated voices over paths of all kinds.

use proptest::prelude::*;

use super::*;
use crate::playout::simulation::{
    Arrivals, Draws, Listener, PACKET_US, START_US, jittery, play, stalling, voice,
};

/// A minute of 20 ms packets.
const MINUTE: u64 = 3_000;
const STEADY: (i64, i64) = (PACKET_US, 0);

fn mean_delay_us(stats: &AudioStats) -> i64 {
    duration_us(stats.mean_delay())
}

/// Packets by number that are retransmitted, if lost, 60 ms after they should have come.
fn repaired(seed: u64, loss: f64) -> impl FnMut(u64) -> Option<i64> {
    let mut draws = Draws::new(seed);
    move |_| Some(if draws.uniform() < loss { 110_000 } else { 50_000 } + draws.gaussian_us(2.0))
}

/// Losses in bursts (Gilbert): begun by 2 % of packets, ended by every second one.
fn bursty(seed: u64) -> impl FnMut(u64) -> Option<i64> {
    let mut draws = Draws::new(seed);
    let mut is_bad = false;
    move |_| {
        is_bad = draws.uniform() < if is_bad { 0.5 } else { 0.02 };
        (!is_bad).then_some(50_000)
    }
}

#[test]
fn a_perfect_path_costs_one_packet_of_delay() {
    let (playout, listener) = play(&Arrivals::of(MINUTE, STEADY, |_| Some(50_000)), voice);
    let stats = playout.stats();
    assert_eq!((stats.played, stats.concealed, stats.late), (MINUTE, Duration::ZERO, 0));
    assert_eq!(playout.target(), MIN_TARGET);
    let (least, most) = bounds(&listener.delays_us(500..MINUTE));
    assert!(least >= 65_000 && most <= 80_000, "{least} {most}");
}

fn bounds(delays_us: &[i64]) -> (i64, i64) {
    (*delays_us.iter().min().unwrap(), *delays_us.iter().max().unwrap())
}

#[test]
fn jitter_costs_little_more_delay_than_the_best_constant_one() {
    for (sigma_ms, seed) in [(3.0, 1), (10.0, 2), (10.0, 3), (20.0, 4), (20.0, 5)] {
        let arrivals = Arrivals::of(MINUTE, STEADY, jittery(seed, sigma_ms));
        let stats = play(&arrivals, voice).0.stats();
        let best_us = arrivals.best_delay_us(0.995, PACKET_US).max(20_000);
        let concealed = stats.concealed_share();
        println!("sigma {sigma_ms}: {} us, best {best_us}, concealed {concealed:.4}", mean_delay_us(&stats));
        assert!(concealed < 0.005, "sigma {sigma_ms}: {concealed}");
        assert!(mean_delay_us(&stats) < best_us + 15_000, "{} {best_us}", mean_delay_us(&stats));
    }
}

#[test]
fn what_is_retransmitted_is_waited_for() {
    for (loss, seed) in [(0.02, 1), (0.05, 2), (0.10, 3), (0.20, 4)] {
        let stats = play(&Arrivals::of(MINUTE, STEADY, repaired(seed, loss)), voice).0.stats();
        println!("loss {loss}: {} us, {:.4}", mean_delay_us(&stats), stats.concealed_share());
        assert!(stats.concealed_share() < 0.005, "{loss}: {}", stats.concealed_share());
        assert!(mean_delay_us(&stats) < 100_000, "{loss}: {}", mean_delay_us(&stats));
    }
}

#[test]
fn lost_packets_are_concealed_for_as_long_as_they_would_have_sounded() {
    let arrivals = Arrivals::of(MINUTE, STEADY, bursty(1));
    let (playout, listener) = play(&arrivals, voice);
    let stats = playout.stats();
    let last = arrivals.0.iter().map(|arrival| arrival.1).max().unwrap();
    let lost = last + 1 - arrivals.0.len() as u64;
    let concealed_us = duration_us(stats.concealed);
    assert_eq!(stats.played, arrivals.0.len() as u64);
    assert!((concealed_us - lost as i64 * PACKET_US).abs() < 60_000, "{concealed_us} of {lost} packets");
    assert!((40..80).contains(&stats.concealment_events), "{}", stats.concealment_events);
    assert!(bounds(&listener.delays_us(500..MINUTE)).1 < 110_000);
}

#[test]
fn regular_stalls_become_delay_and_are_not_heard_any_more() {
    let stall_us = 120_000;
    let arrivals = Arrivals::of(MINUTE, STEADY, stalling(PACKET_US, 3_000_000, stall_us));
    let (playout, listener) = play(&arrivals, voice);
    let stats = playout.stats();
    println!("stalls: {} us, {:?}", mean_delay_us(&stats), stats);
    assert_eq!(stats.played, MINUTE);
    assert!(stats.concealment_events <= 6, "{}", stats.concealment_events);
    let (_, most) = bounds(&listener.delays_us(1_500..MINUTE));
    assert!(most < 50_000 + stall_us + 35_000, "{most}");
}

#[test]
fn an_outage_costs_no_word_and_its_delay_is_taken_back() {
    let arrivals = Arrivals::of(MINUTE / 2, STEADY, stalling(PACKET_US, 20_000_000, 200_000));
    let (playout, listener) = play(&arrivals, voice);
    let stats = playout.stats();
    assert_eq!((stats.played, stats.late, stats.skipped), (MINUTE / 2, 0, 0));
    assert!((1..=2).contains(&stats.concealment_events), "{stats:?}");
    assert!(stats.concealed <= Duration::from_millis(250), "{stats:?}");
    assert!(bounds(&listener.delays_us(500..520)).1 > 200_000);
    assert!(bounds(&listener.delays_us(1_300..1_500)).1 < 110_000);
}

#[test]
fn after_a_long_outage_old_words_are_skipped() {
    let arrivals = Arrivals::of(1_000, STEADY, stalling(PACKET_US, 20_000_000, 2_000_000));
    let (playout, listener) = play(&arrivals, voice);
    let stats = playout.stats();
    assert!((70..=100).contains(&stats.skipped), "{stats:?}");
    assert_eq!(stats.concealment_events, 1);
    assert!(stats.concealed >= Duration::from_millis(1_800), "{stats:?}");
    assert!(bounds(&listener.delays_us(450..1_000)).1 < 450_000);
}

#[test]
fn drifting_clocks_are_followed_without_a_gap() {
    for drift_ppm in [-100, 100, 500] {
        let arrivals = Arrivals::of(5 * MINUTE, (PACKET_US, drift_ppm), jittery(1, 2.0));
        let (playout, listener) = play(&arrivals, voice);
        let stats = playout.stats();
        assert!(stats.concealed < Duration::from_millis(20), "{drift_ppm}: {stats:?}");
        assert_eq!(stats.played, 5 * MINUTE);
        let drifted_us = |number: u64| number as i64 * PACKET_US * drift_ppm / 1_000_000;
        for (number, at_us) in listener.heard.iter().skip(500) {
            let delay_us = at_us - (*number as i64 * PACKET_US - drifted_us(*number));
            assert!((55_000..100_000).contains(&delay_us), "{drift_ppm} ppm, {number}: {delay_us}");
        }
    }
}

#[test]
fn pauses_are_silence() {
    // Two seconds of speech, then packets of DTX every 400 ms for as long.
    let is_sent = |number: &u64| number % 200 < 100 || number.is_multiple_of(20);
    let numbers: Vec<u64> = (0..MINUTE).filter(is_sent).collect();
    let mut path = jittery(1, 2.0);
    let arrivals = Arrivals::of(MINUTE, STEADY, |number| {
        let delay = path(number);
        if is_sent(&number) { delay } else { None }
    });
    for marks_dtx in [true, false] {
        let (playout, listener) = play(&arrivals, |number| AudioPacket {
            index: numbers.binary_search(&number).unwrap() as u64,
            ends_talk_spurt: marks_dtx && number % 200 >= 100,
            ..voice(number)
        });
        let stats = playout.stats();
        assert_eq!(stats.played, numbers.len() as u64);
        assert_eq!((stats.concealment_events, stats.concealed), (0, Duration::ZERO), "{stats:?}");
        let silence_us = duration_us(stats.silence);
        let sent_us = (MINUTE - numbers.len() as u64) as i64 * PACKET_US;
        assert!((silence_us - sent_us).abs() < 500_000, "{silence_us} {sent_us}");
        assert!(bounds(&listener.delays_us(500..MINUTE)).1 < 130_000);
        assert_eq!(marks_dtx, listener.conceal_us < 700_000, "{}", listener.conceal_us);
    }
}

#[test]
fn another_voice_goes_on_where_the_slot_is() {
    // The second voice comes 300 ms later by its timestamps, and overlaps the first one's last packet.
    let arrivals = Arrivals::of(1_000, STEADY, |number| Some(if number < 500 { 50_000 } else { 350_000 }));
    let (playout, listener) = play(&arrivals, |number| {
        let packet = voice(number);
        let is_second = number >= 500;
        AudioPacket {
            source: if is_second { 9 } else { 7 },
            timestamp: packet.timestamp.wrapping_sub(if is_second { 800 } else { 0 }),
            ..packet
        }
    });
    let stats = playout.stats();
    assert_eq!((stats.played, stats.late, stats.concealment_events), (1_000, 0, 0), "{stats:?}");
    assert!((250_000..400_000).contains(&duration_us(stats.silence)), "{stats:?}");
    assert_eq!(playout.target(), MIN_TARGET);
    assert!(bounds(&listener.delays_us(600..1_000)).1 < 410_000);
}

#[test]
fn reordered_packets_are_put_in_order_and_stragglers_are_counted() {
    let path = |number| {
        Some(match number {
            n if n % 50 == 10 => 72_000,
            1_507 => 150_000,
            _ => 50_000,
        })
    };
    let mut arrivals = Arrivals::of(2_000, STEADY, path);
    let again: Vec<_> = arrivals.0.iter().filter(|(_, number)| number % 9 == 0).copied().collect();
    arrivals.0.extend(again.iter().map(|(at, number)| (at + 1_000, *number)));
    arrivals.0.sort_unstable();
    let stats = play(&arrivals, voice).0.stats();
    assert_eq!(stats.duplicates, again.len() as u64);
    assert_eq!(stats.late + stats.played, 2_000);
    assert!((1..10).contains(&stats.late), "{stats:?}");
}

#[test]
fn what_was_stretched_otherwise_moves_the_next_instant() {
    let mut playout = AudioPlayout::new(48_000);
    playout.push(time_of(START_US), voice(0));
    let due = playout.next_at().unwrap();
    assert_eq!(due, time_of(START_US) + FIRST_TARGET);
    assert_eq!(playout.poll(due - Duration::from_millis(1)), None);
    let asked = playout.poll(due).unwrap().duration();
    playout.correct(asked, asked + Duration::from_millis(3));
    assert_eq!(playout.next_at(), Some(due + asked + Duration::from_millis(3)));
    playout.correct(Duration::MAX, Duration::ZERO);
    assert!(playout.poll(due).is_some(), "nonsense is survived");
}

#[test]
fn a_suspended_player_does_not_catch_up() {
    let mut playout = AudioPlayout::new(48_000);
    for number in 0..20 {
        playout.push(time_of(START_US + number as i64 * PACKET_US), voice(number));
    }
    let now = time_of(START_US + 60_000_000);
    assert!(matches!(playout.poll(now), Some(AudioOutput::Frame { .. })));
    assert!(playout.next_at().unwrap() > now);
}

#[test]
fn added_delay_holds_back_the_whole_stream() {
    let mut playout = AudioPlayout::new(48_000);
    let mut listener = Listener::default();
    playout.set_added_delay(Duration::from_secs(1));
    for number in 0..1_000 {
        let now = time_of(START_US + number as i64 * PACKET_US);
        listener.listen(&mut playout, now);
        playout.push(now, voice(number));
    }
    let (least, most) = bounds(&listener.delays_us(500..1_000));
    assert!(least > 1_010_000 && most < 1_050_000, "{least} {most}");
    let latency = playout.latency().unwrap();
    let lag_us = latency.actual_us - latency.needed_us;
    assert!((985_000..1_020_000).contains(&lag_us), "{lag_us}");
}

#[test]
fn a_buffer_is_bounded() {
    let mut playout = AudioPlayout::new(48_000);
    (0..10_000)
        .for_each(|number| assert_eq!(playout.push(time_of(START_US), voice(number)), Arrival::Buffered));
    assert!(playout.stats().discarded > 9_000);
}

/// Anything at all may arrive.
fn packets() -> impl Strategy<Value = Vec<(u64, AudioPacket<u64>)>> {
    let index = prop_oneof![300 => 0..300_u64, 1 => any::<u64>()];
    let timestamp = prop_oneof![4 => 0..400_000_u32, 1 => any::<u32>()];
    let step = prop_oneof![300 => 0..50_000_u64, 10 => 0..5_000_000_u64, 1 => any::<u64>()];
    let packet = (step, index, timestamp, any::<u32>(), 0..3_u32, any::<bool>(), any::<Option<u64>>());
    let packet =
        packet.prop_map(|(step, index, timestamp, duration_ticks, source, ends_talk_spurt, captured)| {
            let captured_at = captured.map(Time::from_nanos);
            let packet = AudioPacket {
                index,
                timestamp,
                duration_ticks,
                source,
                ends_talk_spurt,
                captured_at,
                frame: index,
            };
            (step, packet)
        });
    prop::collection::vec(packet, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_comes_is_played_in_order_and_once(packets in packets(), added_ms in 0..5_000_u64) {
        let mut playout = AudioPlayout::new(48_000);
        let mut now = time_of(START_US);
        let mut last = None;
        let mut heard = 0_u64;
        playout.set_added_delay(Duration::from_millis(added_ms));
        for (step_us, packet) in packets {
            now += Duration::from_micros(step_us);
            playout.push(now, packet);
            let mut outputs = 0;
            while let Some(output) = playout.poll(now) {
                outputs += 1;
                prop_assert!(outputs < 2_000, "polling ends");
                prop_assert!(!output.duration().is_zero());
                if let AudioOutput::Frame { frame, .. } = output {
                    prop_assert!(Some(frame) > last, "{frame} behind {last:?}");
                    last = Some(frame);
                    heard += 1;
                }
            }
            prop_assert!(playout.target() <= MAX_TARGET);
        }
        let stats = playout.stats();
        prop_assert_eq!(stats.played, heard);
        let gone = stats.played + stats.late + stats.duplicates + stats.discarded + stats.skipped;
        prop_assert_eq!(stats.received, gone + playout.buffer.len() as u64);
    }
}
