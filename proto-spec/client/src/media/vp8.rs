//! VP8: what a frame's first bytes say (RFC 6386 section 9.1) and the payload descriptor of RTP (RFC 7741 section 4.2).

/// The longest descriptor that [`Descriptor::encode`] writes: mandatory byte, extension flags, 15-bit picture id, TL0PICIDX,
/// TID.
pub const MAX_DESCRIPTOR_BYTES: usize = 6;

/// What every key frame carries behind its tag of three bytes.
const KEY_FRAME_START_CODE: [u8; 3] = [0x9D, 0x01, 0x2A];
/// Width and height are 14 bits, below 2 bits of scaling.
const DIMENSION_MASK: u16 = 0x3FFF;
/// Picture ids have 15 bits.
pub const PICTURE_ID_MASK: u16 = 0x7FFF;

/// The uncompressed header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameHeader {
    /// A frame that depends on earlier ones.
    Inter,
    /// A frame from which decoding can start.
    Key {
        /// Width in pixels.
        width: u16,
        /// Height in pixels.
        height: u16,
    },
}

impl FrameHeader {
    /// Reads the header of a whole frame; `None` if it is cut short or a key frame lacks its start code.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let tag = frame.first_chunk::<3>()?;
        if tag[0] & 1 != 0 {
            return Some(Self::Inter);
        }
        let &[.., s0, s1, s2, w0, w1, h0, h1] = frame.first_chunk::<10>()?;
        if [s0, s1, s2] != KEY_FRAME_START_CODE {
            return None;
        }
        let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
        Some(Self::Key { width: width & DIMENSION_MASK, height: height & DIMENSION_MASK })
    }
}

/// The temporal fields of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temporal {
    /// Running index of base layer frames: its own for a base layer frame, the one built upon for others.
    pub tl0_pic_idx: u8,
    /// Temporal layer, 0 to 3.
    pub temporal_id: u8,
    /// Y: the frame depends on base layer frames alone.
    pub base_sync: bool,
}

/// A VP8 payload descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S, with a partition index of 0: the payload is the beginning of a frame.
    pub start_of_frame: bool,
    /// Picture id of 15 bits (7-bit ones are read too, and read as their value).
    pub picture_id: Option<u16>,
    /// Temporal fields, if TL0PICIDX and TID are both there.
    pub temporal: Option<Temporal>,
}

const EXTENDED: u8 = 0x80;
const NON_REFERENCE: u8 = 0x20;
const START_OF_PARTITION: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0_PIC_IDX: u8 = 0x40;
const HAS_TID: u8 = 0x20;
const HAS_KEY_IDX: u8 = 0x10;
const LONG_PICTURE_ID: u8 = 0x80;
const BASE_SYNC: u8 = 0x20;

impl Descriptor {
    /// Writes the descriptor; the second value is its length in bytes. Always with a 15-bit picture id if there is one.
    #[must_use]
    pub fn encode(&self) -> ([u8; MAX_DESCRIPTOR_BYTES], usize) {
        let mut bytes = [0; MAX_DESCRIPTOR_BYTES];
        if self.non_reference {
            bytes[0] |= NON_REFERENCE;
        }
        if self.start_of_frame {
            bytes[0] |= START_OF_PARTITION;
        }
        if self.picture_id.is_none() && self.temporal.is_none() {
            return (bytes, 1);
        }
        bytes[0] |= EXTENDED;
        let mut len = 2;
        if let Some(picture_id) = self.picture_id {
            bytes[1] |= HAS_PICTURE_ID;
            bytes[2] = LONG_PICTURE_ID | ((picture_id & PICTURE_ID_MASK) >> 8) as u8;
            bytes[3] = picture_id as u8;
            len = 4;
        }
        if let Some(temporal) = self.temporal {
            bytes[1] |= HAS_TL0_PIC_IDX | HAS_TID;
            bytes[len] = temporal.tl0_pic_idx;
            bytes[len + 1] = (temporal.temporal_id << 6) | if temporal.base_sync { BASE_SYNC } else { 0 };
            len += 2;
        }
        (bytes, len)
    }

