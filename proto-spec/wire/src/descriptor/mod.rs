//! What payloads say of frames and layers themselves, for packets without frame marking: `proto-spec/spec/03-media.md`
//! section 3.2.
//!
//! Every parser is a total function of a payload's first bytes. None of them is of use for a payload that its sender sealed.

#[cfg(test)]
mod tests;
pub mod vp8;

use crate::ext::FrameMarking;
use crate::payload_type::PayloadType;

/// Reads the descriptors of one RTP stream, in the order in which its packets arrive.
#[derive(Clone, Debug, Default)]
pub struct Descriptors {}

impl Descriptors {
    /// What a packet's own descriptor says, in the words of frame marking. `marker` is the RTP header's bit.
    ///
    /// `None` if the payload is malformed or of a kind that says nothing. In contrast to frame marking, only a frame's first
    /// packet is [`FrameMarking::independent`] where a codec says that once a frame.
    pub fn marking(
        &mut self,
        payload_type: PayloadType,
        payload: &[u8],
        marker: bool,
    ) -> Option<FrameMarking> {
        match payload_type {
            PayloadType::Vp8 => vp8::Descriptor::parse(payload).map(|descriptor| descriptor.marking(marker)),
            _ => None,
        }
    }
}
