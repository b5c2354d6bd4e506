//! Meetings.

use std::ops::Range;

use sluice_wire::signaling::{MeetingId, MeetingName};
use sluice_wire::time::Time;
use sluice_wire::track::MAX_PARTICIPANT_ID;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{SqlStore, maybe_time, meeting_id, page, signed, time, unsigned};
use crate::clock::unix_millis;
use crate::meeting::MeetingSettings;
use crate::secrets::{PasswordHash, TokenHash};
use crate::store::meetings::{
    MeetingPage, MeetingQuery, MeetingRecord, MeetingState, MeetingStore, MeetingUpdate, NewMeeting, Schedule,
};
use crate::store::{StoreError, StoreFuture};

const INSERT: &str = "INSERT INTO meetings (id, account, name, settings, password_hash, host_token_hash, starts_local, \
     time_zone, starts_at, duration_minutes, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const FIND: &str = "SELECT id, account, name, settings, password_hash, host_token_hash, starts_local, time_zone, starts_at, \
     duration_minutes, created_at, started_at, ended_at, version FROM meetings WHERE id = $1";
const UPDATE: &str = "UPDATE meetings SET name = $1, settings = $2, password_hash = $3, starts_local = $4, time_zone = $5, \
     starts_at = $6, duration_minutes = $7, version = version + 1 \
     WHERE id = $8 AND version = $9 AND ended_at IS NULL";
const LIST: &str = "SELECT id, account, name, settings, password_hash, host_token_hash, starts_local, time_zone, starts_at, \
     duration_minutes, created_at, started_at, ended_at, version FROM meetings \
     WHERE ($1 = 0 OR account = $2) AND (created_at, id) < ($3, $4) \
     AND ($5 = '' OR $5 = CASE WHEN ended_at IS NOT NULL THEN 'ended' WHEN started_at IS NOT NULL THEN 'started' \
     ELSE 'waiting' END) ORDER BY created_at DESC, id DESC LIMIT $6";
const END: &str =
    "UPDATE meetings SET ended_at = $1, version = version + 1 WHERE id = $2 AND ended_at IS NULL";
const RESERVE: &str = "UPDATE meetings SET next_participant = next_participant + $1 \
     WHERE id = $2 AND next_participant + $1 <= $3 RETURNING next_participant";
/// Greater than every meeting id.
const BEHIND_ALL_IDS: &str = "~";

