//! Bodies of the calls about meetings.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use sluice_wire::signaling::{MeetingId, MeetingName, Password, Token};
use utoipa::ToSchema;

use super::input::Object;
use super::schedule::{ScheduleBody, rfc3339};
use super::settings_schema::SettingsSchema;
use crate::meeting::MeetingSettings;
use crate::store::{MeetingRecord, MeetingState};

/// What is wrong, on every error. The type itself is shared with clients, which need no OpenAPI.
#[derive(ToSchema)]
#[expect(dead_code, reason = "names in the description")]
pub(super) struct ErrorBody {
    #[schema(inline)]
    error: ErrorDetail,
}

/// What is wrong.
#[derive(ToSchema)]
#[expect(dead_code, reason = "names in the description")]
struct ErrorDetail {
    /// For programs.
    #[schema(example = "bad_request")]
    code: String,
    /// For people.
    message: String,
}

/// Asks for a meeting. Every field is optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct CreateMeeting {
    /// What the meeting is called: no control characters.
    #[schema(value_type = Option<String>, max_length = 128, pattern = "^[^\\x00-\\x1F\\x7F-\\x9F]*$")]
    pub(super) name: Option<MeetingName>,
    /// What participants must know to enter; nobody is asked when absent. At most 256 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    pub(super) password: Option<Password>,
    /// The same as in `settings`, which it overrides.
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) max_participants: Option<u32>,
    /// What is not said has its default.
    #[schema(value_type = Option<SettingsSchema>)]
    pub(super) settings: Option<Map<String, Value>>,
    /// When it is to start; at once when absent.
    #[schema(value_type = Option<ScheduleBody>)]
    pub(super) schedule: Option<Object<ScheduleBody>>,
    /// How long it is meant to take. It is not ended by that.
    #[schema(minimum = 1, maximum = 1440)]
    pub(super) duration_minutes: Option<u32>,
}

/// Changes a meeting. What is absent stays; what is `null` is taken away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct UpdateMeeting {
    /// What the meeting is called.
    #[schema(value_type = Option<String>, max_length = 128, pattern = "^[^\\x00-\\x1F\\x7F-\\x9F]*$")]
    pub(super) name: Option<MeetingName>,
    /// A new password, or none from now on. Who is inside stays.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    pub(super) password: Option<Option<Password>>,
    /// Those to change.
    #[schema(value_type = Option<SettingsSchema>)]
    pub(super) settings: Option<Map<String, Value>>,
    /// Another start; `null` makes it an instant meeting.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<ScheduleBody>)]
    pub(super) schedule: Option<Option<Object<ScheduleBody>>>,
    /// Another length, or none.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1440)]
    pub(super) duration_minutes: Option<Option<u32>>,
}

/// Tells `null` from absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// How far a meeting has come.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MeetingState)]
pub(super) enum StateBody {
    /// Nobody was inside yet.
    Waiting,
    /// Somebody was.
    Started,
    /// It is over.
    Ended,
}

impl From<MeetingState> for StateBody {
    fn from(state: MeetingState) -> Self {
        match state {
            MeetingState::Waiting => Self::Waiting,
            MeetingState::Started => Self::Started,
            MeetingState::Ended => Self::Ended,
        }
    }
}

impl From<StateBody> for MeetingState {
    fn from(state: StateBody) -> Self {
        match state {
            StateBody::Waiting => Self::Waiting,
            StateBody::Started => Self::Started,
            StateBody::Ended => Self::Ended,
        }
    }
}

/// A meeting.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Meeting)]
pub(super) struct MeetingBody {
    #[schema(value_type = String, pattern = "^[2-9a-hjkmnp-tv-z]{12}$")]
    meeting_id: MeetingId,
    #[schema(value_type = String)]
    name: MeetingName,
    /// The same as in `settings`.
    max_participants: u32,
    state: StateBody,
    #[schema(value_type = SettingsSchema)]
    settings: MeetingSettings,
    /// Whether a password is asked for.
    has_password: bool,
    /// When it is to start, unless it is an instant meeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_minutes: Option<u32>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When somebody was first inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Grows with every change.
    version: u64,
    /// The WebSocket to join by.
    join_url: String,
    /// The link to pass on. Who follows it is asked for the password.
    join_link: String,
}

impl MeetingBody {
    pub(super) fn new(record: &MeetingRecord, join_url: String, join_link: String) -> Self {
        Self {
            meeting_id: record.id.clone(),
            name: record.name.clone(),
            max_participants: record.settings.max_participants,
            state: record.state().into(),
            settings: record.settings.clone(),
            has_password: record.password_hash.is_some(),
            schedule: record.schedule.as_ref().map(ScheduleBody::from),
            duration_minutes: record.duration_minutes,
            created_at: rfc3339(record.created_at),
            started_at: record.started_at.map(rfc3339),
            ended_at: record.ended_at.map(rfc3339),
            version: record.version,
            join_url,
            join_link,
        }
    }
}

/// A meeting that was made, and what makes its bearer host. Given once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedMeeting {
    #[serde(flatten)]
    pub(super) meeting: MeetingBody,
    /// Ends the meeting, changes it, and joins it as host. The daemon keeps a hash.
    #[schema(value_type = String)]
    pub(super) host_token: Token,
    /// The link for the host alone: it has the host token in it.
    pub(super) start_link: String,
}

/// A page of meetings, the youngest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MeetingList {
    pub(super) meetings: Vec<MeetingBody>,
    /// Asks for the next page as `cursor`; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}
