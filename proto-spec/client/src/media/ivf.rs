//! IVF: the simplest container of VP8. A file header of 32 bytes, then frames behind headers of 12 bytes, little-endian.

use super::Codec;

const SIGNATURE: &[u8; 4] = b"DKIF";
/// The length of the file header that every known writer makes.
const MIN_FILE_HEADER_BYTES: usize = 32;
/// The length of a frame's header: size (4) and presentation time (8).
const FRAME_HEADER_BYTES: usize = 12;

/// Why a file is not IVF, or where it ends too soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IvfError {
    /// The file does not begin with the signature `DKIF`.
    #[error("not an IVF file: the signature DKIF is missing")]
    Signature,
    /// The file header is cut short, or states a length of its own that is too small or beyond the file's end.
    #[error("the IVF file header is cut short")]
    FileHeader,
    /// The time base has a zero in it.
    #[error("the IVF time base is zero")]
    TimeBase,
    /// A frame is cut short.
    #[error("IVF frame {0} is cut short")]
    Frame(usize),
}

/// The file header of a VP8 file whose times are ticks of the RTP clock, for writers that do not know yet how many frames will come
/// behind it: it says none, which readers do not rely on.
#[must_use]
pub fn vp8_file_header(width: u16, height: u16) -> [u8; MIN_FILE_HEADER_BYTES] {
    let mut header = [0; MIN_FILE_HEADER_BYTES];
    header[..4].copy_from_slice(SIGNATURE);
    header[6..8].copy_from_slice(&(MIN_FILE_HEADER_BYTES as u16).to_le_bytes());
    header[8..12].copy_from_slice(b"VP80");
    header[12..14].copy_from_slice(&width.to_le_bytes());
    header[14..16].copy_from_slice(&height.to_le_bytes());
    header[16..20].copy_from_slice(&Codec::Vp8.clock_rate_hz().to_le_bytes());
    header[20..24].copy_from_slice(&1_u32.to_le_bytes());
    header
}

/// What stands before a frame of so many bytes that is shown at `pts`.
#[must_use]
pub fn frame_header(bytes: u32, pts: u64) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    header[..4].copy_from_slice(&bytes.to_le_bytes());
    header[4..].copy_from_slice(&pts.to_le_bytes());
    header
}

/// A view of an IVF file; iterate to get its frames.
#[derive(Clone, Debug)]
pub struct IvfReader<'a> {
    fourcc: [u8; 4],
    width: u16,
    height: u16,
    ticks_per_second: (u32, u32),
    rest: &'a [u8],
    frames_read: usize,
}

/// A frame of an IVF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IvfFrame<'a> {
    /// Presentation time in units of the file's time base.
    pub pts: u64,
    /// The encoded frame; may be empty.
    pub data: &'a [u8],
}

impl<'a> IvfReader<'a> {
    /// Reads the file header. The header's frame count is not trusted: writers to pipes leave it wrong.
    ///
    /// # Errors
    /// [`IvfError`] if there is no whole header or its time base is zero.
    pub fn new(file: &'a [u8]) -> Result<Self, IvfError> {
        if file.get(..4) != Some(SIGNATURE) {
            return Err(IvfError::Signature);
        }
        let header = file.first_chunk::<MIN_FILE_HEADER_BYTES>().ok_or(IvfError::FileHeader)?;
        let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let header_bytes = usize::from(u16_at(6));
        if header_bytes < MIN_FILE_HEADER_BYTES {
            return Err(IvfError::FileHeader);
        }
        let ticks_per_second = (u32_at(16), u32_at(20));
        if ticks_per_second.0 == 0 || ticks_per_second.1 == 0 {
            return Err(IvfError::TimeBase);
        }
        Ok(Self {
            fourcc: [header[8], header[9], header[10], header[11]],
            width: u16_at(12),
            height: u16_at(14),
            ticks_per_second,
            rest: file.get(header_bytes..).ok_or(IvfError::FileHeader)?,
            frames_read: 0,
        })
    }

    /// The codec's four letters, `VP80` for VP8.
    #[must_use]
    pub const fn fourcc(&self) -> [u8; 4] {
        self.fourcc
    }

