//! The VP9 payload descriptor: RFC 9628 section 4.2.

use super::vp8::PictureId;
use crate::ext::FrameMarking;

const PICTURE_ID_BIT: u8 = 0x80;
const INTER_PICTURE_BIT: u8 = 0x40;
const LAYER_BIT: u8 = 0x20;
const FLEXIBLE_BIT: u8 = 0x10;
const START_BIT: u8 = 0x08;
const END_BIT: u8 = 0x04;
const STRUCTURE_BIT: u8 = 0x02;

const SWITCHING_UP_BIT: u8 = 0x10;
const INTER_LAYER_BIT: u8 = 0x01;
const MORE_REFERENCES_BIT: u8 = 0x01;

const SIZES_BIT: u8 = 0x10;
const GROUP_BIT: u8 = 0x08;
/// Width and height of a spatial layer.
const SIZE_BYTES: usize = 4;

/// The most pictures that a picture refers to in flexible mode.
pub const MAX_REFERENCES: usize = 3;

/// What stands before the VP9 data of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// The picture's number, the same for all its spatial layers.
    pub picture_id: Option<PictureId>,
    /// The frame refers to pictures of an earlier time.
    pub inter_picture: bool,
    /// The first packet of a layer's frame.
    pub starts_frame: bool,
    /// The last packet of a layer's frame.
    pub ends_frame: bool,
    /// The first packet of a key frame, by the data behind the descriptor.
    pub starts_key_frame: bool,
    /// The temporal layer, 0 to 7; 0 if there are no layers.
    pub temporal_id: u8,
    /// From the next picture on a receiver may move up to any temporal layer.
    pub switching_up: bool,
    /// The spatial layer, 0 to 7; 0 if there are no layers.
    pub spatial_id: u8,
    /// The frame refers to the next lower spatial layer of its own picture.
    pub inter_layer: bool,
    /// The number of the picture of temporal layer 0 that it is, or depends on; not in flexible mode.
    pub tl0_pic_idx: Option<u8>,
    /// How many pictures back the references are, in flexible mode; 0 where there are fewer.
    pub references: [u8; MAX_REFERENCES],
    /// How many spatial layers the stream has from here on, 1 to 8, where the packet says so.
    pub spatial_layers: Option<u8>,
    /// Bytes before the VP9 data.
    pub len: u16,
}

impl Descriptor {
    /// Reads the descriptor at the front of a payload. `None` if it is cut short, has no data behind it, or refers to more than
    /// [`MAX_REFERENCES`] pictures.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut rest = payload;
        let has = *rest.split_off_first()?;
        let flexible = has & FLEXIBLE_BIT != 0;
        let inter_picture = has & INTER_PICTURE_BIT != 0;
        let picture_id = if has & PICTURE_ID_BIT != 0 { Some(PictureId::read(&mut rest, 1)?) } else { None };
        let (mut layer, mut tl0_pic_idx) = (0, None);
        if has & LAYER_BIT != 0 {
            layer = *rest.split_off_first()?;
            if !flexible {
                tl0_pic_idx = Some(*rest.split_off_first()?);
            }
        }
        let references = if flexible && inter_picture { references(&mut rest)? } else { [0; MAX_REFERENCES] };
        let spatial_layers = if has & STRUCTURE_BIT != 0 { Some(structure(&mut rest)?) } else { None };
        let data = *rest.first()?;
        let starts_frame = has & START_BIT != 0;
        Some(Self {
            picture_id,
            inter_picture,
            starts_frame,
            ends_frame: has & END_BIT != 0,
            starts_key_frame: starts_frame && is_key_frame(data),
            temporal_id: layer >> 5,
            switching_up: layer & SWITCHING_UP_BIT != 0,
            spatial_id: (layer >> 1) & 0x07,
            inter_layer: layer & INTER_LAYER_BIT != 0,
            tl0_pic_idx,
            references,
            spatial_layers,
            len: u16::try_from(payload.len() - rest.len()).ok()?,
        })
    }

    /// The same in the words of frame marking; `base_sync` says whether the picture depends on the base layer alone, which takes
    /// more than one packet to know.
    ///
    /// The base layer is independent as a key frame only: a decoder cannot start at other pictures without references.
    #[must_use]
    pub fn marking(&self, base_sync: bool) -> FrameMarking {
        FrameMarking {
            start: self.starts_frame,
            end: self.ends_frame,
            independent: !self.inter_picture && (self.spatial_id > 0 || self.starts_key_frame),
            discardable: false,
            base_sync,
            temporal_id: self.temporal_id,
            layer_id: self.spatial_id,
            tl0_pic_idx: self.tl0_pic_idx.unwrap_or(0),
        }
    }
}

fn references(rest: &mut &[u8]) -> Option<[u8; MAX_REFERENCES]> {
    let mut references = [0; MAX_REFERENCES];
    for reference in &mut references {
        let byte = *rest.split_off_first()?;
        *reference = byte >> 1;
        if byte & MORE_REFERENCES_BIT == 0 {
            return Some(references);
        }
    }
    None
}

/// Skips a scalability structure (section 4.2.1) and gives its number of spatial layers.
fn structure(rest: &mut &[u8]) -> Option<u8> {
    let head = *rest.split_off_first()?;
    let layers = (head >> 5) + 1;
    if head & SIZES_BIT != 0 {
        rest.split_off(..usize::from(layers) * SIZE_BYTES)?;
    }
    if head & GROUP_BIT != 0 {
        for _ in 0..*rest.split_off_first()? {
            let picture = *rest.split_off_first()?;
            let references = (picture >> 2) & 0x03;
            rest.split_off(..usize::from(references))?;
        }
    }
    Some(layers)
}

/// Whether a frame's first byte is a key frame's: VP9 bitstream specification section 6.2.
const fn is_key_frame(data: u8) -> bool {
    const FRAME_MARKER: u8 = 0b10;
    let is_profile_3 = data & 0x30 == 0x30;
    let after_profile = if is_profile_3 { data << 5 } else { data << 4 };
    let (shows_existing, is_inter) = (after_profile & 0x80 != 0, after_profile & 0x40 != 0);
    data >> 6 == FRAME_MARKER && !shows_existing && !is_inter
}
