//! One WebSocket: a reader that judges what comes, beside the [`Writer`] that empties the outbox.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::SplitStream;
use sluice_wire::signaling::{
    ClientMessage, ClientRequest, DaemonMessage, ErrorCode, ErrorMessage, Join, Resume,
};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::super::App;
use super::super::peers::Peer;
use super::inbound::{Inbound, Verdict};
use super::relay::{Tunnel, Up};
use super::writer::Writer;
use super::{Shutdown, Socket};
use crate::cluster::{Forwarded, Route, RouteError, TunnelError, Vouched, dial};
use crate::http::auth::{Credential, Refusal};
use crate::live::{JoinRefusal, Membership, Outbox, Outgoing, outbox};
use crate::meeting::{self, CloseKind};
use crate::rate::spread_millis;

/// A connection that says nothing for so long, not even pong to three pings, is dead.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the client may take to answer a close. Closing the socket before it has read would lose the last messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Over how long those come back whom a daemon that stops, or one with too much to do, sends away.
const RETRY_SPREAD: Duration = Duration::from_secs(10);

/// How long somebody who comes waits for a meeting whose owner does not answer: others take over within 3 s.
const REACH_TIMEOUT: Duration = Duration::from_millis(3_500);
/// A pause between attempts to reach it.
const REACH_INTERVAL: Duration = Duration::from_millis(100);

/// Runs a connection to its end.
pub(super) async fn run(
    socket: Socket,
    app: App,
    peer: &Peer,
    vouched: Option<Vouched>,
    shutdown: &Shutdown,
) {
    let (sink, stream) = socket.split();
    let (outbox, outgoing, broken) = outbox();
    let writer =
        Writer { sink, outgoing, sent: app.metrics.messages_sent.clone(), shutdown: shutdown.clone() };
    let reader = Reader {
        app,
        peer,
        shutdown,
        stream,
        outbox,
        inbound: Inbound::new(),
        membership: None,
        tunnel: None,
        vouched,
        may_resume: true,
    };
    let read = async {
        let mut reader = reader;
        tokio::select! {
            () = reader.read() => {}
            () = broken.cancelled() => {}
        }
        reader.leave().await;
    };
    // A task of its own: much more is said to a client than it says, and the reader need not be looked at for each of that.
    let mut write = tokio::spawn(writer.write());
    // Whichever ends first, the other gets a moment: the writer to flush, the reader to see the client's close.
    tokio::pin!(read);
    let in_time = tokio::select! {
        () = &mut read => {
            let in_time = timeout(CLOSE_TIMEOUT, &mut write).await.is_ok();
            write.abort();
            in_time
        }
        _ = &mut write => {
            let in_time = timeout(CLOSE_TIMEOUT, &mut read).await.is_ok();
            if !in_time {
                broken.cancel();
                read.await;
            }
            in_time
        }
    };
    tracing::trace!(in_time, "connection over");
}

/// Why a meeting cannot be reached at the moment.
#[derive(Debug, thiserror::Error)]
enum Unreachable {
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
}

struct Reader<'a> {
    app: App,
    peer: &'a Peer,
    shutdown: &'a Shutdown,
    stream: SplitStream<Socket>,
    outbox: Outbox,
    inbound: Inbound,
    membership: Option<Membership>,
    /// Set instead where the meeting is another daemon's.
    tunnel: Option<Box<Tunnel>>,
    /// What another daemon has checked of the participant that it passes on.
    vouched: Option<Vouched>,
    /// Whether the client did nothing for which it was closed.
    may_resume: bool,
}

