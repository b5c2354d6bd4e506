//! Dials a signaling daemon, registers, and serves its wishes until the stream breaks; then again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use sluice_proto::v1::router_control_client::RouterControlClient;
use sluice_proto::v1::{self, RouterMessage, SignalingMessage, router_message, signaling_message};
use sluice_proto::{MAX_MESSAGE_BYTES, v1::RegistrationRefusalCode};
use sluice_wire::ticket::PROTOCOL_VERSION;
use sluice_wire::track::ParticipantId;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::backoff::Backoff;
use super::load::LoadMeter;
use super::messages::{self, answer, checked, message, session_ref};
use crate::clock::Clock;
use crate::config::ControlToken;
use crate::core::{Policy, SessionName};
use crate::shell::{
    CommandError, ControlStatus, Gallery, Listener, ListenerId, Notice, Origin, Published, Switchboard,
};

/// How long dialing may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long signaling may take to answer a registration.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2 pings, so that a dead connection is noticed.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer to a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that wait for the stream. Behind them the notices of the switchboard have a queue of their own.
const OUTGOING_MESSAGES: usize = 256;
/// How long the stream may take no message at all.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds of the heartbeat interval, against a slip in signaling's configuration.
const HEARTBEAT_MILLIS: std::ops::RangeInclusive<u32> = 100..=60_000;
/// How long signaling may take to end a stream that the router has ended.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);
/// A command that a shard has no room for is tried again after this, so many times.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
const BUSY_ATTEMPTS: usize = 200;

/// Who the router is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) router_id: String,
    pub(crate) region: String,
    pub(crate) addresses: Vec<SocketAddr>,
    /// Grows with every start.
    pub(crate) epoch: u64,
}

