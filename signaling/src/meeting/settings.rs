//! The settings that a meeting is made with, as they are on the wire too.

pub use sluice_wire::signaling::{
    ChatPolicy, HostLeaves, InvalidSettings, MeetingKind, MeetingSettings, QualityPreset, RecordingPolicy,
    SharePolicy,
};
