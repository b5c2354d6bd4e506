use std::net::SocketAddr;
use std::time::Duration;

use sluice_client::clock::Clock;
use sluice_router::core::{
    Command, DatagramMeta, Drained, Event, OpenRequest, Policy, Rights, Shard, ShardConfig, ShardGauges,
    TransmitBatch,
};
use sluice_wire::control::CloseCode;
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::track::ParticipantId;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

enum Order {
    Open(ParticipantId, oneshot::Sender<Ticket>),
    Command(Command),
    Gauges(oneshot::Sender<ShardGauges>),
}

#[derive(Clone)]
pub(crate) struct Router {
    orders: mpsc::Sender<Order>,
}

impl Router {
    pub(crate) async fn start(addresses: impl FnOnce(SocketAddr) -> Vec<SocketAddr>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addresses = addresses(socket.local_addr().unwrap());
        let (orders, inbox) = mpsc::channel(64);
        let shard = Shard::new(
            ShardConfig { number: 0, addresses, policy: Policy::default(), start_bps: None },
            [7; 32],
        );
        tokio::spawn(serve(shard, socket, inbox));
        Self { orders }
    }

    pub(crate) async fn open(&self, participant: ParticipantId) -> Ticket {
        let (reply, answer) = oneshot::channel();
        assert!(self.orders.send(Order::Open(participant, reply)).await.is_ok());
        answer.await.unwrap()
    }

    pub(crate) async fn close(&self, participant: ParticipantId, code: CloseCode) {
        let command = Command::Close { room: "room".to_owned(), participant, session: None, code };
        assert!(self.orders.send(Order::Command(command)).await.is_ok());
    }

    pub(crate) async fn gauges(&self) -> ShardGauges {
        let (reply, answer) = oneshot::channel();
        assert!(self.orders.send(Order::Gauges(reply)).await.is_ok());
        answer.await.unwrap()
    }

    /// Waits until the shard has as many sessions.
    pub(crate) async fn wait_for_sessions(&self, sessions: usize) {
        for _ in 0..400 {
            if self.gauges().await.sessions == sessions {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{:?}", self.gauges().await);
    }
}

async fn serve(mut shard: Shard, socket: UdpSocket, mut orders: mpsc::Receiver<Order>) {
    let clock = Clock::process();
    let local = socket.local_addr().unwrap();
    let mut batch = TransmitBatch::new();
    let mut buffer = [0; 2_048];
    let mut waiting: Vec<(u64, oneshot::Sender<Ticket>)> = Vec::new();
    let mut next_request = 0;
    loop {
        let due = shard.poll_timeout().map(|time| Instant::from_std(clock.instant(time)));
        let timer = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let Ok((len, remote)) = received else { continue };
                let now = clock.now();
                let meta = DatagramMeta { local, remote, ecn: 0, received_at: now };
                shard.handle_datagram(now, meta, &buffer[..len]);
            }
            order = orders.recv() => match order {
                None => return,
                Some(Order::Gauges(reply)) => reply.send(shard.gauges()).unwrap_or_default(),
                Some(Order::Command(command)) => shard.handle_command(clock.now(), command),
                Some(Order::Open(participant, reply)) => {
                    next_request += 1;
                    waiting.push((next_request, reply));
                    let request = OpenRequest {
                        request: next_request,
                        room: "room".to_owned(),
                        participant,
                        suite: Suite::default(),
                        rights: Rights::default(),
                    };
                    shard.handle_command(clock.now(), Command::Open(request));
                }
            },
            () = timer => shard.handle_timeout(clock.now()),
        }
        loop {
            let drained = shard.poll_transmit(clock.now(), &mut batch);
            for send in batch.sends() {
                for datagram in send.datagrams() {
                    // A client that is gone refuses it.
                    drop(socket.send_to(datagram, send.path.remote).await);
                }
            }
            batch.clear();
            if drained == Drained::Done {
                break;
            }
        }
        while let Some(event) = shard.poll_event() {
            if let Event::Opened { request, ticket } = event {
                let position = waiting.iter().position(|(id, _)| *id == request).unwrap();
                drop(waiting.swap_remove(position).1.send(*ticket));
            }
        }
    }
}
