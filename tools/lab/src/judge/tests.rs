use super::*;
use crate::record::{Freeze, PersonRecord, Series, SharedRecord};
use crate::scenario::parse;

/// A scenario of 10 s with this promise.
fn scenario(promise: &str) -> Scenario {
    let text = format!(
        "name = \"made-up\"\nabout = \"a test\"\nseconds = 10\n\
         [[people]]\nname = \"rx\"\nbad = true\n[[promises]]\n{promise}"
    );
    parse("made-up", &text).unwrap().remove(0)
}

/// A person of whose run nothing is known yet.
fn person(name: &str, change: impl FnOnce(&mut PersonRecord)) -> PersonRecord {
    let mut person = PersonRecord {
        name: name.to_owned(),
        group: "rx".to_owned(),
        bad: false,
        publishes: true,
        receives: true,
        behind: None,
        series: Series::new(100),
        freezes: Vec::new(),
    };
    change(&mut person);
    person
}

fn run(people: Vec<PersonRecord>) -> Run {
    Run { seed: 1, people, shared: Vec::new() }
}

/// The figure and whether the promise is kept.
fn verdict_on(promise: &str, runs: &[Run]) -> (Option<f64>, bool) {
    let scenario = scenario(promise);
    let measured: Vec<Vec<Measured>> = runs.iter().map(|run| measure(&scenario, run, None)).collect();
    let verdict = judge(&scenario, &measured).remove(0);
    (verdict.value.map(|value| (value * 1e6).round() / 1e6), verdict.met)
}

fn one(promise: &str, change: impl FnOnce(&mut PersonRecord)) -> (Option<f64>, bool) {
    verdict_on(promise, &[run(vec![person("rx", change)])])
}

fn frames(in_time: u32, of: u32) -> impl FnOnce(&mut PersonRecord) {
    move |person| {
        // Before 5 s nothing counts.
        person.series.frames_expected[10] = 1_000_000;
        (person.series.frames_expected[60], person.series.frames_in_time[60]) = (of, in_time);
        person.series.frames_complete[60] = in_time;
        (person.series.frames_whole[60], person.series.frames_undecodable[60]) = (of, of - in_time);
    }
}

#[test]
fn shares_of_frames() {
    for measure in ["frames_in_time", "frames_complete", "frames_decodable"] {
        let promise = format!("measure = \"{measure}\"\nat_least = 0.999");
        assert_eq!(one(&promise, frames(999, 1_000)), (Some(0.999), true), "{measure}");
        assert_eq!(one(&promise, frames(998, 1_000)), (Some(0.998), false), "{measure}");
        assert_eq!(one(&promise, |_| {}), (None, false), "{measure}: nothing came");
    }
}

#[test]
fn seeds_are_pooled_and_the_worst_person_counts() {
    let runs = |second: u32| {
        [
            run(vec![person("a", frames(1_000, 1_000)), person("b", frames(1_000, 1_000))]),
            run(vec![person("a", frames(1_000, 1_000)), person("b", frames(second, 1_000))]),
        ]
    };
    let promise = "measure = \"frames_in_time\"\nat_least = 0.999";
    assert_eq!(verdict_on(promise, &runs(998)), (Some(0.999), true));
    assert_eq!(verdict_on(promise, &runs(996)), (Some(0.998), false));
}

#[test]
fn concealment_and_overhead() {
    let concealed = |count| {
        move |person: &mut PersonRecord| {
            (person.series.audio_expected[70], person.series.audio_concealed[70]) = (1_000, count);
        }
    };
    let promise = "measure = \"audio_concealed\"\nat_most = 0.005";
    assert_eq!(one(promise, concealed(5)), (Some(0.005), true));
    assert_eq!(one(promise, concealed(6)), (Some(0.006), false));
    let repaired = |rtx, fec| {
        move |person: &mut PersonRecord| {
            (person.series.media_bytes[70], person.series.rtx_bytes[70], person.series.fec_bytes[70]) =
                (1_000, rtx, fec);
        }
    };
    let promise = "measure = \"repair_overhead\"\nat_most = 0.2";
    assert_eq!(one(promise, repaired(100, 100)), (Some(0.2), true));
    assert_eq!(one(promise, repaired(100, 110)), (Some(0.21), false));
}