    /// Width in pixels.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub const fn height(&self) -> u16 {
        self.height
    }

    /// Ticks of presentation time per second, as numerator and denominator, neither of them zero.
    #[must_use]
    pub const fn ticks_per_second(&self) -> (u32, u32) {
        self.ticks_per_second
    }
}

impl<'a> Iterator for IvfReader<'a> {
    type Item = Result<IvfFrame<'a>, IvfError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (frame, rest) = match split_frame(self.rest) {
            Some((frame, rest)) => (Ok(frame), rest),
            None => (Err(IvfError::Frame(self.frames_read)), &[][..]),
        };
        self.rest = rest;
        self.frames_read += 1;
        Some(frame)
    }
}

fn split_frame(bytes: &[u8]) -> Option<(IvfFrame<'_>, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()?;
    let [s0, s1, s2, s3, pts @ ..] = *header;
    let size = usize::try_from(u32::from_le_bytes([s0, s1, s2, s3])).ok()?;
    let (data, rest) = rest.split_at_checked(size)?;
    Some((IvfFrame { pts: u64::from_le_bytes(pts), data }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[(u64, &[u8])]) -> Vec<u8> {
        let mut file = b"DKIF\0\0\x20\0VP80".to_vec();
        file.extend([0x00, 0x05, 0xD0, 0x02, 30, 0, 0, 0, 1, 0, 0, 0]);
        file.extend([0; 8]);
        for (pts, data) in frames {
            file.extend((data.len() as u32).to_le_bytes());
            file.extend(pts.to_le_bytes());
            file.extend(*data);
        }
        file
    }

    #[test]
    fn header_and_frames_are_read() {
        let file = file(&[(0, b"one"), (7, b""), (1 << 40, b"three")]);
        let reader = IvfReader::new(&file).unwrap();
        assert_eq!(&reader.fourcc(), b"VP80");
        assert_eq!((reader.width(), reader.height(), reader.ticks_per_second()), (1280, 720, (30, 1)));
        let frames: Vec<_> = reader.map(Result::unwrap).map(|frame| (frame.pts, frame.data)).collect();
        assert_eq!(frames, [(0, &b"one"[..]), (7, b""), (1 << 40, b"three")]);
    }

    #[test]
    fn what_is_written_is_read() {
        let frames: [(u64, &[u8]); 2] = [(3_000, b"one"), (1 << 40, b"")];
        let mut file = vp8_file_header(1920, 1080).to_vec();
        for (pts, data) in frames {
            file.extend(frame_header(data.len() as u32, pts));
            file.extend(data);
        }
        let reader = IvfReader::new(&file).unwrap();
        assert_eq!((&reader.fourcc(), reader.ticks_per_second()), (b"VP80", (90_000, 1)));
        assert_eq!((reader.width(), reader.height()), (1920, 1080));
        let read: Vec<_> = reader.map(Result::unwrap).map(|frame| (frame.pts, frame.data)).collect();
        assert_eq!(read, frames);
    }

    #[test]
    fn every_cut_is_an_error_or_a_shorter_file() {
        let file = file(&[(0, b"one"), (1, b"two")]);
        for len in 0..file.len() {
            match IvfReader::new(&file[..len]) {
                Err(error) if len < 4 => assert_eq!(error, IvfError::Signature),
                Err(error) => assert_eq!((error, len < 32), (IvfError::FileHeader, true)),
                Ok(reader) => {
                    let whole_frames = (len - 32) / 15;
                    let results: Vec<_> = reader.collect();
                    assert_eq!(results.iter().filter(|frame| frame.is_ok()).count(), whole_frames);
                    let error = ((len - 32) % 15 != 0).then_some(IvfError::Frame(whole_frames));
                    assert_eq!(results.into_iter().find_map(Result::err), error);
                }
            }
        }
    }

    #[test]
    fn a_time_base_of_zero_and_a_short_header_length_are_refused() {
        let mut zero_rate = file(&[]);
        zero_rate[16] = 0;
        assert_eq!(IvfReader::new(&zero_rate).err(), Some(IvfError::TimeBase));
        let mut short = file(&[]);
        short[6] = 31;
        assert_eq!(IvfReader::new(&short).err(), Some(IvfError::FileHeader));
    }
}
