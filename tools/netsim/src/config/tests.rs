use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> LinkConfig {
    text.parse().unwrap()
}

fn refused(text: &str) -> String {
    text.parse::<LinkConfig>().unwrap_err().to_string()
}

#[test]
fn a_typical_string() {
    let expected = LinkConfig {
        delay_ms: 50.0,
        jitter_ms: 10.0,
        loss: 0.02,
        rate_bps: Some(3_000_000),
        queue_ms: Some(200.0),
        ..LinkConfig::default()
    };
    assert_eq!(parsed("delay=50ms,jitter=10ms,loss=2%,rate=3mbit,queue=200ms"), expected);
}

#[test]
fn every_key_sets_its_field() {
    let text = "delay=1.5s, jitter=200us, shape=normal, order=free, loss=0.5, burst=1%/25%/90%/0.1%, reorder=3%, \
                reorder_extra=2min, duplicate=4%, rate=64KBIT, queue=64 kib, corrupt=0.001, down=5s..8s+20s..21s";
    let expected = LinkConfig {
        delay_ms: 1_500.0,
        jitter_ms: 0.2,
        jitter_shape: JitterShape::Normal,
        preserve_order: false,
        loss: 0.5,
        burst: Some(BurstLoss { p: 0.01, r: 0.25, loss_bad: 0.9, loss_good: 0.001 }),
        reorder: 0.03,
        reorder_extra_ms: 120_000.0,
        duplicate: 0.04,
        rate_bps: Some(64_000),
        queue_ms: None,
        queue_bytes: Some(65_536),
        corrupt: 0.001,
        down: vec![
            DownInterval { from_ms: 5_000.0, to_ms: 8_000.0 },
            DownInterval { from_ms: 20_000.0, to_ms: 21_000.0 },
        ],
        schedule: Vec::new(),
    };
    assert_eq!(parsed(text), expected);
}

#[test]
fn nothing_is_a_perfect_link() {
    assert_eq!(parsed("  "), LinkConfig::default());
}

#[test]
fn steps_are_whole_states() {
    let config = parsed("delay=20ms,loss=1%; at=10s,delay=200ms; at=20s,loss=5%");
    let step =
        |at_ms, delay_ms, loss| Step { at_ms, link: LinkConfig { delay_ms, loss, ..LinkConfig::default() } };
    assert_eq!((config.delay_ms, config.loss), (20.0, 0.01));
    assert_eq!(config.schedule, [step(10_000.0, 200.0, 0.0), step(20_000.0, 0.0, 0.05)]);
}

