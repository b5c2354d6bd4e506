//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use sluice_client::clock::Clock;
use sluice_loadgen::media::{DEFAULT_CAMERA, MediaSet, SIMULCAST};
use sluice_loadgen::progress::Progress;
use sluice_loadgen::report::{Report, ReportFile, table};
use sluice_loadgen::scenario::Scenario;
use sluice_loadgen::signal::{self, SignalConfig};
use sluice_loadgen::swarm::{self, DEFAULT_SERVER, SwarmConfig};
use sluice_loadgen::terminal::{View, complain, say};
use sluice_wire::signaling::Token;
use tokio_util::sync::CancellationToken;

/// Without a scenario: a small meeting, a few of whom publish.
const DEFAULT_PEOPLE: u32 = 20;
const DEFAULT_PUBLISHERS: u32 = 5;
const DEFAULT_SECONDS: f64 = 10.0;
/// Open files of one participant: a UDP socket, a WebSocket, and a socket for a moment while it looks for a route.
const FILES_PER_PARTICIPANT: u64 = 3;
/// Open files of everything else.
const OTHER_FILES: u64 = 64;

/// Drives many native participants against a deployment and judges what they received.
#[derive(Debug, Parser)]
#[command(name = "sluice-loadgen", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run participants with real media and hold what they receive against what was sent.
    ///
    /// The exit code is 0 if every promise was kept, 1 if one was broken, 2 if there was no run.
    Run(RunArgs),
    /// Run participants without media: how fast the signaling daemon lets them in and tells them of one another.
    ///
    /// The daemon's limits by address have to be above the numbers here. The exit code is 0 if everybody joined and stayed.
    Signal(SignalArgs),
}

#[derive(Debug, Args)]
struct SignalArgs {
    /// The signaling daemon.
    #[arg(long, value_name = "URL", default_value = DEFAULT_SERVER)]
    server: String,
    /// What the deployment asks for to create meetings.
    #[arg(long, value_name = "TOKEN", env = "SLUICE_API_TOKEN", hide_env_values = true)]
    api_token: Option<String>,
    /// How many meetings.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    meetings: u32,
    /// How many participants in total, spread evenly over the meetings.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    participants: u32,
    /// How many participants begin to join per second.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 2_000)]
    ramp: u32,
    /// How many participants change their names per second, in total; everybody in their meetings is told.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 5_000)]
    changes: u32,
    /// How long it is measured once everybody is inside.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    seconds: f64,
    /// Attach a router that says yes to every session to the daemon's gRPC end, such as 127.0.0.1:8081.
    #[arg(long, value_name = "ADDRESS", requires = "router_token")]
    fake_router: Option<String>,
    /// The token that routers show.
    #[arg(long, value_name = "TOKEN", env = "SLUICE_ROUTER_TOKEN", hide_env_values = true)]
    router_token: Option<String>,
    /// The daemon's process on this machine: its memory and processor time are in the report.
    #[arg(long, value_name = "PID")]
    daemon_pid: Option<u32>,
    /// Run this program, a signaling daemon, for the load: with a database of its own and no limits by address.
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["server", "api_token", "fake_router", "daemon_pid"])]
    daemon: Option<PathBuf>,
    /// Write the report to this file as JSON; `-` prints it, instead of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The signaling daemon.
    #[arg(long, value_name = "URL", default_value = DEFAULT_SERVER)]
    server: String,
    /// What the deployment asks for to create meetings.
    #[arg(long, value_name = "TOKEN", env = "SLUICE_API_TOKEN", hide_env_values = true)]
    api_token: Option<String>,
    /// Run a screenplay instead: who sees what and who talks when is given, and so is what is promised. Everybody publishes all
    /// encodings.
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// Write what the first participant gets to this directory, an IVF file for each slot with pictures (with --scenario).
    #[arg(long, value_name = "DIR", requires = "scenario")]
    dump: Option<PathBuf>,
    /// How many meetings.
    #[arg(long, value_name = "N", default_value_t = 1)]
    rooms: u32,
    /// How many participants in total, spread evenly over the rooms [default: 20, or as many as the scenario is made for].
    #[arg(long, value_name = "N")]
    participants: Option<u32>,
    /// How many of them publish, in total, spread evenly over the rooms [default: 5, but at least one a room].
    #[arg(long, value_name = "N", conflicts_with = "scenario")]
    publishers: Option<u32>,
    /// How long it is measured once everybody receives [default: 10, or as the scenario says].
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// What cameras play: a clip's name, several joined by commas for simulcast, or `none` for sound alone [default: camera-360p30,
    /// or all encodings in a scenario].
    #[arg(long, value_name = "CLIP")]
    media: Option<String>,
    /// Take the clips from this directory, which has a manifest.toml, instead of those in the program.
    #[arg(long, value_name = "DIR")]
    media_dir: Option<PathBuf>,
    /// Nobody shares a screen. Otherwise the first publisher of every room does.
    #[arg(long)]
    no_screen: bool,
    /// How many participants begin to join per second.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 50)]
    ramp: u32,
    /// From which all that is random in the clients derives.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How many percent of the RTP packets may get lost.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    allow_loss: f64,
    /// Write the report to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(args) => args.run(),
            Command::Signal(args) => args.run(),
        }
    }
}

