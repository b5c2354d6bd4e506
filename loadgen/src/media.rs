//! What publishers play.
//!
//! The clips of `loadgen/media` are part of the program; others come from a directory with a manifest.

use std::path::Path;

use sluice_client::media::clip::{Clip, ClipError, LoadClipError};
use sluice_client::media::manifest::{Manifest, ManifestEntry, ManifestError};
use sluice_wire::track::TrackKind;

/// The camera that is played when nobody says another.
pub const DEFAULT_CAMERA: &str = "camera-360p30";
/// A camera with all the encodings that there are, lowest first.
pub const SIMULCAST: &str = "camera-180p30,camera-360p30,camera-720p30,camera-1080p30";
/// The camera choice for sound alone.
pub const NO_CAMERA: &str = "none";
/// Encodings of one track (`proto-spec/spec/07-limits.md`).
const MAX_ENCODINGS: usize = 4;

const MANIFEST: &str = include_str!("../media/manifest.toml");
/// The files that the manifest names.
const FILES: [(&str, &[u8]); 11] = [
    ("camera-1080p30.ivf", include_bytes!("../media/camera-1080p30.ivf")),
    ("camera-720p30.ivf", include_bytes!("../media/camera-720p30.ivf")),
    ("camera-360p30.ivf", include_bytes!("../media/camera-360p30.ivf")),
    ("camera-180p30.ivf", include_bytes!("../media/camera-180p30.ivf")),
    ("camera-720p30.h264", include_bytes!("../media/camera-720p30.h264")),
    ("camera-360p30.h264", include_bytes!("../media/camera-360p30.h264")),
    ("screen-720p5.ivf", include_bytes!("../media/screen-720p5.ivf")),
    ("speech-1.ogg", include_bytes!("../media/speech-1.ogg")),
    ("speech-2.ogg", include_bytes!("../media/speech-2.ogg")),
    ("speech-3.ogg", include_bytes!("../media/speech-3.ogg")),
    ("speech-4.ogg", include_bytes!("../media/speech-4.ogg")),
];

/// Why there is nothing to play.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A clip's file cannot be used.
    #[error(transparent)]
    Load(#[from] LoadClipError),
    /// An embedded clip cannot be used.
    #[error("cannot use the embedded clip {file}")]
    Embedded {
        /// Which one.
        file: String,
        /// Why.
        source: ClipError,
    },
    /// No clip has the name.
    #[error("there is no camera clip {name:?}; there are: {known}, or {NO_CAMERA}")]
    UnknownCamera {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// Simulcast takes clips of one codec, frame rate and length, at most four, in order of growing height.
    #[error(
        "the clips of {0:?} do not make one simulcast track: same codec, frame rate and length, growing height"
    )]
    NotOneTrack(String),
    /// Everybody who publishes speaks.
    #[error("there is no clip for microphones")]
    NoMicrophone,
}

/// The clips of a run, in memory.
#[derive(Clone, Debug)]
pub struct MediaSet {
    /// For microphones, at least one; publishers take turns.
    pub microphones: Vec<Clip>,
    /// The encodings of every camera, by growing height; empty for none.
    pub camera: Vec<Clip>,
    /// For the shared screen.
    pub screen: Option<Clip>,
}

impl MediaSet {
    /// The clips of the program, with this camera: a clip's name with or without extension (`camera-720p30`,
    /// `camera-360p30.h264`), several of them joined by commas for simulcast, or `none`.
    ///
    /// # Errors
    /// [`MediaError`] if there is no such camera.
    pub fn embedded(camera: &str) -> Result<Self, MediaError> {
        let manifest = Manifest::parse(MANIFEST)?;
        Self::choose(&manifest, camera, |entry| {
            let fail = |source| MediaError::Embedded { file: entry.file.clone(), source };
            let file = FILES.iter().find(|(name, _)| *name == entry.file);
            let bytes = file.map_or(&[][..], |(_, bytes)| bytes);
            entry.read(bytes).map_err(fail)
        })
    }

    /// The clips of a directory with a `manifest.toml`. Blocks.
    ///
    /// # Errors
    /// [`MediaError`] if a file is missing or unfit, or there is no such camera.
    pub fn load(directory: &Path, camera: &str) -> Result<Self, MediaError> {
        let manifest = Manifest::load(directory)?;
        Self::choose(&manifest, camera, |entry| Ok(entry.load(directory)?))
    }

