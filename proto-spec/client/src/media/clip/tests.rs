use proptest::prelude::*;

use super::*;
use crate::media::manifest::Manifest;
use crate::media::opus::SILENT_LEVEL;

fn shipped_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen/media")
}

fn shipped() -> Vec<(String, Clip)> {
    let manifest = Manifest::load(&shipped_dir()).unwrap();
    manifest.clips.iter().map(|entry| (entry.file.clone(), entry.load(&shipped_dir()).unwrap())).collect()
}

#[test]
fn the_shipped_clips_are_a_few_seconds_with_key_frames_on_a_grid() {
    let clips = shipped();
    assert_eq!(clips.len(), 11);
    for (file, clip) in &clips {
        let rate = u64::from(clip.codec().clock_rate_hz());
        let frames = clip.frames().len();
        let keys: Vec<usize> = (0..frames).filter(|at| clip.frames()[*at].key).collect();
        if clip.codec() == Codec::Opus {
            // The encoder's delay makes it one packet more.
            assert_eq!((frames, keys.len(), clip.duration_ticks()), (251, 251, 251 * 960), "{file}");
            assert!(clip.frames().iter().all(|frame| frame.duration_ticks == 960), "{file}");
        } else {
            let (expected, expected_keys, per_second) = match file.rsplit_once('.') {
                Some((_, "h264")) => (150, vec![0], 30),
                _ if file.starts_with("screen") => (25, vec![0], 5),
                _ => (128, vec![0, 64], 30),
            };
            assert_eq!((frames, keys), (expected, expected_keys), "{file}");
            assert_eq!(clip.duration_ticks(), rate * frames as u64 / per_second, "{file}");
        }
        assert!(clip.frames().iter().all(|frame| frame.hash == frame_hash(&frame.data)), "{file}");
    }
}

#[test]
fn the_shipped_cameras_have_their_sizes_rates_and_layers() {
    let clips = shipped();
    let facts: Vec<_> = clips
        .iter()
        .filter(|(_, clip)| clip.codec().is_video())
        .map(|(file, clip)| {
            let rates = [0, 1, 2].map(|highest| clip.bits_per_second(highest) / 10_000 * 10);
            (file.as_str(), (clip.width(), clip.height()), clip.temporal_layers(), rates)
        })
        .collect();
    let expected = [
        ("camera-1080p30.ivf", (1920, 1080), 3, [990, 1_450, 2_540]),
        ("camera-720p30.ivf", (1280, 720), 3, [530, 760, 1_300]),
        ("camera-360p30.ivf", (640, 360), 3, [190, 270, 450]),
        ("camera-180p30.ivf", (320, 180), 3, [60, 80, 130]),
        ("camera-720p30.h264", (1280, 720), 1, [700, 700, 700]),
        ("camera-360p30.h264", (640, 360), 1, [260, 260, 260]),
        ("screen-720p5.ivf", (1280, 720), 1, [390, 390, 390]),
    ];
    assert_eq!(facts, expected);
    let layers: Vec<_> = clips[0].1.frames()[..6]
        .iter()
        .map(|frame| (frame.layer.temporal_id, frame.layer.base_sync, frame.layer.discardable))
        .collect();
    let t0 = (0, false, false);
    assert_eq!(layers, [t0, (2, true, true), (1, true, false), (2, false, true), t0, (2, true, true)]);
}

#[test]
fn speech_has_silent_and_loud_packets() {
    for (file, clip) in shipped().into_iter().filter(|(_, clip)| clip.codec() == Codec::Opus) {
        let levels: Vec<u8> = clip.frames().iter().filter_map(|frame| frame.audio_level).collect();
        assert_eq!(levels.len(), clip.frames().len());
        let silent = levels.iter().filter(|&&level| level == SILENT_LEVEL).count();
        let loud = levels.iter().filter(|&&level| level < 50).count();
        assert!(silent >= 4 && loud > 150, "{file}: {silent} silent, {loud} loud");
    }
}

