//! What is recorded of a meeting.

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Errors;
use super::input::{Asked, Call, MeetingPath, bad, page_limit};
use super::schedule::rfc3339;
use crate::http::auth::Scope;
use crate::http::error::Failure;
use crate::store::{Attendance, AuditRecord, RecordingMark};

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Lines of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_after` of the page before.
    #[param(minimum = 0)]
    after: Option<u64>,
}

/// The last place in a list that the store can count to.
const LAST_PLACE: u64 = i64::MAX.unsigned_abs();

impl PageQuery {
    fn after(&self) -> Result<u64, Failure> {
        let after = self.after.unwrap_or(0);
        if after <= LAST_PLACE { Ok(after) } else { Err(bad(format!("after is at most {LAST_PLACE}"))) }
    }
}

/// A page of stays, by rising participant number.
#[derive(Serialize, ToSchema)]
pub(super) struct AttendanceList {
    attendance: Vec<AttendanceBody>,
    /// Asks for the next page as `after`; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<u64>,
}

/// A stay in a meeting.
#[derive(Serialize, ToSchema)]
#[schema(as = Attendance)]
struct AttendanceBody {
    participant_id: u32,
    /// Who that is to the system that issued the access token; guests have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    display_name: String,
    role: String,
    #[schema(format = DateTime)]
    joined_at: String,
    /// Absent while it is inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    left_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_reason: Option<String>,
}

impl From<Attendance> for AttendanceBody {
    fn from(stay: Attendance) -> Self {
        Self {
            participant_id: stay.participant,
            identity: stay.identity,
            display_name: stay.display_name,
            role: stay.role,
            joined_at: rfc3339(stay.joined_at),
            left_at: stay.left_at.map(rfc3339),
            left_reason: stay.left_reason,
        }
    }
}

/// List who was inside, when.
#[utoipa::path(get, path = "/api/v1/meetings/{meeting_id}/attendance", tag = "records", operation_id = "listAttendance",
    security(("bearer" = [])), params(("meeting_id" = String, Path), PageQuery),
    responses((status = 200, body = AttendanceList), Errors))]
pub(super) async fn attendance(
    call: Call,
    id: MeetingPath,
    Asked(asked): Asked<PageQuery>,
) -> Result<Json<AttendanceList>, Failure> {
    let record = call.meeting(&id, Scope::MeetingsRead).await?;
    let limit = page_limit(asked.limit)?;
    // Participant numbers end long before.
    let after = u32::try_from(asked.after()?).unwrap_or(u32::MAX);
    let stays = call.app.store.attendance(&record.id, after, limit).await?;
    let next_after = next(&stays, limit, |stay| stay.participant.into());
    Ok(Json(AttendanceList { attendance: stays.into_iter().map(Into::into).collect(), next_after }))
}

/// A page of the audit log, in order.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditList {
    entries: Vec<AuditBody>,
    /// Asks for the next page as `after`; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<u64>,
}

/// Who did what.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct AuditBody {
    id: u64,
    /// Such as `key:k3v9x2mq7rtd`, `host`, `participant:7` or `operator`.
    actor: String,
    /// Such as `meeting.update`.
    action: String,
    /// More about it, as the action has it.
    detail: Value,
    #[schema(format = DateTime)]
    at: String,
}

impl From<AuditRecord> for AuditBody {
    fn from(AuditRecord { id, entry }: AuditRecord) -> Self {
        Self { id, actor: entry.actor, action: entry.action, detail: entry.detail, at: rfc3339(entry.at) }
    }
}

/// List what hosts and servers did to a meeting.
#[utoipa::path(get, path = "/api/v1/meetings/{meeting_id}/audit", tag = "records", operation_id = "listAudit",
    security(("bearer" = [])), params(("meeting_id" = String, Path), PageQuery),
    responses((status = 200, body = AuditList), Errors))]
pub(super) async fn audit(
    call: Call,
    id: MeetingPath,
    Asked(asked): Asked<PageQuery>,
) -> Result<Json<AuditList>, Failure> {
    let record = call.meeting(&id, Scope::MeetingsRead).await?;
    let limit = page_limit(asked.limit)?;
    let log = call.app.store.audit_log(&record.id, asked.after()?, limit).await?;
    let next_after = next(&log, limit, |record| record.id);
    Ok(Json(AuditList { entries: log.into_iter().map(Into::into).collect(), next_after }))
}

/// Every mark of a meeting's recordings, in order.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordingList {
    marks: Vec<MarkBody>,
}

/// A place where a recording started, stopped, or the like.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordingMark)]
struct MarkBody {
    seq: u64,
    /// `started`, `paused`, `resumed` or `stopped`.
    kind: &'static str,
    actor: String,
    #[schema(format = DateTime)]
    at: String,
}

impl From<RecordingMark> for MarkBody {
    fn from(mark: RecordingMark) -> Self {
        Self { seq: mark.seq, kind: mark.kind.as_str(), actor: mark.actor, at: rfc3339(mark.at) }
    }
}

/// List when a meeting was recorded.
#[utoipa::path(get, path = "/api/v1/meetings/{meeting_id}/recordings", tag = "records", operation_id = "listRecordings",
    security(("bearer" = [])), params(("meeting_id" = String, Path)),
    responses((status = 200, body = RecordingList), Errors))]
pub(super) async fn recordings(call: Call, id: MeetingPath) -> Result<Json<RecordingList>, Failure> {
    let record = call.meeting(&id, Scope::MeetingsRead).await?;
    let marks = call.app.store.marks(&record.id).await?;
    Ok(Json(RecordingList { marks: marks.into_iter().map(Into::into).collect() }))
}

/// Where the next page begins: a full page may have one.
fn next<T>(lines: &[T], limit: u32, place: impl FnOnce(&T) -> u64) -> Option<u64> {
    let full = u32::try_from(lines.len()).is_ok_and(|lines| lines >= limit);
    lines.last().filter(|_| full).map(place)
}