#[test]
fn freezes_count_where_they_touch_the_window() {
    let frozen =
        |from_s, seconds| move |person: &mut PersonRecord| person.freezes.push(Freeze { from_s, seconds });
    let longest = "measure = \"longest_freeze_s\"\nat_most = 0.5";
    assert_eq!(one(longest, frozen(6.0, 0.5)), (Some(0.5), true));
    assert_eq!(one(longest, frozen(4.5, 0.6)), (Some(0.6), false));
    assert_eq!(one(longest, frozen(3.0, 0.6)), (Some(0.0), true));
    let often = "measure = \"freezes_per_minute\"\nat_most = 12";
    assert_eq!(one(often, frozen(6.0, 0.5)), (Some(12.0), true));
    let twice = |person: &mut PersonRecord| {
        person.freezes = vec![Freeze { from_s: 6.0, seconds: 0.2 }, Freeze { from_s: 7.0, seconds: 0.2 }];
    };
    assert_eq!(one(often, twice), (Some(24.0), false));
}

#[test]
fn key_frames_are_per_encoding() {
    let sent = |count| move |person: &mut PersonRecord| person.series.key_frames_sent[70] = count;
    let promise = "measure = \"key_frames_per_minute\"\nat_most = 12";
    assert_eq!(one(promise, sent(3)), (Some(12.0), true));
    assert_eq!(one(promise, sent(6)), (Some(24.0), false));
}

/// Capacity and what the layers allow of 1 Mbit/s; so many bytes are sent and received per sample, by sample.
fn flowing(bytes: impl Fn(usize) -> u64) -> impl FnOnce(&mut PersonRecord) {
    move |person| {
        let series = &mut person.series;
        series.capacity_bps = vec![Some(1_000_000); 100];
        series.usable_bps = vec![1_000_000; 100];
        series.sent_bytes = (0..100).map(bytes).collect();
        series.received_bytes = series.sent_bytes.clone();
    }
}

#[test]
fn it_fits_once_it_stays_so() {
    let promise = "measure = \"seconds_to_fit\"\nat_most = 1.5\nfrom_s = 2";
    // 12,500 bytes a sample are 1 Mbit/s.
    assert_eq!(one(promise, flowing(|sample| if sample < 35 { 20_000 } else { 12_500 })), (Some(1.5), true));
    assert_eq!(one(promise, flowing(|sample| if sample < 36 { 20_000 } else { 12_500 })), (Some(1.6), false));
    let relapses = |sample| if sample < 30 || sample == 37 { 20_000 } else { 12_500 };
    assert_eq!(one(promise, flowing(relapses)), (Some(1.8), false));
    assert_eq!(one(promise, flowing(|_| 20_000)), (Some(8.0), false), "never");
    assert_eq!(one(promise, |_| {}), (None, false), "there is no bottleneck");
}

#[test]
fn it_has_recovered_after_a_second_of_enough() {
    let promise = "measure = \"seconds_to_recover\"\nat_most = 4\nfrom_s = 2";
    let from = |first: usize| flowing(move |sample| if sample < first { 5_000 } else { 11_250 });
    assert_eq!(one(promise, from(50)), (Some(4.0), true));
    assert_eq!(one(promise, from(51)), (Some(4.1), false));
    assert_eq!(one(promise, from(100)), (Some(8.0), false), "never");
}

#[test]
fn utilisation_is_of_what_the_layers_allow() {
    let promise = "measure = \"utilisation\"\nat_least = 0.85";
    assert_eq!(one(promise, flowing(|_| 10_625)), (Some(0.85), true));
    assert_eq!(one(promise, flowing(|_| 10_000)), (Some(0.8), false));
}

