//! Meetings: made, read, listed, changed, ended.

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_wire::signaling::{ApiErrorCode, MeetingId};
use sluice_wire::time::Time;
use utoipa::IntoParams;

use super::Errors;
use super::bodies::{CreateMeeting, CreatedMeeting, MeetingBody, MeetingList, StateBody, UpdateMeeting};
use super::input::{Asked, Body, Call, MeetingPath, Object, bad, page_limit};
use crate::clock::{from_unix_millis, unix_millis};
use crate::cluster::Notice;
use crate::http::auth::{Caller, Scope};
use crate::http::error::Failure;
use crate::meeting::MeetingSettings;
use crate::secrets::{TokenHash, meeting_id, token};
use crate::store::{MeetingQuery, MeetingRecord, MeetingUpdate, NewMeeting, StoreError};

/// Ids to try: with 58 bits even a second draw is never seen.
const ID_ATTEMPTS: usize = 3;
/// Times that a change is tried again which met another.
const UPDATE_ATTEMPTS: usize = 3;
/// The longest meeting that can be planned: a day.
const MAX_DURATION_MINUTES: u32 = 24 * 60;

/// Make a meeting.
#[utoipa::path(post, path = "/api/v1/meetings", tag = "meetings", operation_id = "createMeeting",
    security((), ("bearer" = [])), request_body = Option<CreateMeeting>,
    responses((status = 201, body = CreatedMeeting), Errors))]
pub(super) async fn create(
    call: Call,
    Body(request): Body<CreateMeeting>,
) -> Result<(StatusCode, Json<CreatedMeeting>), Failure> {
    let open = matches!(call.caller, Caller::Anonymous) && call.app.auth.is_open();
    if !open {
        call.caller.require(Scope::MeetingsWrite)?;
    }
    let mut settings = merged(&MeetingSettings::default(), &request.settings.unwrap_or_default())?;
    settings.max_participants = request.max_participants.unwrap_or(settings.max_participants);
    settings.validate().map_err(|error| bad(error.to_string()))?;
    let schedule = request.schedule.as_ref().map(|Object(schedule)| schedule.resolve()).transpose()?;
    check_duration(request.duration_minutes)?;
    let password_hash = match request.password {
        Some(password) => Some(call.app.auth.passcodes().passwords().hash(password).await?),
        None => None,
    };
    let host_token = token()?;
    let mut meeting = NewMeeting {
        id: meeting_id()?,
        account: call.caller.account().map(str::to_owned),
        name: request.name.unwrap_or_default(),
        settings,
        password_hash,
        host_token_hash: TokenHash::of(&host_token),
        schedule,
        duration_minutes: request.duration_minutes,
        created_at: call.now,
    };
    let mut attempts_left = ID_ATTEMPTS;
    loop {
        attempts_left -= 1;
        match call.app.store.create(&meeting).await {
            Err(StoreError::IdTaken) if attempts_left > 0 => meeting.id = meeting_id()?,
            made => break made?,
        }
    }
    let detail = json!({"scheduled": meeting.schedule.is_some()});
    call.audit("meeting.create", meeting.account.as_deref(), Some(&meeting.id), detail).await?;
    call.app.metrics.meetings_created.inc();
    tracing::info!(meeting = %meeting.id, "meeting made");
    let record = found(&call, &meeting.id).await?;
    let start_link = call.link(&record.id, Some(&host_token));
    Ok((StatusCode::CREATED, Json(CreatedMeeting { meeting: body(&call, &record), host_token, start_link })))
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Lines of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(pattern = "^[0-9]{1,15}-[2-9a-hjkmnp-tv-z]{12}$")]
    cursor: Option<String>,
    /// Meetings in this state only.
    #[param(inline)]
    state: Option<StateBody>,
}

/// List the account's meetings, the youngest first; the operator sees all.
#[utoipa::path(get, path = "/api/v1/meetings", tag = "meetings", operation_id = "listMeetings",
    security(("bearer" = [])), params(ListQuery), responses((status = 200, body = MeetingList), Errors))]
pub(super) async fn list(call: Call, Asked(asked): Asked<ListQuery>) -> Result<Json<MeetingList>, Failure> {
    call.caller.require(Scope::MeetingsRead)?;
    let query = MeetingQuery {
        account: call.caller.account().map(str::to_owned),
        state: asked.state.map(Into::into),
        after: asked
            .cursor
            .as_deref()
            .map(|text| cursor(text).ok_or_else(|| bad("cursor is none of ours")))
            .transpose()?,
        limit: page_limit(asked.limit)?,
    };
    let page = call.app.store.list(&query).await?;
    let next_cursor = page.next.map(|(created_at, id)| format!("{}-{id}", unix_millis(created_at)));
    let meetings = page.meetings.iter().map(|record| body(&call, record)).collect();
    Ok(Json(MeetingList { meetings, next_cursor }))
}

fn cursor(text: &str) -> Option<(Time, MeetingId)> {
    let (millis, id) = text.split_once('-')?;
    let digits = millis.len() <= 15 && millis.bytes().all(|byte| byte.is_ascii_digit());
    let millis = digits.then(|| millis.parse().ok()).flatten()?;
    Some((from_unix_millis(millis), id.parse().ok()?))
}

/// Read a meeting.
#[utoipa::path(get, path = "/api/v1/meetings/{meeting_id}", tag = "meetings", operation_id = "getMeeting",
    security(("bearer" = [])), params(("meeting_id" = String, Path)),
    responses((status = 200, body = MeetingBody), Errors))]
