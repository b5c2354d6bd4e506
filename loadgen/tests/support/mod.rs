//! The real signaling daemon and the real router in this process, with a network in between if wanted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::time::Duration;

use sluice_loadgen::swarm::SwarmConfig;
use sluice_netsim::config::LinkConfig;
use sluice_netsim::proxy::{Proxy, ProxyConfig, ProxyStats};
use sluice_router::config::{ControlToken, SignalingConfig as ControlConfig, UdpConfig};
use sluice_router::{RouterConfig, RouterHandle};
use sluice_signaling::{SignalingConfig, SignalingHandle, secrets};
use tokio_util::sync::CancellationToken;

/// What the network does to each direction, and how often it gives clients new ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) up: LinkConfig,
    pub(crate) down: LinkConfig,
    pub(crate) rebind_every: Option<Duration>,
}

pub(crate) struct Deployment {
    signaling: SignalingHandle,
    pub(crate) router: RouterHandle,
    network: CancellationToken,
}

impl Deployment {
    pub(crate) async fn start() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into(), None).await
    }

    pub(crate) async fn at(ip: IpAddr, network: Option<Network>) -> Self {
        // Taken for a moment to learn a free port.
        let front = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
        let token = secrets::token().unwrap();
        let signaling = sluice_signaling::start(SignalingConfig {
            http_listen: (ip, 0).into(),
            grpc_listen: (ip, 0).into(),
            router_token: Some(token.clone()),
            ..SignalingConfig::default()
        })
        .await
        .unwrap();
        let router = sluice_router::start(RouterConfig {
            router_id: "local".to_owned(),
            shards: NonZero::new(2),
            pin_shards: false,
            public_addresses: network.iter().map(|_| front).collect(),
            udp: UdpConfig { listen: vec![ip], port: 0 },
            signaling: Some(ControlConfig {
                urls: vec![format!("http://{}", signaling.grpc_address())],
                token: ControlToken::new(token.expose().to_owned()),
            }),
            ..RouterConfig::default()
        })
        .await
        .unwrap();
        while signaling.routers_attached() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let deployment = Self { signaling, router, network: CancellationToken::new() };
        if let Some(network) = network {
            deployment.put_between(front, network).await;
        }
        deployment
    }

    async fn put_between(&self, front: SocketAddr, network: Network) {
        let upstream = self.router.udp_addresses()[0];
        let config = ProxyConfig {
            up: network.up,
            down: network.down,
            rebind_every: network.rebind_every,
            seed: 1,
            ..ProxyConfig::new(front, upstream)
        };
        let proxy = Proxy::bind(config).await.unwrap();
        let stop = self.network.clone();
        tokio::spawn(async move { proxy.run(stop, ProxyStats::default()).await.unwrap() });
    }

    /// A short run with sound, a small camera and a screen.
    pub(crate) fn config(&self, participants: u32, publishers: u32) -> SwarmConfig {
        let server = format!("http://{}", self.signaling.http_address());
        SwarmConfig {
            duration: Duration::from_millis(1_500),
            joins_per_second: 100,
            ..SwarmConfig::one_room(&server, participants, publishers).unwrap()
        }
    }

    pub(crate) async fn stop(self) {
        self.router.shutdown().await;
        self.signaling.shutdown().await;
        self.network.cancel();
    }
}

pub(crate) fn link(text: &str) -> LinkConfig {
    text.parse().unwrap()
}