    fn choose(
        manifest: &Manifest,
        camera: &str,
        read: impl Fn(&ManifestEntry) -> Result<Clip, MediaError>,
    ) -> Result<Self, MediaError> {
        let of_kind = |kind| manifest.clips.iter().filter(move |entry| entry.kind == kind);
        let microphones: Vec<Clip> = of_kind(TrackKind::Microphone).map(&read).collect::<Result<_, _>>()?;
        if microphones.is_empty() {
            return Err(MediaError::NoMicrophone);
        }
        let screen = of_kind(TrackKind::Screen).next().map(&read).transpose()?;
        let names = camera.split(',').map(str::trim).filter(|name| *name != NO_CAMERA);
        let camera_clips: Vec<Clip> = names
            .map(|name| {
                let cameras = of_kind(TrackKind::Camera);
                let entry = cameras.clone().find(|entry| is_called(entry, name));
                let known = || cameras.map(|entry| entry.file.as_str()).collect::<Vec<_>>().join(", ");
                read(
                    entry
                        .ok_or_else(|| MediaError::UnknownCamera { name: name.to_owned(), known: known() })?,
                )
            })
            .collect::<Result<_, _>>()?;
        if is_one_track(&camera_clips) {
            Ok(Self { microphones, camera: camera_clips, screen })
        } else {
            Err(MediaError::NotOneTrack(camera.to_owned()))
        }
    }
}

fn is_called(entry: &ManifestEntry, name: &str) -> bool {
    let stem = entry.file.rsplit_once('.').map_or(entry.file.as_str(), |(stem, _)| stem);
    entry.file == name || stem == name
}

/// Whether the clips can be played in lockstep as encodings of one track.
fn is_one_track(clips: &[Clip]) -> bool {
    let alike = |a: &Clip, b: &Clip| {
        a.codec() == b.codec()
            && a.height() < b.height()
            && a.frames().len() == b.frames().len()
            && a.duration_ticks() == b.duration_ticks()
    };
    clips.len() <= MAX_ENCODINGS && clips.windows(2).all(|pair| alike(&pair[0], &pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clip_of_the_manifest_is_in_the_program() {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let named: Vec<&str> = manifest.clips.iter().map(|entry| entry.file.as_str()).collect();
        assert_eq!(named, FILES.map(|(name, _)| name));
        let media = MediaSet::embedded(DEFAULT_CAMERA).unwrap();
        assert_eq!((media.microphones.len(), media.camera.len()), (4, 1));
        assert_eq!(media.camera[0].height(), 360);
        assert_eq!(media.screen.unwrap().height(), 720);
    }

    #[test]
    fn cameras_are_chosen_by_name() {
        let heights = |camera| {
            let media = MediaSet::embedded(camera)?;
            Ok::<_, MediaError>(media.camera.iter().map(Clip::height).collect::<Vec<_>>())
        };
        assert_eq!(heights("camera-720p30.h264").unwrap(), [720]);
        assert_eq!(heights("camera-180p30, camera-360p30,camera-720p30").unwrap(), [180, 360, 720]);
        assert_eq!(heights(SIMULCAST).unwrap(), [180, 360, 720, 1_080]);
        assert_eq!(heights("none").unwrap(), [0_u16; 0]);
        assert!(matches!(heights("camera-4k"), Err(MediaError::UnknownCamera { .. })));
        assert!(matches!(heights("screen-720p5"), Err(MediaError::UnknownCamera { .. })));
        assert!(matches!(heights("camera-360p30,camera-180p30"), Err(MediaError::NotOneTrack(_))));
        assert!(matches!(heights("camera-180p30,camera-360p30.h264"), Err(MediaError::NotOneTrack(_))));
    }

    #[test]
    fn the_directory_gives_the_same_clips() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("media");
        let loaded = MediaSet::load(&directory, DEFAULT_CAMERA).unwrap();
        assert_eq!(loaded.camera, MediaSet::embedded(DEFAULT_CAMERA).unwrap().camera);
        assert!(MediaSet::load(&directory.join("none"), DEFAULT_CAMERA).is_err());
    }
}
