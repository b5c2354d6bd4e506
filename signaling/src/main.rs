//! The signaling daemon.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use sluice_signaling::SignalingConfig;
use sluice_wire::signaling::Token;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Meetings, participants and the placement of rooms on routers.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Configuration file (TOML); what is given here overrides it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where clients come in.
    #[arg(long, value_name = "ADDRESS")]
    http_listen: Option<SocketAddr>,
    /// Where routers come in; no TLS, keep it private.
    #[arg(long, value_name = "ADDRESS")]
    grpc_listen: Option<SocketAddr>,
    /// A file for SQLite, `:memory:`, or `postgres://…`.
    #[arg(long, env = "SLUICE_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// The Redis server that several daemons share.
    #[arg(long, env = "SLUICE_REDIS", hide_env_values = true)]
    redis: Option<String>,
    /// Where other daemons reach this one, such as `ws://10.0.0.7:8080`.
    #[arg(long, value_name = "URL")]
    cluster_url: Option<String>,
    /// What routers show to be taken in.
    #[arg(long, env = "SLUICE_ROUTER_TOKEN", hide_env_values = true, value_parser = token)]
    router_token: Option<Token>,
    /// The operator's token for the REST interface.
    #[arg(long, env = "SLUICE_API_TOKEN", hide_env_values = true, value_parser = token)]
    api_token: Option<Token>,
    /// The log on stderr; `RUST_LOG` filters it.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn token(text: &str) -> Result<Token, std::convert::Infallible> {
    Ok(Token::new(text.to_owned()))
}

impl Arguments {
    fn config(self) -> anyhow::Result<SignalingConfig> {
        let mut config = match &self.config {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                SignalingConfig::from_toml(&text).with_context(|| format!("in {}", path.display()))?
            }
            None => SignalingConfig::default(),
        };
        config.http_listen = self.http_listen.unwrap_or(config.http_listen);
        config.grpc_listen = self.grpc_listen.unwrap_or(config.grpc_listen);
        config.database = self.database.unwrap_or(config.database);
        config.redis = self.redis.or(config.redis);
        config.cluster_url = self.cluster_url.or(config.cluster_url);
        config.router_token = self.router_token.or(config.router_token);
        config.api_token = self.api_token.or(config.api_token);
        Ok(config)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    log(arguments.log_format);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let handle = sluice_signaling::start(arguments.config()?).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    handle.shutdown().await;
    Ok(())
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
