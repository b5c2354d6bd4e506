//! The gRPC end that routers dial.

use std::sync::Arc;
use std::time::Duration;

use sluice_proto::MAX_MESSAGE_BYTES;
use sluice_proto::v1::router_control_server::{RouterControl, RouterControlServer};
use sluice_proto::v1::{
    Register, RegistrationRefusalCode, RegistrationRefused, RouterMessage, SignalingMessage, router_message,
    signaling_message,
};
use sluice_wire::signaling::Token;
use sluice_wire::ticket::PROTOCOL_VERSION;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::handle::{Routers, STREAM_QUEUE_MESSAGES, StreamSender};
use super::records::RegisterError;
use super::registry::MAX_ROUTERS;
use crate::secrets::TokenHash;
use crate::store::MeetingStore;

/// How long a stream may stay silent before `Register`: a round trip and a half, generously.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);
/// Streams at a time: every router's and, while it dials anew, its old one.
const MAX_STREAMS: usize = 2 * MAX_ROUTERS;
/// The longest name of a router or region, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Serves [`RouterControl`].
pub struct RouterControlService {
    routers: Routers,
    store: Arc<dyn MeetingStore>,
    token: Arc<TokenHash>,
    streams: Arc<Semaphore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl RouterControlService {
    /// The service; its streams run in `tasks` until `shutdown`.
    #[must_use]
    pub fn new(
        routers: Routers,
        store: Arc<dyn MeetingStore>,
        token: &Token,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> RouterControlServer<Self> {
        let streams = Arc::new(Semaphore::new(MAX_STREAMS));
        let service =
            Self { routers, store, token: Arc::new(TokenHash::of(token)), streams, tasks, shutdown };
        RouterControlServer::new(service)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl RouterControl for RouterControlService {
    type AttachStream = ReceiverStream<Result<SignalingMessage, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<RouterMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let permit = permit.map_err(|_| Status::resource_exhausted("too many streams"))?;
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE_MESSAGES);
        let attachment = Attachment {
            routers: self.routers.clone(),
            store: Arc::clone(&self.store),
            token: Arc::clone(&self.token),
            inbound: request.into_inner(),
            sender,
            shutdown: self.shutdown.clone(),
            _permit: permit,
        };
        // The answer's headers go out before `Register` is awaited: a router may want to see them first.
        self.tasks.spawn(attachment.run());
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

struct Attachment {
    routers: Routers,
    store: Arc<dyn MeetingStore>,
    token: Arc<TokenHash>,
    inbound: Streaming<RouterMessage>,
    sender: StreamSender,
    shutdown: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Attachment {
    async fn run(mut self) {
        let register = match self.registration().await {
            Ok(register) => register,
            Err(refusal) => return self.refuse(refusal).await,
        };
        let (router, region, epoch) = (register.router_id.clone(), register.region.clone(), register.epoch);
        let (id, over) = match self.routers.register(register, self.sender.clone()) {
            Ok(attached) => attached,
            Err(RegisterError::Full) => return self.refuse(Refusal::full()).await,
            Err(RegisterError::Stale) => {
                return self.refuse(Refusal::invalid("a later epoch is attached")).await;
            }
        };
        // Only the registry holds the sending end from here on: when it lets go, the router sees the end of the stream.
        drop(self.sender);
        tracing::info!(router, region, epoch, "router attached");
        let serve = async {
            loop {
                tokio::select! {
                    () = over.cancelled() => break Some("detached".to_owned()),
                    () = self.shutdown.cancelled() => break None,
                    message = self.inbound.message() => match message {
                        Ok(Some(message)) => self.routers.message(id, message),
                        Ok(None) => break None, // a router that stops says so like this
                        Err(status) => break Some(status.to_string()),
                    }
                }
            }
        };
        let (failure, ()) = futures_util::join!(serve, dismiss(&self.routers, self.store.as_ref()));
        self.routers.detach(id);
        match failure {
            None => tracing::info!(router, "router detached"),
            Some(why) => tracing::warn!(router, why, "router lost"),
        }
    }

    async fn registration(&mut self) -> Result<Register, Refusal> {
        let first = tokio::select! {
            first = timeout(REGISTER_TIMEOUT, self.inbound.message()) => first,
            () = self.shutdown.cancelled() => return Err(Refusal::invalid("the daemon stops")),
        };
        let Ok(Ok(Some(RouterMessage { kind: Some(router_message::Kind::Register(register)) }))) = first
        else {
            return Err(Refusal::invalid("the first message is not Register, or did not come"));
        };
        if !self.token.is_of(&Token::new(register.token.clone())) {
            return Err(Refusal {
                code: RegistrationRefusalCode::Unauthorized,
                message: "the token is wrong",
            });
        }
        let name_fits = |name: &str| name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
        if register.router_id.is_empty() || !name_fits(&register.router_id) || !name_fits(&register.region) {
            return Err(Refusal::invalid("router_id has 1 to 64 bytes, region at most 64"));
        }
        if !(register.protocol_version_min..=register.protocol_version_max).contains(&PROTOCOL_VERSION) {
            let code = RegistrationRefusalCode::UnsupportedVersion;
            return Err(Refusal { code, message: "no common version of the media protocol" });
        }
        Ok(register)
    }

    async fn refuse(self, refusal: Refusal) {
        tracing::warn!(code = ?refusal.code, message = refusal.message, "router refused");
        let refused = RegistrationRefused { code: refusal.code.into(), message: refusal.message.to_owned() };
        let kind = Some(signaling_message::Kind::RegistrationRefused(refused));
        if self.sender.send(Ok(SignalingMessage { kind })).await.is_err() {
            tracing::debug!("the refused router had gone");
        }
    }
}

/// Closes what routers have of meetings that are over. Sessions of the others are left alone: who was inside may be on the way
/// back.
async fn dismiss(routers: &Routers, store: &dyn MeetingStore) {
    for room in routers.rooms_with_strangers() {
        let lives = match room.parse() {
            Ok(id) => match store.find(&id).await {
                Ok(meeting) => meeting.is_some_and(|meeting| !meeting.ended()),
                Err(error) => {
                    // Not known to be over: media goes on.
                    tracing::warn!(room, %error, "the meeting cannot be read");
                    true
                }
            },
            Err(_) => false,
        };
        if !lives {
            routers.close_strangers(&room);
        }
    }
}

struct Refusal {
    code: RegistrationRefusalCode,
    message: &'static str,
}

impl Refusal {
    const fn invalid(message: &'static str) -> Self {
        Self { code: RegistrationRefusalCode::Invalid, message }
    }

    const fn full() -> Self {
        Self { code: RegistrationRefusalCode::Full, message: "too many routers" }
    }
}
