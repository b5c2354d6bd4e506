//! The binary as its users have it: processes, real sockets, exit codes.
#![cfg(unix)] // Ctrl-C is sent with kill(1)
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod demo;
mod dev;
mod lab;
mod netem;
mod process;

use process::run;

#[test]
fn a_wrong_command_line_is_told_apart_from_a_broken_promise() {
    for args in [
        &["demo", "--participants", "1"][..],
        &["demo", "--seconds", "0"],
        &["netem", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9", "--up", "los=2%"],
        &["netem", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9", "--rebind-every", "10"],
        &["sim", "--seeds", "0"],
        &["lab", "run"],
        &["lab", "run", "clean", "--all"],
        &["lab", "run", "clean", "--seeds", "0"],
        &["lab", "real", "clean", "--seconds", "1"],
        &["dev", "--shards", "0"],
        &[],
    ] {
        let (code, text) = run(args);
        assert_eq!(code, Some(2), "{args:?}: {text}");
    }
}

#[test]
fn the_simulator_runs_from_the_command_line() {
    let (code, text) = run(&["sim", "--seeds", "2", "--first", "40"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 seeds without a violation: 4"), "{text}");
    let (code, text) = run(&["sim", "--first", &u64::MAX.to_string(), "--seeds", "2"]);
    assert_eq!(code, Some(1), "{text}");
}
