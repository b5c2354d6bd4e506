//! The binary as a process: started, listened to, interrupted, and never left behind.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// A line that does not come within this never comes. Generous, so that a busy machine is not a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `sluice`. Dropping it kills it.
pub(crate) struct Sluice {
    child: Child,
    lines: Receiver<String>,
}

impl Sluice {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines }
    }

    /// The first line from here on that contains `text`, of either stream.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no {text:?} in:\n{}", seen.join("\n")),
            }
        }
    }

    /// What Ctrl-C sends.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    /// Waits until it has ended; gives its status and what it said since the last line that was waited for.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            rest.push(line); // until both streams are closed
        }
        (self.child.wait().unwrap(), rest.join("\n"))
    }
}

impl Drop for Sluice {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs it to its end; gives its exit code and both streams.
pub(crate) fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = command(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// The address behind `label` in a line.
pub(crate) fn address_after(line: &str, label: &str) -> SocketAddr {
    let (_, rest) = line.split_once(label).unwrap_or_else(|| panic!("no {label:?} in {line:?}"));
    let text: String = rest.chars().take_while(|c| c.is_ascii_hexdigit() || "[].:".contains(*c)).collect();
    text.parse().unwrap_or_else(|_| panic!("no address behind {label:?} in {line:?}"))
}
