//! The contents of single elements. Each parser takes the element's data and gives `None` for a wrong length.

/// The loudness of an audio packet, RFC 6464.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioLevel {
    /// Whether the sender believes that the packet holds speech.
    pub voice: bool,
    /// Loudness in -dBov: 0 is the loudest, 127 is silence. The lower 7 bits are written.
    pub level: u8,
}

impl AudioLevel {
    /// The level of silence, -dBov.
    pub const SILENCE: u8 = 127;
    /// Bytes of the element's content.
    pub const BYTES: usize = 1;

    /// Reads the element's content.
    #[must_use]
    pub const fn parse(data: &[u8]) -> Option<Self> {
        match *data {
            [byte] => Some(Self { voice: byte & 0x80 != 0, level: byte & 0x7F }),
            _ => None,
        }
    }

    /// The element's content.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        [(u8::from(self.voice) << 7) | (self.level & 0x7F)]
    }
}

/// Where a packet stands in its frame, and its frame among the layers: RFC 9626 section 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FrameMarking {
    /// The first packet of a frame (of a layer frame, if there are spatial layers).
    pub start: bool,
    /// The last packet of a frame.
    pub end: bool,
    /// The frame can be decoded without any of an earlier time. One of a spatial layer above 0 may need the layers below of
    /// its own time.
    pub independent: bool,
    /// No other frame needs this one.
    pub discardable: bool,
    /// From here on a receiver may move up to this temporal layer: it depends on the base layer only.
    pub base_sync: bool,
    /// The temporal layer, 0 to 7; 0 is the base. The lower 3 bits are written.
    pub temporal_id: u8,
    /// The spatial layer; 0 is the base.
    pub layer_id: u8,
    /// A running number of the frames of temporal layer 0, modulo 256.
    pub tl0_pic_idx: u8,
}

impl FrameMarking {
    /// Bytes of the long form with all its fields, which is the form that is written.
    pub const BYTES: usize = 3;

    /// Whether a decoder that has seen nothing can start with this packet.
    #[must_use]
    pub const fn is_entry(&self) -> bool {
        self.start && self.independent && self.layer_id == 0
    }

    /// Reads the short form (1 byte) or the long form (1 to 3 bytes, trailing fields left out being 0).
    #[must_use]
    pub const fn parse(data: &[u8]) -> Option<Self> {
        let (flags, layer_id, tl0_pic_idx) = match *data {
            [flags] => (flags, 0, 0),
            [flags, layer_id] => (flags, layer_id, 0),
            [flags, layer_id, tl0_pic_idx] => (flags, layer_id, tl0_pic_idx),
            _ => return None,
        };
        Some(Self {
            start: flags & 0x80 != 0,
            end: flags & 0x40 != 0,
            independent: flags & 0x20 != 0,
            discardable: flags & 0x10 != 0,
            base_sync: flags & 0x08 != 0,
            temporal_id: flags & 0x07,
            layer_id,
            tl0_pic_idx,
        })
    }

    /// The element's content.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let flags = (u8::from(self.start) << 7)
            | (u8::from(self.end) << 6)
            | (u8::from(self.independent) << 5)
            | (u8::from(self.discardable) << 4)
            | (u8::from(self.base_sync) << 3)
            | (self.temporal_id & 0x07);
        [flags, self.layer_id, self.tl0_pic_idx]
    }
}

/// When a frame was captured: a 64-bit NTP timestamp (UQ32.32 s) of the capturing clock, abs-capture-time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureTime(pub u64);

impl CaptureTime {
    /// Bytes of the short form, which is the form that is written.
    pub const BYTES: usize = 8;

    /// Reads the short form, or the long form (16 bytes) without its clock offset.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (ntp, offset) = data.split_first_chunk::<8>()?;
        matches!(offset.len(), 0 | 8).then(|| Self(u64::from_be_bytes(*ntp)))
    }

    /// The element's content.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_be_bytes()
    }
}
