//! The half of a WebSocket that writes.

use std::time::Duration;

use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use prometheus_client::metrics::counter::Counter;
use sluice_wire::signaling::DaemonMessage;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use super::{Shutdown, Socket};
use crate::live::Outgoing;

/// How often the daemon pings: often enough to keep the mappings of home routers, which forget after 30 s or more.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a batch of messages may take to get into the socket.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages that are written with one flush, when so many wait.
const MAX_BATCH_MESSAGES: usize = 32;

/// A longer message goes out in fragments of so many bytes (RFC 6455 section 5.4), so that a large roster, which everybody is sent
/// once, does not make the buffer of each connection as large for good.
const FRAGMENT_BYTES: usize = 2 * 1024;

/// Empties the outbox into the socket, and keeps the connection awake.
pub(super) struct Writer {
    pub(super) sink: SplitSink<Socket, Message>,
    pub(super) outgoing: mpsc::Receiver<Outgoing>,
    pub(super) sent: Counter,
    pub(super) shutdown: Shutdown,
}

/// What goes into the socket next.
enum Next {
    Messages(Outgoing),
    Ping,
    Close(CloseCode, Utf8Bytes),
    GoAway,
}

impl Writer {
    /// Writes until nothing more comes, the daemon stops, or the socket takes no more.
    pub(super) async fn write(mut self) {
        let mut ping = interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Not at once: a connection that has just been made is alive.
        ping.reset();
        // Listed once: the list is locked, and all connections are on it.
        let stopped = self.shutdown.token.clone().cancelled_owned();
        tokio::pin!(stopped);
        loop {
            let next = tokio::select! {
                // What waits goes out before the good-bye.
                biased;
                outgoing = self.outgoing.recv() => {
                    outgoing.map_or(Next::Close(CloseCode::Normal, Utf8Bytes::default()), Next::Messages)
                }
                () = &mut stopped => Next::GoAway,
                _ = ping.tick() => Next::Ping,
            };
            let goes_on = timeout(WRITE_TIMEOUT, self.put(next)).await;
            if !matches!(goes_on, Ok(Ok(true))) {
                return;
            }
        }
    }

    /// Writes; `false` if that was the last.
    async fn put(&mut self, next: Next) -> Result<bool, Error> {
        match next {
            Next::Messages(first) => return self.batch(first).await,
            Next::Ping => {
                self.sink.send(Message::Ping(Bytes::new())).await?;
                return Ok(true);
            }
            Next::Close(code, reason) => self.close(code, reason).await?,
            Next::GoAway => {
                let retry_after_ms = self.shutdown.retry_after_ms();
                let text = text(&DaemonMessage::GoingAway { retry_after_ms });
                self.say(text).await?;
                let reason = "the daemon stops; media goes on, come back".into();
                self.close(CloseCode::Away, reason).await?;
            }
        }
        Ok(false)
    }

    /// Writes what waits, with one flush.
    async fn batch(&mut self, first: Outgoing) -> Result<bool, Error> {
        let mut next = Some(first);
        let mut count = 0;
        while let Some(outgoing) = next {
            match outgoing.into_text() {
                Ok(text) => self.say(text).await?,
                Err((code, reason)) => {
                    self.sent.inc_by(count);
                    self.close(code, reason).await?;
                    return Ok(false);
                }
            }
            count += 1;
            next = if count < MAX_BATCH_MESSAGES as u64 { self.outgoing.try_recv().ok() } else { None };
        }
        self.sent.inc_by(count);
        self.sink.flush().await?;
        Ok(true)
    }

    /// Hands a message to the transport.
    async fn say(&mut self, text: Utf8Bytes) -> Result<(), Error> {
        if text.len() <= FRAGMENT_BYTES {
            return self.sink.feed(Message::Text(text)).await;
        }
        let (mut rest, mut kind) = (Bytes::from(text), Data::Text);
        while !rest.is_empty() {
            let part = rest.split_to(FRAGMENT_BYTES.min(rest.len()));
            let frame = Frame::message(part, OpCode::Data(kind), rest.is_empty());
            self.sink.feed(Message::Frame(frame)).await?;
            kind = Data::Continue;
        }
        Ok(())
    }

    async fn close(&mut self, code: CloseCode, reason: Utf8Bytes) -> Result<(), Error> {
        self.sink.send(Message::Close(Some(CloseFrame { code, reason }))).await
    }
}

fn text(message: &DaemonMessage) -> Utf8Bytes {
    // See `encode` of the outbox: it cannot fail.
    serde_json::to_string(message).unwrap_or_default().into()
}
