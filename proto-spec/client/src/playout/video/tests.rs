//! Simulated pictures over paths of all kinds.

use proptest::prelude::*;

use super::*;
use crate::playout::simulation::{Arrivals, CLOCK_OFFSET_US, START_US, jittery, stalling};

/// Thirty frames per second.
const FRAME_US: i64 = 33_333;
const STEADY: (i64, i64) = (FRAME_US, 0);
/// A minute.
const MINUTE: u64 = 1_800;

fn picture(number: u64) -> VideoFrame<u64> {
    VideoFrame {
        index: 10 * number,
        timestamp: (u32::MAX - 500_000).wrapping_add((number as u32).wrapping_mul(3_000)),
        source: 7,
        captured_at: Some(time_of(START_US + CLOCK_OFFSET_US + number as i64 * FRAME_US)),
        bytes: 3_000,
        frame: number,
    }
}

/// The frames that were shown, and how long after their capture.
#[derive(Default)]
struct Viewer {
    last: Option<u64>,
    shown: Vec<(u64, i64)>,
}

impl Viewer {
    fn watch(&mut self, playout: &mut VideoPlayout<u64>, until: Time) {
        while let Some(at) = playout.next_at().filter(|at| *at <= until) {
            // What came too late is due in the past; it is shown when it is there.
            let now = at.max(time_of(playout.queue.get(0).map_or(0, |front| front.arrived_us)));
            let output = playout.poll(now).expect("what is due is given");
            assert!(self.last.is_none_or(|last| last < output.frame), "in order and once");
            self.last = Some(output.frame);
            if output.show {
                self.shown.push((output.frame, micros(now) - START_US - output.frame as i64 * FRAME_US));
            }
        }
    }

    fn delays_us(&self, from: u64) -> (i64, i64) {
        let delays = || self.shown.iter().filter(|(number, _)| *number >= from).map(|(_, delay)| *delay);
        (delays().min().unwrap(), delays().max().unwrap())
    }
}

fn show(
    mode: Mode,
    arrivals: &Arrivals,
    frame: impl Fn(u64) -> VideoFrame<u64>,
) -> (VideoPlayout<u64>, Viewer) {
    let mut playout = VideoPlayout::new(mode);
    let mut viewer = Viewer::default();
    let mut arrivals = arrivals.0.iter().peekable();
    while let Some((at_us, number)) = arrivals.next() {
        let now = time_of(*at_us);
        playout.push(now, frame(*number));
        // What comes in one instant is handed in before anything is shown.
        if arrivals.peek().is_none_or(|next| next.0 > *at_us) {
            let next_us = arrivals.peek().map_or(i64::MAX, |next| next.0 - 1);
            viewer.watch(&mut playout, time_of(next_us));
        }
    }
    (playout, viewer)
}

#[test]
fn without_jitter_a_frame_waits_for_what_its_mode_asks() {
    for mode in [Mode::Interactive, Mode::Presentation, Mode::Webinar] {
        let (playout, viewer) = show(mode, &Arrivals::of(300, STEADY, |_| Some(50_000)), picture);
        let least_us = duration_us(mode.bounds().0);
        assert_eq!(viewer.delays_us(0), (50_000 + least_us, 50_000 + least_us), "{mode:?}");
        assert_eq!(playout.stats().shown, 300);
    }
}

#[test]
fn the_delay_follows_the_jitter_within_the_bounds_of_the_mode() {
    for (mode, sigma_ms, seed) in
        [(Mode::Interactive, 5.0, 1), (Mode::Interactive, 15.0, 2), (Mode::Presentation, 60.0, 3)]
    {
        let arrivals = Arrivals::of(MINUTE, STEADY, jittery(seed, sigma_ms)).in_order();
        let (playout, viewer) = show(mode, &arrivals, picture);
        let (stats, (min, max)) = (playout.stats(), mode.bounds());
        assert!(playout.target() >= min - Duration::from_millis(5) && playout.target() <= max);
        let best_us = arrivals.best_delay_us(0.97, FRAME_US).clamp(duration_us(min), duration_us(max));
        let mean_us = duration_us(stats.mean_delay());
        println!("{mode:?} {sigma_ms}: {mean_us} us, best {best_us}, {stats:?}");
        assert!((mean_us - best_us).abs() < 30_000, "{mode:?} {sigma_ms}: {mean_us} {best_us}");
        assert!(stats.late < MINUTE / 20, "{stats:?}");
        assert_eq!((stats.shown + stats.overtaken, stats.dropped), (MINUTE, 0));
        assert!(stats.freezes.count == 0 && viewer.shown.len() as u64 > MINUTE * 9 / 10);
    }
}

#[test]
fn a_worse_network_is_slow_motion_and_no_freeze() {
    let mut path = jittery(1, 20.0);
    let arrivals =
        Arrivals::of(MINUTE, STEADY, |number| if number < 600 { Some(50_000) } else { path(number) })
            .in_order();
    let (playout, _) = show(Mode::Presentation, &arrivals, picture);
    assert_eq!(playout.stats().freezes.count, 0);
}

#[test]
fn a_path_that_becomes_a_second_longer_is_waited_for_as_any_other() {
    let path = |number| Some(if number < 300 { 50_000 } else { 1_050_000 });
    let (_, viewer) = show(Mode::Interactive, &Arrivals::of(600, STEADY, path), picture);
    let (least, most) = viewer.delays_us(450);
    assert!(least >= 1_095_000 && most <= 1_150_000, "{least} {most}");
}

