use std::net::SocketAddr;
use std::time::Duration;

use sluice_proto::v1::router_control_server::{RouterControl, RouterControlServer};
use sluice_proto::v1::router_message::Kind as Told;
use sluice_proto::v1::signaling_message::Kind as Wish;
use sluice_proto::v1::{self, RouterMessage, SessionRef, SignalingMessage};
use sluice_wire::control::CloseCode;
use sluice_wire::ticket::{PROTOCOL_VERSION, Suite, Ticket};
use sluice_wire::track::ParticipantId;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::config::{ControlToken, RouterConfig, SignalingConfig};
use crate::{RouterHandle, start};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A signaling daemon of which the test is the brain.
struct FakeSignaling {
    address: SocketAddr,
    streams: mpsc::Receiver<Attached>,
    server: JoinHandle<()>,
}

/// One control stream, from signaling's end.
struct Attached {
    incoming: Streaming<RouterMessage>,
    outgoing: mpsc::Sender<Result<SignalingMessage, Status>>,
}

struct Service(mpsc::Sender<Attached>);

#[tonic::async_trait]
impl RouterControl for Service {
    type AttachStream = ReceiverStream<Result<SignalingMessage, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<RouterMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (outgoing, answers) = mpsc::channel(16);
        self.0.send(Attached { incoming: request.into_inner(), outgoing }).await.unwrap();
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

impl FakeSignaling {
    async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap()).await
    }

    async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, streams) = mpsc::channel(16);
        let service = RouterControlServer::new(Service(sender));
        let serve = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async { serve.await.unwrap() });
        Self { address, streams, server }
    }

    async fn next_stream(&mut self) -> Attached {
        timeout(PATIENCE, self.streams.recv()).await.expect("no router dials").unwrap()
    }

    /// Takes in the next registration.
    async fn admit(&mut self) -> (v1::Register, Attached) {
        let mut attached = self.next_stream().await;
        let Some(Told::Register(register)) = attached.next().await else { panic!("no registration") };
        attached.wish(Wish::Registered(v1::Registered { heartbeat_interval_ms: 100 })).await;
        (register, attached)
    }

    async fn router(&self) -> RouterHandle {
        self.router_with(&[]).await
    }

    /// A router that dials this one and others.
    async fn router_with(&self, others: &[&Self]) -> RouterHandle {
        let signaling = SignalingConfig {
            urls: others.iter().chain([&self]).map(|daemon| format!("http://{}", daemon.address)).collect(),
            token: ControlToken::new("open sesame".to_owned()),
        };
        let config = RouterConfig {
            router_id: "ams-3".to_owned(),
            region: "eu".to_owned(),
            signaling: Some(signaling),
            ..RouterConfig::loopback()
        };
        start(config).await.unwrap()
    }
}

impl Drop for FakeSignaling {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Attached {
    /// What the router says next; `None` at the end of the stream.
    async fn next_of_all(&mut self) -> Option<Told> {
        let message = timeout(PATIENCE, self.incoming.message()).await.expect("the router is silent");
        message.ok().flatten().map(|message| message.kind.unwrap())
    }

    /// What the router says next, but heartbeats.
    async fn next(&mut self) -> Option<Told> {
        loop {
            let told = self.next_of_all().await;
            if !matches!(told, Some(Told::Heartbeat(_))) {
                return told;
            }
        }
    }

    async fn wish(&self, kind: Wish) {
        self.outgoing.send(Ok(SignalingMessage { kind: Some(kind) })).await.unwrap();
    }

