//! What is recorded of meetings.

use sluice_wire::signaling::MeetingId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::{SqlStore, Statement, maybe_time, page, signed, taken, time, unsigned};
use crate::clock::unix_millis;
use crate::store::ownership::Lease;
use crate::store::records::{
    Attendance, AuditEntry, AuditRecord, Durable, MarkKind, Message, RecordStore, RecordingMark, Seat,
};
use crate::store::{StoreError, StoreFuture};

/// Holds the row until the transaction ends: whoever claims the meeting waits, and sees all of it or nothing.
const FENCE: &str = "UPDATE ownership SET snapshot = COALESCE($4, snapshot), batch = CASE WHEN $5 > 0 THEN $5 ELSE batch END \
     WHERE meeting_id = $1 AND daemon = $2 AND fence = $3 AND ($5 = 0 OR batch < $5)";
const LAST_BATCH: &str = "SELECT batch FROM ownership WHERE meeting_id = $1 AND daemon = $2 AND fence = $3";
/// The number of a commit that has none.
const UNNUMBERED: u64 = 0;
const STARTED: &str = "UPDATE meetings SET started_at = $1 WHERE id = $2 AND started_at IS NULL";
const JOINED: &str = "INSERT INTO attendance (meeting_id, participant, identity, display_name, role, joined_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (meeting_id, participant) DO NOTHING";
const LEFT: &str = "UPDATE attendance SET left_at = $1, left_reason = $2, seat = NULL \
     WHERE meeting_id = $3 AND participant = $4 AND left_at IS NULL";
const SEAT: &str =
    "UPDATE attendance SET seat = $1 WHERE meeting_id = $2 AND participant = $3 AND left_at IS NULL";
const SEATS: &str = "SELECT participant, joined_at, seat FROM attendance WHERE meeting_id = $1 AND seat IS NOT NULL \
     ORDER BY participant";
const MARK: &str = "INSERT INTO recording_marks (meeting_id, seq, kind, actor, at) \
     SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4 FROM recording_marks WHERE meeting_id = $1";
const MESSAGE: &str = "INSERT INTO messages (meeting_id, fence, seq, body, at) VALUES ($1, $2, $3, $4, $5)";
const AUDIT: &str =
    "INSERT INTO audit (account, meeting_id, actor, action, detail, at) VALUES ($1, $2, $3, $4, $5, $6)";

const SNAPSHOT: &str = "SELECT snapshot FROM ownership WHERE meeting_id = $1";
const MARKS: &str = "SELECT seq, kind, actor, at FROM recording_marks WHERE meeting_id = $1 ORDER BY seq";
const ATTENDANCE: &str = "SELECT participant, identity, display_name, role, joined_at, left_at, left_reason FROM attendance \
     WHERE meeting_id = $1 AND participant > $2 ORDER BY participant LIMIT $3";
const MESSAGES: &str =
    "SELECT seq, body, at FROM messages WHERE meeting_id = $1 ORDER BY fence DESC, seq DESC LIMIT $2";
const AUDIT_LOG: &str = "SELECT id, account, actor, action, detail, at FROM audit WHERE meeting_id = $1 AND id > $2 \
     ORDER BY id LIMIT $3";

impl RecordStore for SqlStore {
    fn commit<'a>(&'a self, lease: &'a Lease, writes: &'a [Durable]) -> StoreFuture<'a, ()> {
        self.commit_once(lease, UNNUMBERED, writes)
    }

    fn commit_once<'a>(
        &'a self,
        lease: &'a Lease,
        number: u64,
        writes: &'a [Durable],
    ) -> StoreFuture<'a, ()> {
        let commit = Commit::new(lease, number, writes);
        Box::pin(self.write(|connection| Box::pin(commit.run(connection))))
    }

    fn seats<'a>(&'a self, meeting: &'a MeetingId) -> StoreFuture<'a, Vec<Seat>> {
        Box::pin(async move {
            let rows = sqlx::query(SEATS).bind(meeting.as_str()).fetch_all(&self.pool).await?;
            rows.iter().map(seat).collect()
        })
    }

    fn snapshot<'a>(&'a self, meeting: &'a MeetingId) -> StoreFuture<'a, Option<String>> {
        Box::pin(async move {
            let row = sqlx::query(SNAPSHOT).bind(meeting.as_str()).fetch_optional(&self.pool).await?;
            Ok(match row {
                Some(row) => row.try_get("snapshot")?,
                None => None,
            })
        })
    }

    fn marks<'a>(&'a self, meeting: &'a MeetingId) -> StoreFuture<'a, Vec<RecordingMark>> {
        Box::pin(async move {
            let rows = sqlx::query(MARKS).bind(meeting.as_str()).fetch_all(&self.pool).await?;
            rows.iter().map(mark).collect()
        })
    }

    fn attendance<'a>(
        &'a self,
        meeting: &'a MeetingId,
        after: u32,
        limit: u32,
    ) -> StoreFuture<'a, Vec<Attendance>> {
        Box::pin(async move {
            let rows = sqlx::query(ATTENDANCE)
                .bind(meeting.as_str())
                .bind(i64::from(after))
                .bind(page(limit))
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(attendance).collect()
        })
    }

    fn messages<'a>(&'a self, meeting: &'a MeetingId, limit: u32) -> StoreFuture<'a, Vec<Message>> {
        Box::pin(async move {
            let rows =
                sqlx::query(MESSAGES).bind(meeting.as_str()).bind(page(limit)).fetch_all(&self.pool).await?;
            rows.iter().rev().map(message).collect()
        })
    }

    fn audit<'a>(&'a self, entry: &'a AuditEntry) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.execute(note(entry)).await.map(drop) })
    }

    fn audit_log<'a>(
        &'a self,
        meeting: &'a MeetingId,
        after: u64,
        limit: u32,
    ) -> StoreFuture<'a, Vec<AuditRecord>> {
        Box::pin(async move {
            let rows = sqlx::query(AUDIT_LOG)
                .bind(meeting.as_str())
                .bind(signed(after))
                .bind(page(limit))
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(|row| audit(meeting, row)).collect()
        })
    }
}

