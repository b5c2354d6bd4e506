//! What is written down of a meeting before anybody is told of it.

use std::time::Duration;

use serde_json::json;
use sluice_wire::signaling::RecordAction;
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;
use tokio::time::sleep;

use crate::meeting::Note;
use crate::store::{AuditEntry, Durable, Lease, MarkKind, Message, Store, StoreError};

/// A pause before a write is tried again that failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// Times that a write is tried: the meeting stands still for half a minute at most while the database restarts. Media goes on.
const ATTEMPTS: usize = 150;

/// A commit of a meeting's owner.
pub(super) struct Entry<'a> {
    pub(super) lease: &'a Lease,
    /// Numbers the owner's commits, so that one whose answer was lost is not written twice.
    pub(super) number: u64,
    pub(super) writes: Vec<Durable>,
}

/// What notes come to in the store.
pub(super) fn writes(notes: &[Note], lease: &Lease, account: Option<&str>, now: Time) -> Vec<Durable> {
    notes.iter().flat_map(|note| durable(note, lease, account, now)).collect()
}

/// Whether somebody came in.
pub(super) fn anybody_entered(notes: &[Note]) -> bool {
    notes.iter().any(|note| matches!(note, Note::Entered { .. }))
}

/// Writes an entry down in the store, all or nothing. When this has answered well, people may be told.
///
/// # Errors
/// If another daemon owns the meeting by now, or the store has failed for too long. Nobody may be told then.
pub(super) async fn write(store: &dyn Store, entry: &Entry<'_>) -> Result<(), StoreError> {
    let mut attempts_left = ATTEMPTS;
    loop {
        attempts_left -= 1;
        match store.commit_once(entry.lease, entry.number, &entry.writes).await {
            Err(StoreError::Database(error)) if attempts_left > 0 => {
                tracing::warn!(meeting = %entry.lease.meeting, %error, "a note cannot be written; trying again");
                sleep(RETRY_INTERVAL).await;
            }
            written => return written,
        }
    }
}

fn durable(note: &Note, lease: &Lease, account: Option<&str>, at: Time) -> Vec<Durable> {
    let audit = |by: Option<ParticipantId>, action: String, detail| {
        Durable::Audit(AuditEntry {
            account: account.map(str::to_owned),
            meeting: Some(lease.meeting.clone()),
            actor: actor(by),
            action,
            detail,
            at,
        })
    };
    match note {
        Note::Entered { participant, identity, display_name, role } => vec![Durable::Joined {
            participant: u32::from(*participant),
            identity: identity.clone(),
            display_name: display_name.as_str().to_owned(),
            role: word(role),
            at,
        }],
        Note::Left { participant, reason } => {
            vec![Durable::Left { participant: u32::from(*participant), reason: (*reason).to_owned(), at }]
        }
        Note::Recording { by, action, goes_on } => {
            let kind = match (action, goes_on) {
                (RecordAction::Start, false) => MarkKind::Started,
                (RecordAction::Start, true) => MarkKind::Resumed,
                (RecordAction::Pause, _) => MarkKind::Paused,
                (RecordAction::Stop, _) => MarkKind::Stopped,
            };
            let detail = json!({"kind": kind.as_str()});
            vec![Durable::Mark { kind, actor: actor(*by), at }, audit(*by, "recording".to_owned(), detail)]
        }
        Note::Chat(message) => {
            // A struct of strings and numbers: it cannot fail.
            let body = serde_json::to_string(message).unwrap_or_default();
            vec![Durable::Message(Message { seq: message.message_id, body, at })]
        }
        Note::Audit { by, action, whom } => {
            let detail = whom.map_or(json!({}), |whom| json!({"participant_id": u32::from(whom)}));
            vec![audit(*by, format!("participant.{action}"), detail)]
        }
    }
}

/// Hosts have numbers like everybody; what nobody did, the meeting's rules did.
fn actor(by: Option<ParticipantId>) -> String {
    by.map_or_else(|| "meeting".to_owned(), |by| format!("participant:{}", u32::from(by)))
}

/// The protocol's word for a value.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