pub(super) async fn read(call: Call, id: MeetingPath) -> Result<Json<MeetingBody>, Failure> {
    let record = call.meeting(&id, Scope::MeetingsRead).await?;
    Ok(Json(body(&call, &record)))
}

/// Change a meeting.
#[utoipa::path(patch, path = "/api/v1/meetings/{meeting_id}", tag = "meetings", operation_id = "updateMeeting",
    security(("bearer" = [])), params(("meeting_id" = String, Path)), request_body = Option<UpdateMeeting>,
    responses((status = 200, body = MeetingBody), Errors))]
pub(super) async fn update(
    call: Call,
    id: MeetingPath,
    Body(request): Body<UpdateMeeting>,
) -> Result<Json<MeetingBody>, Failure> {
    let mut record = call.meeting(&id, Scope::MeetingsWrite).await?;
    check_duration(request.duration_minutes.flatten())?;
    let new_password = match request.password.clone() {
        Some(Some(password)) => Some(Some(call.app.auth.passcodes().passwords().hash(password).await?)),
        Some(None) => Some(None),
        None => None,
    };
    let mut attempts_left = UPDATE_ATTEMPTS;
    let written = loop {
        if record.ended() {
            return Err(Failure::new(ApiErrorCode::Conflict, "the meeting is over"));
        }
        attempts_left -= 1;
        let mut change = changed(&record, &request)?;
        if let Some(hash) = &new_password {
            change.password_hash.clone_from(hash);
        }
        match call.app.store.update(&record.id, record.version, &change).await {
            Err(StoreError::Conflict) if attempts_left > 0 => record = found(&call, &record.id).await?,
            Err(StoreError::Conflict) => {
                return Err(Failure::new(ApiErrorCode::Conflict, "it was changed in between"));
            }
            written => break written,
        }
    };
    written?;
    if new_password.is_some() {
        call.app.auth.passcodes().forget(&record.id);
    }
    let fields = json!({
        "name": request.name.is_some(), "password": request.password.is_some(), "settings": request.settings,
        "schedule": request.schedule.is_some(), "duration_minutes": request.duration_minutes.is_some(),
    });
    call.audit("meeting.update", record.account.as_deref(), Some(&record.id), fields).await?;
    let record = found(&call, &record.id).await?;
    call.app.meetings.settings_changed(&record.id, record.settings.clone()).await;
    call.app.cluster.tell(&Notice::Changed { meeting: record.id.clone() }).await;
    Ok(Json(body(&call, &record)))
}

/// End a meeting for everybody and for good. Once more changes nothing.
#[utoipa::path(delete, path = "/api/v1/meetings/{meeting_id}", tag = "meetings", operation_id = "endMeeting",
    security(("bearer" = [])), params(("meeting_id" = String, Path)),
    responses((status = 204, description = "It is over"), Errors))]
pub(super) async fn end(call: Call, id: MeetingPath) -> Result<StatusCode, Failure> {
    let record = call.meeting(&id, Scope::MeetingsWrite).await?;
    if !record.ended() {
        call.audit("meeting.end", record.account.as_deref(), Some(&record.id), Value::Null).await?;
    }
    call.app.meetings.end(&record.id).await?;
    call.app.cluster.tell(&Notice::Ended { meeting: record.id.clone() }).await;
    call.app.auth.passcodes().forget(&record.id);
    Ok(StatusCode::NO_CONTENT)
}

fn changed(record: &MeetingRecord, request: &UpdateMeeting) -> Result<MeetingUpdate, Failure> {
    let schedule = match &request.schedule {
        None => record.schedule.clone(),
        Some(schedule) => schedule.as_ref().map(|Object(schedule)| schedule.resolve()).transpose()?,
    };
    Ok(MeetingUpdate {
        name: request.name.clone().unwrap_or_else(|| record.name.clone()),
        settings: match &request.settings {
            None => record.settings.clone(),
            Some(changes) => merged(&record.settings, changes)?,
        },
        password_hash: record.password_hash.clone(),
        schedule,
        duration_minutes: request.duration_minutes.unwrap_or(record.duration_minutes),
    })
}

fn merged(
    settings: &MeetingSettings,
    changes: &serde_json::Map<String, Value>,
) -> Result<MeetingSettings, Failure> {
    let mut whole = json!(settings);
    if let Value::Object(fields) = &mut whole {
        fields.extend(changes.clone());
    }
    let settings: MeetingSettings =
        serde_json::from_value(whole).map_err(|error| bad(format!("settings: {error}")))?;
    settings.validate().map_err(|error| bad(error.to_string()))?;
    Ok(settings)
}

fn check_duration(minutes: Option<u32>) -> Result<(), Failure> {
    match minutes {
        Some(minutes) if !(1..=MAX_DURATION_MINUTES).contains(&minutes) => {
            Err(bad(format!("duration_minutes is 1 to {MAX_DURATION_MINUTES}")))
        }
        _ => Ok(()),
    }
}

async fn found(call: &Call, id: &MeetingId) -> Result<MeetingRecord, Failure> {
    let record = call.app.store.find(id).await?;
    record.ok_or_else(|| Failure::new(ApiErrorCode::Internal, "the meeting is gone"))
}

fn body(call: &Call, record: &MeetingRecord) -> MeetingBody {
    MeetingBody::new(record, call.join_url(), call.link(&record.id, None))
}
