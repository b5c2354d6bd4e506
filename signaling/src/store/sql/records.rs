//! What is recorded of meetings.

use sluice_wire::signaling::MeetingId;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::commit::{Commit, UNNUMBERED, note};
use super::{SqlStore, maybe_time, page, signed, time, unsigned};
use crate::store::ownership::Lease;
use crate::store::records::{
    Attendance, AuditEntry, AuditRecord, Durable, MarkKind, Message, RecordStore, RecordingMark, Seat,
};
use crate::store::{StoreError, StoreFuture};

const SEATS: &str = "SELECT participant, joined_at, seat FROM attendance WHERE meeting_id = $1 AND seat IS NOT NULL \
     ORDER BY participant";
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
        let commit = Commit { lease: lease.clone(), number, writes: writes.to_vec() };
        Box::pin(self.write(commit))
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