#[test]
fn the_queue_is_long_for_one_of_twenty_at_most() {
    let waits = |long: usize| {
        move |person: &mut PersonRecord| {
            person.series.queue_often =
                (0..100).map(|sample| (50 + sample / 2, if sample < long { 90.0 } else { 20.0 })).collect();
        }
    };
    let promise = "measure = \"queue_p95_ms\"\nat_most = 60";
    assert_eq!(one(promise, waits(5)), (Some(20.0), true));
    assert_eq!(one(promise, waits(6)), (Some(90.0), false));
}

#[test]
fn fairness_is_of_all_together() {
    let promise = "measure = \"jain\"\nat_least = 0.9";
    let two = |other: u64| [run(vec![person("a", flowing(|_| 1_000)), person("b", flowing(move |_| other))])];
    assert_eq!(verdict_on(promise, &two(1_000)), (Some(1.0), true));
    assert_eq!(verdict_on(promise, &two(500)), (Some(0.9), true));
    assert!(!verdict_on(promise, &two(400)).1);
    assert_eq!(verdict_on(promise, &two(0)), (Some(0.5), false));
}

#[test]
fn neither_side_of_a_bottleneck_starves() {
    let share = |media: u64, tcp: u64| {
        let mut run = run(vec![person("a", flowing(move |_| media))]);
        run.people[0].behind = Some(0);
        run.shared = vec![SharedRecord { name: "office".to_owned(), tcp_bytes: vec![tcp; 100] }];
        verdict_on("measure = \"tcp_share\"\nat_least = 0.25\nat_most = 0.75", &[run])
    };
    assert_eq!(share(1_000, 1_000), (Some(0.5), true));
    assert_eq!(share(1_000, 300), (Some(0.230769), false));
    assert_eq!(share(300, 1_000), (Some(0.769231), false));
}

/// The verdict on a neighbour and an attacker, as they are and as they would be without faults.
fn against_baseline(promise: &str, now: [PersonRecord; 2], before: [PersonRecord; 2]) -> (Option<f64>, bool) {
    let scenario = scenario(promise);
    let [now, before] = [now, before].map(|people| run(people.into()));
    let verdict = judge(&scenario, &[measure(&scenario, &now, Some(&before))]).remove(0);
    (verdict.value, verdict.met)
}

#[test]
fn neighbours_and_attackers_are_compared_with_a_run_without_faults() {
    let attacker = |sent: u64, up: u64| {
        person("attacker", move |person| {
            person.bad = true;
            (person.series.sent_bytes[70], person.series.up_bytes[70]) = (sent, up);
        })
    };
    let neighbour = |bytes: u64, keys: u32, freezes: usize| {
        person("neighbour", move |person| {
            (person.series.received_bytes[70], person.series.key_frames[70]) = (bytes, keys);
            person.freezes = vec![Freeze { from_s: 6.0, seconds: 0.3 }; freezes];
        })
    };
    let verdict = |promise: &str, now| {
        against_baseline(promise, [now, attacker(5_000, 300)], [neighbour(1_000, 1, 1), attacker(2_000, 100)])
    };
    let bytes = "measure = \"neighbour_bytes_change\"\nat_most = 0.02";
    assert_eq!(verdict(bytes, neighbour(980, 1, 1)), (Some(0.02), true));
    assert_eq!(verdict(bytes, neighbour(1_030, 1, 1)), (Some(0.03), false));
    let keys = "measure = \"neighbour_key_frames_change\"\nat_most = 12";
    assert_eq!(verdict(keys, neighbour(0, 2, 0)), (Some(12.0), true));
    assert_eq!(verdict(keys, neighbour(0, 3, 0)), (Some(24.0), false));
    let freezes = "measure = \"neighbour_freezes_change\"\nat_most = 0";
    assert_eq!(verdict(freezes, neighbour(0, 0, 1)), (Some(0.0), true));
    assert_eq!(verdict(freezes, neighbour(0, 0, 2)), (Some(1.0), false));
    let amplification = |bound| format!("measure = \"amplification\"\nat_most = {bound}");
    assert_eq!(verdict(&amplification(15), neighbour(0, 0, 0)), (Some(15.0), true));
    assert_eq!(verdict(&amplification(14), neighbour(0, 0, 0)), (Some(15.0), false));
}