    async fn open(&mut self, request_id: u64, room: &str, participant: u32) -> Ticket {
        self.wish(Wish::OpenSession(open(request_id, room, participant))).await;
        match self.next().await {
            Some(Told::SessionOpened(opened)) if opened.request_id == request_id => {
                opened.ticket.unwrap().try_into().unwrap()
            }
            _ => panic!("the session was not opened"),
        }
    }
}

fn open(request_id: u64, room: &str, participant: u32) -> v1::OpenSession {
    let suite = v1::Suite::from(Suite::AeadAes128Gcm).into();
    v1::OpenSession {
        request_id,
        room: room.into(),
        participant,
        suite,
        protocol_version: PROTOCOL_VERSION,
        rights: None,
        policy: None,
    }
}

fn session(room: &str, participant: u32, ticket: &Ticket) -> SessionRef {
    SessionRef { room: room.into(), participant, session: ticket.session.clone() }
}

async fn wait_for(router: &RouterHandle, condition: impl Fn(&crate::RouterSnapshot) -> bool) {
    for _ in 0..500 {
        if condition(&router.snapshot()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("this did not come: {:?}", router.snapshot());
}

#[tokio::test]
async fn the_router_registers_and_serves_wishes() {
    let mut signaling = FakeSignaling::start().await;
    let router = signaling.router().await;
    let (register, mut stream) = signaling.admit().await;
    assert_eq!((register.router_id.as_str(), register.region.as_str()), ("ams-3", "eu"));
    assert_eq!((register.token.as_str(), register.shards), ("open sesame", 1));
    assert_eq!(register.addresses, [router.public_addresses()[0].to_string()]);
    assert_eq!((register.protocol_version_min, register.protocol_version_max), (1, 1));
    assert!(register.epoch > 0 && register.sessions.is_empty());

    let first = stream.open(7, "a", 1).await;
    assert_eq!(first.addresses, router.public_addresses());
    stream.open(8, "a", 2).await;
    let heartbeat = loop {
        match stream.next_of_all().await.unwrap() {
            Told::Heartbeat(heartbeat) if heartbeat.sessions == 2 => break heartbeat,
            Told::Heartbeat(_) => {}
            _ => panic!("only heartbeats are due"),
        }
    };
    assert_eq!((heartbeat.rooms, heartbeat.participants), (1, 2));

    // A newer ticket ends the older one, and that is told before the answer.
    stream.wish(Wish::OpenSession(open(9, "a", 1))).await;
    let SessionRef { room, participant, session } = session("a", 1, &first);
    let reason = v1::EndReason::Replaced.into();
    let replaced = v1::SessionEnded { room, participant, session, reason };
    assert_eq!(stream.next().await, Some(Told::SessionEnded(replaced)));
    assert!(matches!(stream.next().await, Some(Told::SessionOpened(opened)) if opened.request_id == 9));
    router.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_refused_and_closes_are_not_answered() {
    let mut signaling = FakeSignaling::start().await;
    let router = signaling.router().await;
    let (_, mut stream) = signaling.admit().await;
    for (wrong, code) in [
        (v1::OpenSession { protocol_version: 9, ..open(1, "a", 1) }, v1::RefusalCode::Unsupported),
        (v1::OpenSession { suite: 0, ..open(1, "a", 1) }, v1::RefusalCode::Unsupported),
        (open(1, "a", 0), v1::RefusalCode::Invalid),
        (open(1, "", 1), v1::RefusalCode::Invalid),
    ] {
        stream.wish(Wish::OpenSession(wrong)).await;
        let Some(Told::SessionRefused(refused)) = stream.next().await else { panic!("not refused") };
        assert_eq!((refused.request_id, refused.code()), (1, code));
    }
    let tickets = [stream.open(2, "a", 1).await, stream.open(3, "a", 2).await, stream.open(4, "b", 3).await];
    let code = CloseCode::Removed.to_u16().into();
    let close = |session: &str| {
        let (room, participant) = ("a".to_owned(), 1);
        Wish::CloseSession(v1::CloseSession { room, participant, session: session.to_owned(), code })
    };
    stream.wish(close(&tickets[1].session)).await;
    stream.wish(close("nonsense")).await;
    stream.wish(close(&tickets[0].session)).await;
    stream.wish(Wish::CloseRoom(v1::CloseRoom { room: "b".into(), code })).await;
    wait_for(&router, |now| now.shards[0].counters.sessions_ended == 2).await;
    // What comes next is the answer to what is asked next: of the closes nothing was told.
    stream.open(5, "a", 1).await;
    assert_eq!(router.snapshot().shards[0].counters.sessions_ended, 2);
    router.shutdown().await;
}

#[tokio::test]
async fn rights_and_policies_reach_rooms_and_what_cannot_be_meant_does_nothing() {
    let mut signaling = FakeSignaling::start().await;
    let router = signaling.router().await;
    let (_, mut stream) = signaling.admit().await;
    let policy = Some(v1::RoomPolicy { preset: v1::Preset::AudioOnly.into(), ..v1::RoomPolicy::default() });
    let asked = v1::OpenSession { policy, ..open(1, "a", 1) };
    stream.wish(Wish::OpenSession(asked)).await;
    let Some(Told::SessionOpened(opened)) = stream.next().await else { panic!("not opened") };
    let session = opened.ticket.unwrap().session;
    let unknown = Some(v1::RoomPolicy { preset: 99, ..v1::RoomPolicy::default() });
    stream.wish(Wish::SetPolicy(v1::SetPolicy { room: "a".into(), policy: unknown })).await;
    stream.wish(Wish::SetPolicy(v1::SetPolicy { room: "nowhere".into(), policy })).await;
    let rights = |participant, session: &str| {
        let rights = Some(v1::Rights { receive_only: true, ..v1::Rights::default() });
        Wish::SetRights(v1::SetRights { room: "a".into(), participant, session: session.into(), rights })
    };
    stream.wish(rights(0, &session)).await;
    stream.wish(rights(1, "nonsense")).await;
    stream.wish(rights(1, &session)).await;
    wait_for(&router, |now| now.shards[0].counters.policy_changes == 1).await;
    wait_for(&router, |now| now.shards[0].counters.rights_changes == 1).await;
    stream
        .wish(Wish::SetPolicy(v1::SetPolicy { room: "a".into(), policy: Some(v1::RoomPolicy::default()) }))
        .await;
    wait_for(&router, |now| now.shards[0].counters.policy_changes == 2).await;
    assert_eq!(router.snapshot().shards[0].counters.rights_changes, 1);
    router.shutdown().await;
}

#[tokio::test]
async fn sessions_outlive_the_stream_and_are_listed_anew() {
    let mut signaling = FakeSignaling::start().await;
    let router = signaling.router().await;
    let (first, mut stream) = signaling.admit().await;
    let kept = stream.open(1, "a", 1).await;
    stream.open(2, "a", 2).await;
    drop(stream);
    wait_for(&router, |now| now.control.unwrap().registered == 0).await;
    // One ends while nobody listens.
    router.close_session("a", ParticipantId::new(2).unwrap(), None, CloseCode::Removed).unwrap();
    wait_for(&router, |now| now.shards[0].counters.sessions_ended == 1).await;

    let (again, mut stream) = signaling.admit().await;
    assert_eq!(again.epoch, first.epoch);
    assert_eq!(again.sessions, [session("a", 1, &kept)]);
    wait_for(&router, |now| now.control.unwrap().registrations == 2).await;
    stream.open(1, "a", 3).await;
    router.shutdown().await;
}

#[tokio::test]
async fn each_of_several_daemons_has_a_stream_and_one_that_dies_costs_the_others_nothing() {
    let (mut first, mut second) = (FakeSignaling::start().await, FakeSignaling::start().await);
    let router = first.router_with(&[&second]).await;
    let (register, mut to_first) = first.admit().await;
    let (again, mut to_second) = second.admit().await;
    assert_eq!((register.epoch, register.router_id), (again.epoch, again.router_id), "one process");
    wait_for(&router, |now| now.control.unwrap().registered == 2).await;
    let kept = to_first.open(1, "a", 1).await;
    let gone = to_first.open(2, "a", 2).await;
    to_second.open(1, "b", 1).await;

    drop((to_first, first));
    wait_for(&router, |now| now.control.unwrap().registered == 1).await;
    // The other has heard nothing that was the first's, and goes on with what it left: it ends one session and replaces another.
    let SessionRef { room, participant, session: name } = session("a", 2, &gone);
    to_second.wish(Wish::CloseSession(v1::CloseSession { room, participant, session: name, code: 0 })).await;
    wait_for(&router, |now| now.shards[0].counters.sessions_ended == 1).await;
    to_second.wish(Wish::OpenSession(open(2, "a", 1))).await;
    let SessionRef { room, participant, session } = session("a", 1, &kept);
    let reason = v1::EndReason::Replaced.into();
    let replaced = v1::SessionEnded { room, participant, session, reason };
    assert_eq!(to_second.next().await, Some(Told::SessionEnded(replaced)));
    assert!(matches!(to_second.next().await, Some(Told::SessionOpened(opened)) if opened.request_id == 2));
    router.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_is_announced_and_every_end_is_told() {
    let mut signaling = FakeSignaling::start().await;
    let router = signaling.router().await;
    let (_, mut stream) = signaling.admit().await;
    let ticket = stream.open(1, "a", 1).await;
    let shutdown = tokio::spawn(router.shutdown());
    assert_eq!(stream.next().await, Some(Told::Draining(v1::Draining {})));
    let SessionRef { room, participant, session } = session("a", 1, &ticket);
    let reason = v1::EndReason::Shutdown.into();
    let ended = v1::SessionEnded { room, participant, session, reason };
    assert_eq!(stream.next().await, Some(Told::SessionEnded(ended)));
    assert_eq!(stream.next().await, None);
    drop(stream);
    timeout(PATIENCE, shutdown).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_router_that_is_not_admitted_works_on_without_signaling() {
    let mut signaling = FakeSignaling::start().await;
    let router = signaling.router().await;
    let stream = signaling.next_stream().await;
    let (code, message) = (v1::RegistrationRefusalCode::Unauthorized.into(), "who are you?".to_owned());
    stream.wish(Wish::RegistrationRefused(v1::RegistrationRefused { code, message })).await;
    wait_for(&router, |now| now.control.unwrap().failures == 1).await;
    assert_eq!(router.snapshot().control.unwrap().registered, 0);
    router.open_session("a", ParticipantId::new(1).unwrap(), Suite::AeadAes128Gcm).await.unwrap();
    router.shutdown().await;
}

#[tokio::test]
async fn signaling_may_come_later() {
    let placeholder = FakeSignaling::start().await;
    let (address, router) = (placeholder.address, placeholder.router().await);
    drop(placeholder);
    wait_for(&router, |now| now.control.unwrap().failures > 0).await;
    let mut signaling = FakeSignaling::start_on(address).await;
    signaling.admit().await;
    wait_for(&router, |now| now.control.unwrap().registrations > 0).await;
    router.shutdown().await;
}
