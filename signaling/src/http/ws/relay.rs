//! A connection whose meeting is another daemon's: what comes is passed on, both ways.
//!
//! Order and back-pressure are the connections' own: nothing is read from the one end that has not gone into the other. When the
//! owner is gone the client is told to come back, and resumes at whichever daemon takes over.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::cluster::{Cluster, Owner};
use crate::live::{Outbox, Outgoing};

/// How long one message may take to get into the owner's socket. It reads all that comes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often one asks whether the owner is alive: a machine that is gone breaks no connection.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The connection to the owner.
pub(super) struct Tunnel {
    pub(super) up: Up,
    pub(super) down: Down,
}

/// Towards the owner.
pub(super) struct Up(SplitSink<Owner, Message>);

/// From the owner.
pub(super) struct Down {
    stream: SplitStream<Owner>,
    daemon: String,
    cluster: Cluster,
}

impl Tunnel {
    /// A connection to `daemon`.
    pub(super) fn new(owner: Owner, daemon: String, cluster: Cluster) -> Self {
        let (sink, stream) = owner.split();
        Self { up: Up(sink), down: Down { stream, daemon, cluster } }
    }
}

impl Up {
    /// Passes a message of the client on; `false` if the owner is gone.
    pub(super) async fn pass(&mut self, message: Message) -> bool {
        let message = match message {
            Message::Text(_) | Message::Binary(_) => message,
            // Pings are answered hop by hop.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return true,
            Message::Close(_) => Message::Close(None),
        };
        matches!(timeout(WRITE_TIMEOUT, self.0.send(message)).await, Ok(Ok(())))
    }

    /// The client has gone, and may come back.
    pub(super) async fn close(&mut self) {
        if !self.pass(Message::Close(None)).await {
            tracing::trace!("the owner was gone first");
        }
    }
}

impl Down {
    /// Passes on what the owner says until it closes or is gone; then the client is closed or told to come back after
    /// `retry_after_ms`.
    pub(super) async fn pass(&mut self, outbox: &Outbox, retry_after_ms: impl FnOnce() -> u64) {
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                message = self.stream.next() => message,
                _ = look.tick() => {
                    if self.cluster.is_gone(&self.daemon) {
                        None
                    } else {
                        continue;
                    }
                }
            };
            let outgoing = match message {
                Some(Ok(Message::Text(text))) => Outgoing::Text(text),
                Some(Ok(Message::Close(Some(frame)))) => Outgoing::CloseAs(frame.code, frame.reason),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {
                    continue;
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => {
                    tracing::debug!(daemon = self.daemon, "the owner of a meeting is gone");
                    return outbox.send_away(retry_after_ms());
                }
            };
            let is_last = matches!(outgoing, Outgoing::CloseAs(..));
            if !outbox.put_patiently(outgoing).await || is_last {
                return;
            }
        }
    }
}
