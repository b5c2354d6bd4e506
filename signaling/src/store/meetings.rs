//! Meetings.

use std::ops::Range;

use sluice_wire::signaling::{MeetingId, MeetingName};
use sluice_wire::time::Time;

use super::StoreFuture;
use crate::meeting::MeetingSettings;
use crate::secrets::{PasswordHash, TokenHash};

/// When a scheduled meeting is to start. What its maker said is kept, so that a change of a time zone's rules moves the
/// meeting with the clocks on the wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Date and time of day without a zone (ISO 8601, such as `2026-11-20T09:00:00`).
    pub starts_local: String,
    /// The IANA time zone that they are in.
    pub time_zone: String,
    /// The instant that this is.
    pub starts_at: Time,
}

/// How far a meeting has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeetingState {
    /// Nobody was inside yet.
    Waiting,
    /// Somebody was.
    Started,
    /// It is over, for good.
    Ended,
}

impl MeetingState {
    /// The word that the store and the REST interface have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Started => "started",
            Self::Ended => "ended",
        }
    }
}

/// A meeting to be kept.
#[derive(Clone, Debug)]
pub struct NewMeeting {
    /// Its id.
    pub id: MeetingId,
    /// Whose it is: the account of the API key that made it.
    pub account: Option<String>,
    /// What it is called.
    pub name: MeetingName,
    /// What its maker chose.
    pub settings: MeetingSettings,
    /// The hash of its password, if it has one.
    pub password_hash: Option<PasswordHash>,
    /// The hash of the token that makes its bearer host.
    pub host_token_hash: TokenHash,
    /// When it is to start; instant meetings have none.
    pub schedule: Option<Schedule>,
    /// How long it is meant to take.
    pub duration_minutes: Option<u32>,
    /// When it was made.
    pub created_at: Time,
}

/// A meeting as it is kept.
#[derive(Clone, Debug)]
pub struct MeetingRecord {
    /// Its id.
    pub id: MeetingId,
    /// Whose it is.
    pub account: Option<String>,
    /// What it is called.
    pub name: MeetingName,
    /// What its maker chose.
    pub settings: MeetingSettings,
    /// The hash of its password, if it has one.
    pub password_hash: Option<PasswordHash>,
    /// The hash of the token that makes its bearer host.
    pub host_token_hash: TokenHash,
    /// When it is to start; instant meetings have none.
    pub schedule: Option<Schedule>,
    /// How long it is meant to take.
    pub duration_minutes: Option<u32>,
    /// When it was made.
    pub created_at: Time,
    /// When somebody was first inside.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Grows with every update.
    pub version: u64,
}

impl MeetingRecord {
    /// How far it has come.
    #[must_use]
    pub const fn state(&self) -> MeetingState {
        match (self.ended_at, self.started_at) {
            (Some(_), _) => MeetingState::Ended,
            (None, Some(_)) => MeetingState::Started,
            (None, None) => MeetingState::Waiting,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended_at.is_some()
    }
}

/// What an update leaves behind: all that can change.
#[derive(Clone, Debug)]
pub struct MeetingUpdate {
    /// What it is called.
    pub name: MeetingName,
    /// What its maker chose.
    pub settings: MeetingSettings,
    /// The hash of its password, if it has one.
    pub password_hash: Option<PasswordHash>,
    /// When it is to start.
    pub schedule: Option<Schedule>,
    /// How long it is meant to take.
    pub duration_minutes: Option<u32>,
}

/// Which meetings to list, the youngest first.
#[derive(Clone, Debug, Default)]
pub struct MeetingQuery {
    /// Of this account only.
    pub account: Option<String>,
    /// In this state only.
    pub state: Option<MeetingState>,
    /// Behind this place: the `next` of the page before.
    pub after: Option<(Time, MeetingId)>,
    /// At most so many, and at most [`super::MAX_PAGE`].
    pub limit: u32,
}

/// A page of meetings.
#[derive(Clone, Debug)]
pub struct MeetingPage {
    /// The meetings.
    pub meetings: Vec<MeetingRecord>,
    /// Where the next page begins, if there is one.
    pub next: Option<(Time, MeetingId)>,
}

/// Keeps meetings over restarts. All of it is strongly consistent: what one daemon was answered, all see.
pub trait MeetingStore: Send + Sync + 'static {
    /// Keeps a new meeting. [`super::StoreError::IdTaken`] if there is one of its id.
    fn create<'a>(&'a self, meeting: &'a NewMeeting) -> StoreFuture<'a, ()>;

    /// Finds a meeting, ended ones too.
    fn find<'a>(&'a self, id: &'a MeetingId) -> StoreFuture<'a, Option<MeetingRecord>>;

    /// Changes a meeting that is not over and still has `version`; else [`super::StoreError::Conflict`].
    fn update<'a>(
        &'a self,
        id: &'a MeetingId,
        version: u64,
        update: &'a MeetingUpdate,
    ) -> StoreFuture<'a, ()>;

    /// A page of meetings.
    fn list<'a>(&'a self, query: &'a MeetingQuery) -> StoreFuture<'a, MeetingPage>;

    /// Notes that a meeting is over. The first time counts.
    fn end<'a>(&'a self, id: &'a MeetingId, at: Time) -> StoreFuture<'a, ()>;

    /// Reserves `count` participant numbers that no other call ever returns.
    fn reserve_numbers<'a>(&'a self, id: &'a MeetingId, count: u32) -> StoreFuture<'a, Range<u32>>;
}
