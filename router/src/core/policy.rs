//! Quality policies: who gets how much of whom. All presets are on this page.

use serde::Deserialize;

/// Slots that ask with at least this priority count as pinned: what a policy holds back from others, they get.
pub(crate) const PINNED_PRIORITY: u8 = 200;
/// Videos that one receiver is sent where the policy does not say otherwise: a gallery of 25, the most that common clients
/// show well.
pub const DEFAULT_VIDEOS_PER_RECEIVER: u16 = 25;
/// Voices that each hears where nothing else is said: more than three at once nobody understands.
pub const DEFAULT_VOICES: u8 = 3;
/// The most voices that each hears: what a phone decodes beside video.
pub const MAX_VOICES: u8 = 8;

/// The named presets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// A few people: all in the quality that they are wanted in.
    #[default]
    SmallMeeting,
    /// A gallery of up to about 25: who speaks in high quality, the others at 360p.
    MediumGallery,
    /// A gallery of thumbnails: who speaks at 720p, the others at 180p and half the frames.
    LargeGallery,
    /// A shared screen with the speaker beside it: cameras are small.
    Presentation,
    /// A few panelists before many who only watch: panelists are seen as in a small meeting. Who may publish is said when a
    /// session is opened.
    Webinar,
    /// No video at all.
    AudioOnly,
}

/// The most that a receiver gets of a video, whatever it wants; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap {
    /// Pixels. The smallest encoding of a track is never above it.
    pub(crate) height: u16,
    /// Frames per second. The lowest temporal layer is never above it.
    pub(crate) fps: u8,
}

impl Cap {
    pub(crate) const NONE: Self = Self { height: 0, fps: 0 };
    const HD: Self = Self { height: 720, fps: 0 };
    const MEDIUM: Self = Self { height: 360, fps: 0 };
    const THUMBNAIL: Self = Self { height: 180, fps: 15 };
}

/// What a preset means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meaning {
    /// The camera of the active speaker.
    active: Cap,
    /// All other cameras.
    others: Cap,
    has_video: bool,
}

impl Preset {
    const fn meaning(self) -> Meaning {
        match self {
            Self::SmallMeeting => Meaning { active: Cap::NONE, others: Cap::NONE, has_video: true },
            Self::MediumGallery => Meaning { active: Cap::NONE, others: Cap::MEDIUM, has_video: true },
            Self::LargeGallery => Meaning { active: Cap::HD, others: Cap::THUMBNAIL, has_video: true },
            Self::Presentation => Meaning { active: Cap::MEDIUM, others: Cap::THUMBNAIL, has_video: true },
            Self::Webinar => Meaning { active: Cap::NONE, others: Cap::NONE, has_video: true },
            Self::AudioOnly => Meaning { active: Cap::NONE, others: Cap::NONE, has_video: false },
        }
    }
}

/// A room's policy: a preset and its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What of whom.
    pub preset: Preset,
    /// How many voices each hears, 1 to [`MAX_VOICES`].
    pub voices: u8,
    /// How many videos a receiver is sent at most, cameras and screens together.
    pub videos_per_receiver: u16,
}

impl Policy {
    /// A preset with the default numbers.
    #[must_use]
    pub const fn of(preset: Preset) -> Self {
        Self { preset, voices: DEFAULT_VOICES, videos_per_receiver: DEFAULT_VIDEOS_PER_RECEIVER }
    }

    /// How many voices each hears, within bounds.
    pub(crate) fn voices(&self) -> u8 {
        self.voices.clamp(1, MAX_VOICES)
    }

    /// How many videos a receiver is sent at most.
    pub(crate) const fn videos(&self) -> usize {
        if self.preset.meaning().has_video { self.videos_per_receiver as usize } else { 0 }
    }

    /// The cap of a camera. Screens have none.
    pub(crate) const fn camera_cap(&self, is_active: bool) -> Cap {
        let meaning = self.preset.meaning();
        if is_active { meaning.active } else { meaning.others }
    }

    /// Whether a camera's cap depends on who speaks.
    pub(crate) fn tells_speakers_apart(&self) -> bool {
        let Meaning { active, others, .. } = self.preset.meaning();
        active != others
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::of(Preset::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Preset; 6] = [
        Preset::SmallMeeting,
        Preset::MediumGallery,
        Preset::LargeGallery,
        Preset::Presentation,
        Preset::Webinar,
        Preset::AudioOnly,
    ];

    #[test]
    fn the_active_speaker_never_gets_less_than_others() {
        let or_any = |limit: u16| if limit == 0 { u16::MAX } else { limit };
        for preset in ALL {
            let policy = Policy::of(preset);
            let (active, others) = (policy.camera_cap(true), policy.camera_cap(false));
            assert!(or_any(active.height) >= or_any(others.height), "{preset:?}");
            assert!(or_any(active.fps.into()) >= or_any(others.fps.into()), "{preset:?}");
        }
    }

    #[test]
    fn only_audio_only_has_no_video_and_voices_stay_within_bounds() {
        for preset in ALL {
            assert_eq!(Policy::of(preset).videos() == 0, preset == Preset::AudioOnly);
            for (asked, given) in [(0, 1), (3, 3), (200, MAX_VOICES)] {
                assert_eq!(Policy { voices: asked, ..Policy::of(preset) }.voices(), given);
            }
        }
    }
}