/// The statements of a commit.
struct Commit {
    number: u64,
    fence: Statement,
    last_batch: Statement,
    writes: Vec<Statement>,
}

impl Commit {
    fn new(lease: &Lease, number: u64, writes: &[Durable]) -> Self {
        let snapshot = writes.iter().rev().find_map(|write| match write {
            Durable::Snapshot(text) => Some(text.as_str()),
            _ => None,
        });
        let of_lease = |sql: &'static str| {
            sqlx::query(sql)
                .bind(lease.meeting.as_str())
                .bind(lease.daemon.as_str())
                .bind(signed(lease.fence))
        };
        Self {
            number,
            fence: of_lease(FENCE).bind(snapshot).bind(signed(number)),
            last_batch: of_lease(LAST_BATCH),
            writes: writes.iter().filter_map(|write| statement(lease, write)).collect(),
        }
    }

    async fn run(self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let held = self.fence.execute(&mut *connection).await?;
        if held.rows_affected() != 1 {
            return written_before(connection, self.last_batch, self.number).await;
        }
        for write in self.writes {
            write.execute(&mut *connection).await.map_err(taken)?;
        }
        Ok(())
    }
}

/// Whether the lease is good and only the number is not new: then all of it was written before.
async fn written_before(
    connection: &mut AnyConnection,
    last_batch: Statement,
    number: u64,
) -> Result<(), StoreError> {
    let row = last_batch.fetch_optional(connection).await?;
    let row = row.filter(|_| number != UNNUMBERED).ok_or(StoreError::Fenced)?;
    let last: u64 = unsigned(&row, "batch")?;
    if last >= number { Ok(()) } else { Err(StoreError::Fenced) }
}

/// `None` for what is written with the fence.
fn statement(lease: &Lease, write: &Durable) -> Option<Statement> {
    let id = lease.meeting.as_str();
    let statement = match write {
        Durable::Started { at } => sqlx::query(STARTED).bind(unix_millis(*at)).bind(id),
        Durable::Joined { participant, identity, display_name, role, at } => sqlx::query(JOINED)
            .bind(id)
            .bind(i64::from(*participant))
            .bind(identity.as_deref())
            .bind(display_name.as_str())
            .bind(role.as_str())
            .bind(unix_millis(*at)),
        Durable::Left { participant, reason, at } => sqlx::query(LEFT)
            .bind(unix_millis(*at))
            .bind(reason.as_str())
            .bind(id)
            .bind(i64::from(*participant)),
        Durable::Mark { kind, actor, at } => {
            sqlx::query(MARK).bind(id).bind(kind.as_str()).bind(actor.as_str()).bind(unix_millis(*at))
        }
        Durable::Message(Message { seq, body, at }) => sqlx::query(MESSAGE)
            .bind(id)
            .bind(signed(lease.fence))
            .bind(signed(*seq))
            .bind(body.as_str())
            .bind(unix_millis(*at)),
        Durable::Audit(entry) => note(entry),
        Durable::Seat { participant, seat } => {
            sqlx::query(SEAT).bind(seat.as_str()).bind(id).bind(i64::from(*participant))
        }
        Durable::Snapshot(_) => return None,
    };
    Some(statement)
}

fn note(entry: &AuditEntry) -> Statement {
    sqlx::query(AUDIT)
        .bind(entry.account.as_deref())
        .bind(entry.meeting.as_ref().map(MeetingId::as_str))
        .bind(entry.actor.as_str())
        .bind(entry.action.as_str())
        .bind(entry.detail.to_string())
        .bind(unix_millis(entry.at))
}

fn mark(row: &AnyRow) -> Result<RecordingMark, StoreError> {
    let kind: String = row.try_get("kind")?;
    Ok(RecordingMark {
        seq: unsigned(row, "seq")?,
        kind: MarkKind::from_stored(&kind).ok_or(StoreError::Damaged("kind"))?,
        actor: row.try_get("actor")?,
        at: time(row, "at")?,
    })
}

fn attendance(row: &AnyRow) -> Result<Attendance, StoreError> {
    Ok(Attendance {
        participant: unsigned(row, "participant")?,
        identity: row.try_get("identity")?,
        display_name: row.try_get("display_name")?,
        role: row.try_get("role")?,
        joined_at: time(row, "joined_at")?,
        left_at: maybe_time(row, "left_at")?,
        left_reason: row.try_get("left_reason")?,
    })
}

fn seat(row: &AnyRow) -> Result<Seat, StoreError> {
    Ok(Seat {
        participant: unsigned(row, "participant")?,
        joined_at: time(row, "joined_at")?,
        seat: row.try_get("seat")?,
    })
}

fn message(row: &AnyRow) -> Result<Message, StoreError> {
    Ok(Message { seq: unsigned(row, "seq")?, body: row.try_get("body")?, at: time(row, "at")? })
}

fn audit(meeting: &MeetingId, row: &AnyRow) -> Result<AuditRecord, StoreError> {
    let detail: String = row.try_get("detail")?;
    let entry = AuditEntry {
        account: row.try_get("account")?,
        meeting: Some(meeting.clone()),
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        detail: serde_json::from_str(&detail).map_err(|_| StoreError::Damaged("detail"))?,
        at: time(row, "at")?,
    };
    Ok(AuditRecord { id: unsigned(row, "id")?, entry })
}
