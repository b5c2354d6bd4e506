//! Encoded media: clips, RTP payload formats, and the check that a frame arrived as it left.
//!
//! Everything here is pure: bytes in, values out. No decoder and no encoder: a program that has one hands its frames to a
//! [`packetize::Packetizer`] and takes them from a [`depacketize::Depacketizer`]; a program that has none plays a
//! [`clip::Clip`]. The rules are those of `proto-spec/spec/03-media.md`.

pub mod annexb;
pub mod clip;
pub mod depacketize;
pub mod dependencies;
pub mod freezes;
pub mod h264;
pub mod hash;
pub mod ivf;
pub mod manifest;
pub mod ogg_opus;
pub mod opus;
pub mod packetize;
pub mod vp8;

use serde::Deserialize;
use sluice_wire::payload_type::PayloadType;

/// A codec whose payload format this module speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Opus: RFC 6716, carried by RFC 7587.
    Opus,
    /// VP8: RFC 6386, carried by RFC 7741.
    Vp8,
    /// H.264, carried by RFC 6184 with packetization-mode 1.
    H264,
}

impl Codec {
    /// The codec that a payload type stands for, if it is one of these.
    #[must_use]
    pub const fn from_payload_type(payload_type: PayloadType) -> Option<Self> {
        match payload_type {
            PayloadType::Opus => Some(Self::Opus),
            PayloadType::Vp8 => Some(Self::Vp8),
            PayloadType::H264 => Some(Self::H264),
            _ => None,
        }
    }

    /// The payload type that carries the codec.
    #[must_use]
    pub const fn payload_type(self) -> PayloadType {
        match self {
            Self::Opus => PayloadType::Opus,
            Self::Vp8 => PayloadType::Vp8,
            Self::H264 => PayloadType::H264,
        }
    }

    /// Ticks per second of the RTP clock, which is also the unit of [`clip::MediaFrame::duration_ticks`].
    #[must_use]
    pub const fn clock_rate_hz(self) -> u32 {
        self.payload_type().clock_rate_hz()
    }

    /// Whether the codec is for pictures.
    #[must_use]
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Vp8 | Self::H264)
    }
}
