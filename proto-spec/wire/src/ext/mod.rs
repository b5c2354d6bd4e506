//! RTP header extensions: RFC 8285, and the elements that Sluice uses (`proto-spec/spec/03-media.md` section 3.2).

mod elements;
mod media;
#[cfg(test)]
mod tests;

pub use crate::rtp::BufferTooSmall;
pub use elements::{AudioLevel, CaptureTime, FrameMarking};
pub use media::MediaExtensions;

/// The profile of a block of one-byte elements, RFC 8285 section 4.2.
pub const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// The upper 12 bits of the profile of a block of two-byte elements, RFC 8285 section 4.3; the lower 4 are free.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

const TWO_BYTE_PROFILE_MASK: u16 = 0xFFF0;

/// The fixed ids of the native protocol's header extensions.
pub mod id {
    /// Audio level, RFC 6464.
    pub const AUDIO_LEVEL: u8 = 1;
    /// Transport-wide sequence number, draft-holmer-rmcat-transport-wide-cc-extensions-01.
    pub const TRANSPORT_SEQUENCE: u8 = 2;
    /// Frame marking, RFC 9626.
    pub const FRAME_MARKING: u8 = 3;
    /// Absolute capture time.
    pub const CAPTURE_TIME: u8 = 4;
    /// AV1 dependency descriptor; reserved for a later version.
    pub const DEPENDENCY_DESCRIPTOR: u8 = 5;
    /// Reserved for links between routers.
    pub const LINK: u8 = 6;
}

/// One element of an extension block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The local identifier: 1 to 14 in the one-byte form, 1 to 255 in the two-byte form.
    pub id: u8,
    /// The content: 1 to 16 bytes in the one-byte form, 0 to 255 in the two-byte form.
    pub data: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum Form {
    OneByte,
    TwoByte,
}

/// Iterates over the elements of an extension block. Padding is skipped; it ends before the first malformed element.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    form: Form,
    rest: &'a [u8],
}

impl Default for Extensions<'_> {
    fn default() -> Self {
        Self { form: Form::OneByte, rest: &[] }
    }
}

impl<'a> Extensions<'a> {
    /// The elements of a block's content (without its 4-byte header). Empty if the profile is neither form of RFC 8285.
    #[must_use]
    pub fn from_block(profile: u16, block: &'a [u8]) -> Self {
        if profile == ONE_BYTE_PROFILE {
            Self { form: Form::OneByte, rest: block }
        } else if profile & TWO_BYTE_PROFILE_MASK == TWO_BYTE_PROFILE {
            Self { form: Form::TwoByte, rest: block }
        } else {
            Self::default()
        }
    }

    /// Bytes of the block that have not been walked.
    pub(crate) const fn rest_len(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        let rest = std::mem::take(&mut self.rest);
        let start = rest.iter().position(|byte| *byte != 0)?;
        let (extension, rest) = match self.form {
            Form::OneByte => split_one_byte(&rest[start..])?,
            Form::TwoByte => split_two_byte(&rest[start..])?,
        };
        self.rest = rest;
        Some(extension)
    }
}

/// Splits the first one-byte element off. Id 15, and id 0 with a length, end the block (RFC 8285 section 4.2).
fn split_one_byte(bytes: &[u8]) -> Option<(Extension<'_>, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    let id = head >> 4;
    if id == 0 || id == 15 {
        return None;
    }
    let (data, rest) = rest.split_at_checked(usize::from(head & 0x0F) + 1)?;
    Some((Extension { id, data }, rest))
}

/// Splits the first two-byte element off.
fn split_two_byte(bytes: &[u8]) -> Option<(Extension<'_>, &[u8])> {
    let (&[id, len], rest) = bytes.split_first_chunk::<2>()?;
    let (data, rest) = rest.split_at_checked(usize::from(len))?;
    Some((Extension { id, data }, rest))
}
