//! A router that says yes to every session, and has none.

use std::time::Duration;

use sluice_proto::v1::router_control_client::RouterControlClient;
use sluice_proto::v1::{
    Heartbeat, OpenSession, Register, RouterMessage, SessionOpened, router_message::Kind as FromRouter,
    signaling_message::Kind as ToRouter,
};
use sluice_wire::signaling::Token;
use sluice_wire::ssrc::SsrcBlock;
use sluice_wire::ticket::{Direction, MasterKey, Secret, Suite, Ticket};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tokio_stream::wrappers::ReceiverStream;

/// How long the daemon may take to answer.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers that may wait to be sent.
const QUEUE_MESSAGES: usize = 1_024;
/// Streams of a ticket's direction: as many as a real router gives.
const STREAMS: u32 = 64;

/// The built-in router could not attach.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// The daemon's end for routers cannot be reached.
    #[error("the daemon's end for routers cannot be reached: {0}")]
    Connect(String),
    /// The daemon did not take it in.
    #[error("the daemon does not take the built-in router in: is the token right?")]
    Refused,
}

/// An attached router; detached when it is dropped.
#[derive(Debug)]
pub(super) struct FakeRouter(tokio::task::JoinHandle<()>);

impl Drop for FakeRouter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl FakeRouter {
    pub(super) async fn attach(address: &str, token: &Token) -> Result<Self, RouterError> {
        let failed = |error: &dyn std::fmt::Display| RouterError::Connect(error.to_string());
        let connecting = RouterControlClient::connect(format!("http://{address}"));
        let mut client = connecting.await.map_err(|error| failed(&error))?;
        let (answers, receiver) = mpsc::channel(QUEUE_MESSAGES);
        let register = Register {
            router_id: "loadgen".to_owned(),
            shards: 1,
            protocol_version_min: 1,
            protocol_version_max: 1,
            token: token.expose().to_owned(),
            epoch: 1,
            ..Register::default()
        };
        answers.send(message(FromRouter::Register(register))).await.map_err(|error| failed(&error))?;
        let attached = client.attach(ReceiverStream::new(receiver)).await;
        let mut inbound = attached.map_err(|error| failed(&error))?.into_inner();
        let first = timeout(ATTACH_TIMEOUT, inbound.message()).await.map_err(|error| failed(&error))?;
        let Ok(Some(first)) = first else { return Err(RouterError::Refused) };
        let Some(ToRouter::Registered(registered)) = first.kind else { return Err(RouterError::Refused) };
        let mut beat = interval(Duration::from_millis(u64::from(registered.heartbeat_interval_ms.max(1))));
        Ok(Self(tokio::spawn(async move {
            let mut sessions = 0;
            loop {
                let answer = tokio::select! {
                    _ = beat.tick() => FromRouter::Heartbeat(Heartbeat::default()),
                    told = inbound.message() => match told {
                        Ok(Some(told)) => match told.kind {
                            Some(ToRouter::OpenSession(open)) => {
                                sessions += 1;
                                opened(&open, sessions)
                            }
                            _ => continue,
                        },
                        _ => return,
                    },
                };
                if answers.send(message(answer)).await.is_err() {
                    return;
                }
            }
        })))
    }
}

const fn message(kind: FromRouter) -> RouterMessage {
    RouterMessage { kind: Some(kind) }
}

fn opened(open: &OpenSession, number: u64) -> FromRouter {
    let ticket = ticket(number).as_ref().map(Into::into);
    FromRouter::SessionOpened(SessionOpened { request_id: open.request_id, ticket })
}

fn ticket(number: u64) -> Option<Ticket> {
    let direction = |base| {
        let master = MasterKey { key: Secret::new(vec![1; 16]), salt: Secret::new(vec![2; 12]) };
        Some(Direction { master, ssrcs: SsrcBlock::new(base, STREAMS).ok()? })
    };
    Some(Ticket {
        protocol_version: 1,
        session: format!("{number:016x}"),
        addresses: vec![([192, 0, 2, 1], 5004).into()],
        suite: Suite::default(),
        uplink: direction(STREAMS)?,
        downlink: direction(2 * STREAMS)?,
        alternate: None,
    })
}
