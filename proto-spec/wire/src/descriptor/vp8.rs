//! The VP8 payload descriptor: RFC 7741 section 4.2.

use crate::ext::FrameMarking;

const EXTENDED_BIT: u8 = 0x80;
const NON_REFERENCE_BIT: u8 = 0x20;
const START_BIT: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;

const PICTURE_ID_BIT: u8 = 0x80;
const TL0_PIC_IDX_BIT: u8 = 0x40;
const TEMPORAL_ID_BIT: u8 = 0x20;
const KEY_INDEX_BIT: u8 = 0x10;

const LONG_PICTURE_ID_BIT: u8 = 0x80;
const LAYER_SYNC_BIT: u8 = 0x20;

/// Set in the first byte of a frame that is no key frame: RFC 7741 section 4.3.
const INVERSE_KEY_FRAME_BIT: u8 = 0x01;

/// A running number of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureId {
    /// The number, of 15 bits if it is long, else of 7.
    pub value: u16,
    /// Whether it has 15 bits, in 2 bytes.
    pub is_long: bool,
    /// Where it begins in the payload, bytes.
    pub at: u8,
}

impl PictureId {
    /// The bits that the number has; also the greatest one.
    #[must_use]
    pub const fn mask(&self) -> u16 {
        if self.is_long { 0x7FFF } else { 0x7F }
    }

    /// Takes the number off the front of `rest`, which is at `at` of the payload.
    pub(super) fn read(rest: &mut &[u8], at: u8) -> Option<Self> {
        let high = *rest.split_off_first()?;
        let is_long = high & LONG_PICTURE_ID_BIT != 0;
        let high = u16::from(high & !LONG_PICTURE_ID_BIT);
        let value = if is_long { (high << 8) | u16::from(*rest.split_off_first()?) } else { high };
        Some(Self { value, is_long, at })
    }
}

/// A running number of the frames of temporal layer 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tl0PicIdx {
    /// The number.
    pub value: u8,
    /// Where it is in the payload, bytes.
    pub at: u8,
}

/// What stands before the VP8 data of a packet, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// No other frame refers to this one.
    pub non_reference: bool,
    /// The packet is the first of a frame.
    pub starts_frame: bool,
    /// The packet is the first of a key frame.
    pub starts_key_frame: bool,
    /// The frame's number.
    pub picture_id: Option<PictureId>,
    /// The number of the frame of temporal layer 0 that it is, or depends on.
    pub tl0_pic_idx: Option<Tl0PicIdx>,
    /// The temporal layer, 0 to 3; 0 if there are no layers.
    pub temporal_id: u8,
    /// The frame depends on temporal layer 0 alone.
    pub layer_sync: bool,
    /// Bytes before the VP8 data.
    pub len: u8,
}

impl Descriptor {
    /// Reads the descriptor at the front of a payload; `None` if it is cut short or has no data behind it.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut rest = payload;
        let at = |rest: &[u8]| (payload.len() - rest.len()) as u8;
        let first = *rest.split_off_first()?;
        let has = if first & EXTENDED_BIT == 0 { 0 } else { *rest.split_off_first()? };
        let picture_id = if has & PICTURE_ID_BIT == 0 { None } else { Some(PictureId::read(&mut rest, 2)?) };
        let tl0_pic_idx = if has & TL0_PIC_IDX_BIT == 0 {
            None
        } else {
            let at = at(rest);
            Some(Tl0PicIdx { value: *rest.split_off_first()?, at })
        };
        let layer = if has & (TEMPORAL_ID_BIT | KEY_INDEX_BIT) == 0 { 0 } else { *rest.split_off_first()? };
        let layer = if has & TEMPORAL_ID_BIT == 0 { 0 } else { layer };
        let data = *rest.first()?;
        let starts_frame = first & START_BIT != 0 && first & PARTITION_MASK == 0;
        Some(Self {
            non_reference: first & NON_REFERENCE_BIT != 0,
            starts_frame,
            starts_key_frame: starts_frame && data & INVERSE_KEY_FRAME_BIT == 0,
            picture_id,
            tl0_pic_idx,
            temporal_id: layer >> 6,
            layer_sync: layer & LAYER_SYNC_BIT != 0,
            len: at(rest),
        })
    }

    /// The same in the words of frame marking. `marker` is the RTP header's bit.
    #[must_use]
    pub fn marking(&self, marker: bool) -> FrameMarking {
        FrameMarking {
            start: self.starts_frame,
            end: marker,
            independent: self.starts_key_frame,
            discardable: self.non_reference,
            base_sync: self.temporal_id > 0 && self.layer_sync,
            temporal_id: self.temporal_id,
            layer_id: 0,
            tl0_pic_idx: self.tl0_pic_idx.map_or(0, |index| index.value),
        }
    }

    /// Writes other numbers over those that the descriptor has, in the width that they have.
    ///
    /// `payload` is the one that the descriptor was read from, or a copy; what is beyond its end is not written. A
    /// `picture_id` of more bits than the descriptor's has loses its upper ones.
    pub fn renumber(&self, payload: &mut [u8], picture_id: u16, tl0_pic_idx: u8) {
        if let Some(PictureId { is_long, at, .. }) = self.picture_id {
            let [high, low] = picture_id.to_be_bytes();
            let at = usize::from(at);
            if is_long && let Some(bytes) = payload.get_mut(at..at + 2) {
                bytes.copy_from_slice(&[high | LONG_PICTURE_ID_BIT, low]);
            } else if !is_long && let Some(byte) = payload.get_mut(at) {
                *byte = low & !LONG_PICTURE_ID_BIT;
            }
        }
        if let Some(index) = self.tl0_pic_idx
            && let Some(byte) = payload.get_mut(usize::from(index.at))
        {
            *byte = tl0_pic_idx;
        }
    }
}
