//! Fixed payload types: `proto-spec/spec/03-media.md` section 3.1.

/// A payload type of the native protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PayloadType {
    /// Opus, RFC 7587.
    Opus = 96,
    /// VP8, RFC 7741.
    Vp8 = 97,
    /// H.264, RFC 6184.
    H264 = 98,
    /// VP9, RFC 9628.
    Vp9 = 99,
    /// AV1.
    Av1 = 100,
    /// Redundant Opus, RFC 2198.
    Red = 101,
    /// Retransmission, RFC 4588.
    Rtx = 110,
    /// Padding alone, which says nothing but how much the path carries.
    Padding = 112,
}

impl PayloadType {
    /// The payload type of 7 bits from the wire.
    #[must_use]
    pub const fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            96 => Some(Self::Opus),
            97 => Some(Self::Vp8),
            98 => Some(Self::H264),
            99 => Some(Self::Vp9),
            100 => Some(Self::Av1),
            101 => Some(Self::Red),
            110 => Some(Self::Rtx),
            112 => Some(Self::Padding),
            _ => None,
        }
    }

    /// Ticks per second of the RTP clock. RTX runs on its original's clock; padding has no time.
    #[must_use]
    pub const fn clock_rate_hz(self) -> u32 {
        match self {
            Self::Opus | Self::Red => 48_000,
            Self::Vp8 | Self::H264 | Self::Vp9 | Self::Av1 | Self::Rtx | Self::Padding => 90_000,
        }
    }

    /// Whether an audio track may declare this type as its codec.
    #[must_use]
    pub const fn is_audio_codec(self) -> bool {
        matches!(self, Self::Opus | Self::Red)
    }

    /// Whether a video track may declare this type as its codec.
    #[must_use]
    pub const fn is_video_codec(self) -> bool {
        matches!(self, Self::Vp8 | Self::H264 | Self::Vp9 | Self::Av1)
    }
}
