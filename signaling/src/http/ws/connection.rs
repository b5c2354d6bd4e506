//! One participant's WebSocket: a reader that judges what comes, and a writer that empties the outbox.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use sluice_wire::signaling::{DaemonMessage, ErrorCode, ErrorMessage, Join};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::super::App;
use super::super::peers::Peer;
use super::inbound::{Inbound, Verdict, error};
use crate::live::{JoinRefusal, Membership, Outbox, Outgoing, outbox};
use crate::meeting::CloseKind;

/// How often the daemon pings: often enough to keep the mappings of home routers, which forget after 30 s or more.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A connection that says nothing for so long, not even pong to three pings, is dead.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one message may take to get into the socket.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the client may take to answer a close. Closing the socket before it has read would lose the last messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs a connection to its end.
pub(super) async fn run(socket: WebSocket, app: App, peer: &Peer, shutdown: &CancellationToken) {
    let (sink, stream) = socket.split();
    let (outbox, outgoing, broken) = outbox();
    let reader = Reader { app, peer, stream, outbox, inbound: Inbound::new(), membership: None };
    let read = async {
        let mut reader = reader;
        tokio::select! {
            () = reader.read() => {}
            () = broken.cancelled() => {}
        }
        reader.leave().await;
    };
    let write = write(sink, outgoing, shutdown);
    // Whichever ends first, the other gets a moment: the writer to flush, the reader to see the client's close.
    tokio::pin!(read, write);
    let in_time = tokio::select! {
        () = &mut read => timeout(CLOSE_TIMEOUT, write).await.is_ok(),
        () = &mut write => {
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

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut outgoing: mpsc::Receiver<Outgoing>,
    shutdown: &CancellationToken,
) {
    let mut ping = interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            // What waits goes out before the good-bye.
            biased;
            outgoing = outgoing.recv() => match outgoing {
                Some(Outgoing::Text(text)) => Message::Text(text),
                Some(Outgoing::Close(CloseKind::Normal)) => close(close_code::NORMAL, ""),
                Some(Outgoing::Close(CloseKind::Fatal)) => close(close_code::POLICY, "see the error before this"),
                None => close(close_code::NORMAL, ""),
            },
            () = shutdown.cancelled() => close(close_code::AWAY, "the daemon stops; media goes on, join again"),
            _ = ping.tick() => Message::Ping(Vec::new().into()),
        };
        let last = matches!(message, Message::Close(_));
        let sent = timeout(WRITE_TIMEOUT, sink.send(message)).await;
        if last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

struct Reader<'a> {
    app: App,
    peer: &'a Peer,
    stream: SplitStream<WebSocket>,
    outbox: Outbox,
    inbound: Inbound,
    membership: Option<Membership>,
}

impl Reader<'_> {
    /// Reads until the connection is over, or nothing more is to be said behind a fatal error.
    async fn read(&mut self) {
        let joined = timeout(self.app.join_timeout, async {
            while self.membership.is_none() {
                if !self.next().await {
                    return false;
                }
            }
            true
        });
        let goes_on = match joined.await {
            Ok(goes_on) => goes_on,
            Err(_) => self.fail(error(ErrorCode::JoinExpected, "no join came in time", true)),
        };
        if goes_on {
            while timeout(SILENCE_TIMEOUT, self.next()).await.unwrap_or(false) {}
        }
        // The others need not wait for the good-byes.
        self.leave().await;
        // What the client still says goes unheard; its close, or its silence, ends the wait.
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Handles one message; `false` if it was the last.
    async fn next(&mut self) -> bool {
        let Some(Ok(message)) = self.stream.next().await else { return false };
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
            Message::Ping(_) | Message::Pong(_) => true,
            Message::Close(_) => false,
        }
    }

    async fn obey(&mut self, verdict: Verdict) -> bool {
        match (verdict, &self.membership) {
            (Verdict::Join(join), _) => self.join(join).await,
            (Verdict::NewTicket, Some(membership)) => {
                membership.new_ticket().await;
                true
            }
            (Verdict::Leave, Some(membership)) => {
                // The meeting answers with the close.
                membership.leave().await;
                false
            }
            (Verdict::Pong(token), _) => self.outbox.send(&DaemonMessage::Pong { token }),
            (Verdict::Error(error), _) => self.fail(error),
            (Verdict::NewTicket | Verdict::Leave, None) => false,
        }
    }

    async fn join(&mut self, join: Join) -> bool {
        if !self.peer.take(self.app.clock.now()) {
            return self.fail(error(ErrorCode::RateLimited, "too many joins from this address", true));
        }
        let refusal = match self.app.meetings.join(join, self.outbox.clone()).await {
            Ok(membership) => {
                self.membership = Some(membership);
                return true;
            }
            Err(refusal) => refusal,
        };
        let code = match &refusal {
            JoinRefusal::Refused => ErrorCode::JoinRefused,
            JoinRefusal::Ended => ErrorCode::MeetingEnded,
            JoinRefusal::Busy => ErrorCode::RateLimited,
            JoinRefusal::Password(_) | JoinRefusal::Store(_) => {
                tracing::error!(error = %refusal, "join failed");
                return self.fail(error(ErrorCode::Internal, "the daemon failed", true));
            }
        };
        self.fail(error(code, &refusal.to_string(), true))
    }

    /// Sends an error; `false` if it is fatal or cannot be sent.
    fn fail(&self, error: ErrorMessage) -> bool {
        let fatal = error.fatal;
        self.app.metrics.error(error.code);
        let queued = self.outbox.send(&DaemonMessage::Error(error));
        // Were the outbox full, it would break the connection by itself.
        let goes_on = queued && !fatal;
        if fatal && !self.outbox.put(Outgoing::Close(CloseKind::Fatal)) {
            tracing::debug!("no room for the close");
        }
        goes_on
    }

    /// Tells the meeting that the connection is over. Forgets it only when it was told: this may be cut short and tried again.
    async fn leave(&mut self) {
        if let Some(membership) = &self.membership {
            membership.disconnected().await;
        }
        self.membership = None;
    }
}
