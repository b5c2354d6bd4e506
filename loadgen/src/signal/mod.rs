//! The signaling daemon alone under load: many participants without media, who come at once and then change their names.
//!
//! A new name is the moment at which it was given; whoever is told of it measures how long that took. A router that says yes to
//! every session can be built in, so that the daemon is all that is measured.

mod daemon;
mod member;
mod process;
mod report;
mod router;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sluice_client::clock::Clock;
use sluice_client::signaling::{Api, SignalingError};
use sluice_wire::signaling::{CreateMeeting, MAX_PARTICIPANTS, Token};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::daemon::DaemonError;
pub use self::process::ProcessError;
pub use self::report::{SignalReport, table};
pub use self::router::RouterError;

use self::daemon::Daemon;
use self::member::Member;
use self::process::Process;
use self::report::Measured;
use self::router::FakeRouter;

/// Meetings that are made at a time.
const CONCURRENT_CALLS: usize = 32;
/// Pause between the last join and the measurement: what the joins set off has been told by then.
const SETTLE_TIME: Duration = Duration::from_secs(2);
/// How often it is looked whether everybody is inside.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long the last may take to join, behind the time when they began.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);

/// What is to be run.
#[derive(Clone, Debug)]
pub struct SignalConfig {
    /// The daemon's REST interface.
    pub server: String,
    /// What the deployment asks for to create meetings.
    pub api_token: Option<Token>,
    /// Meetings.
    pub meetings: u32,
    /// Participants in total, spread evenly over the meetings.
    pub participants: u32,
    /// How many begin to join per second.
    pub joins_per_second: u32,
    /// New names per second, in total. Each is told to everybody in its meeting.
    pub changes_per_second: u32,
    /// How long it is measured.
    pub duration: Duration,
    /// Where the daemon listens for routers, and their token: a router that says yes attaches there.
    pub router: Option<(String, Token)>,
    /// Run this daemon's program for the load, instead of using `server`, `router` and `daemon_pid`.
    pub daemon: Option<PathBuf>,
    /// The daemon's process, for its memory and its processor time.
    pub daemon_pid: Option<u32>,
    /// The clock.
    pub clock: Clock,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The numbers do not fit.
    #[error("{0}")]
    Config(&'static str),
    /// The daemon did not make a meeting.
    #[error("no meeting: {0}")]
    Signaling(#[from] SignalingError),
    /// The built-in router could not attach.
    #[error(transparent)]
    Router(#[from] RouterError),
    /// The daemon of the run's own did not start.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The daemon's process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// What all participants share.
#[derive(Debug)]
struct Shared {
    config: SignalConfig,
    websocket_url: String,
    joined: AtomicU64,
    failed: AtomicU64,
    is_measuring: AtomicBool,
    measured: Measured,
    stop: CancellationToken,
}

impl SignalConfig {
    fn check(&self) -> Result<(), SignalError> {
        let positive = self.meetings > 0 && self.participants > 0 && self.joins_per_second > 0;
        if !positive {
            return Err(SignalError::Config("meetings, participants and joins per second are at least 1"));
        }
        if self.participants.div_ceil(self.meetings) > MAX_PARTICIPANTS {
            return Err(SignalError::Config("so many participants do not fit into so few meetings"));
        }
        Ok(())
    }
}

/// Runs it.
///
/// # Errors
/// [`SignalError`]; participants who cannot join are not an error but a line of the report.
pub async fn run(mut config: SignalConfig, stop: CancellationToken) -> Result<SignalReport, SignalError> {
    config.check()?;
    let daemon = match &config.daemon {
        Some(program) => Some(Daemon::start(program).await?),
        None => None,
    };
    if let Some(daemon) = &daemon {
        config.server = daemon.server();
        config.router = Some(daemon.router());
        config.daemon_pid = Some(daemon.pid());
    }
    let router = match &config.router {
        Some((address, token)) => Some(FakeRouter::attach(address, token).await?),
        None => None,
    };
    let process = config.daemon_pid.map(Process::new);
    let api = Api::new(&config.server)?.with_token(config.api_token.clone());
    let meetings = create(&api, &config).await?;
    let before = process.as_ref().map(Process::look).transpose()?;
    let shared = Arc::new(Shared {
        websocket_url: api.websocket_url(),
        joined: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        is_measuring: AtomicBool::new(false),
        measured: Measured::new().ok_or(SignalError::Config("no histogram of latencies"))?,
        stop,
        config,
    });
    let began_at = shared.config.clock.now();
    let mut members = join(&shared, &meetings).await;
    let joined_in = shared.config.clock.now().saturating_since(began_at);
    let inside = process.as_ref().map(Process::look).transpose()?;
    wait(&shared, SETTLE_TIME).await;
    let idle = process.as_ref().map(Process::look).transpose()?;
    shared.is_measuring.store(true, Ordering::Relaxed);
    let measured_from = shared.config.clock.now();
    wait(&shared, shared.config.duration).await;
    shared.is_measuring.store(false, Ordering::Relaxed);
    let duration = shared.config.clock.now().saturating_since(measured_from);
    let after = process.as_ref().map(Process::look).transpose()?;
    shared.stop.cancel();
    while members.join_next().await.is_some() {}
    drop((router, daemon));
    let looks = [before, inside, idle, after];
    Ok(report::of(&shared, joined_in, duration, looks))
}

async fn create(api: &Api, config: &SignalConfig) -> Result<Vec<String>, SignalError> {
    let size = config.participants.div_ceil(config.meetings);
    let wish = CreateMeeting { max_participants: Some(size), ..CreateMeeting::default() };
    let calls = stream::iter(0..config.meetings).map(|_| api.create_meeting(&wish));
    let made = calls.buffer_unordered(CONCURRENT_CALLS);
    Ok(made.map_ok(|meeting| meeting.meeting_id.as_str().to_owned()).try_collect().await?)
}

/// Lets everybody join, a few each tick, and waits until all have or it takes too long.
async fn join(shared: &Arc<Shared>, meetings: &[String]) -> JoinSet<()> {
    let config = &shared.config;
    let mut members = JoinSet::new();
    let began_at = config.clock.now();
    for number in 0..config.participants {
        let due = Duration::from_secs(1) * number / config.joins_per_second;
        let early = due.saturating_sub(config.clock.now().saturating_since(began_at));
        if !early.is_zero() {
            tokio::time::sleep(early).await;
        }
        if shared.stop.is_cancelled() {
            break;
        }
        let meeting = meetings[number as usize % meetings.len()].clone();
        members.spawn(Member::new(Arc::clone(shared), number, meeting).run());
    }
    let all = async {
        let arrived = || shared.joined.load(Ordering::Relaxed) + shared.failed.load(Ordering::Relaxed);
        while arrived() < u64::from(config.participants) && !shared.stop.is_cancelled() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    // Whoever is missing is a line of the report.
    tokio::time::timeout(JOIN_PATIENCE, all).await.ok();
    members
}

async fn wait(shared: &Shared, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = shared.stop.cancelled() => {}
    }
}
