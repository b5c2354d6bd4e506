//! `sluice lab`: scenarios, verdicts, files.

use serde_json::Value;
use tempfile::tempdir;

use crate::process::run;

#[test]
fn scenarios_are_listed_and_run_from_the_command_line() {
    let (code, text) = run(&["lab", "--list"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("loss-random") && text.contains("RFC 8867 section 5.8"), "{text}");
    let directory = tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (json, svg) = (path("clean.json"), path("clean.svg"));
    let (code, text) = run(&["lab", "run", "clean", "--seeds", "2", "--json", &json, "--plot", &svg]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("frames_in_time >= 1"), "{text}");
    let reports: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!((reports[0]["scenario"].as_str(), reports[0]["met"].as_bool()), (Some("clean"), Some(true)));
    assert_eq!(reports[0]["runs"].as_array().map(Vec::len), Some(1), "the first alone");
    assert!(std::fs::read_to_string(&svg).unwrap().contains("Mbit/s"));
}

#[test]
fn a_missed_promise_and_a_wrong_file_are_told() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("own.toml").display().to_string();
    let text = "name = \"own\"\nabout = \"impossible\"\nseconds = 3\n\
                [[people]]\nname = \"a\"\ncount = 2\npublishes = true\nwatches = [\"a\"]\n\
                [[promises]]\nmeasure = \"utilisation\"\nat_least = 9\nfrom_s = 1\n";
    std::fs::write(&path, text).unwrap();
    let (code, said) = run(&["lab", "run", &path]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("MISSED"), "{said}");
    std::fs::write(&path, text.replace("at_least", "at_lest")).unwrap();
    let (code, said) = run(&["lab", "run", &path]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("own.toml") && said.contains("at_lest"), "{said}");
    let (code, said) = run(&["lab", "run", "no-such"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no scenario no-such; there are: clean, "), "{said}");
    let (code, said) = run(&["lab", "run", "loss-random", "--plot", "x.svg"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("choose one of 20 variants with --only"), "{said}");
}

#[test]
fn a_scenario_runs_between_real_sockets() {
    let (code, text) = run(&["lab", "real", "clean", "--seconds", "4", "--only", "x=1"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("clean has no variant with x=1"), "{text}");
    let directory = tempdir().unwrap();
    let json = directory.path().join("real.json").display().to_string();
    // Promises are about what comes later, and a busy machine may keep none.
    let (_, text) = run(&["lab", "real", "clean", "--seconds", "4", "--json", &json]);
    let reports: Value = serde_json::from_slice(&std::fs::read(&json).expect(&text)).unwrap();
    let receiver = &reports[0]["runs"][0]["people"][1]["series"];
    let sum =
        |column: &str| receiver[column].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(reports[0]["runner"], "real");
    assert!(sum("received_bytes") > 50_000 && sum("media_bytes") > 50_000, "{text}");
    assert!(sum("frames_whole") > 10 && sum("frames_expected") > 0 && sum("audio_expected") > 10, "{text}");
}
