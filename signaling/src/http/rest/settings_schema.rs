//! [`crate::meeting::MeetingSettings`] as the description shows it: that type is shared with clients, which need no OpenAPI.

use serde::Serialize;
use utoipa::ToSchema;

/// What the maker of a meeting chose.
#[derive(Default, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = MeetingSettings)]
pub(super) struct SettingsSchema {
    /// Whether everybody sees everybody (`meeting`), or attendees see the stage (`webinar`).
    #[schema(value_type = MeetingKind, default = "meeting")]
    kind: (),
    /// Whether who is no host waits until a host admits.
    waiting_room: bool,
    /// Whether participants come in muted.
    mute_on_entry: bool,
    /// Whether others may come in while no host is inside. If not, they wait.
    #[schema(default = true)]
    join_before_host: bool,
    /// Who may share a screen.
    #[schema(value_type = SharePolicy, default = "everyone")]
    share: (),
    /// Who may write to whom.
    #[schema(value_type = ChatPolicy, default = "everyone")]
    chat: (),
    /// Whether those who come late are given what was written to everyone.
    #[schema(default = true)]
    chat_history_for_late_joiners: bool,
    /// Whether the meeting may be recorded.
    #[schema(value_type = RecordingPolicy, default = "off")]
    recording: (),
    /// How many may be inside.
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    max_participants: u32,
    /// The region whose routers are preferred.
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    region: Option<String>,
    /// Where media has to stay: only routers there are used.
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    data_residency: Option<String>,
    /// What happens when the last host leaves.
    #[schema(value_type = HostLeaves, default = "successor")]
    when_host_leaves: (),
    /// What routers send of whom; as they are configured when absent.
    #[schema(value_type = Option<QualityPreset>)]
    preset: Option<()>,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($word:ident),* })*) => {
        $($(#[$doc])*
        #[derive(ToSchema)]
        #[schema(rename_all = "snake_case")]
        #[expect(dead_code, reason = "names in the description; the values are of the shared type")]
        pub(super) enum $name { $($word),* })*
    };
}

words! {
    /// Whether everybody sees everybody.
    MeetingKind { Meeting, Webinar }
    /// Who may share a screen.
    SharePolicy { Hosts, Everyone }
    /// Who may write to whom.
    ChatPolicy { Everyone, HostsOnly, Off }
    /// Whether a meeting may be recorded.
    RecordingPolicy { Off, WithConsent }
    /// What happens when the last host leaves.
    HostLeaves { Successor, Pause }
    /// A named set of qualities and bandwidths.
    QualityPreset { SmallMeeting, MediumGallery, LargeGallery, Presentation, Webinar, AudioOnly }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::PartialSchema as _;

    use super::*;
    use crate::meeting::{MeetingSettings, QualityPreset as Preset};

    /// The description and the type have the same fields, and its defaults are the type's.
    #[test]
    fn the_description_is_that_of_the_type() {
        let settings = MeetingSettings {
            region: Some("eu".into()),
            data_residency: Some("eu".into()),
            preset: Some(Preset::AudioOnly),
            ..Default::default()
        };
        let Value::Object(of_type) = json!(settings) else { panic!() };
        let schema = json!(SettingsSchema::schema());
        let described = schema["properties"].as_object().unwrap();
        assert!(of_type.keys().eq(described.keys().collect::<std::collections::BTreeSet<_>>()));
        let defaults = json!(MeetingSettings::default());
        for (name, field) in described {
            if let Some(default) = field.get("default") {
                assert_eq!(default, defaults.get(name).unwrap_or(&Value::Null), "{name}");
            }
        }
    }

    /// Every word of the description means something to the type.
    #[test]
    fn every_word_is_one() {
        let words = [
            ("kind", json!(MeetingKind::schema())),
            ("share", json!(SharePolicy::schema())),
            ("chat", json!(ChatPolicy::schema())),
            ("recording", json!(RecordingPolicy::schema())),
            ("when_host_leaves", json!(HostLeaves::schema())),
            ("preset", json!(QualityPreset::schema())),
        ];
        for (field, schema) in words {
            let words = schema["enum"].as_array().unwrap();
            assert!(words.len() > 1);
            for word in words {
                serde_json::from_value::<MeetingSettings>(json!({ field: word })).unwrap();
            }
        }
    }
}
