//! What is recorded of meetings: recordings, attendance, messages, and who did what.

use serde_json::Value;
use sluice_wire::signaling::MeetingId;
use sluice_wire::time::Time;

use super::StoreFuture;
use super::ownership::Lease;

/// What happened to a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// It began.
    Started,
    /// It is held.
    Paused,
    /// It goes on.
    Resumed,
    /// It is over.
    Stopped,
}

impl MarkKind {
    /// The word that the store and the REST interface have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Stopped => "stopped",
        }
    }

    pub(super) fn from_stored(word: &str) -> Option<Self> {
        [Self::Started, Self::Paused, Self::Resumed, Self::Stopped]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A place in a meeting where its recording started, stopped, or the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingMark {
    /// 1, 2, 3 within the meeting.
    pub seq: u64,
    /// What happened.
    pub kind: MarkKind,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Time,
}

/// A participant's stay in a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attendance {
    /// The participant's number.
    pub participant: u32,
    /// Who that is to the system that issued the access token; guests have none.
    pub identity: Option<String>,
    /// The name when it came in.
    pub display_name: String,
    /// The role when it came in.
    pub role: String,
    /// When it came in.
    pub joined_at: Time,
    /// When it left; `None` while it is inside.
    pub left_at: Option<Time>,
    /// Why it left.
    pub left_reason: Option<String>,
}

/// A participant who is inside, as the last owner left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The participant's number.
    pub participant: u32,
    /// When it came in.
    pub joined_at: Time,
    /// What its owner wrote, in JSON.
    pub seat: String,
}

/// A chat message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Rising within the owner that gave it.
    pub seq: u64,
    /// The message in JSON, as its owner likes it.
    pub body: String,
    /// When it was sent.
    pub at: Time,
}

/// Something that must not be lost once somebody was told that it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durable {
    /// The first participant is inside. The first time counts.
    Started {
        /// When.
        at: Time,
    },
    /// A participant came in. Once more changes nothing.
    Joined {
        /// Its number.
        participant: u32,
        /// Who it is, unless it is a guest.
        identity: Option<String>,
        /// Its name.
        display_name: String,
        /// Its role.
        role: String,
        /// When.
        at: Time,
    },
    /// A participant left. The first time counts.
    Left {
        /// Its number.
        participant: u32,
        /// Why.
        reason: String,
        /// When.
        at: Time,
    },
    /// Something happened to the recording.
    Mark {
        /// What.
        kind: MarkKind,
        /// Who did it.
        actor: String,
        /// When.
        at: Time,
    },
    /// A chat message. [`super::StoreError::IdTaken`] if the owner gave its number before.
    Message(Message),
    /// A host did something.
    Audit(AuditEntry),
    /// What the next owner starts from, in JSON; in place of the one before.
    Snapshot(String),
    /// The same of a participant who is inside. Without effect if it has left.
    Seat {
        /// Its number.
        participant: u32,
        /// In JSON, as its owner likes it.
        seat: String,
    },
}

/// Who did what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The account that it concerns.
    pub account: Option<String>,
    /// The meeting that it concerns.
    pub meeting: Option<MeetingId>,
    /// Who did it, such as `key:4711`, `host` or `participant:7`.
    pub actor: String,
    /// What, such as `meeting.end`.
    pub action: String,
    /// More about it, in JSON. No secrets.
    pub detail: Value,
    /// When.
    pub at: Time,
}

/// An audit entry and its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Rising with time.
    pub id: u64,
    /// The entry.
    pub entry: AuditEntry,
}

/// Keeps what is recorded. Strongly consistent.
pub trait RecordStore: Send + Sync + 'static {
    /// Writes all of `writes` in order, or none: [`super::StoreError::Fenced`] if the lease is not the meeting's last. When
    /// this has answered, it may be acknowledged.
    fn commit<'a>(&'a self, lease: &'a Lease, writes: &'a [Durable]) -> StoreFuture<'a, ()>;

    /// The same, once: a commit with the number of the lease's last one, or a lower one, was written already, and is not written
    /// again. So one whose answer was lost may be tried again. Numbers begin at 1 and rise.
    fn commit_once<'a>(&'a self, lease: &'a Lease, number: u64, writes: &'a [Durable])
    -> StoreFuture<'a, ()>;

    /// The seats of those who are inside, by rising number.
    fn seats<'a>(&'a self, meeting: &'a MeetingId) -> StoreFuture<'a, Vec<Seat>>;

    /// What the last owner of a meeting left for the next.
    fn snapshot<'a>(&'a self, meeting: &'a MeetingId) -> StoreFuture<'a, Option<String>>;

    /// Every mark of a meeting's recordings, in order.
    fn marks<'a>(&'a self, meeting: &'a MeetingId) -> StoreFuture<'a, Vec<RecordingMark>>;

    /// Stays in a meeting by rising number, behind number `after`, at most `limit` and [`super::MAX_PAGE`].
    fn attendance<'a>(
        &'a self,
        meeting: &'a MeetingId,
        after: u32,
        limit: u32,
    ) -> StoreFuture<'a, Vec<Attendance>>;

    /// The last messages of a meeting, in order, at most `limit` and [`super::MAX_PAGE`].
    fn messages<'a>(&'a self, meeting: &'a MeetingId, limit: u32) -> StoreFuture<'a, Vec<Message>>;

    /// Notes an action that no lease covers, such as a REST call's.
    fn audit<'a>(&'a self, entry: &'a AuditEntry) -> StoreFuture<'a, ()>;

    /// The audit log of a meeting in order, behind entry `after`, at most `limit` and [`super::MAX_PAGE`].
    fn audit_log<'a>(
        &'a self,
        meeting: &'a MeetingId,
        after: u64,
        limit: u32,
    ) -> StoreFuture<'a, Vec<AuditRecord>>;
}
