//! A small scenario from its text to its figures.

use std::num::NonZero;

use sluice_lab::campaign::{Plan, Report, run};
use sluice_lab::scenario::{Scenario, parse};
use sluice_lab::show::{plot, report_table, summary_table};

/// A publisher, and somebody behind a network.
fn scenario(network: &str, promises: &str) -> Scenario {
    let text = format!(
        r#"
name = "small"
about = "a publisher and a receiver"
seconds = 8

[media]
encodings = [{{ height = 180, bps = 150_000 }}, {{ height = 360, bps = 500_000 }}]

[[people]]
name = "publisher"
publishes = true
up = {{ delay_ms = 5 }}

[[people]]
name = "receiver"
watches = ["publisher"]
up = {{ delay_ms = 20 }}
down = {{ delay_ms = 20, {network} }}

{promises}
"#
    );
    parse("small.toml", &text).expect("the scenario is valid").remove(0)
}

fn report(scenario: &Scenario, first_seed: u64, seeds: u64) -> Report {
    let plan = Plan { first_seed, seeds, threads: NonZero::<usize>::MIN.saturating_add(1), keep_runs: true };
    run(std::slice::from_ref(scenario), plan, |_, _| {}).expect("it runs").remove(0)
}

const PROMISES: &str = r#"
[[promises]]
measure = "frames_in_time"
at_least = 1
from_s = 2

[[promises]]
measure = "audio_concealed"
at_most = 0
from_s = 2

[[promises]]
measure = "utilisation"
at_least = 0.85
from_s = 2

[[promises]]
measure = "queue_p95_ms"
at_most = 60
from_s = 2
"#;

#[test]
fn where_nothing_is_wrong_all_is_kept() {
    let report = report(&scenario("loss = 0", PROMISES), 1, 2);
    assert!(report.met, "{}", report_table(&report));
    let person = &report.runs[0].people[1];
    assert!(person.freezes.is_empty());
    assert!(person.series.frames_expected.iter().sum::<u32>() > 150, "30 frames a second");
    assert!(person.series.audio_expected.iter().sum::<u32>() > 300, "50 packets a second");
    let (sent, received) = (&person.series.sent_bytes, &person.series.received_bytes);
    let (sent, received): (u64, u64) = (sent.iter().sum(), received.iter().sum());
    assert!(sent > 400_000 && received <= sent && sent - received < 20_000, "{sent} {received}");
    assert_eq!((report.runs.len(), report.seeds.as_slice()), (2, &[1, 2][..]));
}

#[test]
fn loss_and_a_queue_show() {
    let lossy = report(&scenario("loss = 0.3", PROMISES), 1, 1);
    let missed =
        |report: &Report| -> Vec<bool> { report.verdicts.iter().map(|verdict| !verdict.met).collect() };
    assert!(missed(&lossy)[0] && missed(&lossy)[1], "{}", report_table(&lossy));
    let person = &lossy.runs[0].people[1];
    let loss = person.series.loss.iter().sum::<f64>() / person.series.loss.len() as f64;
    assert!((0.2..0.4).contains(&loss), "{loss}");
    assert!(person.series.frames_undecodable.iter().sum::<u32>() > 0);
    let narrow = report(&scenario("rate_bps = 300_000, queue_ms = 500", PROMISES), 1, 1);
    let person = &narrow.runs[0].people[1];
    assert!(person.series.capacity_bps.iter().all(|capacity| *capacity == Some(300_000)));
    let received: u64 = person.series.received_bytes[20..].iter().sum();
    assert!(received * 8 <= 300_000 * 62 / 10, "no more than the bottleneck carries: {received}");
}

#[test]
fn the_same_seed_gives_the_same_json_and_another_seed_another() {
    let scenario = scenario("loss = 0.02, jitter_ms = 5, rate_bps = 900_000", PROMISES);
    let json = |seed| serde_json::to_string(&report(&scenario, seed, 1)).unwrap();
    let first = json(7);
    assert_eq!(first, json(7));
    assert_ne!(first, json(8));
}

#[test]
fn results_can_be_shown() {
    let report = report(&scenario("rate_bps = 400_000, queue_ms = 300", PROMISES), 3, 1);
    let table = report_table(&report);
    assert!(table.contains("receiver") && table.contains("frames_in_time >= 1, from 2 s"), "{table}");
    let summary = summary_table(std::slice::from_ref(&report));
    assert!(summary.contains("small") && summary.contains("1 scenarios"), "{summary}");
    let svg = plot(&report).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Mbit/s") && svg.contains("capacity"), "{}", &svg[..200]);
}

/// A publisher, somebody honest, and an attacker of this kind.
fn under_attack(attack: &str) -> Report {
    let text = format!(
        r#"
name = "attack"
about = "an attacker beside somebody honest"
seconds = 6

[media]
encodings = [{{ height = 180, bps = 150_000 }}]

[[people]]
name = "publisher"
publishes = true

[[people]]
name = "honest"
watches = ["publisher"]
up = {{ delay_ms = 10 }}

[[people]]
name = "attacker"
watches = ["publisher"]
bad = true
hostile = ["{attack}"]
up = {{ delay_ms = 10 }}

[[promises]]
measure = "neighbour_key_frames_change"
at_most = 0
from_s = 1

[[promises]]
measure = "amplification"
at_most = 1
from_s = 1
"#
    );
    report(&parse("attack.toml", &text).expect("the scenario is valid")[0], 1, 1)
}

#[test]
fn attackers_attack_and_the_router_understands_them() {
    for (attack, most_times) in [("nack_everything", 40), ("false_feedback", 4), ("key_frames", 40)] {
        let report = under_attack(attack);
        let up = |person: usize| report.runs[0].people[person].series.up_bytes.iter().sum::<u64>();
        assert!(up(2) > up(1) * most_times / 2, "{attack}: {} bytes beside {}", up(2), up(1));
        let has_no_key_frames = report.verdicts[0].met;
        assert_eq!(has_no_key_frames, attack != "key_frames", "{}", report_table(&report));
        assert!(report.verdicts[1].value.is_some());
    }
}
