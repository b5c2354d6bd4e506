//! The daemon's configuration: a TOML file, and defaults that suit a laptop.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use sluice_wire::signaling::Token;

use crate::http::HttpLimits;
use crate::http::auth::SigningKeyConfig;
use crate::meeting::MeetingTiming;
use crate::rate::Rate;
use crate::routers::RegistryTiming;
use crate::store::Database;

const DEFAULT_HTTP_PORT: u16 = 8080;
const DEFAULT_GRPC_PORT: u16 = 8081;
const DEFAULT_TOKEN_AUDIENCE: &str = "sluice";

/// All that a deployment may set. Unknown keys are errors, so that a typing mistake is not a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalingConfig {
    /// Where clients come in. Port 0 takes any.
    pub http_listen: SocketAddr,
    /// Where routers come in. Port 0 takes any. No TLS: keep it on a private network.
    pub grpc_listen: SocketAddr,
    /// A file for SQLite, `:memory:`, or the URL of a PostgreSQL database (`postgres://…`).
    pub database: String,
    /// The URL of the Redis server that several daemons share, such as `redis://10.0.0.5`. Absent: this daemon is alone.
    pub redis: Option<String>,
    /// Where other daemons reach this one, such as `ws://10.0.0.7:8080`: needed with `redis`.
    pub cluster_url: Option<String>,
    /// What routers show to be taken in; without it the daemon does not start.
    pub router_token: Option<Token>,
    /// The operator's token for the REST interface; anybody may make meetings when absent, and nobody manage keys.
    pub api_token: Option<Token>,
    /// Whom access tokens are for: their `aud`.
    pub token_audience: String,
    /// The keys of access tokens; the first HS256 key signs. One of the process's own when there is none.
    pub signing_keys: Vec<SigningKeyConfig>,
    /// The WebSocket's address as clients see it, such as `wss://meet.example/api/v1/ws`; else made from `Host`.
    pub join_url: Option<String>,
    /// What links to meetings begin with, such as `https://meet.example/j`; else `sluice://` and `Host`.
    pub link_url: Option<String>,
    /// Origins of web pages that may open a WebSocket, such as `https://meet.example`; every one when empty.
    pub allowed_origins: Vec<String>,
    /// Limits of the HTTP end.
    pub limits: Limits,
    /// Intervals and time-outs.
    pub timing: Timing,
}

/// Limits of the HTTP end.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time.
    pub max_connections: u32,
    /// Connections at a time from one address (IPv6: one /64). Behind a proxy all clients have the proxy's: raise it.
    pub max_connections_per_address: u32,
    /// REST calls and joins per second from one address, in the long run.
    pub requests_per_second_per_address: u32,
    /// REST calls and joins at once from one address, after a pause.
    pub request_burst_per_address: u32,
}

/// Intervals and time-outs, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// How long a WebSocket may take to send its join.
    pub join_timeout_ms: u64,
    /// How often routers report; after three that did not come a router is gone.
    pub heartbeat_interval_ms: u64,
    /// How long a router may take to open a session.
    pub open_timeout_ms: u64,
    /// How long a participant may be without a media session.
    pub media_timeout_ms: u64,
    /// How long a participant may be without a WebSocket and still resume.
    pub resume_timeout_ms: u64,
}

impl Default for SignalingConfig {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        Self {
            http_listen: local(DEFAULT_HTTP_PORT),
            grpc_listen: local(DEFAULT_GRPC_PORT),
            database: Database::MEMORY.to_owned(),
            redis: None,
            cluster_url: None,
            router_token: None,
            api_token: None,
            token_audience: DEFAULT_TOKEN_AUDIENCE.to_owned(),
            signing_keys: Vec::new(),
            join_url: None,
            link_url: None,
            allowed_origins: Vec::new(),
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        // 20,000 WebSockets are a few thousand meetings and some hundred MiB. An office behind one address may have hundreds of
        // people join on the hour; who guesses passwords gets 50 a second of a space that hashing already bounds.
        Self {
            max_connections: 20_000,
            max_connections_per_address: 1_000,
            requests_per_second_per_address: 50,
            request_burst_per_address: 500,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        // The join and resume time-outs are the protocol's. A dead router is noticed in 3 s, before sessions on it would idle out; opening a
        // session takes a round trip; 30 s without media is a restart of a router with some to spare.
        Self {
            join_timeout_ms: 5_000,
            heartbeat_interval_ms: 1_000,
            open_timeout_ms: 5_000,
            media_timeout_ms: 30_000,
            resume_timeout_ms: 30_000,
        }
    }
}

impl SignalingConfig {
    /// Reads a configuration file's text.
    ///
    /// # Errors
    /// If it is not TOML, or has unknown keys or wrong values.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    pub(crate) const fn http_limits(&self) -> HttpLimits {
        HttpLimits {
            max_connections: self.limits.max_connections,
            max_connections_per_address: self.limits.max_connections_per_address,
            requests_per_address: Rate {
                per_second: self.limits.requests_per_second_per_address,
                burst: self.limits.request_burst_per_address,
            },
        }
    }
}

impl Timing {
    pub(crate) const fn join_timeout(self) -> Duration {
        Duration::from_millis(self.join_timeout_ms)
    }

    pub(crate) const fn registry(self) -> RegistryTiming {
        RegistryTiming {
            heartbeat_interval: Duration::from_millis(self.heartbeat_interval_ms),
            open_timeout: Duration::from_millis(self.open_timeout_ms),
        }
    }

    pub(crate) const fn meeting(self) -> MeetingTiming {
        MeetingTiming {
            media_timeout: Duration::from_millis(self.media_timeout_ms),
            resume_timeout: Duration::from_millis(self.resume_timeout_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_a_default() {
        let config =
            SignalingConfig::from_toml("http_listen = '[::]:80'\n[timing]\njoin_timeout_ms = 7\n").unwrap();
        assert_eq!(config.http_listen, "[::]:80".parse().unwrap());
        assert_eq!(config.grpc_listen.port(), DEFAULT_GRPC_PORT);
        assert_eq!((config.timing.join_timeout_ms, config.timing.heartbeat_interval_ms), (7, 1_000));
    }

    #[test]
    fn unknown_keys_are_errors() {
        assert!(SignalingConfig::from_toml("htp_listen = '[::]:80'").is_err());
        assert!(SignalingConfig::from_toml("[limits]\nmax = 1").is_err());
    }

    #[test]
    fn signing_keys_have_one_algorithm_each() {
        let config = "[[signing_keys]]\nkid = 'a'\nalgorithm = 'HS256'\nsecret = 'x'\n\
                      [[signing_keys]]\nkid = 'b'\nalgorithm = 'EdDSA'\npublic_key = 'y'\n";
        let keys = SignalingConfig::from_toml(config).unwrap().signing_keys;
        assert!(
            matches!(&keys[..], [SigningKeyConfig::HS256 { .. }, SigningKeyConfig::EdDSA { kid, .. }] if kid == "b")
        );
        assert!(SignalingConfig::from_toml("[[signing_keys]]\nkid = 'a'\nalgorithm = 'none'\n").is_err());
    }

    #[test]
    fn tokens_are_not_printed() {
        let config =
            "router_token = 'hush'\n[[signing_keys]]\nkid = 'a'\nalgorithm = 'HS256'\nsecret = 'hush'\n";
        let config = SignalingConfig::from_toml(config).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
