//! One router that serves two signaling daemons, of which one dies: whoever takes its meetings over has the router already, so that
//! everybody keeps the media session, and nobody loses a packet.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[expect(dead_code, reason = "shared with the suites of the daemon")]
#[path = "../../signaling/tests/cluster/buses.rs"]
mod buses;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_loadgen::progress::{Phase, Progress};
use sluice_loadgen::swarm::{self, SwarmConfig};
use sluice_router::RouterConfig;
use sluice_router::config::{ControlToken, SignalingConfig as ControlConfig};
use sluice_signaling::{SignalingConfig, SignalingHandle, secrets, start_on};
use sluice_wire::signaling::Token;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon on a runtime of its own, so that it can die without a good-bye.
struct Daemon {
    runtime: Runtime,
    handle: SignalingHandle,
}

impl Daemon {
    async fn start(bus: buses::Shared, database: &str, token: &Token) -> Self {
        let http = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = SignalingConfig {
            http_listen: http,
            grpc_listen: "127.0.0.1:0".parse().unwrap(),
            database: database.to_owned(),
            cluster_url: Some(format!("ws://{http}")),
            router_token: Some(token.clone()),
            ..SignalingConfig::default()
        };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let handle = runtime.spawn(start_on(Arc::new(bus), config)).await.unwrap().unwrap();
        Self { runtime, handle }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

/// What stands in front of daemons: each new connection goes to the one that is meant now.
async fn front(to: Arc<Mutex<SocketAddr>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let to = *to.lock().unwrap();
            tokio::spawn(async move {
                let Ok(mut daemon) = TcpStream::connect(to).await else { return };
                // Either end may break.
                tokio::io::copy_bidirectional(&mut client, &mut daemon).await.ok();
            });
        }
    });
    address
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_serves_both_daemons_keeps_every_session_when_one_dies() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("meetings.sqlite").to_str().unwrap().to_owned();
    let (bus, token) = (buses::Shared(buses::local()), secrets::token().unwrap());
    let first = Daemon::start(bus.clone(), &database, &token).await;
    let second = Daemon::start(bus, &database, &token).await;
    let both = [&first, &second].map(|daemon| format!("http://{}", daemon.handle.grpc_address()));
    let signaling = ControlConfig { urls: both.into(), token: ControlToken::new(token.expose().to_owned()) };
    let router = RouterConfig { signaling: Some(signaling), ..RouterConfig::loopback() };
    let router = sluice_router::start(router).await.unwrap();
    until("attached to both", || {
        first.handle.routers_attached() == 1 && second.handle.routers_attached() == 1
    })
    .await;

    let owner = Arc::new(Mutex::new(first.handle.http_address()));
    let server = format!("http://{}", front(Arc::clone(&owner)).await);
    let config = SwarmConfig {
        duration: Duration::from_secs(5),
        joins_per_second: 100,
        ..SwarmConfig::one_room(&server, 4, 2).unwrap()
    };
    let progress = Arc::new(Progress::new());
    let run = tokio::spawn(swarm::run(config, Arc::clone(&progress), CancellationToken::new()));
    until("all are inside and measured", || progress.snapshot().phase == Phase::Measuring).await;
    *owner.lock().unwrap() = second.handle.http_address();
    first.kill();
    until("taken over", || second.handle.metrics().taken_over.get() == 1).await;

    let report = run.await.unwrap().unwrap();
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.rtp_lost, report.frames_missing), (0, 0));
    assert_eq!(report.rtp_received, report.rtp_expected);
    let opened = router.snapshot().shards[0].counters.sessions_opened;
    assert_eq!(opened, 4, "nobody needed a new ticket");
    assert!(second.handle.metrics().resumed.get() >= 4, "everybody goes on at the other");
    assert_eq!(router.snapshot().control.unwrap().registered, 1);
    router.shutdown().await;
    second.kill();
}
