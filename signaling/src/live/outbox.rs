//! What waits to be sent to one participant.

use axum::extract::ws::Utf8Bytes;
use sluice_wire::signaling::DaemonMessage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::meeting::CloseKind;

/// Messages that may wait for a participant to read them: the comings and goings of a meeting of 100 twice over. Who is
/// behind by more has stopped reading; dropping it is what keeps the daemon's memory bounded.
const OUTBOX_MESSAGES: usize = 256;

/// Something to send.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A message in JSON, shared by all who get it.
    Text(Utf8Bytes),
    /// Close the connection.
    Close(CloseKind),
}

/// The sending end. Never waits.
#[derive(Clone, Debug)]
pub struct Outbox {
    sender: mpsc::Sender<Outgoing>,
    broken: CancellationToken,
}

/// A participant's outbox: the end to fill, the end to empty, and the token that is cancelled when it overflows.
#[must_use]
pub fn outbox() -> (Outbox, mpsc::Receiver<Outgoing>, CancellationToken) {
    let (sender, receiver) = mpsc::channel(OUTBOX_MESSAGES);
    let broken = CancellationToken::new();
    (Outbox { sender, broken: broken.clone() }, receiver, broken)
}

impl Outbox {
    /// Queues something; `false` if the connection is gone or does not read. It is broken then.
    #[must_use]
    pub fn put(&self, outgoing: Outgoing) -> bool {
        let queued = self.sender.try_send(outgoing).is_ok();
        if !queued {
            self.broken.cancel();
        }
        queued
    }

    /// [`Self::put`] of one message.
    #[must_use]
    pub fn send(&self, message: &DaemonMessage) -> bool {
        self.put(Outgoing::Text(encode(message)))
    }
}

/// A message in JSON.
pub(super) fn encode(message: &DaemonMessage) -> Utf8Bytes {
    // These types have no map with keys that are not strings and no failing serializer: it cannot fail.
    serde_json::to_string(message).unwrap_or_default().into()
}