#[test]
fn a_loop_goes_round_and_jumps_to_the_nearest_key_frame() {
    let (_, clip) = shipped().swap_remove(0);
    let mut looped = clip.looped_from(0);
    for round in 0..2 {
        for expected in clip.frames() {
            assert_eq!(looped.next_frame(), expected, "round {round}");
        }
    }
    for (place, key) in [(0, 0), (31, 0), (33, 64), (95, 64), (97, 0), (128 + 60, 64)] {
        looped.next_frame();
        looped.jump_to_key_frame_near(place);
        assert_eq!(looped.next_frame(), &clip.frames()[key], "{place}");
    }
    assert_eq!(clip.looped_from(77).next_frame(), &clip.frames()[64], "video begins at a key frame");
    let (_, speech) = shipped().swap_remove(10);
    assert_eq!(speech.looped_from(251 + 77).next_frame(), &speech.frames()[77]);
}

#[test]
fn errors_name_the_file_and_the_reason() {
    let text = |path: &Path| {
        let error = Clip::load(path, &ClipOptions::default()).unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    };
    assert!(text(Path::new("no/such/clip.ivf")).starts_with("cannot load the clip no/such/clip.ivf: "));
    assert!(text(Path::new("clip.mp4")).ends_with("none of ivf, h264, 264, ogg, opus"));
    assert!(text(&shipped_dir().join("camera-360p30.h264")).ends_with("frame rate (1 to 240) stated"));
}

fn ivf(frames: &[(u64, &[u8])]) -> Vec<u8> {
    let mut file = b"DKIF\0\0\x20\0VP80\x02\0\x02\0".to_vec();
    file.extend([30, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (pts, data) in frames {
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(pts.to_le_bytes());
        file.extend(*data);
    }
    file
}

const KEY: &[u8] = &[0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xB4, 0x00, 0];
const INTER: &[u8] = &[0x11, 0, 0, 0];

#[test]
fn durations_are_those_between_presentation_times() {
    let file = ivf(&[(0, KEY), (1, INTER), (4, INTER)]);
    let clip = Clip::from_bytes(Container::Ivf, &file, &ClipOptions::default()).unwrap();
    let ticks: Vec<u32> = clip.frames().iter().map(|frame| frame.duration_ticks).collect();
    assert_eq!(ticks, [3_000, 9_000, 9_000]);
    assert_eq!((clip.width(), clip.height()), (320, 180), "the frame knows better than the container");
}

#[test]
fn clips_that_cannot_be_played_are_refused() {
    let read = |file: &[u8]| Clip::from_bytes(Container::Ivf, file, &ClipOptions::default()).unwrap_err();
    assert!(matches!(read(&ivf(&[])), ClipError::NoFrame));
    assert!(matches!(read(&ivf(&[(0, INTER)])), ClipError::NoKeyFrame));
    assert!(matches!(read(&ivf(&[(0, KEY), (1, b"")])), ClipError::BadFrame(1)));
    assert!(matches!(read(&ivf(&[(1, KEY), (1, INTER)])), ClipError::BadTime(1)));
    assert!(matches!(read(&ivf(&[(0, KEY), (u64::MAX, INTER)])), ClipError::BadTime(1)));
    let mut vp9 = ivf(&[(0, KEY)]);
    vp9[10] = b'9';
    assert!(matches!(read(&vp9), ClipError::NotVp8(codec) if codec == "VP90"));
}

#[test]
fn patterns_are_checked() {
    assert_eq!(TemporalPattern::new(&[0, 3], &[false, true]).unwrap().layers(), 4);
    for (ids, sync) in [(&[][..], &[][..]), (&[1], &[false]), (&[0, 4], &[false; 2]), (&[0], &[false; 2])] {
        assert!(matches!(TemporalPattern::new(ids, sync), Err(ClipError::BadPattern)), "{ids:?}");
    }
}

proptest! {
    #[test]
    fn damaged_files_never_panic(
        container in prop_oneof![Just(Container::Ivf), Just(Container::AnnexB), Just(Container::OggOpus)],
        at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()
    ) {
        let name = match container {
            Container::Ivf => "camera-180p30.ivf",
            Container::AnnexB => "camera-360p30.h264",
            Container::OggOpus => "speech-1.ogg",
        };
        let mut file = std::fs::read(shipped_dir().join(name)).unwrap();
        let at = at.index(file.len());
        file[at] = byte;
        file.truncate(cut.index(file.len()) + 1);
        let options = ClipOptions {
            width: Some(640), height: Some(360), frames_per_second: Some(30), ..ClipOptions::default()
        };
        let _result = Clip::from_bytes(container, &file, &options);
    }
}
