//! End to end on loopback. Waiting has a generous limit, so that a failure is a failure and not a hang; nothing is timed.

use std::collections::BTreeSet;
use std::future::Future;

use sluice_wire::time::Time;
use tokio::task::JoinHandle;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const LOOPBACK: &str = "127.0.0.1:0";

async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing happened for too long")
}

async fn socket() -> UdpSocket {
    UdpSocket::bind(LOOPBACK).await.unwrap()
}

/// A proxy in front of `upstream`.
struct Running {
    address: SocketAddr,
    stats: ProxyStats,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ProxyError>>,
}

impl Running {
    async fn start(upstream: &UdpSocket, change: impl FnOnce(&mut ProxyConfig)) -> Self {
        let mut config = ProxyConfig::new(LOOPBACK.parse().unwrap(), upstream.local_addr().unwrap());
        change(&mut config);
        let proxy = Proxy::bind(config).await.unwrap();
        let (address, stats, shutdown) =
            (proxy.local_addr(), ProxyStats::default(), CancellationToken::new());
        let task = tokio::spawn(proxy.run(shutdown.clone(), stats.clone()));
        Self { address, stats, shutdown, task }
    }

    async fn until(&self, condition: impl Fn(&ProxySnapshot) -> bool) {
        patiently(async {
            while !condition(&self.stats.snapshot()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    async fn client(&self) -> UdpSocket {
        let client = socket().await;
        client.connect(self.address).await.unwrap();
        client
    }

    async fn stop(self) -> ProxySnapshot {
        self.shutdown.cancel();
        patiently(self.task).await.unwrap().unwrap();
        self.stats.snapshot()
    }
}

async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (size, from) = patiently(socket.recv_from(&mut buffer)).await.unwrap();
    buffer.truncate(size);
    (buffer, from)
}

/// Sends from the client, has the server echo it, and gives the port that the server saw.
async fn round_trip(client: &UdpSocket, server: &UdpSocket, payload: &[u8]) -> u16 {
    client.send(payload).await.unwrap();
    let (there, from) = receive(server).await;
    assert_eq!(there, payload);
    server.send_to(&there, from).await.unwrap();
    let (back, _) = receive(client).await;
    assert_eq!(back, payload);
    from.port()
}

#[tokio::test]
async fn without_loss_everything_comes_through_both_ways() {
    let server = socket().await;
    let link: LinkConfig = "delay=3ms,jitter=1ms".parse().unwrap();
    let proxy = Running::start(&server, |config| (config.up, config.down) = (link.clone(), link)).await;
    let clients = [proxy.client().await, proxy.client().await];
    let mut ports = BTreeSet::new();
    for i in 0..20u8 {
        for (client, size) in clients.iter().zip([100, 60_000]) {
            ports.insert(round_trip(client, &server, &vec![i; size]).await);
        }
    }
    assert_eq!(ports.len(), 2); // one for each client
    proxy.until(|stats| stats.down.sent == 40).await;
    let stats = proxy.stop().await;
    assert_eq!((stats.clients, stats.up.delivered, stats.down.delivered), (2, 40, 40));
    assert_eq!((stats.up.lost(), stats.socket_errors, stats.active_clients), (0, 0, 0));
}

#[tokio::test]
async fn packets_keep_their_order_in_a_burst() {
    let server = socket().await;
    let proxy = Running::start(&server, |config| config.up = "delay=5ms,jitter=5ms".parse().unwrap()).await;
    let client = proxy.client().await;
    for i in 0..50u8 {
        client.send(&[i]).await.unwrap();
    }
    for i in 0..50u8 {
        assert_eq!(receive(&server).await.0, [i]);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn what_the_link_loses_is_lost_and_counted() {
    let server = socket().await;
    let proxy = Running::start(&server, |config| config.up = "loss=100%".parse().unwrap()).await;
    let client = proxy.client().await;
    for _ in 0..10 {
        client.send(b"lost").await.unwrap();
    }
    proxy.until(|stats| stats.up.lost_random == 10).await;
    assert!(server.try_recv_from(&mut [0; 10]).is_err());
    proxy.stop().await;
}

#[tokio::test]
async fn the_server_sees_a_new_port_after_a_rebind_and_can_answer_to_it() {
    let server = socket().await;
    let every = Some(Duration::from_millis(50));
    let proxy = Running::start(&server, |config| config.rebind_every = every).await;
    let client = proxy.client().await;
    client.send(b"before").await.unwrap();
    let (_, before) = receive(&server).await;
    let rebinds = proxy.stats.snapshot().rebinds;
    proxy.until(|stats| stats.rebinds > rebinds).await;
    patiently(async {
        loop {
            client.send(b"after").await.unwrap();
            let (_, after) = receive(&server).await;
            server.send_to(b"answer", after).await.unwrap();
            let mut buffer = [0; 10];
            let answer = tokio::time::timeout(Duration::from_millis(20), client.recv(&mut buffer)).await;
            if before.port() != after.port() && answer.is_ok() {
                break; // else the next rebind came between
            }
        }
    })
    .await;
    assert_eq!(proxy.stop().await.clients, 1);
}

#[tokio::test]
async fn further_clients_are_refused() {
    let server = socket().await;
    let proxy = Running::start(&server, |config| config.max_clients = 1).await;
    let (first, second) = (proxy.client().await, proxy.client().await);
    round_trip(&first, &server, b"first").await;
    second.send(b"second").await.unwrap();
    proxy.until(|stats| stats.refused_datagrams == 1).await;
    round_trip(&first, &server, b"still here").await;
    assert_eq!(proxy.stop().await.clients, 1);
}

#[tokio::test]
async fn an_idle_client_makes_room() {
    let server = socket().await;
    let idle_timeout = Duration::from_millis(20);
    let change = |config: &mut ProxyConfig| (config.max_clients, config.idle_timeout) = (1, idle_timeout);
    let proxy = Running::start(&server, change).await;
    let (first, second) = (proxy.client().await, proxy.client().await);
    first.send(b"first").await.unwrap();
    receive(&server).await;
    proxy.until(|stats| stats.clients == 1 && stats.active_clients == 0).await;
    second.send(b"second").await.unwrap();
    assert_eq!(receive(&server).await.0, b"second");
    assert_eq!(proxy.stop().await.clients, 2);
}

#[tokio::test]
async fn a_client_with_packets_on_their_way_is_not_idle() {
    let server = socket().await;
    let change = |config: &mut ProxyConfig| {
        config.idle_timeout = Duration::from_millis(10);
        config.rebind_every = Some(Duration::from_millis(15)); // wakes the client while it waits
        config.up = "delay=60ms".parse().unwrap();
    };
    let proxy = Running::start(&server, change).await;
    let client = proxy.client().await;
    client.send(b"slow").await.unwrap();
    assert_eq!(receive(&server).await.0, b"slow");
    proxy.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_counted_and_survived() {
    let server = socket().await;
    let address = server.local_addr().unwrap();
    let proxy = Running::start(&server, |_| {}).await;
    drop(server);
    let client = proxy.client().await;
    client.send(b"into the void").await.unwrap();
    proxy.until(|stats| stats.up.delivered == 1).await;
    let server = UdpSocket::bind(address).await.unwrap();
    round_trip(&client, &server, b"back again").await; // although the socket still has the first one's error
    let stats = proxy.stop().await;
    assert!(stats.clients == 1 && stats.socket_errors >= 1, "{stats:?}");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_packets_under_way() {
    let server = socket().await;
    let proxy = Running::start(&server, |config| config.up = "delay=10min".parse().unwrap()).await;
    let client = proxy.client().await;
    client.send(b"slow").await.unwrap();
    proxy.until(|stats| stats.up.delivered == 1).await;
    assert_eq!(proxy.stop().await.active_clients, 0);
}

#[tokio::test]
async fn a_bad_configuration_does_not_start() {
    let listen: SocketAddr = LOOPBACK.parse().unwrap();
    let refused = |change: fn(&mut ProxyConfig)| {
        let mut config = ProxyConfig::new(listen, listen);
        change(&mut config);
        run(config, CancellationToken::new(), ProxyStats::default())
    };
    let invalid = refused(|config| config.down.loss = 2.0).await;
    assert!(matches!(invalid, Err(ProxyError::Link { direction: "down", .. })));
    assert!(matches!(refused(|config| config.max_clients = 0).await, Err(ProxyError::Zero("max_clients"))));
    let never = refused(|config| config.rebind_every = Some(Duration::ZERO)).await;
    assert!(matches!(never, Err(ProxyError::Zero("rebind_every"))));
    let taken = socket().await;
    let config = ProxyConfig::new(taken.local_addr().unwrap(), listen);
    let result = run(config, CancellationToken::new(), ProxyStats::default()).await;
    assert!(matches!(result, Err(ProxyError::Listen { .. })));
}

#[tokio::test]
async fn clients_have_links_of_their_own_and_share_one() {
    let upstream = socket().await;
    let shared = SharedLink::new(&"rate=80kbit,queue=10s".parse().unwrap(), 1).unwrap();
    let links = |down: &str| ClientLinks {
        up: LinkConfig::default(),
        down: down.parse().unwrap(),
        behind: Some(shared.clone()),
        tap: None,
    };
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let tap = Some(Tap::new(move |datagram| sees.lock().unwrap().push(datagram.to_vec())));
    let clients = vec![links(""), ClientLinks { tap, ..links("loss=100%") }];
    let proxy = Running::start(&upstream, |config| config.clients = clients).await;
    let mut buffer = [0; 64];
    let mut ports = Vec::new();
    let (first, second) = (proxy.client().await, proxy.client().await);
    for client in [&first, &second] {
        client.send(b"hello").await.unwrap();
        ports.push(patiently(upstream.recv_from(&mut buffer)).await.unwrap().1);
    }
    // The link is busy for a second with what is nobody's.
    shared.lock().send(Time::ZERO, 10_000);
    for port in ports {
        upstream.send_to(b"welcome", port).await.unwrap();
    }
    assert_eq!(patiently(first.recv(&mut buffer)).await.unwrap(), 7);
    proxy.until(|snapshot| snapshot.down.sent == 2).await;
    assert_eq!(shared.lock().counters().sent, 3);
    assert_eq!(*seen.lock().unwrap(), [b"welcome".to_vec()]);
    let client = |number: usize| proxy.stats.client(number).unwrap();
    assert_eq!((client(0).down.delivered, client(0).up.delivered), (1, 1));
    assert_eq!((client(1).down.delivered, client(1).down.lost_random), (0, 1));
    assert_eq!(proxy.stats.client(2), None);
    proxy.stop().await;
}
