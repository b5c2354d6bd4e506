//! The configuration of a router, as its file has it and as an embedding program makes it.

mod secret;
mod signaling;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

pub use self::secret::ControlToken;
pub use self::signaling::{MAX_SIGNALING_DAEMONS, SignalingConfig};
use crate::core::limits::MAX_DOWNLINK_BPS;
use crate::core::{DEFAULT_VIDEOS_PER_RECEIVER, DEFAULT_VOICES, MAX_VOICES, Policy, Preset};
use crate::io::Listen;

/// The port of a router whose configuration names none (RTP's registered port, which no other service of a router uses).
pub const DEFAULT_UDP_PORT: u16 = 5_004;
/// The longest name of a router or region, in bytes: what signaling accepts.
pub const MAX_NAME_BYTES: usize = 64;
/// Addresses in a ticket: what signaling accepts.
pub const MAX_PUBLIC_ADDRESSES: usize = 16;
/// The least that a path may be started with, bit/s: sound and a little more.
pub const LEAST_START_BPS: u64 = 100_000;
/// The shard is 8 bits of the SSRC.
pub const MAX_SHARDS: usize = 256;

/// The longest time that batching may add to a packet's way through a router, in microseconds.
pub const MAX_BATCH_WAIT_US: u32 = 5_000;

/// What a router must be told. The default listens on all IPv4 addresses, with one shard per core, and has no signaling.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouterConfig {
    /// The router's name: 1 to [`MAX_NAME_BYTES`] bytes, unique among the routers of a signaling daemon, stable over restarts.
    pub router_id: String,
    /// Where it stands: compared with the regions of participants. May be empty.
    pub region: String,
    /// Shards, each with a thread: 1 to [`MAX_SHARDS`]. Without it as many as the machine runs threads in parallel,
    /// or one where the system cannot steer datagrams to shards.
    pub shards: Option<NonZero<usize>>,
    /// Pins each shard's thread to a core. Wrong for a process that runs several routers, or clients beside one.
    pub pin_shards: bool,
    /// Under load a shard collects what comes in for so many microseconds before it sends, at most [`MAX_BATCH_WAIT_US`]: larger
    /// batches cost less per packet. When nothing more has come in, nothing waits.
    pub max_batch_wait_us: u32,
    /// Addresses for tickets, most preferred first; port 0 stands for the bound port. Without any, the bound addresses, with
    /// loopback where those are unspecified.
    pub public_addresses: Vec<SocketAddr>,
    /// Media.
    pub udp: UdpConfig,
    /// How rooms share out quality where signaling says nothing else.
    pub policy: PolicyConfig,
    /// The signaling daemons. Without it sessions are opened through [`RouterHandle`](crate::RouterHandle) only.
    pub signaling: Option<SignalingConfig>,
    /// Metrics over HTTP.
    pub metrics: Option<MetricsConfig>,
    /// The daemon's log.
    pub log: LogConfig,
    /// Makes keys and names predictable: for tests, never in a file.
    #[serde(skip)]
    pub seed: Option<[u8; 32]>,
}

/// Where media comes in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UdpConfig {
    /// At most one address of each family.
    pub listen: Vec<IpAddr>,
    /// One port for both families; 0 lets the system choose.
    pub port: u16,
}

/// How rooms share out quality: see [`Policy`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Who gets how much of whom.
    pub preset: Preset,
    /// How many voices each hears, 1 to [`MAX_VOICES`].
    pub voices: u8,
    /// How many videos a receiver is sent at most.
    pub videos_per_receiver: u16,
    /// Congestion control of what receivers are sent: the bit/s at which a path is first used, until its feedback says what it
    /// carries, 100,000 to 50,000,000. Without it paths are not measured, and what receivers state alone limits what they are sent.
    pub start_bitrate_bps: Option<u64>,
}

impl PolicyConfig {
    /// The policy of rooms that are told no other.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        Policy { preset: self.preset, voices: self.voices, videos_per_receiver: self.videos_per_receiver }
    }
}

/// Metrics over HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Where to listen; port 0 lets the system choose. There is no authentication: keep it off public networks.
    pub listen: SocketAddr,
}

