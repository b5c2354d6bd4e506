//! A router that opens every session that it is asked for, and none of them has media.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_proto::v1::router_control_client::RouterControlClient;
use sluice_proto::v1::{
    EndReason, Heartbeat, OpenSession, Preset, Register, Rights, RouterMessage, SessionEnded, SessionOpened,
    SessionRef, SessionRefused, SetPolicy, SetRights, router_message::Kind as FromRouter,
    signaling_message::Kind as ToRouter,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::ticket::ticket;
use super::{PATIENCE, ROUTER_TOKEN};

/// What a router was told.
#[derive(Debug)]
pub(crate) enum Seen {
    Opened(SessionRef, Box<OpenSession>),
    Closed(SessionRef),
    RoomClosed(String),
    RightsSet(SetRights),
    PolicySet(SetPolicy),
}

/// What a router does when it is asked for a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Opens,
    Refuses,
    Ignores,
}

pub(crate) struct FakeRouter {
    sender: mpsc::Sender<RouterMessage>,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    pub(crate) mood: Arc<Mutex<Mood>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FakeRouter {
    /// Dies at once, as if killed.
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn registration(id: &str, epoch: u64, sessions: Vec<SessionRef>) -> Register {
    Register {
        router_id: id.to_owned(),
        shards: 1,
        protocol_version_min: 1,
        protocol_version_max: 1,
        token: ROUTER_TOKEN.to_owned(),
        epoch,
        sessions,
        ..Register::default()
    }
}

/// Registers; the first answer, and the stream.
pub(crate) async fn dial(
    address: SocketAddr,
    register: Register,
) -> (Option<ToRouter>, mpsc::Sender<RouterMessage>, tonic::Streaming<sluice_proto::v1::SignalingMessage>) {
    let mut client = RouterControlClient::connect(format!("http://{address}")).await.unwrap();
    let (sender, receiver) = mpsc::channel(64);
    let mut inbound = client.attach(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    sender.send(RouterMessage { kind: Some(FromRouter::Register(register)) }).await.unwrap();
    let first = timeout(PATIENCE, inbound.message()).await.unwrap().unwrap().and_then(|message| message.kind);
    (first, sender, inbound)
}

impl FakeRouter {
    pub(crate) async fn attach(address: SocketAddr, id: &str, epoch: u64, sessions: Vec<SessionRef>) -> Self {
        let (first, sender, mut inbound) = dial(address, registration(id, epoch, sessions)).await;
        let Some(ToRouter::Registered(registered)) = first else { panic!("{first:?}") };
        let interval = Duration::from_millis(registered.heartbeat_interval_ms.into());
        let (seen_sender, seen) = mpsc::unbounded_channel();
        let mood = Arc::new(Mutex::new(Mood::Opens));
        let (answers, how) = (sender.clone(), Arc::clone(&mood));
        let task = tokio::spawn(async move {
            let mut heartbeat = tokio::time::interval(interval);
            let mut next_session = epoch << 32;
            loop {
                let message = tokio::select! {
                    _ = heartbeat.tick() => {
                        let beat = FromRouter::Heartbeat(Heartbeat::default());
                        answers.send(RouterMessage { kind: Some(beat) }).await.unwrap();
                        continue;
                    }
                    message = inbound.next() => match message {
                        Some(Ok(message)) => message.kind.unwrap(),
                        _ => return,
                    }
                };
                let seen = match message {
                    ToRouter::OpenSession(open) => {
                        next_session += 1;
                        let mood = *how.lock().unwrap();
                        let (answer, session) = answer(&open, mood, next_session);
                        if let Some(answer) = answer {
                            answers.send(RouterMessage { kind: Some(answer) }).await.unwrap();
                        }
                        Seen::Opened(session, Box::new(open))
                    }
                    ToRouter::CloseSession(close) => {
                        let (room, participant, session) = (close.room, close.participant, close.session);
                        Seen::Closed(SessionRef { room, participant, session })
                    }
                    ToRouter::CloseRoom(close) => Seen::RoomClosed(close.room),
                    ToRouter::SetRights(set) => Seen::RightsSet(set),
                    ToRouter::SetPolicy(set) => Seen::PolicySet(set),
                    other => panic!("{other:?}"),
                };
                if seen_sender.send(seen).is_err() {
                    return;
                }
            }
        });
        Self { sender, seen, mood, task }
    }

    pub(crate) async fn next(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv()).await.expect("told in time").expect("attached")
    }

    pub(crate) async fn opened(&mut self) -> SessionRef {
        self.asked().await.0
    }

    /// A session that was opened, and how it was asked for.
    pub(crate) async fn asked(&mut self) -> (SessionRef, OpenSession) {
        match self.next().await {
            Seen::Opened(session, open) => (session, *open),
            other => panic!("{other:?}"),
        }
    }

    /// What a session may do from now on, by its participant and its name.
    pub(crate) async fn rights_set(&mut self) -> (u32, String, Rights) {
        match self.next().await {
            Seen::RightsSet(SetRights { participant, session, rights: Some(rights), .. }) => {
                (participant, session, rights)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The preset of a room from now on.
    pub(crate) async fn preset_set(&mut self) -> (String, Preset) {
        match self.next().await {
            Seen::PolicySet(SetPolicy { room, policy: Some(policy) }) => (room, policy.preset()),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn closed(&mut self) -> SessionRef {
        match self.next().await {
            Seen::Closed(session) => session,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) async fn end(&self, session: &SessionRef, reason: EndReason) {
        let SessionRef { room, participant, session } = session.clone();
        let ended = SessionEnded { room, participant, session, reason: reason.into() };
        self.sender.send(RouterMessage { kind: Some(FromRouter::SessionEnded(ended)) }).await.unwrap();
    }
}

fn answer(open: &OpenSession, mood: Mood, number: u64) -> (Option<FromRouter>, SessionRef) {
    let session = format!("{number:016x}");
    let answer = match mood {
        Mood::Opens => {
            let ticket = Some((&ticket(&session)).into());
            Some(FromRouter::SessionOpened(SessionOpened { request_id: open.request_id, ticket }))
        }
        Mood::Refuses => {
            let refused = SessionRefused { request_id: open.request_id, ..SessionRefused::default() };
            Some(FromRouter::SessionRefused(refused))
        }
        Mood::Ignores => None,
    };
    (answer, SessionRef { room: open.room.clone(), participant: open.participant, session })
}
