//! A signaling daemon of the run's own: a child process with a database of its own, no limits by address, and any free ports.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sluice_wire::signaling::Token;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the daemon may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What the built-in router shows to a daemon that nobody else reaches.
const ROUTER_TOKEN: &str = "router of the load";
/// Limits by address: above whatever one machine's load comes to.
const LIMIT: u32 = 1_000_000;

/// The daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The program cannot be run, or its files not be written.
    #[error("{0}: {1}")]
    Run(PathBuf, std::io::Error),
    /// It ended, or said for too long not where it listens.
    #[error("the daemon did not start: {0}")]
    NotUp(String),
}

/// A running daemon; killed when it is dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    http: String,
    grpc: String,
    _directory: TempDir,
}

impl Daemon {
    pub(super) async fn start(program: &Path) -> Result<Self, DaemonError> {
        let failed = |error| DaemonError::Run(program.to_owned(), error);
        let directory = tempfile::tempdir().map_err(failed)?;
        let config = directory.path().join("signaling.toml");
        std::fs::write(&config, text(&directory.path().join("meetings.sqlite"))).map_err(failed)?;
        let mut child = Command::new(program)
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (up, listens) = oneshot::channel();
        if let Some(log) = child.stderr.take() {
            std::thread::spawn(move || read(log, up));
        }
        let listens = timeout(START_TIMEOUT, listens).await;
        let mut daemon = Self { child, http: String::new(), grpc: String::new(), _directory: directory };
        match listens {
            Ok(Ok(Ok((http, grpc)))) => {
                (daemon.http, daemon.grpc) = (http, grpc);
                Ok(daemon)
            }
            Ok(Ok(Err(log))) => Err(DaemonError::NotUp(log)),
            Ok(Err(_)) | Err(_) => Err(DaemonError::NotUp("it does not say where it listens".to_owned())),
        }
    }

    /// The REST interface.
    pub(super) fn server(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where routers attach, and with what.
    pub(super) fn router(&self) -> (String, Token) {
        (self.grpc.clone(), Token::new(ROUTER_TOKEN.to_owned()))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its database goes with it: there is nothing that it would have to finish.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

fn text(database: &Path) -> String {
    format!(
        "http_listen = '127.0.0.1:0'\ngrpc_listen = '127.0.0.1:0'\ndatabase = '{}'\nrouter_token = '{ROUTER_TOKEN}'\n\
         [limits]\nmax_connections = {LIMIT}\nmax_connections_per_address = {LIMIT}\n\
         requests_per_second_per_address = {LIMIT}\nrequest_burst_per_address = {LIMIT}\n",
        database.display()
    )
}

type Up = oneshot::Sender<Result<(String, String), String>>;

/// Reads the log to its end, so that the daemon never waits for a reader; what is in front of the addresses is kept for an error.
fn read(log: impl Read, up: Up) {
    let mut up = Some(up);
    let mut said = String::new();
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        let Some(waiting) = up.take() else { continue };
        if let Some(addresses) = addresses(&line) {
            // Whoever waited may have gone.
            waiting.send(Ok(addresses)).ok();
        } else {
            said.push_str(&line);
            said.push('\n');
            up = Some(waiting);
        }
    }
    if let Some(waiting) = up {
        waiting.send(Err(said)).ok();
    }
}

fn addresses(line: &str) -> Option<(String, String)> {
    let value = |key| Some(line.split_once(key)?.1.split_whitespace().next()?.to_owned());
    Some((value("http_address=")?, value("grpc_address=")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_where_it_listens() {
        let heard = |log: &'static str| {
            let (up, mut heard) = oneshot::channel();
            read(log.as_bytes(), up);
            heard.try_recv().unwrap()
        };
        let both = ("127.0.0.1:1".to_owned(), "[::1]:2".to_owned());
        assert_eq!(heard("WARN x\nINFO up http_address=127.0.0.1:1 grpc_address=[::1]:2\nmore\n"), Ok(both));
        assert_eq!(heard("Error: no token\n"), Err("Error: no token\n".to_owned()));
    }

    #[tokio::test]
    async fn what_is_no_daemon_is_told_so() {
        assert!(matches!(Daemon::start(Path::new("/nowhere")).await, Err(DaemonError::Run(..))));
        assert!(matches!(Daemon::start(Path::new("/bin/false")).await, Err(DaemonError::NotUp(_))));
    }
}
