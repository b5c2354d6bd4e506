//! The list of clips in a directory, `manifest.toml`: what their containers do not say.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sluice_wire::track::TrackKind;

use super::Codec;
use super::clip::{Clip, ClipError, ClipOptions, Container, LoadClipError, TemporalPattern};

/// The manifest's name in a directory of clips.
pub const MANIFEST_FILE: &str = "manifest.toml";
/// The largest manifest that is read, in bytes: thousands of clips.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than [`MAX_MANIFEST_BYTES`].
    #[error("{path} is too large for a manifest")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The text is not TOML of the right shape.
    #[error("the manifest of clips is malformed")]
    Parse(#[from] toml::de::Error),
}

/// The clips of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// In the order of the file.
    #[serde(rename = "clip", default)]
    pub clips: Vec<ManifestEntry>,
}

/// What a manifest says of one clip.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEntry {
    /// Name of the file beside the manifest.
    pub file: String,
    /// For which kind of track it is made.
    pub kind: TrackKind,
    /// Its codec.
    pub codec: Codec,
    /// Width in pixels, of video.
    pub width: Option<u16>,
    /// Height in pixels, of video.
    pub height: Option<u16>,
    /// Frames per second, of video.
    pub fps: Option<u32>,
    /// The temporal layer of each frame, repeated; without, there is one layer.
    #[serde(default)]
    pub temporal_ids: Vec<u8>,
    /// Of each frame of `temporal_ids`, whether it is of an upper layer and depends on the base layer alone.
    #[serde(default)]
    pub base_sync: Vec<bool>,
}

impl Manifest {
    /// Reads a manifest's text.
    ///
    /// # Errors
    /// [`ManifestError::Parse`].
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        Ok(toml::from_str(text)?)
    }

    /// Reads the manifest of a directory. Blocks.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn load(directory: &Path) -> Result<Self, ManifestError> {
        let path = directory.join(MANIFEST_FILE);
        let text = std::fs::metadata(&path).and_then(|metadata| {
            if metadata.len() > MAX_MANIFEST_BYTES {
                Ok(None)
            } else {
                std::fs::read_to_string(&path).map(Some)
            }
        });
        match text {
            Ok(Some(text)) => Self::parse(&text),
            Ok(None) => Err(ManifestError::TooLarge { path }),
            Err(source) => Err(ManifestError::Io { path, source }),
        }
    }
}

impl ManifestEntry {
    /// What the clip's container does not say.
    ///
    /// # Errors
    /// [`ClipError::BadPattern`] if the temporal layers make no sense.
    pub fn options(&self) -> Result<ClipOptions, ClipError> {
        let temporal = if self.temporal_ids.is_empty() && self.base_sync.is_empty() {
            TemporalPattern::default()
        } else {
            TemporalPattern::new(&self.temporal_ids, &self.base_sync)?
        };
        Ok(ClipOptions { temporal, width: self.width, height: self.height, frames_per_second: self.fps })
    }

    /// Loads the clip from the manifest's directory. Blocks.
    ///
    /// # Errors
    /// [`LoadClipError`] if it cannot be played, or is of another codec or size than the manifest says.
    pub fn load(&self, directory: &Path) -> Result<Clip, LoadClipError> {
        let path = directory.join(&self.file);
        let clip = self
            .options()
            .map_err(|source| LoadClipError::new(&path, source))
            .and_then(|options| Clip::load(&path, &options))?;
        self.check(clip).map_err(|source| LoadClipError::new(&path, source))
    }

    /// Reads the clip from the bytes of its file, for clips that are embedded in a program.
    ///
    /// # Errors
    /// [`ClipError`] if it cannot be played, or is of another codec or size than the manifest says.
    pub fn read(&self, file: &[u8]) -> Result<Clip, ClipError> {
        let container =
            Container::from_extension(Path::new(&self.file)).ok_or(ClipError::UnknownExtension)?;
        self.check(Clip::from_bytes(container, file, &self.options()?)?)
    }

    fn check(&self, clip: Clip) -> Result<Clip, ClipError> {
        let agrees = clip.codec() == self.codec
            && self.width.is_none_or(|width| width == clip.width())
            && self.height.is_none_or(|height| height == clip.height());
        if agrees { Ok(clip) } else { Err(ClipError::NotAsStated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEECH: &[u8] = include_bytes!("../../../../loadgen/media/speech-1.ogg");

    #[test]
    fn an_entry_needs_little() {
        let manifest =
            Manifest::parse("[[clip]]\nfile = 'a.ogg'\nkind = 'microphone'\ncodec = 'opus'").unwrap();
        let [entry] = manifest.clips.as_slice() else { panic!("one clip") };
        assert_eq!((entry.kind, entry.codec), (TrackKind::Microphone, Codec::Opus));
        assert_eq!(entry.options().unwrap(), ClipOptions::default());
        assert_eq!(entry.read(SPEECH).unwrap().frames().len(), 251);
    }

    #[test]
    fn a_clip_that_is_not_as_stated_is_refused() {
        let read = |codec: &str, width: &str| {
            let text = format!("[[clip]]\nfile = 'a.ogg'\nkind = 'microphone'\ncodec = '{codec}'\n{width}");
            Manifest::parse(&text).unwrap().clips[0].read(SPEECH)
        };
        assert!(read("opus", "").is_ok());
        assert!(matches!(read("vp8", ""), Err(ClipError::NotAsStated)));
        assert!(matches!(read("opus", "width = 640"), Err(ClipError::NotAsStated)));
        assert!(matches!(read("opus", "base_sync = [true]"), Err(ClipError::BadPattern)));
    }

    #[test]
    fn mistakes_in_the_text_are_errors() {
        for text in
            ["[[clip]]\nfile = 'a.ivf'", "clips = 3", "[[clip]]\nfile = 'a'\nkind = 'camera'\ncodec = 'av2'"]
        {
            assert!(matches!(Manifest::parse(text), Err(ManifestError::Parse(_))), "{text}");
        }
        assert!(matches!(Manifest::load(Path::new("no/such/place")), Err(ManifestError::Io { .. })));
    }
}