impl SignalArgs {
    fn run(self) -> anyhow::Result<ExitCode> {
        let prints_json = self.json.as_deref() == Some(Path::new("-"));
        let json = self.json.as_deref().filter(|_| !prints_json).map(ReportFile::open).transpose()?;
        let duration = Duration::try_from_secs_f64(self.seconds).context("--seconds is no length of time")?;
        let config = SignalConfig {
            server: self.server,
            api_token: self.api_token.map(Token::new),
            meetings: self.meetings,
            participants: self.participants,
            joins_per_second: self.ramp,
            changes_per_second: self.changes,
            duration,
            router: self.fake_router.zip(self.router_token.map(Token::new)),
            daemon: self.daemon,
            daemon_pid: self.daemon_pid,
            clock: Clock::process(),
        };
        raise_file_limit(config.participants);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let report = runtime.block_on(async {
            let stop = CancellationToken::new();
            stop_on_interrupt(stop.clone());
            signal::run(config, stop).await
        })?;
        say(&if prints_json { serde_json::to_string_pretty(&report)? } else { signal::table(&report) });
        if let Some(file) = json {
            file.write(&report)?;
        }
        Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl RunArgs {
    fn run(self) -> anyhow::Result<ExitCode> {
        let args = self;
        let json = args.json.clone();
        let config = args.config()?;
        let json = json.as_deref().map(ReportFile::open).transpose()?;
        raise_file_limit(config.participants);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let report = runtime.block_on(run(config))?;
        say(&table(&report));
        if let Some(file) = json {
            file.write(&report)?;
        }
        Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl RunArgs {
    fn config(self) -> anyhow::Result<SwarmConfig> {
        let default_camera = if self.scenario.is_some() { SIMULCAST } else { DEFAULT_CAMERA };
        let camera = self.media.as_deref().unwrap_or(default_camera);
        let media = match &self.media_dir {
            Some(directory) => MediaSet::load(directory, camera)?,
            None => MediaSet::embedded(camera)?,
        };
        let (people, seconds) = self
            .scenario
            .map_or((DEFAULT_PEOPLE, DEFAULT_SECONDS), |scenario| (scenario.people(), scenario.seconds()));
        let seconds = self.seconds.unwrap_or(seconds);
        let duration = Duration::try_from_secs_f64(seconds).context("--seconds is no length of time")?;
        let participants = self.participants.unwrap_or(people);
        let few = || DEFAULT_PUBLISHERS.min(participants).max(self.rooms);
        let config = SwarmConfig {
            server: self.server,
            api_token: self.api_token.map(Token::new),
            rooms: self.rooms,
            participants,
            publishers: match self.scenario {
                Some(_) => participants,
                None => self.publishers.unwrap_or_else(few),
            },
            duration,
            media,
            screen_share: !self.no_screen && self.scenario.is_none(),
            joins_per_second: self.ramp,
            seed: self.seed,
            scenario: self.scenario,
            dump: self.dump,
            allow_loss_percent: self.allow_loss,
            clock: Clock::process(),
        };
        config.check()?;
        Ok(config)
    }
}

async fn run(config: SwarmConfig) -> anyhow::Result<Report> {
    let stop = CancellationToken::new();
    stop_on_interrupt(stop.clone());
    let progress = Arc::new(Progress::new());
    let view = View::show(Arc::clone(&progress), config.duration);
    let report = swarm::run(config, progress, stop).await;
    view.close().await;
    Ok(report?)
}

fn stop_on_interrupt(stop: CancellationToken) {
    tokio::spawn(async move {
        // Without a signal handler the system ends the process, which is what was asked for then.
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
}

/// The usual limit of 1,024 files is that of 300 participants. Where it cannot be raised, who finds no socket says so.
fn raise_file_limit(participants: u32) {
    let wanted = u64::from(participants) * FILES_PER_PARTICIPANT + OTHER_FILES;
    if rlimit::increase_nofile_limit(wanted).is_ok_and(|limit| limit < wanted) {
        complain("warning: the limit of open files is too low for so many participants; see ulimit -n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> anyhow::Result<SwarmConfig> {
        let words = ["sluice-loadgen", "run"].into_iter().chain(line.split_whitespace());
        let Command::Run(args) = Cli::try_parse_from(words)?.command else {
            unreachable!("run was asked for")
        };
        args.config()
    }

    #[test]
    fn the_defaults_are_a_room_of_twenty_with_five_publishers() {
        let config = config("").unwrap();
        assert_eq!((config.rooms, config.participants, config.publishers), (1, 20, 5));
        assert_eq!((config.server.as_str(), config.duration), (DEFAULT_SERVER, Duration::from_secs(10)));
        assert!(config.screen_share && config.allow_loss_percent == 0.0);
    }

    #[test]
    fn the_number_of_publishers_follows_when_it_is_not_given() {
        let publishers = |line| config(line).unwrap().publishers;
        assert_eq!(publishers("--participants 3"), 3);
        assert_eq!(publishers("--participants 100 --rooms 10"), 10);
        assert_eq!(publishers("--participants 100 --rooms 10 --publishers 60"), 60);
    }

    #[test]
    fn a_scenario_brings_its_own_numbers_which_may_be_overridden() {
        let gallery = config("--scenario gallery25 --dump here").unwrap();
        assert_eq!((gallery.participants, gallery.publishers, gallery.media.camera.len()), (25, 25, 4));
        assert_eq!((gallery.scenario, gallery.dump), (Some(Scenario::Gallery25), Some("here".into())));
        assert!(!gallery.screen_share);
        let few = config("--scenario visible9 --participants 7 --seconds 2 --media camera-180p30").unwrap();
        assert_eq!((few.participants, few.publishers, few.media.camera.len()), (7, 7, 1));
        assert_eq!(few.duration, Duration::from_secs(2));
        assert_eq!(config("--scenario switches").unwrap().participants, 4);
        for line in ["--scenario waltz", "--scenario switches --publishers 2", "--dump here"] {
            assert!(config(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_runs() {
        for line in [
            "--rooms 0",
            "--participants 1",
            "--publishers 21",
            "--seconds -1",
            "--seconds NaN",
            "--media camera-8k",
            "--media-dir /nowhere",
            "--ramp 0",
            "--allow-loss 101",
            "--seed x",
        ] {
            assert!(config(line).is_err(), "{line}");
        }
    }
}
