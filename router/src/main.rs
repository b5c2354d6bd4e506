//! The router's daemon.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use sluice_router::config::{ControlToken, LogConfig, LogFormat};
use sluice_router::{RouterConfig, start};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The media router of Sluice.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML); without one the router listens on UDP port 5004 of all IPv4 addresses.
    #[arg(long, short, env = "SLUICE_ROUTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The secret that admits the router to signaling; overrides `signaling.token`.
    #[arg(long, env = "SLUICE_ROUTER_TOKEN", hide_env_values = true, value_name = "SECRET")]
    token: Option<String>,
    /// What is logged; overrides `log.filter`.
    #[arg(long, env = "SLUICE_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// Checks the configuration and ends.
    #[arg(long)]
    check: bool,
    /// Makes keys predictable: for tests only.
    #[arg(long, hide = true, value_name = "NUMBER")]
    seed: Option<u64>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let is_check = arguments.check;
    let config = configure(arguments)?;
    if is_check {
        return Ok(ExitCode::SUCCESS);
    }
    log_to_stderr(&config.log)?;
    let stop = stop_signal()?;
    let router = start(config).await.context("the router cannot start")?;
    tokio::select! {
        () = stop => {
            tracing::info!("stopping");
            let last = router.shutdown().await;
            tracing::info!(datagrams_in = last.sum(|shard| shard.counters.datagrams_in), "stopped");
            Ok(ExitCode::SUCCESS)
        }
        // The failure was logged where it happened. Sessions are lost: a supervisor should start the daemon anew.
        _ = router.failed() => Ok(ExitCode::FAILURE),
    }
}

fn configure(arguments: Arguments) -> anyhow::Result<RouterConfig> {
    let mut config = match &arguments.config {
        Some(file) => RouterConfig::from_file(file).with_context(|| file.display().to_string())?,
        None => RouterConfig::default(),
    };
    if let (Some(token), Some(signaling)) = (arguments.token, &mut config.signaling) {
        signaling.token = ControlToken::new(token);
    }
    if let Some(filter) = arguments.log {
        config.log.filter = filter;
    }
    config.seed = arguments.seed.map(|seed| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        bytes
    });
    EnvFilter::try_new(&config.log.filter).context("log.filter")?;
    config.validate().context("configuration")?;
    Ok(config)
}

fn log_to_stderr(config: &LogConfig) -> anyhow::Result<()> {
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::try_new(&config.filter)?);
    match config.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// The signals that stop the daemon: SIGINT and SIGTERM. Listening begins here, not when it is first waited.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The signal that stops the daemon: Ctrl-C. Listening begins here, not when it is first waited.
#[cfg(windows)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
