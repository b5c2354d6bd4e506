//! What waits to be sent to one connection.

use std::fmt::Write as _;
use std::sync::Arc;

use sluice_wire::signaling::DaemonMessage;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use crate::meeting::CloseKind;

/// Why a connection is closed whose meeting goes to another daemon.
const MOVES: &str = "the meeting goes on at another daemon: come back";

/// Messages that may wait for a client to read them: the comings and goings of a meeting of 100 twice over, and what it is sent
/// again when it resumes. Who is behind by more has stopped reading; dropping its connection is what keeps the daemon's memory
/// bounded, and it may resume.
const OUTBOX_MESSAGES: usize = 256;

/// What a number takes in front of a message, in bytes: eight and up to twenty digits.
const NUMBER_BYTES: usize = 28;

/// Something to send.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A message in JSON.
    Text(Utf8Bytes),
    /// A message in JSON, shared by all who get it, and the number that this one gets it under.
    Numbered(u64, Arc<str>),
    /// Close the connection.
    Close(CloseKind),
    /// Close it with this code and this reason (RFC 6455 section 7.4).
    CloseAs(CloseCode, Utf8Bytes),
}

/// The sending end. Never waits.
#[derive(Clone, Debug)]
pub struct Outbox {
    sender: mpsc::Sender<Outgoing>,
    broken: CancellationToken,
}

/// A connection's outbox: the end to fill, the end to empty, and the token that is cancelled when it overflows.
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

    /// Breaks the connection, so that its client comes back, here or elsewhere.
    pub fn break_off(&self) {
        self.broken.cancel();
    }

    /// Sends the connection's client away, to come back after `retry_after_ms` and resume.
    pub fn send_away(&self, retry_after_ms: u64) {
        let told = self.send(&DaemonMessage::GoingAway { retry_after_ms })
            && self.put(Outgoing::CloseAs(CloseCode::Restart, MOVES.into()));
        if !told {
            self.break_off();
        }
    }

    /// Queues something, and waits until there is room; `false` if the connection is gone.
    pub async fn put_patiently(&self, outgoing: Outgoing) -> bool {
        self.sender.send(outgoing).await.is_ok()
    }

    /// [`Self::put`] of one message.
    #[must_use]
    pub fn send(&self, message: &DaemonMessage) -> bool {
        self.put(Outgoing::Text(encode(message).into()))
    }
}

impl Outgoing {
    /// The text that goes to the client.
    ///
    /// # Errors
    /// The code and the reason to close with, if it is no message.
    pub fn into_text(self) -> Result<Utf8Bytes, (CloseCode, Utf8Bytes)> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Numbered(seq, text) => Ok(numbered(seq, &text)),
            Self::Close(CloseKind::Normal) => Err((CloseCode::Normal, Utf8Bytes::default())),
            Self::Close(CloseKind::Fatal) => Err((CloseCode::Policy, "see the error before this".into())),
            Self::CloseAs(code, reason) => Err((code, reason)),
        }
    }
}

/// A message in JSON.
pub(super) fn encode(message: &DaemonMessage) -> String {
    // These types have no map with keys that are not strings and no failing serializer: it cannot fail.
    serde_json::to_string(message).unwrap_or_default()
}

/// The same object with the number as its first field.
fn numbered(seq: u64, text: &str) -> Utf8Bytes {
    let fields = text.strip_prefix('{').unwrap_or(text);
    let mut numbered = String::with_capacity(NUMBER_BYTES + fields.len());
    // Into a string: it cannot fail.
    write!(numbered, "{{\"seq\":{seq},").ok();
    numbered.push_str(fields);
    numbered.into()
}

#[cfg(test)]
mod tests {
    use sluice_wire::signaling::{Numbered, Reaction};
    use sluice_wire::track::ParticipantId;

    use super::*;

    #[test]
    fn a_numbered_message_is_one_object() {
        let participant_id = ParticipantId::new(7).unwrap();
        for message in [
            DaemonMessage::ConsentAsked,
            DaemonMessage::Reaction { participant_id, reaction: Reaction::Clap },
        ] {
            let text = Outgoing::Numbered(41, encode(&message).into()).into_text().unwrap();
            let expected = Numbered { seq: Some(41), message };
            assert_eq!(serde_json::from_str::<Numbered>(&text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn who_does_not_read_is_broken() {
        let (outbox, _receiver, broken) = outbox();
        assert!((0..OUTBOX_MESSAGES).all(|_| outbox.send(&DaemonMessage::ConsentAsked)));
        assert!(!broken.is_cancelled());
        assert!(!outbox.put(Outgoing::Close(CloseKind::Normal)));
        assert!(broken.is_cancelled());
    }
}
