//! The daemon as a process.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

fn daemon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-router"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn with_config(text: &str) -> Result<(tempfile::TempDir, Command)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("router.toml");
    std::fs::write(&file, text)?;
    let mut command = daemon();
    command.arg("--config").arg(&file);
    Ok((folder, command))
}

/// Ends a process however the test ends.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // An error means that it has ended already.
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn signals_stop_it_and_it_says_so() -> Result<()> {
    for signal in ["-INT", "-TERM"] {
        let config = "shards = 2\n[udp]\nlisten = [\"127.0.0.1\"]\nport = 0\n[log]\nformat = \"json\"";
        let (_folder, mut command) = with_config(config)?;
        let mut guard = Guard(command.spawn()?);
        let mut log = BufReader::new(guard.0.stderr.take().context("stderr")?).lines();
        let bound = log.next().context("the log is empty")??;
        ensure!(bound.contains("UDP sockets are bound") && bound.starts_with('{'), "{bound}");
        let killed = Command::new("kill").arg(signal).arg(guard.0.id().to_string()).status()?;
        ensure!(killed.success());
        let rest = log.collect::<std::io::Result<Vec<_>>>()?.join("\n");
        ensure!(rest.contains("stopped"), "{rest}");
        ensure!(guard.0.wait()?.code() == Some(0), "{signal}: {rest}");
    }
    Ok(())
}

#[test]
fn a_configuration_can_be_checked() -> Result<()> {
    let (_folder, mut good) = with_config("shards = 2")?;
    ensure!(good.arg("--check").output()?.status.code() == Some(0));
    for (config, word) in
        [("shards = 1000", "shards"), ("color = 1", "color"), ("[log]\nfilter = \"a=b=c\"", "log.filter")]
    {
        let (_folder, mut wrong) = with_config(config)?;
        let output = wrong.arg("--check").output()?;
        ensure!(output.status.code() == Some(1) && text(&output).contains(word), "{}", text(&output));
    }
    let missing = daemon().args(["--config", "/nowhere/router.toml"]).output()?;
    ensure!(missing.status.code() == Some(1) && text(&missing).contains("/nowhere/router.toml"));
    Ok(())
}

#[test]
fn a_second_daemon_on_the_port_is_refused() -> Result<()> {
    let holder = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let port = holder.local_addr()?.port();
    let (_folder, mut command) = with_config(&format!("[udp]\nlisten = [\"127.0.0.1\"]\nport = {port}"))?;
    // The port of a program that is no router.
    let output = command.output()?;
    ensure!(output.status.code() == Some(1) && text(&output).contains("UDP socket on"), "{}", text(&output));
    drop(holder);
    let mut first = Guard(command.spawn()?);
    let mut log = BufReader::new(first.0.stderr.take().context("stderr")?).lines();
    ensure!(log.next().context("the log is empty")??.contains("bound"));
    let output = command.output()?;
    if cfg!(target_os = "linux") {
        ensure!(text(&output).contains("another router is running on UDP port"), "{}", text(&output));
    }
    ensure!(output.status.code() == Some(1), "{}", text(&output));
    Ok(())
}

#[test]
fn the_example_of_the_manual_is_a_configuration() -> Result<()> {
    let manual = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))?;
    let example = manual.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let (_folder, mut command) = with_config(example.context("README.md has no example")?)?;
    let output = command.arg("--check").output()?;
    ensure!(output.status.code() == Some(0), "{}", text(&output));
    Ok(())
}