impl MeetingStore for SqlStore {
    fn create<'a>(&'a self, meeting: &'a NewMeeting) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let schedule = meeting.schedule.as_ref();
            let insert = sqlx::query(INSERT)
                .bind(meeting.id.as_str())
                .bind(meeting.account.as_deref())
                .bind(meeting.name.as_str())
                .bind(settings_text(&meeting.settings))
                .bind(meeting.password_hash.as_ref().map(PasswordHash::as_str))
                .bind(meeting.host_token_hash.as_bytes().as_slice())
                .bind(schedule.map(|schedule| schedule.starts_local.as_str()))
                .bind(schedule.map(|schedule| schedule.time_zone.as_str()))
                .bind(schedule.map(|schedule| unix_millis(schedule.starts_at)))
                .bind(meeting.duration_minutes.map(i64::from))
                .bind(unix_millis(meeting.created_at));
            self.execute(insert).await.map(drop)
        })
    }

    fn find<'a>(&'a self, id: &'a MeetingId) -> StoreFuture<'a, Option<MeetingRecord>> {
        Box::pin(async move {
            let row = sqlx::query(FIND).bind(id.as_str()).fetch_optional(&self.pool).await?;
            row.map(|row| record(&row)).transpose()
        })
    }

    fn update<'a>(
        &'a self,
        id: &'a MeetingId,
        version: u64,
        update: &'a MeetingUpdate,
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let schedule = update.schedule.as_ref();
            let change = sqlx::query(UPDATE)
                .bind(update.name.as_str())
                .bind(settings_text(&update.settings))
                .bind(update.password_hash.as_ref().map(PasswordHash::as_str))
                .bind(schedule.map(|schedule| schedule.starts_local.as_str()))
                .bind(schedule.map(|schedule| schedule.time_zone.as_str()))
                .bind(schedule.map(|schedule| unix_millis(schedule.starts_at)))
                .bind(update.duration_minutes.map(i64::from))
                .bind(id.as_str())
                .bind(signed(version));
            if self.execute(change).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
        })
    }

    fn list<'a>(&'a self, query: &'a MeetingQuery) -> StoreFuture<'a, MeetingPage> {
        Box::pin(async move {
            let limit = page(query.limit);
            let (before, behind) = match &query.after {
                Some((created_at, id)) => (unix_millis(*created_at), id.as_str()),
                None => (i64::MAX, BEHIND_ALL_IDS),
            };
            // One more than asked for says whether there is a next page.
            let rows = sqlx::query(LIST)
                .bind(i64::from(query.account.is_some()))
                .bind(query.account.as_deref())
                .bind(before)
                .bind(behind)
                .bind(query.state.map_or("", MeetingState::as_str))
                .bind(limit + 1)
                .fetch_all(&self.pool)
                .await?;
            let mut meetings = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
            let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
            let more = meetings.len() > wanted;
            meetings.truncate(wanted);
            let next = meetings.last().filter(|_| more).map(|last| (last.created_at, last.id.clone()));
            Ok(MeetingPage { meetings, next })
        })
    }

    fn end<'a>(&'a self, id: &'a MeetingId, at: Time) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.execute(sqlx::query(END).bind(unix_millis(at)).bind(id.as_str())).await.map(drop)
        })
    }

    fn reserve_numbers<'a>(&'a self, id: &'a MeetingId, count: u32) -> StoreFuture<'a, Range<u32>> {
        Box::pin(async move {
            let reserve = sqlx::query(RESERVE)
                .bind(i64::from(count))
                .bind(id.as_str())
                .bind(i64::from(MAX_PARTICIPANT_ID) + 1);
            let rows = self.write_returning(reserve).await?;
            let end: u32 = unsigned(rows.first().ok_or(StoreError::NoNumbers)?, "next_participant")?;
            Ok(end.saturating_sub(count)..end)
        })
    }
}

fn settings_text(settings: &MeetingSettings) -> String {
    // A struct of strings, numbers and enumerations: it cannot fail.
    serde_json::to_string(settings).unwrap_or_default()
}

fn record(row: &AnyRow) -> Result<MeetingRecord, StoreError> {
    let name: String = row.try_get("name")?;
    let settings: String = row.try_get("settings")?;
    let host_token_hash: Vec<u8> = row.try_get("host_token_hash")?;
    let duration: Option<i64> = row.try_get("duration_minutes")?;
    Ok(MeetingRecord {
        id: meeting_id(row, "id")?,
        account: row.try_get("account")?,
        name: MeetingName::try_from(name).map_err(|_| StoreError::Damaged("name"))?,
        settings: serde_json::from_str(&settings).map_err(|_| StoreError::Damaged("settings"))?,
        password_hash: row.try_get::<Option<String>, _>("password_hash")?.map(PasswordHash::from_stored),
        host_token_hash: TokenHash::from_stored(&host_token_hash)
            .ok_or(StoreError::Damaged("host_token_hash"))?,
        schedule: schedule(row)?,
        duration_minutes: duration
            .map(u32::try_from)
            .transpose()
            .map_err(|_| StoreError::Damaged("duration_minutes"))?,
        created_at: time(row, "created_at")?,
        started_at: maybe_time(row, "started_at")?,
        ended_at: maybe_time(row, "ended_at")?,
        version: unsigned(row, "version")?,
    })
}

fn schedule(row: &AnyRow) -> Result<Option<Schedule>, StoreError> {
    let Some(starts_at) = maybe_time(row, "starts_at")? else { return Ok(None) };
    let text =
        |column: &'static str| row.try_get::<Option<String>, _>(column)?.ok_or(StoreError::Damaged(column));
    Ok(Some(Schedule { starts_local: text("starts_local")?, time_zone: text("time_zone")?, starts_at }))
}
