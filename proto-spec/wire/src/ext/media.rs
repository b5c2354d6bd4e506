//! The extensions of a media packet of the native protocol, read and written as one.

use super::{AudioLevel, BufferTooSmall, CaptureTime, Extension, FrameMarking, ONE_BYTE_PROFILE, id};
use crate::rtp::{Put, RtpPacket};

const BLOCK_HEADER_BYTES: usize = 4;
const TRANSPORT_SEQUENCE_BYTES: usize = 2;

/// What the header extensions of a media packet say, `proto-spec/spec/03-media.md` section 3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MediaExtensions {
    /// Loudness of an audio packet.
    pub audio_level: Option<AudioLevel>,
    /// The running number of all RTP packets of a direction, modulo 2^16.
    pub transport_sequence: Option<u16>,
    /// The packet's place in its frame and layers.
    pub frame_marking: Option<FrameMarking>,
    /// When the frame was captured.
    pub capture_time: Option<CaptureTime>,
}

impl MediaExtensions {
    /// Reads the known elements of a packet. Unknown ones and those of a wrong length are skipped; of several with one id
    /// the last counts.
    #[must_use]
    pub fn read(packet: &RtpPacket<'_>) -> Self {
        let mut found = Self::default();
        for Extension { id, data } in packet.extensions() {
            match id {
                id::AUDIO_LEVEL => found.audio_level = AudioLevel::parse(data),
                id::TRANSPORT_SEQUENCE => {
                    found.transport_sequence = data.try_into().ok().map(u16::from_be_bytes);
                }
                id::FRAME_MARKING => found.frame_marking = FrameMarking::parse(data),
                id::CAPTURE_TIME => found.capture_time = CaptureTime::parse(data),
                _ => {}
            }
        }
        found
    }

    /// Bytes of the extension block with its 4-byte header and padding; 0 if there are no extensions.
    #[must_use]
    pub const fn block_len(&self) -> usize {
        let content = self.content_len();
        if content == 0 { 0 } else { BLOCK_HEADER_BYTES + content.next_multiple_of(4) }
    }

    /// Writes the extension block, in the one-byte form and in order of id, to the start of `out`. Gives its length in
    /// bytes, which is 0 if there are no extensions.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if `out` is shorter than [`Self::block_len`].
    pub fn write_block(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        if out.len() < self.block_len() {
            return Err(BufferTooSmall);
        }
        let mut put = Put::new(out);
        self.put_block(&mut put)?;
        Ok(put.len())
    }

    pub(crate) fn put_block(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        let content = self.content_len();
        if content == 0 {
            return Ok(());
        }
        put.u16(ONE_BYTE_PROFILE)?;
        put.u16(content.div_ceil(4) as u16)?;
        if let Some(level) = self.audio_level {
            put_element(put, id::AUDIO_LEVEL, &level.to_bytes())?;
        }
        if let Some(sequence) = self.transport_sequence {
            put_element(put, id::TRANSPORT_SEQUENCE, &sequence.to_be_bytes())?;
        }
        if let Some(marking) = self.frame_marking {
            put_element(put, id::FRAME_MARKING, &marking.to_bytes())?;
        }
        if let Some(time) = self.capture_time {
            put_element(put, id::CAPTURE_TIME, &time.to_bytes())?;
        }
        put.pad_to_word()
    }

    /// Bytes of the elements with their one-byte heads, without padding.
    const fn content_len(&self) -> usize {
        let mut len = 0;
        if self.audio_level.is_some() {
            len += 1 + AudioLevel::BYTES;
        }
        if self.transport_sequence.is_some() {
            len += 1 + TRANSPORT_SEQUENCE_BYTES;
        }
        if self.frame_marking.is_some() {
            len += 1 + FrameMarking::BYTES;
        }
        if self.capture_time.is_some() {
            len += 1 + CaptureTime::BYTES;
        }
        len
    }
}

/// Writes a one-byte element; `data` has 1 to 16 bytes.
fn put_element(put: &mut Put<'_>, id: u8, data: &[u8]) -> Result<(), BufferTooSmall> {
    put.u8((id << 4) | (data.len() - 1) as u8)?;
    put.bytes(data)
}
