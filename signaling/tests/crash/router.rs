//! A router without media as a process of its own: this test's binary, started anew with a word in its environment. It is
//! attached to every daemon, as routers are, and comes back to those that were away.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_proto::v1::router_control_client::RouterControlClient;
use sluice_proto::v1::{
    EndReason, Heartbeat, OpenSession, Register, RouterMessage, SessionEnded, SessionOpened, SessionRef,
    router_message::Kind as Said, signaling_message::Kind as Told,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::processes::{Process, ROUTER_TOKEN};
use crate::ticket::ticket;

/// The router's name, its epoch, and the daemons, with spaces between.
const ROUTER: &str = "SLUICE_CRASH_ROUTER";
const REDIAL_INTERVAL: Duration = Duration::from_millis(200);

/// Sessions by room and participant, with the streams that want to know what becomes of them.
#[derive(Default)]
struct Sessions {
    open: BTreeMap<(String, u32), String>,
    next: u64,
    listeners: BTreeMap<usize, mpsc::Sender<RouterMessage>>,
}

pub(crate) fn spawn(name: &str, epoch: u64, daemons: &[String], log: Stdio) -> Process {
    let mut router = Command::new(std::env::current_exe().unwrap());
    router.args(["--exact", "router::runs", "--ignored", "--nocapture"]);
    router.env(ROUTER, format!("{name} {epoch} {}", daemons.join(" "))).stdout(Stdio::null()).stderr(log);
    Process::spawn(&mut router)
}

#[tokio::test]
#[ignore = "is started by the others"]
async fn runs() {
    let Ok(said) = std::env::var(ROUTER) else { return };
    let mut words = said.split(' ');
    let (name, epoch) = (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap());
    let sessions = Arc::new(Mutex::new(Sessions { next: epoch << 32, ..Sessions::default() }));
    let serves = words.enumerate().map(|(index, daemon)| {
        let (name, sessions) = (name.clone(), Arc::clone(&sessions));
        async move {
            loop {
                serve(index, daemon, &name, epoch, &sessions).await;
                sessions.lock().unwrap().listeners.remove(&index);
                tokio::time::sleep(REDIAL_INTERVAL).await;
            }
        }
    });
    futures_util::future::join_all(serves).await;
}

async fn serve(index: usize, daemon: &str, name: &str, epoch: u64, sessions: &Mutex<Sessions>) -> Option<()> {
    let mut client = RouterControlClient::connect(format!("http://{daemon}")).await.ok()?;
    let (sender, receiver) = mpsc::channel(65_536);
    let register = {
        let mut sessions = sessions.lock().unwrap();
        sessions.listeners.insert(index, sender.clone());
        let has = sessions.open.iter().map(|((room, participant), session)| SessionRef {
            room: room.clone(),
            participant: *participant,
            session: session.clone(),
        });
        Register {
            router_id: name.to_owned(),
            shards: 1,
            protocol_version_min: 1,
            protocol_version_max: 1,
            token: ROUTER_TOKEN.to_owned(),
            epoch,
            sessions: has.collect(),
            ..Register::default()
        }
    };
    sender.try_send(said(Said::Register(register))).ok()?;
    let mut inbound = client.attach(ReceiverStream::new(receiver)).await.ok()?.into_inner();
    let Some(Told::Registered(registered)) = inbound.message().await.ok()??.kind else { return None };
    let interval = Duration::from_millis(registered.heartbeat_interval_ms.into());
    let mut heartbeat = tokio::time::interval(interval);
    loop {
        let told = tokio::select! {
            _ = heartbeat.tick() => {
                sender.send(said(Said::Heartbeat(Heartbeat::default()))).await.ok()?;
                continue;
            }
            told = inbound.message() => told.ok()??,
        };
        obey(told.kind?, index, &sender, &mut sessions.lock().unwrap());
    }
}

fn obey(told: Told, index: usize, sender: &mpsc::Sender<RouterMessage>, sessions: &mut Sessions) {
    match told {
        Told::OpenSession(OpenSession { request_id, room, participant, .. }) => {
            sessions.next += 1;
            let session = format!("{:016x}", sessions.next);
            if let Some(old) = sessions.open.insert((room.clone(), participant), session.clone()) {
                sessions.ended(usize::MAX, (room, participant), old, EndReason::Replaced);
            }
            let ticket = Some((&ticket(&session)).into());
            sender.try_send(said(Said::SessionOpened(SessionOpened { request_id, ticket }))).ok();
        }
        Told::CloseSession(close) => {
            let key = (close.room, close.participant);
            if sessions.open.get(&key) == Some(&close.session) {
                sessions.open.remove(&key);
                sessions.ended(index, key, close.session, EndReason::Unspecified);
            }
        }
        Told::CloseRoom(close) => {
            let of_room = |key: &&(String, u32)| key.0 == close.room;
            let keys: Vec<_> = sessions.open.keys().filter(of_room).cloned().collect();
            for key in keys {
                let session = sessions.open.remove(&key).unwrap();
                sessions.ended(index, key, session, EndReason::Unspecified);
            }
        }
        _ => {}
    }
}

impl Sessions {
    /// Tells all daemons but the one that asked for it.
    fn ended(&self, but: usize, key: (String, u32), session: String, reason: EndReason) {
        let (room, participant) = key;
        let ended = SessionEnded { room, participant, session, reason: reason.into() };
        for (_, listener) in self.listeners.iter().filter(|(index, _)| **index != but) {
            listener.try_send(said(Said::SessionEnded(ended.clone()))).ok();
        }
    }
}

fn said(kind: Said) -> RouterMessage {
    RouterMessage { kind: Some(kind) }
}