#[test]
fn errors_of_strings_say_what_is_wrong_and_what_is_right() {
    for (text, said) in [
        ("delay", "`delay` is not of the form key=value"),
        ("delay=5ms,", "`` is not of the form key=value"),
        ("dely=5ms", "unknown key `dely`; known are delay, jitter"),
        ("loss=1%,loss=2%", "`loss` is given twice"),
        ("delay=5", "`delay=5`: expected a duration such as 50ms"),
        ("delay=-5ms", "`delay=-5ms`: expected a duration"),
        ("delay=5hours", "`delay=5hours`: expected a duration"),
        ("delay=1.2.3ms", "`delay=1.2.3ms`: expected a duration"),
        ("loss=nan", "`loss=nan`: expected a probability such as 2% or 0.02"),
        ("loss=%", "`loss=%`: expected a probability"),
        ("rate=3mb", "`rate=3mb`: expected a rate such as 3mbit"),
        ("rate=1mbit,queue=3", "`queue=3`: expected a duration such as 200ms or a size such as 64kb"),
        ("burst=1%", "`burst=1%`: expected p/r"),
        ("shape=square", "`shape=square`: expected uniform or normal"),
        ("order=any", "`order=any`: expected keep or free"),
        ("down=5s", "`down=5s`: expected intervals such as 5s..8s"),
        ("at=5s,delay=5ms", "`at` belongs into a step"),
        ("delay=5ms;delay=6ms", "the step `delay=6ms` does not say when"),
        ("loss=120%", "loss is 1.2, but must be a fraction from 0 to 1"),
        ("rate=0mbit", "rate_bps is 0, but must be from 1"),
        ("queue=5ms", "need rate_bps"),
    ] {
        let error = refused(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let base = LinkConfig::default;
    let interval = |from_ms, to_ms| DownInterval { from_ms, to_ms };
    let step = |at_ms, link| Step { at_ms, link };
    let nested = LinkConfig { down: vec![interval(1.0, 2.0)], ..base() };
    for (config, said) in [
        (LinkConfig { delay_ms: f64::NAN, ..base() }, "delay_ms is NaN"),
        (LinkConfig { jitter_ms: -1.0, ..base() }, "jitter_ms is -1"),
        (LinkConfig { delay_ms: 600_001.0, ..base() }, "from 0 to 600,000 ms"),
        (LinkConfig { reorder: 0.1, ..base() }, "reorder needs reorder_extra_ms"),
        (LinkConfig { queue_bytes: Some(1), ..base() }, "need rate_bps"),
        (LinkConfig { rate_bps: Some(MAX_RATE_BPS + 1), ..base() }, "rate_bps"),
        (LinkConfig { down: vec![interval(2.0, 2.0)], ..base() }, "down[0]"),
        (LinkConfig { down: vec![interval(1.0, 5.0), interval(4.0, 6.0)], ..base() }, "down[1]"),
        (LinkConfig { down: vec![interval(0.0, f64::INFINITY)], ..base() }, "down.to_ms"),
        (
            LinkConfig { schedule: vec![step(5.0, base()), step(5.0, base())], ..base() },
            "schedule[1] must be later",
        ),
        (LinkConfig { schedule: vec![step(5.0, nested)], ..base() }, "schedule[0] must not have"),
        (
            LinkConfig { schedule: vec![step(5.0, LinkConfig { loss: 2.0, ..base() })], ..base() },
            "schedule[0]: loss is 2",
        ),
        (LinkConfig { schedule: vec![step(0.0, base()); MAX_STEPS + 1], ..base() }, "the limit is 8640"),
    ] {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(said), "{error} should say {said}");
    }
}

#[test]
fn toml_in_and_out() {
    let text = r#"
        delay_ms = 40
        loss = 0.01
        rate_bps = 2_000_000
        queue_ms = 150.5
        burst = { p = 0.01, r = 0.3 }
        down = [{ from_ms = 5_000, to_ms = 6_000 }]

        [[schedule]]
        at_ms = 10_000
        link = { delay_ms = 400, jitter_shape = "normal" }
    "#;
    let config: LinkConfig = toml::from_str(text).unwrap();
    config.validate().unwrap();
    assert_eq!((config.delay_ms, config.rate_bps, config.queue_ms), (40.0, Some(2_000_000), Some(150.5)));
    assert_eq!(config.burst, Some(BurstLoss { p: 0.01, r: 0.3, loss_bad: 1.0, loss_good: 0.0 }));
    assert_eq!(config.schedule[0].link.jitter_shape, JitterShape::Normal);
    assert!(config.schedule[0].link.preserve_order);
    let back: LinkConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
    assert_eq!(back, config);
}

#[test]
fn toml_with_a_slip_of_the_pen_is_refused() {
    for text in
        ["dealy_ms = 40", "burst = { p = 0.1, r = 0.2, loss = 1 }", "[[schedule]]\nat_ms = 1\nlnk = {}"]
    {
        assert!(toml::from_str::<LinkConfig>(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_string_is_a_valid_config_or_an_error(text in "[a-z_=,;.%/+0-9 ]{0,60}") {
        if let Ok(config) = text.parse::<LinkConfig>() {
            prop_assert!(config.validate().is_ok());
        }
    }

    #[test]
    fn any_value_of_a_known_key_is_valid_or_an_error(key in prop::sample::select(vec!["delay", "rate", "queue", "down", "burst"]), value in "\\PC{0,12}") {
        if let Ok(config) = format!("{key}={value}").parse::<LinkConfig>() {
            prop_assert!(config.validate().is_ok());
        }
    }
}

#[test]
fn the_state_in_force_is_the_newest_step_that_is_due() {
    let link: LinkConfig = "rate=3mbit; at=10s,rate=1mbit; at=20s,rate=2mbit".parse().unwrap();
    let rate = |ms: f64| link.in_force_at(ms).rate_bps.unwrap();
    assert_eq!(
        [0.0, 9_999.0, 10_000.0, 20_000.0, 1e9].map(rate),
        [3_000_000, 3_000_000, 1_000_000, 2_000_000, 2_000_000]
    );
}
