//! The half of a WebSocket that writes.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use prometheus_client::metrics::counter::Counter;
use sluice_wire::signaling::DaemonMessage;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Shutdown;
use crate::live::Outgoing;

/// How often the daemon pings: often enough to keep the mappings of home routers, which forget after 30 s or more.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a batch of messages may take to get into the socket.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages that are written with one flush, when so many wait.
const MAX_BATCH_MESSAGES: usize = 32;

/// Empties the outbox into the socket, and keeps the connection awake.
pub(super) struct Writer<'a> {
    pub(super) sink: SplitSink<WebSocket, Message>,
    pub(super) outgoing: mpsc::Receiver<Outgoing>,
    pub(super) sent: Counter,
    pub(super) shutdown: &'a Shutdown,
}

/// What goes into the socket next.
enum Next {
    Messages(Outgoing),
    Ping,
    Close(u16, Utf8Bytes),
    GoAway,
}

impl Writer<'_> {
    /// Writes until nothing more comes, the daemon stops, or the socket takes no more.
    pub(super) async fn write(mut self) {
        let mut ping = interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Listed once: the list is locked, and all connections are on it.
        let stopped = self.shutdown.token.cancelled();
        tokio::pin!(stopped);
        loop {
            let next = tokio::select! {
                // What waits goes out before the good-bye.
                biased;
                outgoing = self.outgoing.recv() => {
                    outgoing.map_or(Next::Close(close_code::NORMAL, Utf8Bytes::default()), Next::Messages)
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
    async fn put(&mut self, next: Next) -> Result<bool, axum::Error> {
        match next {
            Next::Messages(first) => return self.batch(first).await,
            Next::Ping => {
                self.sink.send(Message::Ping(Vec::new().into())).await?;
                return Ok(true);
            }
            Next::Close(code, reason) => self.close(code, reason).await?,
            Next::GoAway => {
                let retry_after_ms = self.shutdown.retry_after_ms();
                let text = text(&DaemonMessage::GoingAway { retry_after_ms });
                self.sink.feed(Message::Text(text)).await?;
                let reason = "the daemon stops; media goes on, come back".into();
                self.close(close_code::AWAY, reason).await?;
            }
        }
        Ok(false)
    }

    /// Writes what waits, with one flush.
    async fn batch(&mut self, first: Outgoing) -> Result<bool, axum::Error> {
        let mut next = Some(first);
        let mut count = 0;
        while let Some(outgoing) = next {
            match outgoing.into_text() {
                Ok(text) => self.sink.feed(Message::Text(text)).await?,
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

    async fn close(&mut self, code: u16, reason: Utf8Bytes) -> Result<(), axum::Error> {
        self.sink.send(Message::Close(Some(CloseFrame { code, reason }))).await
    }
}

fn text(message: &DaemonMessage) -> Utf8Bytes {
    // See `encode` of the outbox: it cannot fail.
    serde_json::to_string(message).unwrap_or_default().into()
}