/// The control connection to one daemon.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) identity: Identity,
    /// The daemon's endpoint.
    pub(crate) url: String,
    pub(crate) token: ControlToken,
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) gallery: Gallery,
    pub(crate) status: Arc<Published<ControlStatus>>,
    pub(crate) clock: Clock,
    /// Of rooms for which signaling says nothing else.
    pub(crate) policy: Policy,
    /// For the pauses between attempts.
    pub(crate) rng: ChaCha20Rng,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("cannot reach signaling: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("the control stream broke: {0}")]
    Status(#[from] tonic::Status),
    #[error("signaling refused the registration: {0}")]
    Refused(String),
    #[error("signaling does not admit this router (the token is wrong): {0}")]
    Unauthorized(String),
    #[error("signaling ended the stream")]
    Ended,
    #[error("signaling took too long to answer the registration")]
    RegisterTimeout,
    #[error("signaling does not take messages")]
    Stalled,
    #[error("signaling is too slow")]
    Overrun,
    #[error("signaling sent something else where it must answer the registration")]
    Unexpected,
}

/// A stream on which the router is registered.
struct Attached {
    outgoing: mpsc::Sender<RouterMessage>,
    incoming: Streaming<SignalingMessage>,
    listener: ListenerId,
    notices: mpsc::Receiver<Notice>,
    heartbeat_interval: Duration,
}

impl Connection {
    /// Keeps the router registered until it has stopped.
    pub(crate) async fn run(mut self, stopped: CancellationToken) {
        let mut backoff = Backoff::new();
        loop {
            let served = tokio::select! {
                () = stopped.cancelled() => return,
                served = self.serve(&mut backoff) => served,
            };
            let Err(error) = served else { return };
            let stopping = self.switchboard.stopping().clone();
            if stopping.is_cancelled() {
                return;
            }
            self.status.update(|status| status.failures += 1);
            if matches!(error, StreamError::Unauthorized(_)) {
                backoff.slow_down();
            }
            let pause = backoff.pause(&mut self.rng);
            tracing::warn!(url = self.url, %error, ?pause, "no control connection; media goes on");
            tokio::select! {
                () = stopping.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// One stream, from dialing to its end. `Ok` once the router has stopped.
    async fn serve(&self, backoff: &mut Backoff) -> Result<(), StreamError> {
        let attached = tokio::select! {
            () = self.switchboard.stopping().cancelled() => return Ok(()),
            attached = self.attach() => attached?,
        };
        backoff.reset();
        self.status.update(|status| {
            status.registered += 1;
            status.registrations += 1;
        });
        tracing::info!(url = self.url, heartbeat = ?attached.heartbeat_interval, "registered with signaling");
        let conversed = self.converse(attached).await;
        self.status.update(|status| status.registered -= 1);
        conversed
    }

    async fn attach(&self) -> Result<Attached, StreamError> {
        let channel = Endpoint::from_shared(self.url.clone())?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect()
            .await?;
        let mut client = RouterControlClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let (outgoing, requests) = mpsc::channel(OUTGOING_MESSAGES);
        let Listener { id, sessions, notices } = self.switchboard.attach_listener();
        let register = v1::Register {
            router_id: self.identity.router_id.clone(),
            region: self.identity.region.clone(),
            addresses: self.identity.addresses.iter().map(ToString::to_string).collect(),
            shards: u32::try_from(self.switchboard.shards()).unwrap_or(u32::MAX),
            protocol_version_min: PROTOCOL_VERSION,
            protocol_version_max: PROTOCOL_VERSION,
            token: self.token.expose().to_owned(),
            epoch: self.identity.epoch,
            sessions: sessions.into_iter().map(session_ref).collect(),
        };
        send(&outgoing, message(router_message::Kind::Register(register))).await?;
        let answered = async {
            let mut incoming = client.attach(ReceiverStream::new(requests)).await?.into_inner();
            let first = incoming.message().await?;
            Ok::<_, StreamError>((incoming, first))
        };
        let answered = timeout(REGISTER_TIMEOUT, answered).await;
        let (incoming, first) = answered.map_err(|_| StreamError::RegisterTimeout)??;
        let heartbeat_interval = registered(first)?;
        Ok(Attached { outgoing, incoming, listener: id, notices, heartbeat_interval })
    }

    async fn converse(&self, attached: Attached) -> Result<(), StreamError> {
        let Attached { outgoing, mut incoming, listener, mut notices, heartbeat_interval } = attached;
        let mut heartbeat = interval(heartbeat_interval);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut meter = LoadMeter::new(self.clock.now(), self.gallery.snapshot().shards);
        loop {
            tokio::select! {
                received = incoming.message() => match received? {
                    Some(wish) => self.fulfil(wish, listener, &outgoing).await?,
                    None => return Err(StreamError::Ended),
                },
                notice = notices.recv() => match notice {
                    Some(notice) => if let Some(message) = messages::of_notice(notice) {
                        send(&outgoing, message).await?;
                    },
                    None if self.switchboard.stopping().is_cancelled() => break,
                    None => return Err(StreamError::Overrun),
                },
                _ = heartbeat.tick() => {
                    let (now, shards) = (self.clock.now(), self.gallery.snapshot().shards);
                    let load = meter.measure(now, shards, self.switchboard.census());
                    send(&outgoing, message(router_message::Kind::Heartbeat(load))).await?;
                }
            }
        }
        drop(outgoing);
        // What was handed to the stream is on its way once signaling has ended its side.
        let farewell = async { while let Ok(Some(_)) = incoming.message().await {} };
        if timeout(FAREWELL_TIMEOUT, farewell).await.is_err() {
            tracing::debug!("signaling did not end the stream in time");
        }
        Ok(())
    }

    async fn fulfil(
        &self,
        wish: SignalingMessage,
        listener: ListenerId,
        outgoing: &mpsc::Sender<RouterMessage>,
    ) -> Result<(), StreamError> {
        match wish.kind {
            Some(signaling_message::Kind::OpenSession(open)) => {
                let asked = checked(&open).and_then(|(participant, suite, rights)| {
                    let origin = Origin::Listener { listener, request: open.request_id };
                    let asked = self.switchboard.request(&open.room, participant, suite, rights, origin);
                    asked.map_err(Into::into)
                });
                match asked {
                    // Behind the session in its shard's queue, so that the room exists; before any media.
                    Ok(()) => self.set_policy(&open.room, open.policy.as_ref()).await,
                    Err(refusal) => send(outgoing, answer(open.request_id, Err(refusal))).await?,
                }
            }
            Some(signaling_message::Kind::CloseSession(close)) => self.close_session(close).await,
            Some(signaling_message::Kind::CloseRoom(close)) => {
                let code = messages::close_code(close.code);
                patiently(|| self.switchboard.close_room(&close.room, code)).await;
            }
            Some(signaling_message::Kind::SetPolicy(set)) => {
                self.set_policy(&set.room, set.policy.as_ref()).await;
            }
            Some(signaling_message::Kind::SetRights(set)) => self.set_rights(set).await,
            Some(
                signaling_message::Kind::Registered(_) | signaling_message::Kind::RegistrationRefused(_),
            )
            | None => {
                tracing::debug!("signaling sent a message that has no place here");
            }
        }
        Ok(())
    }

    async fn set_policy(&self, room: &str, policy: Option<&v1::RoomPolicy>) {
        let Some(policy) = policy else { return };
        match messages::policy(policy, self.policy) {
            Some(policy) => patiently(|| self.switchboard.set_policy(room, policy)).await,
            None => tracing::warn!(room, "signaling named a policy that is not known here"),
        }
    }

    async fn set_rights(&self, set: v1::SetRights) {
        let Some((participant, session)) = named(&set.room, set.participant, &set.session) else { return };
        let rights = messages::rights(set.rights.as_ref());
        patiently(|| self.switchboard.set_rights(&set.room, participant, session, rights)).await;
    }

    async fn close_session(&self, close: v1::CloseSession) {
        let Some((participant, session)) = named(&close.room, close.participant, &close.session) else {
            return;
        };
        let code = messages::close_code(close.code);
        patiently(|| self.switchboard.close(&close.room, participant, Some(session), code)).await;
    }
}

/// A session by the names that signaling gives it; `None` if these cannot be names.
fn named(room: &str, participant: u32, session: &str) -> Option<(ParticipantId, SessionName)> {
    let names = ParticipantId::new(participant).ok().zip(messages::session_name(session));
    if names.is_none() {
        tracing::warn!(room, session, "signaling named an impossible session");
    }
    names
}

/// The heartbeat interval, if the first message of a stream accepts the registration.
fn registered(first: Option<SignalingMessage>) -> Result<Duration, StreamError> {
    match first.ok_or(StreamError::Ended)?.kind {
        Some(signaling_message::Kind::Registered(registered)) => {
            let (least, most) = (*HEARTBEAT_MILLIS.start(), *HEARTBEAT_MILLIS.end());
            Ok(Duration::from_millis(registered.heartbeat_interval_ms.clamp(least, most).into()))
        }
        Some(signaling_message::Kind::RegistrationRefused(refused)) => {
            Err(if refused.code() == RegistrationRefusalCode::Unauthorized {
                StreamError::Unauthorized(refused.message)
            } else {
                StreamError::Refused(refused.message)
            })
        }
        _ => Err(StreamError::Unexpected),
    }
}

async fn send(outgoing: &mpsc::Sender<RouterMessage>, message: RouterMessage) -> Result<(), StreamError> {
    outgoing.send_timeout(message, SEND_TIMEOUT).await.map_err(|error| match error {
        mpsc::error::SendTimeoutError::Timeout(_) => StreamError::Stalled,
        mpsc::error::SendTimeoutError::Closed(_) => StreamError::Ended,
    })
}

/// Gives a command that signaling will not repeat.
async fn patiently(mut command: impl FnMut() -> Result<(), CommandError>) {
    for _ in 0..BUSY_ATTEMPTS {
        match command() {
            Ok(()) | Err(CommandError::Stopped) => return,
            Err(CommandError::Busy) => sleep(BUSY_PAUSE).await,
        }
    }
    tracing::warn!("a shard is too busy for a command of signaling");
}