/// The daemon's log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged, in the syntax of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            router_id: "router-1".to_owned(),
            region: String::new(),
            shards: None,
            pin_shards: true,
            max_batch_wait_us: 300,
            public_addresses: Vec::new(),
            udp: UdpConfig::default(),
            policy: PolicyConfig::default(),
            signaling: None,
            metrics: None,
            log: LogConfig::default(),
            seed: None,
        }
    }
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self { listen: vec![IpAddr::from([0, 0, 0, 0])], port: DEFAULT_UDP_PORT }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            preset: Preset::default(),
            voices: DEFAULT_VOICES,
            videos_per_receiver: DEFAULT_VIDEOS_PER_RECEIVER,
            start_bitrate_bps: None,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a field that is unknown or of another type. The message names the line.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A value is out of range.
    #[error("{field}: {problem}")]
    Value {
        /// The field's path.
        field: &'static str,
        /// What it must be.
        problem: String,
    },
}

fn wrong(field: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value { field, problem: problem.into() }
}

impl RouterConfig {
    /// A router for tests and demonstrations: loopback, a port that the system chooses, one shard that is not pinned.
    #[must_use]
    pub fn loopback() -> Self {
        Self {
            shards: NonZero::new(1),
            pin_shards: false,
            udp: UdpConfig { listen: vec![IpAddr::from([127, 0, 0, 1])], port: 0 },
            ..Self::default()
        }
    }

    /// The configuration in a TOML text. It is not validated yet.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Ok(toml::from_str(text)?)
    }

    /// The configuration in a TOML file. It is not validated yet.
    ///
    /// # Errors
    /// [`ConfigError::Read`] and [`ConfigError::Syntax`].
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.display().to_string(), source })?;
        Self::from_toml(&text)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.router_id.is_empty() || self.router_id.len() > MAX_NAME_BYTES {
            return Err(wrong("router_id", format!("must have 1 to {MAX_NAME_BYTES} bytes")));
        }
        if self.region.len() > MAX_NAME_BYTES {
            return Err(wrong("region", format!("must have at most {MAX_NAME_BYTES} bytes")));
        }
        if self.shards.is_some_and(|shards| shards.get() > MAX_SHARDS) {
            return Err(wrong("shards", format!("must be 1 to {MAX_SHARDS}")));
        }
        if self.max_batch_wait_us > MAX_BATCH_WAIT_US {
            return Err(wrong("max_batch_wait_us", format!("must be at most {MAX_BATCH_WAIT_US}")));
        }
        if self.public_addresses.len() > MAX_PUBLIC_ADDRESSES {
            return Err(wrong("public_addresses", format!("must be at most {MAX_PUBLIC_ADDRESSES}")));
        }
        if self.public_addresses.iter().any(|address| address.ip().is_unspecified()) {
            return Err(wrong("public_addresses", "must be addresses that clients can reach"));
        }
        if self.policy.voices == 0 || self.policy.voices > MAX_VOICES {
            return Err(wrong("policy.voices", format!("must be 1 to {MAX_VOICES}")));
        }
        if self
            .policy
            .start_bitrate_bps
            .is_some_and(|bps| !(LEAST_START_BPS..=MAX_DOWNLINK_BPS).contains(&bps))
        {
            let range = format!("must be {LEAST_START_BPS} to {MAX_DOWNLINK_BPS}");
            return Err(wrong("policy.start_bitrate_bps", range));
        }
        if let Some(signaling) = &self.signaling {
            signaling.validate()?;
        }
        self.listen()?;
        Ok(())
    }

    /// [`Self::max_batch_wait_us`] as a duration.
    #[must_use]
    pub const fn max_batch_wait(&self) -> Duration {
        Duration::from_micros(self.max_batch_wait_us as u64)
    }

    /// Where to bind.
    ///
    /// # Errors
    /// [`ConfigError::Value`] without an address, or with two of a family.
    pub fn listen(&self) -> Result<Listen, ConfigError> {
        let mut listen = Listen { ipv4: None, ipv6: None, port: self.udp.port };
        for address in &self.udp.listen {
            let was_free = match address {
                IpAddr::V4(address) => listen.ipv4.replace(*address).is_none(),
                IpAddr::V6(address) => listen.ipv6.replace(*address).is_none(),
            };
            if !was_free {
                return Err(wrong("udp.listen", "must have at most one address of each family"));
            }
        }
        if self.udp.listen.is_empty() {
            return Err(wrong("udp.listen", "must have at least one address"));
        }
        Ok(listen)
    }
}
