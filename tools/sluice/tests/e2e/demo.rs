//! `sluice demo`.

use serde_json::Value;

use crate::process::{Sluice, run};

#[test]
fn a_short_demo_keeps_every_promise_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("demo.json");
    let (code, text) = run(&["demo", "--seconds", "2", "--json", path.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("OK"), "{text}");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let number = |field: &str| json[field].as_u64().unwrap_or_else(|| panic!("no {field} in {json}"));
    assert_eq!(json["ok"], true, "{json}");
    assert_eq!(number("participants"), 4);
    assert_eq!(number("tracks_published"), 4 * 2 + 1, "a microphone and a camera each, and a screen");
    let slots = 3 + 1 + 3;
    assert_eq!(
        number("subscriptions"),
        4 * slots + 3,
        "three cameras, the speaker, three voices; the screen of another"
    );
    assert_eq!(number("subscriptions_flowing"), number("subscriptions"));
    assert_eq!((number("frames_corrupt"), number("auth_failures"), number("rtp_lost")), (0, 0, 0));
    assert_eq!(
        (number("frames_undecodable"), number("frames_oversized"), number("sequence_gaps")),
        (0, 0, 0)
    );
    assert!(number("layer_switches") > 0, "somebody is enlarged");
    assert!(text.contains("layer switches") && text.contains("frames undecodable"), "{text}");
    assert!(number("frames_sent") > 0 && number("frames_received_intact") > 0);
    for field in ["join_ms", "latency_us"] {
        let of = |percentile: &str| {
            json[field][percentile].as_u64().unwrap_or_else(|| panic!("{field} in {json}"))
        };
        assert!(of("p50") <= of("p99") && of("p99") <= of("max") && of("max") > 0, "{json}");
    }
}

#[test]
fn ctrl_c_ends_it_early_with_a_verdict() {
    let demo = Sluice::start(&["demo", "--seconds", "600", "--participants", "2"]);
    demo.wait_for("measuring ");
    demo.interrupt();
    let (status, text) = demo.finish();
    assert!(status.code().is_some() && text.contains("frames received intact"), "{status}: {text}");
    assert_eq!(status.success(), text.contains("\nOK"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anybody_waits() {
    let (code, text) = run(&["demo", "--seconds", "600", "--json", "/no such directory/demo.json"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("cannot write /no such directory/demo.json"), "{text}");
}
