//! What payloads say of frames and layers themselves, for packets without frame marking: `proto-spec/spec/03-media.md`
//! section 3.2.
//!
//! Every parser is a total function of a payload's first bytes, or of a header extension's. None of those of payloads is of use
//! for a payload that its sender sealed.

pub mod av1;
mod bits;
mod h264;
mod sync;
#[cfg(test)]
mod tests;
pub mod vp8;
pub mod vp9;

use crate::ext::FrameMarking;
use crate::payload_type::PayloadType;
use sync::{Picture, SyncRun};

/// Reads the descriptors of one RTP stream, in the order in which its packets arrive.
///
/// It remembers what later packets lean on: the templates of AV1 (about a kilobyte, made when the first ones arrive) and the
/// last picture.
#[derive(Clone, Debug, Default)]
pub struct Descriptors {
    sync: SyncRun,
    structure: Option<Box<av1::Structure>>,
}

impl Descriptors {
    /// What a packet's payload says, in the words of frame marking. `marker` is the RTP header's bit.
    ///
    /// `None` if the payload is malformed or of a kind that says nothing; AV1 says it in an extension, see
    /// [`Self::marking_of_dependency`]. In contrast to frame marking, a frame may be [`FrameMarking::independent`] in its first
    /// packet only, and in H.264 each packet with parameter sets is [`FrameMarking::start`], as the slice behind them is.
    pub fn marking(
        &mut self,
        payload_type: PayloadType,
        payload: &[u8],
        marker: bool,
    ) -> Option<FrameMarking> {
        match payload_type {
            PayloadType::Vp8 => Some(vp8::Descriptor::parse(payload)?.marking(marker)),
            PayloadType::Vp9 => {
                let descriptor = vp9::Descriptor::parse(payload)?;
                let base_sync = descriptor.picture_id.is_some_and(|id| {
                    self.sync.is_base_sync(Picture {
                        number: id.value,
                        last_number: id.mask(),
                        numbered_by_layer: false,
                        spatial_id: descriptor.spatial_id,
                        temporal_id: descriptor.temporal_id,
                        is_key_frame: descriptor.starts_key_frame,
                        switches_up: descriptor.switching_up,
                    })
                });
                Some(descriptor.marking(base_sync))
            }
            PayloadType::H264 => h264::marking(payload, marker),
            PayloadType::Opus
            | PayloadType::Av1
            | PayloadType::Red
            | PayloadType::Rtx
            | PayloadType::Padding => None,
        }
    }

    /// What the content of an AV1 dependency descriptor ([`crate::ext::id::DEPENDENCY_DESCRIPTOR`]) says, in the words of frame
    /// marking. It has no TL0PICIDX, which is 0.
    ///
    /// `None` if it is malformed, or refers to templates that did not arrive.
    pub fn marking_of_dependency(&mut self, data: &[u8]) -> Option<FrameMarking> {
        let (descriptor, structure) = av1::Descriptor::parse(data, self.structure.as_deref())?;
        if let Some(new) = structure {
            match &mut self.structure {
                Some(known) => **known = new,
                none => *none = Some(Box::new(new)),
            }
        }
        let base_sync = self.sync.is_base_sync(Picture {
            number: descriptor.frame_number,
            last_number: u16::MAX,
            numbered_by_layer: true,
            spatial_id: descriptor.spatial_id,
            temporal_id: descriptor.temporal_id,
            is_key_frame: descriptor.brings_structure,
            switches_up: self.structure.as_deref().is_some_and(|known| descriptor.switches_up(known)),
        });
        Some(descriptor.marking(base_sync))
    }

    /// The templates of AV1 that hold now.
    #[must_use]
    pub fn structure(&self) -> Option<&av1::Structure> {
        self.structure.as_deref()
    }
}