impl Reader<'_> {
    /// Reads until the connection is over, or nothing more is to be said behind a fatal error.
    async fn read(&mut self) {
        let goes_on = self.comes_in().await;
        if let Some(tunnel) = self.tunnel.take().filter(|_| goes_on) {
            // Boxed, as the join is below: else every connection would take the memory of one that is passed on.
            Box::pin(self.relay(tunnel)).await;
        } else if goes_on {
            while timeout(SILENCE_TIMEOUT, self.next()).await.unwrap_or(false) {}
        }
        // The others need not wait for the good-byes.
        self.leave().await;
        // What the client still says goes unheard; its close, or its silence, ends the wait.
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Waits for the join, and does what it says; `false` if it did not come, or nothing came of it.
    async fn comes_in(&mut self) -> bool {
        let deadline = self.app.clock.now() + self.app.join_timeout;
        while self.membership.is_none() && self.tunnel.is_none() {
            // What it then takes to let somebody in is not the client's fault.
            let left = deadline.saturating_since(self.app.clock.now());
            let Ok(message) = timeout(left, self.stream.next()).await else {
                return self.fail(fatal(ErrorCode::JoinExpected, "no join came in time"));
            };
            if !self.hear(message).await {
                return false;
            }
        }
        true
    }

    /// Handles one message; `false` if it was the last.
    async fn next(&mut self) -> bool {
        let message = self.stream.next().await;
        self.hear(message).await
    }

    async fn hear(&mut self, message: Option<Result<Message, Error>>) -> bool {
        let Some(Ok(message)) = message else { return false };
        if let Some(error) = self.inbound.count(self.app.clock.now()) {
            return self.fail(error);
        }
        match message {
            Message::Text(text) => {
                let verdict = self.inbound.text(&text);
                self.obey(verdict).await
            }
            Message::Binary(bytes) => {
                let verdict = self.inbound.binary(bytes.len());
                self.obey(verdict).await
            }
            // The transport answers pings by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => true,
            Message::Close(_) => false,
        }
    }

    /// Passes on what comes until either end is gone.
    async fn relay(&mut self, tunnel: Box<Tunnel>) {
        let Tunnel { mut up, mut down } = *tunnel;
        let (outbox, meetings) = (self.outbox.clone(), self.app.meetings.clone());
        tokio::select! {
            () = down.pass(&outbox, || meetings.moved_retry_millis()) => {}
            () = self.pass_up(&mut up) => up.close().await,
        }
    }

    /// Passes on what the client says, within its rate; the owner judges it.
    async fn pass_up(&mut self, up: &mut Up) {
        while let Ok(Some(Ok(message))) = timeout(SILENCE_TIMEOUT, self.stream.next()).await {
            let is_close = matches!(message, Message::Close(_));
            let goes_on = match self.inbound.count(self.app.clock.now()) {
                Some(error) => self.fail(error),
                None => up.pass(message).await,
            };
            if !goes_on || is_close {
                return;
            }
        }
    }

    async fn obey(&mut self, verdict: Verdict) -> bool {
        match (verdict, &self.membership) {
            (Verdict::Join(join), _) => Box::pin(self.join(*join)).await,
            (Verdict::Said(request), Some(membership)) => {
                membership.said(request).await;
                true
            }
            (Verdict::Leave, Some(membership)) => {
                // The meeting answers with the close.
                membership.leave().await;
                false
            }
            (Verdict::Pong(token), _) => self.outbox.send(&DaemonMessage::Pong { token }),
            (Verdict::Error(error), _) => self.fail(error),
            (Verdict::Said(_) | Verdict::Leave, None) => false,
        }
    }

    async fn join(&mut self, join: Join) -> bool {
        if !self.peer.take(self.app.clock.now()) {
            return self.fail(ErrorMessage {
                retry_after_ms: Some(self.shutdown.retry_after_ms()),
                ..fatal(ErrorCode::RateLimited, "too many joins from this address")
            });
        }
        let deadline = self.app.clock.now() + REACH_TIMEOUT;
        loop {
            let error = match self.try_join(&join).await {
                Ok(goes_on) => return goes_on,
                Err(error) => error,
            };
            if self.app.clock.now() >= deadline {
                // Its owner dies, or the store is away: the client is told to come back.
                tracing::warn!(%error, "a meeting cannot be reached");
                self.outbox.send_away(self.app.meetings.moved_retry_millis());
                return false;
            }
            sleep(REACH_INTERVAL).await;
        }
    }

    /// Takes the way to the meeting as it is now; an error if it leads nowhere at the moment.
    async fn try_join(&mut self, join: &Join) -> Result<bool, Unreachable> {
        if let Some(resume) = &join.resume {
            if let Some(goes_on) = self.resume(join, resume).await? {
                return Ok(goes_on);
            }
            if resume.only {
                return Ok(self.fail(fatal(ErrorCode::ResumeRefused, "there is nothing to go on with: join")));
            }
        }
        let vouched = match self.admit(join).await {
            Ok(vouched) => vouched,
            Err(refusal) => return Ok(self.refuse(&refusal)),
        };
        match self.app.cluster.route(&vouched.meeting).await? {
            Route::Here(_) => Ok(self.enter(vouched)),
            Route::There { daemon, url } => {
                let join = Join { resume: None, ..join.clone() };
                self.dig(join, daemon, &url, Some(vouched)).await
            }
        }
    }

    /// What the one who joins may come in as.
    async fn admit(&mut self, join: &Join) -> Result<Vouched, Refusal> {
        let vouched = self.vouched.clone();
        if let Some(vouched) = vouched.filter(|vouched| vouched.meeting.as_str() == join.meeting_id) {
            return Ok(vouched);
        }
        let Join { meeting_id, password, token, display_name, .. } = join.clone();
        let credential = Credential { meeting_id, password, token };
        let now = self.app.clock.now();
        let grant = self.app.auth.admit(self.peer.address(), credential, now).await?;
        let vouched = Vouched {
            meeting: grant.meeting.id,
            display_name: grant.display_name.unwrap_or(display_name),
            role: grant.role,
            identity: grant.identity,
        };
        Ok(self.vouched.insert(vouched).clone())
    }

    fn enter(&mut self, vouched: Vouched) -> bool {
        let Vouched { meeting, display_name, role, identity } = vouched;
        let grant = meeting::Grant { role, identity };
        match self.app.meetings.enter(meeting, display_name, grant, self.outbox.clone()) {
            Ok(membership) => {
                self.membership = Some(membership);
                self.vouched = None;
                true
            }
            Err(JoinRefusal::Busy) => self.refuse(&Refusal::Busy),
            Err(JoinRefusal::Entropy(error)) => {
                tracing::error!(%error, "join failed");
                self.fail(fatal(ErrorCode::Internal, "the daemon failed"))
            }
        }
    }

    /// Goes on where a connection broke, here or at the owner; `None` if there is nothing to go on with.
    async fn resume(&mut self, join: &Join, resume: &Resume) -> Result<Option<bool>, Unreachable> {
        let Ok(id) = join.meeting_id.parse() else { return Ok(None) };
        match self.app.cluster.find(&id).await? {
            None => Ok(None),
            Some(Route::Here(_)) => {
                self.membership = self.app.meetings.resume(&id, resume, &self.outbox).await;
                Ok(self.membership.is_some().then_some(true))
            }
            Some(Route::There { daemon, url }) => {
                // If there is nothing to resume, what else it shows is checked there.
                self.dig(join.clone(), daemon, &url, None).await.map(Some)
            }
        }
    }

    /// Opens the way to the meeting's owner, and tells it what the client has said.
    async fn dig(
        &mut self,
        join: Join,
        daemon: String,
        url: &str,
        vouched: Option<Vouched>,
    ) -> Result<bool, Unreachable> {
        if self.peer.is_forwarded() {
            // The one who sent it here has old news; it is not sent on in a circle.
            return Err(RouteError::Unreachable.into());
        }
        let forwarded = Forwarded { address: self.peer.address(), vouched };
        let owner = dial(url, &forwarded, &self.app.cluster_secret).await?;
        let mut tunnel = Tunnel::new(owner, daemon, self.app.cluster.clone());
        let said = ClientRequest { request: None, message: ClientMessage::Join(Box::new(join)) };
        // Of strings and numbers, as it came: it cannot fail.
        let said = serde_json::to_string(&said).unwrap_or_default();
        if !tunnel.up.pass(Message::Text(said.into())).await {
            return Err(RouteError::Unreachable.into());
        }
        self.app.metrics.tunnels.inc();
        self.tunnel = Some(Box::new(tunnel));
        Ok(true)
    }

    fn refuse(&mut self, refusal: &Refusal) -> bool {
        let error = |code| fatal(code, &refusal.to_string());
        let later = Some(self.shutdown.retry_after_ms());
        self.fail(match refusal {
            Refusal::Refused => error(ErrorCode::JoinRefused),
            Refusal::Ended => error(ErrorCode::MeetingEnded),
            Refusal::LockedOut => error(ErrorCode::RateLimited),
            Refusal::Busy => ErrorMessage { retry_after_ms: later, ..error(ErrorCode::RateLimited) },
            Refusal::Password(_) | Refusal::Store(_) => {
                tracing::error!(error = %refusal, "join failed");
                fatal(ErrorCode::Internal, "the daemon failed")
            }
        })
    }

    /// Sends an error; `false` if it is fatal or cannot be sent.
    fn fail(&mut self, error: ErrorMessage) -> bool {
        let is_fatal = error.fatal;
        self.may_resume &= !is_fatal;
        self.app.metrics.error(error.code);
        let queued = self.outbox.send(&DaemonMessage::Error(error));
        // Were the outbox full, it would break the connection by itself.
        let goes_on = queued && !is_fatal;
        if is_fatal && !self.outbox.put(Outgoing::Close(CloseKind::Fatal)) {
            tracing::debug!("no room for the close");
        }
        goes_on
    }

    /// Tells the meeting that the connection is over. Forgets it only when it was told: this may be cut short and tried again.
    async fn leave(&mut self) {
        if let Some(membership) = &self.membership {
            membership.disconnected(self.may_resume).await;
        }
        self.membership = None;
    }
}

fn fatal(code: ErrorCode, message: &str) -> ErrorMessage {
    ErrorMessage::new(code, message, true)
}

impl Shutdown {
    /// When the next client that is sent away is to come back.
    pub(super) fn retry_after_ms(&self) -> u64 {
        let index = self.sent_away.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        spread_millis(index, RETRY_SPREAD)
    }
}
