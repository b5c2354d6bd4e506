//! Signaling and one router in this process, joined as they would be on two machines.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use sluice_router::config::{ControlToken, SignalingConfig as ControlConfig, UdpConfig};
use sluice_router::{RouterConfig, RouterHandle, RouterSnapshot, ShardFailure};
use sluice_signaling::config::Limits;
use sluice_signaling::{SignalingConfig, SignalingHandle, secrets};
use tempfile::TempDir;

/// The router dials, is admitted, and is counted: a few milliseconds, on a machine that is busy compiling too.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(10);
const REGISTRATION_CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// All clients of such a deployment come from one address, so the limits per address, which are there to be fair to others, are
/// set to what a load test on one machine takes.
const CLIENTS_PER_ADDRESS: u32 = 20_000;
const DATABASE_FILE: &str = "sluice.db";

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Signaling, for clients. Port 0 lets the system choose.
    pub(crate) http: SocketAddr,
    /// Media. Port 0 lets the system choose.
    pub(crate) media: SocketAddr,
    /// The address in tickets, if it is another.
    pub(crate) public_media: Option<SocketAddr>,
    /// Threads of the router; one per core if not given.
    pub(crate) shards: Option<NonZero<usize>>,
    /// Where meetings are kept; in a directory that goes away if not given.
    pub(crate) data: Option<PathBuf>,
}

/// What is running.
#[derive(Debug)]
pub(crate) struct Deployment {
    signaling: SignalingHandle,
    router: RouterHandle,
    // Goes last, when nobody writes any more.
    scratch: Option<TempDir>,
}

impl Deployment {
    /// Starts all of it and waits until the router is in signaling's list.
    ///
    /// # Errors
    /// If a port is taken, the directory is of no use, or the two do not find each other.
    pub(crate) async fn start(plan: Plan) -> anyhow::Result<Self> {
        let scratch = match &plan.data {
            Some(directory) => {
                std::fs::create_dir_all(directory)
                    .with_context(|| format!("cannot make the directory {}", directory.display()))?;
                None
            }
            None => Some(tempfile::tempdir().context("cannot make a temporary directory")?),
        };
        let directory =
            plan.data.as_deref().or(scratch.as_ref().map(TempDir::path)).unwrap_or(Path::new("."));
        let token = secrets::token().context("the system gives no random bytes")?;
        let signaling = sluice_signaling::start(SignalingConfig {
            http_listen: plan.http,
            grpc_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: directory.join(DATABASE_FILE).to_string_lossy().into_owned(),
            router_token: Some(token.clone()),
            limits: Limits {
                max_connections_per_address: CLIENTS_PER_ADDRESS,
                requests_per_second_per_address: CLIENTS_PER_ADDRESS,
                request_burst_per_address: CLIENTS_PER_ADDRESS,
                ..Limits::default()
            },
            ..SignalingConfig::default()
        })
        .await
        .context("signaling does not start")?;
        let router = sluice_router::start(RouterConfig {
            router_id: "local".to_owned(),
            shards: plan.shards,
            // Whoever tries this out runs clients on the same cores.
            pin_shards: false,
            public_addresses: plan.public_media.into_iter().collect(),
            udp: UdpConfig { listen: vec![plan.media.ip()], port: plan.media.port() },
            signaling: Some(ControlConfig {
                urls: vec![format!("http://{}", signaling.grpc_address())],
                token: ControlToken::new(token.expose().to_owned()),
            }),
            ..RouterConfig::default()
        })
        .await
        .context("the router does not start")?;
        let deployment = Self { signaling, router, scratch };
        deployment.until_registered().await?;
        Ok(deployment)
    }

    async fn until_registered(&self) -> anyhow::Result<()> {
        let registered = async {
            while self.signaling.routers_attached() == 0 {
                tokio::time::sleep(REGISTRATION_CHECK_INTERVAL).await;
            }
        };
        if tokio::time::timeout(REGISTRATION_TIMEOUT, registered).await.is_err() {
            bail!("the router was not admitted by signaling within {} s", REGISTRATION_TIMEOUT.as_secs());
        }
        Ok(())
    }

    /// Where REST and WebSocket are, as somebody on this machine reaches them: `127.0.0.1:8080`.
    pub(crate) fn http_authority(&self) -> SocketAddr {
        let mut address = self.signaling.http_address();
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                [0, 0, 0, 0, 0, 0, 0, 1].into()
            });
        }
        address
    }

    /// The address of media in tickets.
    pub(crate) fn media_address(&self) -> Option<SocketAddr> {
        self.router.public_addresses().first().copied()
    }

    /// Where media really comes in.
    pub(crate) fn media_socket(&self) -> Option<SocketAddr> {
        self.router.udp_addresses().first().copied()
    }

    /// How many shards the router has.
    pub(crate) fn shards(&self) -> usize {
        self.router.snapshot().shards.len()
    }

    /// Waits until a shard fails, for ever if none does.
    pub(crate) async fn failed(&self) -> ShardFailure {
        self.router.failed().await
    }

    /// Ends all sessions, then signaling; removes what was temporary. Gives what the router counted.
    pub(crate) async fn shutdown(self) -> RouterSnapshot {
        let snapshot = self.router.shutdown().await;
        self.signaling.shutdown().await;
        drop(self.scratch);
        snapshot
    }
}
