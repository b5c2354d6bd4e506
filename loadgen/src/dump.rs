//! What one receiver gets, as files that other programs can decode: a VP8 IVF for each slot that shows pictures.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use sluice_client::media::Codec;
use sluice_client::media::ivf::{frame_header, vp8_file_header};
use sluice_client::media::vp8::FrameHeader;
use sluice_client::session::ReceivedFrame;

/// The file of a slot.
#[derive(Debug)]
struct Slot {
    file: BufWriter<File>,
    timestamp: u32,
    /// In ticks since the first frame.
    pts: u64,
}

/// Writes what comes on the slots of one receiver, frame by frame.
#[derive(Debug)]
pub struct Dump {
    directory: PathBuf,
    slots: BTreeMap<u16, Slot>,
    failure: Option<String>,
}

impl Dump {
    /// Makes the directory if there is none.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn new(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned(), slots: BTreeMap::new(), failure: None })
    }

    /// Writes a frame, if it is VP8, whether it can be decoded or not. After a first failure nothing more is written.
    pub fn write(&mut self, frame: &ReceivedFrame) {
        if frame.codec == Codec::Vp8
            && self.failure.is_none()
            && let Err(error) = self.try_write(frame)
        {
            self.failure = Some(format!("cannot write to {}: {error}", self.directory.display()));
        }
    }

    /// Writes what is still in memory. Gives what went wrong, in words.
    pub fn finish(&mut self) -> Option<String> {
        for slot in self.slots.values_mut() {
            if let Err(error) = slot.file.flush() {
                self.failure.get_or_insert_with(|| format!("cannot write: {error}"));
            }
        }
        self.failure.take()
    }

    fn try_write(&mut self, frame: &ReceivedFrame) -> io::Result<()> {
        let (data, timestamp) = (&frame.frame.data, frame.frame.timestamp);
        if !self.slots.contains_key(&frame.slot) {
            let path = self.directory.join(format!("slot-{:02}.ivf", frame.slot));
            let mut file = BufWriter::new(File::create(path)?);
            let (width, height) = match FrameHeader::parse(data) {
                Some(FrameHeader::Key { width, height }) => (width, height),
                _ => (0, 0),
            };
            file.write_all(&vp8_file_header(width, height))?;
            self.slots.insert(frame.slot, Slot { file, timestamp, pts: 0 });
        }
        let Some(slot) = self.slots.get_mut(&frame.slot) else { return Ok(()) };
        slot.pts += u64::from(timestamp.wrapping_sub(slot.timestamp));
        slot.timestamp = timestamp;
        slot.file.write_all(&frame_header(data.len() as u32, slot.pts))?;
        slot.file.write_all(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_client::media::depacketize::AssembledFrame;
    use sluice_client::media::ivf::IvfReader;
    use sluice_wire::time::Time;
    use sluice_wire::track::TrackId;

    const KEY: &[u8] = &[0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xB4, 0x00, 0];

    fn frame(slot: u16, codec: Codec, timestamp: u32, data: &[u8]) -> ReceivedFrame {
        let frame =
            AssembledFrame { timestamp, first_index: 0, data: data.to_vec(), key: true, follows_gap: false };
        ReceivedFrame {
            slot,
            track: TrackId::from_bits(257).unwrap(),
            codec,
            frame,
            is_decodable: true,
            temporal_id: 0,
            captured_at: None,
            received_at: Time::ZERO,
        }
    }

    #[test]
    fn every_slot_with_pictures_gets_a_file_with_growing_times() {
        let directory = tempfile::tempdir().unwrap();
        let mut dump = Dump::new(&directory.path().join("new")).unwrap();
        dump.write(&frame(3, Codec::Vp8, u32::MAX - 999, KEY));
        dump.write(&frame(0, Codec::Opus, 5, b"sound"));
        dump.write(&frame(3, Codec::Vp8, 2_000, b"inter"));
        assert_eq!(dump.finish(), None);
        let files: Vec<_> = std::fs::read_dir(directory.path().join("new")).unwrap().collect();
        assert_eq!(files.len(), 1);
        let bytes = std::fs::read(directory.path().join("new/slot-03.ivf")).unwrap();
        let reader = IvfReader::new(&bytes).unwrap();
        assert_eq!((reader.width(), reader.height()), (320, 180));
        let frames: Vec<_> = reader.map(Result::unwrap).map(|frame| (frame.pts, frame.data)).collect();
        assert_eq!(frames, [(0, KEY), (3_000, &b"inter"[..])]);
    }

    #[test]
    fn a_directory_that_cannot_be_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Dump::new(&file.path().join("below")).is_err());
        let directory = tempfile::tempdir().unwrap();
        let mut dump = Dump::new(&directory.path().join("gone")).unwrap();
        std::fs::remove_dir(directory.path().join("gone")).unwrap();
        dump.write(&frame(0, Codec::Vp8, 0, KEY));
        assert!(dump.finish().unwrap().contains("gone"));
    }
}
