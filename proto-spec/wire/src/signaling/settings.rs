//! What the maker of a meeting chose: section 9.2.

use serde::{Deserialize, Serialize};

use super::{DEFAULT_MAX_PARTICIPANTS, MAX_PARTICIPANTS};

/// The longest name of a region or of a place of residency, in bytes.
pub const MAX_REGION_BYTES: usize = 32;

/// What the maker of a meeting chose. It may be changed while the meeting goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeetingSettings {
    /// Whether everybody sees everybody.
    pub kind: MeetingKind,
    /// Whether who is no host waits until a host admits.
    pub waiting_room: bool,
    /// Whether participants come in muted.
    pub mute_on_entry: bool,
    /// Whether others may come in while no host is inside. If not, they wait.
    pub join_before_host: bool,
    /// Who may share a screen.
    pub share: SharePolicy,
    /// Who may write to whom.
    pub chat: ChatPolicy,
    /// Whether those who come late are given what was written to everyone.
    pub chat_history_for_late_joiners: bool,
    /// Whether the meeting may be recorded.
    pub recording: RecordingPolicy,
    /// How many may be inside: 1 to [`MAX_PARTICIPANTS`].
    pub max_participants: u32,
    /// The region whose routers are preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Where media has to stay: only routers there are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_residency: Option<String>,
    /// What happens when the last host leaves.
    pub when_host_leaves: HostLeaves,
    /// What routers send of whom; as they are configured when absent. A host may choose another for the time being.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<QualityPreset>,
}

/// Whether everybody sees everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeetingKind {
    /// Everybody does.
    #[default]
    Meeting,
    /// Attendees see hosts and panelists, and how many attendees there are.
    Webinar,
}

/// Who may share a screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharePolicy {
    /// Hosts and co-hosts.
    Hosts,
    /// Everyone who may speak.
    #[default]
    Everyone,
}

/// Who may write to whom. Hosts may always write to everyone, unless chat is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatPolicy {
    /// Everyone to everyone, and privately.
    #[default]
    Everyone,
    /// Others only to the hosts.
    HostsOnly,
    /// Nobody.
    Off,
}

/// Whether a meeting may be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingPolicy {
    /// It may not.
    #[default]
    Off,
    /// A host may, and each participant is asked for consent.
    WithConsent,
}

/// What happens when the last host leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostLeaves {
    /// A co-host takes over, else whoever has been inside longest and may speak.
    #[default]
    Successor,
    /// The meeting pauses until a host is inside again.
    Pause,
}

/// A named set of qualities and bandwidths that suits a kind of meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityPreset {
    /// A few people: all in the quality that they are wanted in.
    SmallMeeting,
    /// A screen full of people: who speaks in high quality, the others at 360p.
    MediumGallery,
    /// More people than a screen has room for: who speaks at 720p, the others as thumbnails.
    LargeGallery,
    /// A shared screen; cameras are small.
    Presentation,
    /// A stage and many who watch: as in a small meeting.
    Webinar,
    /// No video at all.
    AudioOnly,
}

/// Why settings cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// No such number of participants.
    #[error("max_participants is 1 to {MAX_PARTICIPANTS}")]
    MaxParticipants,
    /// Not the name of a region.
    #[error("{field} has 1 to {MAX_REGION_BYTES} characters a-z, 0-9 and -")]
    Region {
        /// Which setting.
        field: &'static str,
    },
}

impl Default for MeetingSettings {
    fn default() -> Self {
        Self {
            kind: MeetingKind::default(),
            waiting_room: false,
            mute_on_entry: false,
            join_before_host: true,
            share: SharePolicy::default(),
            chat: ChatPolicy::default(),
            chat_history_for_late_joiners: true,
            recording: RecordingPolicy::default(),
            max_participants: DEFAULT_MAX_PARTICIPANTS,
            region: None,
            data_residency: None,
            when_host_leaves: HostLeaves::default(),
            preset: None,
        }
    }
}

impl MeetingSettings {
    /// Checks what types do not.
    ///
    /// # Errors
    /// [`InvalidSettings`] names the first wrong field.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        if !(1..=MAX_PARTICIPANTS).contains(&self.max_participants) {
            return Err(InvalidSettings::MaxParticipants);
        }
        for (field, name) in [("region", &self.region), ("data_residency", &self.data_residency)] {
            if !name.as_deref().is_none_or(is_region) {
                return Err(InvalidSettings::Region { field });
            }
        }
        Ok(())
    }
}

/// Whether `name` can be the name of a region: 1 to [`MAX_REGION_BYTES`] of `a-z`, `0-9` and `-`.
#[must_use]
pub fn is_region(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_REGION_BYTES).contains(&name.len()) && name.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings: MeetingSettings =
            from_value(json!({"waiting_room": true, "recording": "with_consent"})).unwrap();
        let expected = MeetingSettings {
            waiting_room: true,
            recording: RecordingPolicy::WithConsent,
            ..MeetingSettings::default()
        };
        assert_eq!(settings, expected);
        assert_eq!(settings.validate(), Ok(()));
    }

    #[test]
    fn numbers_and_regions_have_limits() {
        let with = |change: fn(&mut MeetingSettings)| {
            let mut settings = MeetingSettings::default();
            change(&mut settings);
            settings.validate()
        };
        assert_eq!(with(|s| s.max_participants = 0), Err(InvalidSettings::MaxParticipants));
        assert_eq!(with(|s| s.max_participants = 1_001), Err(InvalidSettings::MaxParticipants));
        assert_eq!(with(|s| s.region = Some("eu-1".into())), Ok(()));
        for wrong in ["", "EU", "eu 1", "eu/1"] {
            assert!(!is_region(wrong), "{wrong}");
        }
        assert!(is_region(&"x".repeat(32)) && !is_region(&"x".repeat(33)));
        let residency = Err(InvalidSettings::Region { field: "data_residency" });
        assert_eq!(with(|s| s.data_residency = Some("Mars".into())), residency);
    }
}