    /// Reads the descriptor of a payload, in any form that RFC 7741 allows, and gives what is behind it, which is not empty.
    /// `None` if the payload is cut short.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (&first, mut rest) = payload.split_first()?;
        let mut take = || {
            let (&byte, behind) = rest.split_first()?;
            rest = behind;
            Some(byte)
        };
        let extension = if first & EXTENDED != 0 { take()? } else { 0 };
        let mut picture_id = None;
        if extension & HAS_PICTURE_ID != 0 {
            let high = take()?;
            let long = high & LONG_PICTURE_ID != 0;
            let high = u16::from(high & !LONG_PICTURE_ID);
            picture_id = Some(if long { (high << 8) | u16::from(take()?) } else { high });
        }
        let tl0_pic_idx = if extension & HAS_TL0_PIC_IDX != 0 { Some(take()?) } else { None };
        let layer = if extension & (HAS_TID | HAS_KEY_IDX) != 0 { Some(take()?) } else { None };
        let temporal = match (tl0_pic_idx, layer) {
            (Some(tl0_pic_idx), Some(layer)) if extension & HAS_TID != 0 => {
                Some(Temporal { tl0_pic_idx, temporal_id: layer >> 6, base_sync: layer & BASE_SYNC != 0 })
            }
            _ => None,
        };
        let descriptor = Self {
            non_reference: first & NON_REFERENCE != 0,
            start_of_frame: first & START_OF_PARTITION != 0 && first & PARTITION_MASK == 0,
            picture_id,
            temporal,
        };
        (!rest.is_empty()).then_some((descriptor, rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_descriptor_has_the_bits_of_the_rfc() {
        let temporal = Some(Temporal { tl0_pic_idx: 0xAB, temporal_id: 2, base_sync: true });
        let descriptor =
            Descriptor { non_reference: true, start_of_frame: true, picture_id: Some(0x1234), temporal };
        assert_eq!(descriptor.encode(), ([0xB0, 0xE0, 0x92, 0x34, 0xAB, 0xA0], 6));
        let plain =
            Descriptor { non_reference: false, start_of_frame: false, picture_id: None, temporal: None };
        assert_eq!(plain.encode(), ([0; 6], 1));
    }

    #[test]
    fn forms_that_others_send_are_read() {
        let (descriptor, body) = Descriptor::parse(&[0x90, 0x80, 0x11, 7]).unwrap();
        assert_eq!((descriptor.picture_id, descriptor.start_of_frame, body), (Some(0x11), true, &[7][..]));
        let (descriptor, body) = Descriptor::parse(&[0x80, 0x10, 0x1F, 7]).unwrap();
        assert_eq!((descriptor.temporal, body), (None, &[7][..]));
        let (descriptor, _) = Descriptor::parse(&[0x11, 7]).unwrap();
        assert!(!descriptor.start_of_frame, "the start of the second partition is not that of the frame");
    }

    #[test]
    fn a_key_frame_tells_its_size() {
        let frame = [0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x00, 0x45, 0xD0, 0x02, 0];
        assert_eq!(FrameHeader::parse(&frame), Some(FrameHeader::Key { width: 1280, height: 720 }));
        assert_eq!(FrameHeader::parse(&frame[..9]), None);
        assert_eq!(FrameHeader::parse(&[0x11, 0, 0]), Some(FrameHeader::Inter));
        assert_eq!(FrameHeader::parse(&[0x11, 0]), None);
        assert_eq!(FrameHeader::parse(&[0x10, 0, 0, 0x9D, 0x01, 0x2B, 0, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            non_reference: bool, start_of_frame: bool,
            picture_id in proptest::option::of(0..=PICTURE_ID_MASK),
            temporal in proptest::option::of((any::<u8>(), 0..4_u8, any::<bool>()))
        ) {
            let temporal = temporal
                .map(|(tl0_pic_idx, temporal_id, base_sync)| Temporal { tl0_pic_idx, temporal_id, base_sync });
            let descriptor = Descriptor { non_reference, start_of_frame, picture_id, temporal };
            let (bytes, len) = descriptor.encode();
            let payload = [&bytes[..len], b"body"].concat();
            prop_assert_eq!(Descriptor::parse(&payload), Some((descriptor, &b"body"[..])));
            for cut in 0..=len {
                prop_assert_eq!(Descriptor::parse(&payload[..cut]), None);
            }
        }

        #[test]
        fn reading_is_total(payload in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Some((_, body)) = Descriptor::parse(&payload) {
                prop_assert!(!body.is_empty() && body.len() < payload.len());
            }
            let _header = FrameHeader::parse(&payload);
        }
    }
}
