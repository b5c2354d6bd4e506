//! Signaling messages: `proto-spec/spec/06-signaling.md`.
//!
//! Types with serde, and nothing that reads or writes: both ends bring their own JSON and transport. Unknown fields are ignored.
//! Enumerations that a daemon sends have an `Other` for values of later versions; it is never sent.

mod chat;
mod client;
mod daemon;
mod names;
mod people;
mod rest;
mod secrets;
mod settings;

pub use chat::{ChatMessage, ChatText, ChatTo, MAX_CHAT_BYTES};
pub use client::{ClientMessage, ClientRequest, Join, MAX_CAPABILITIES, MAX_VERSIONS, RecordAction, Resume};
pub use daemon::{
    Counts, DaemonMessage, EndedReason, ErrorCode, ErrorMessage, Joined, MediaLostReason, MeetingState,
    Numbered, RecordingState, Snapshot, WaitingReason,
};
pub use names::{
    DisplayName, InvalidName, MAX_DISPLAY_NAME_CHARS, MAX_MEETING_NAME_CHARS, MEETING_ID_ALPHABET,
    MEETING_ID_CHARS, MeetingId, MeetingName,
};
pub use people::{Left, LeftReason, Participant, Reaction, Role, Waiting};
pub use rest::{ApiError, ApiErrorBody, ApiErrorCode, CreateMeeting, MeetingCreated};
pub use secrets::{MAX_PASSWORD_BYTES, Password, Token};
pub use settings::{
    ChatPolicy, HostLeaves, InvalidSettings, MAX_REGION_BYTES, MeetingKind, MeetingSettings, QualityPreset,
    RecordingPolicy, SharePolicy, is_region,
};

#[cfg(test)]
mod tests;

/// The version of the signaling protocol that this crate speaks.
pub const SIGNALING_VERSION: u32 = 1;
/// The largest WebSocket message in either direction, in bytes. A `joined` with a full roster may be larger.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Participants of a meeting when its creator names no number.
pub const DEFAULT_MAX_PARTICIPANTS: u32 = 100;
/// The most participants that a meeting may be made for.
pub const MAX_PARTICIPANTS: u32 = 1_000;