#[test]
fn of_what_an_outage_held_back_only_the_newest_is_shown() {
    let arrivals = Arrivals::of(600, STEADY, stalling(FRAME_US, 20_000_000, 500_000));
    let (playout, viewer) = show(Mode::Interactive, &arrivals, picture);
    let stats = playout.stats();
    assert_eq!((stats.shown + stats.overtaken, stats.dropped), (600, 0));
    assert!((10..=15).contains(&stats.overtaken) && stats.late >= stats.overtaken, "{stats:?}");
    assert_eq!(stats.freezes.count, 1);
    let (_, most) = viewer.delays_us(320);
    assert!(most <= 50_000 + 100_000, "{most}");
}

#[test]
fn a_late_frame_is_shown_unless_a_newer_one_was() {
    let mut playout = VideoPlayout::new(Mode::Interactive);
    let at = |millis: i64| time_of(START_US + millis * 1_000);
    playout.push(at(0), picture(0));
    assert_eq!(playout.poll(at(49)), None);
    assert_eq!(playout.poll(at(50)), Some(VideoOutput { frame: 0, show: true }));
    playout.push(at(300), picture(2));
    assert_eq!(playout.push(at(300), picture(2)), Arrival::Duplicate);
    assert_eq!(playout.poll(at(300)), Some(VideoOutput { frame: 2, show: true }));
    assert_eq!(playout.push(at(301), picture(1)), Arrival::Late);
    assert_eq!(playout.push(at(301), picture(2)), Arrival::Duplicate);
    let stats = playout.stats();
    assert_eq!((stats.late, stats.dropped, stats.duplicates, stats.shown), (1, 1, 2, 2));
}

#[test]
fn frames_without_capture_times_go_by_their_timestamps() {
    let arrivals = Arrivals::of(300, STEADY, |_| Some(50_000));
    for every in [2, 1_000] {
        let without = |number: u64| {
            let frame = picture(number);
            VideoFrame { captured_at: frame.captured_at.filter(|_| number % every == 1), ..frame }
        };
        let (playout, viewer) = show(Mode::Interactive, &arrivals, without);
        let (least, most) = viewer.delays_us(10);
        assert!(least >= 99_000 && most <= 101_000, "{least} {most}");
        assert!(playout.latency().is_some());
    }
}

#[test]
fn another_camera_has_another_clock() {
    let arrivals = Arrivals::of(600, STEADY, |number| Some(if number < 300 { 50_000 } else { 90_000 }));
    let (playout, viewer) = show(Mode::Interactive, &arrivals, |number| {
        let frame = picture(number);
        let is_second = number >= 300;
        let ahead = Duration::from_secs(if is_second { 2 } else { 0 });
        let captured_at = frame.captured_at.map(|at| at - ahead);
        VideoFrame { source: u32::from(is_second), captured_at, ..frame }
    });
    let (least, most) = viewer.delays_us(301);
    assert!(least >= 90_000 + 49_000 && most <= 90_000 + 51_000, "{least} {most}");
    assert_eq!(playout.stats().late, 0);
}

#[test]
fn a_queue_is_bounded_and_loses_nothing() {
    let mut playout = VideoPlayout::new(Mode::Webinar);
    let now = time_of(START_US);
    // All at one time, so that none is late.
    let alike = |number| VideoFrame { captured_at: picture(0).captured_at, ..picture(number) };
    (0..300).for_each(|number| assert_eq!(playout.push(now, alike(number)), Arrival::Buffered));
    let hurried = std::iter::from_fn(|| playout.poll(now)).count();
    assert_eq!(hurried, 300 - MAX_WAITING_FRAMES);
    playout.push(now, VideoFrame { bytes: MAX_WAITING_BYTES, ..alike(300) });
    assert_eq!(std::iter::from_fn(|| playout.poll(now)).count(), MAX_WAITING_FRAMES);
    assert_eq!(playout.stats().hurried, 300);
}

/// Anything at all may come.
fn frames() -> impl Strategy<Value = Vec<(u64, VideoFrame<u64>)>> {
    let index = prop_oneof![300 => 0..300_u64, 1 => any::<u64>()];
    let step = prop_oneof![300 => 0..50_000_u64, 10 => 0..5_000_000_u64, 1 => any::<u64>()];
    let frame = (step, index, any::<u32>(), 0..3_u32, any::<Option<u64>>(), any::<usize>());
    let frame = frame.prop_map(|(step, index, timestamp, source, captured, bytes)| {
        let captured_at = captured.map(Time::from_nanos);
        (step, VideoFrame { index, timestamp, source, captured_at, bytes, frame: index })
    });
    prop::collection::vec(frame, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_comes_is_given_out_in_order_and_once(frames in frames()) {
        let mut playout = VideoPlayout::new(Mode::Presentation);
        let mut now = time_of(START_US);
        let mut last = None;
        for (step_us, frame) in frames {
            now += Duration::from_micros(step_us);
            playout.push(now, frame);
            while let Some(output) = playout.poll(now) {
                prop_assert!(Some(output.frame) > last, "{} behind {last:?}", output.frame);
                last = Some(output.frame);
            }
            prop_assert!(playout.target() <= Mode::Presentation.bounds().1);
        }
    }
}
