use super::*;

const SMALL: &str = r#"
name = "small"
about = "a test"
seconds = 10

[[people]]
name = "a"
publishes = true

[[people]]
name = "b"
count = 2
watches = ["a"]
"#;

fn refused(text: &str) -> String {
    parse("file.toml", text).unwrap_err().to_string()
}

fn with(addition: &str) -> String {
    format!("{SMALL}\n{addition}")
}

#[test]
fn all_that_are_in_the_binary_are_valid_and_called_as_their_files() {
    let all = all().unwrap();
    assert!(names().all(|name| find(name).unwrap().unwrap().iter().all(|scenario| scenario.name == name)));
    assert_eq!(find("loss-random").unwrap().unwrap().len(), 20);
    assert!(all.iter().all(|scenario| !scenario.promises.is_empty()), "something is promised everywhere");
    let mut full_names: Vec<String> = all.iter().map(Scenario::full_name).collect();
    full_names.sort();
    full_names.dedup();
    assert_eq!(full_names.len(), all.len());
}

#[test]
fn people_have_numbers_and_see_those_that_publish() {
    let scenario = &parse("x", SMALL).unwrap()[0];
    let persons = scenario.persons();
    let names: Vec<&str> = persons.iter().map(|person| person.name.as_str()).collect();
    assert_eq!(names, ["a", "b-1", "b-2"]);
    assert_eq!((&persons[0].watches, &persons[2].watches), (&vec![], &vec![0]));
}

#[test]
fn a_matrix_makes_variants_and_promises_hold_for_some() {
    let text = with(
        r#"
down = { delay_ms = "$rtt_ms / 2", loss = "$loss" }

[matrix]
loss = [0.01, 0.05]
rtt_ms = [20, 50]

[[promises]]
measure = "frames_in_time"
at_least = 0.999
when = { loss = [0.05], rtt_ms = [50] }

[[promises]]
measure = "audio_concealed"
at_most = 0.005
"#,
    );
    let variants = parse("x", &text).unwrap();
    let names: Vec<String> = variants.iter().map(Scenario::variant_name).collect();
    assert_eq!(
        names,
        ["loss=0.01 rtt_ms=20", "loss=0.01 rtt_ms=50", "loss=0.05 rtt_ms=20", "loss=0.05 rtt_ms=50"]
    );
    assert_eq!(variants.iter().map(|variant| variant.promises.len()).collect::<Vec<_>>(), [1, 1, 1, 2]);
    let down = &variants[3].people[1].down;
    assert_eq!((down.delay_ms, down.loss), (25.0, 0.05));
}

#[test]
fn errors_say_what_and_where() {
    let error = refused("name = 3");
    assert!(error.starts_with("file.toml: ") && error.contains("line 1"), "{error}");
    let error = refused(&with("wacthes = [\"a\"]"));
    assert!(error.contains("wacthes") && error.contains("watches"), "{error}");
    let error = refused(&with("up = { loss = 2 }"));
    assert_eq!(error, "file.toml: up of b: loss is 2, but must be a fraction from 0 to 1");
    let error = refused(&SMALL.replace("[\"a\"]", "[\"c\"]"));
    assert_eq!(error, "file.toml: b watches c, which is no group that publishes");
    let error = refused(&with("behind = \"x\""));
    assert_eq!(error, "file.toml: b is behind x, which is no shared link");
    let error = refused(&with("down = { loss = \"$loss\" }\n[matrix]\nrtt_ms = [1]"));
    assert_eq!(error, "file.toml: \"$loss\": the matrix has no loss");
    let error = refused(&with("[matrix]\nrtt_ms = 1"));
    assert_eq!(error, "file.toml: matrix.rtt_ms has to be a list with at least one value");
    let error = refused(&with("[[promises]]\nmeasure = \"jain\""));
    assert_eq!(error, "file.toml: the promise about jain needs at_least or at_most");
    let error = refused(&with("[[promises]]\nmeasure = \"jain\"\nat_least = 1\nfrom_s = 11"));
    assert_eq!(error, "file.toml: the promise about jain is from 11 s to 10 s of 10 s");
    let error = refused(&with("[[promises]]\nmeasure = \"amplification\"\nat_most = 1"));
    assert_eq!(error, "file.toml: the promise about amplification needs a group that is bad");
    let error = refused(&with("hostile = [\"key_frames\"]"));
    assert_eq!(error, "file.toml: b is hostile: then it has to be bad, and must not publish");
    let missing = load(std::path::Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read no/such.toml: "), "{missing}");
}

#[test]
fn a_promise_for_a_value_that_the_matrix_has_not_is_an_error() {
    let promise =
        "[matrix]\nloss = [0.1]\n[[promises]]\nmeasure = \"jain\"\nat_least = 1\nwhen = { rtt_ms = [1] }";
    assert_eq!(
        refused(&with(promise)),
        "file.toml: a promise holds only for values of rtt_ms, which the matrix has not"
    );
}

#[test]
fn changes_and_queues_become_the_links_schedule() {
    let text = with(
        "down = { rate_bps = 1_000_000, queue_bdp = 2, rtt_ms = 40, loss = 0.1, changes = [{ at_s = 2, rate_bps = 500_000 }, { at_s = 3, loss = 0 }] }",
    );
    let link = parse("x", &text).unwrap()[0].people[1].down.config(10.0, 1);
    assert_eq!(link.queue_bytes, Some(10_000));
    let at = |ms: f64| (link.in_force_at(ms).rate_bps, link.in_force_at(ms).loss);
    let rate = |bps| Some(bps);
    assert_eq!(at(1_999.0), (rate(1_000_000), 0.1));
    assert_eq!(at(2_000.0), (rate(500_000), 0.1));
    assert_eq!(at(3_500.0), (rate(500_000), 0.0));
}

#[test]
fn faults_can_be_taken_away() {
    let text = with("bad = true\ndown = { delay_ms = 7, loss = 0.1, rate_bps = 100_000 }");
    let scenario = parse("x", &text).unwrap().remove(0);
    let clean = scenario.without_faults();
    assert_eq!(clean.people[1].down, LinkPlan { delay_ms: 7.0, ..LinkPlan::default() });
}
