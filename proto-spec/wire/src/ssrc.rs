//! SSRC layout of a session: `proto-spec/spec/02-session.md` section 2.2.

use serde::{Deserialize, Serialize};

/// SSRCs that each stream of a block owns: media, RTX, FEC and one in reserve.
pub const SSRCS_PER_STREAM: u32 = 4;
/// The smallest block: 16 streams.
pub const MIN_BLOCK_SSRCS: u32 = 64;
/// The largest block: 16,384 streams, which is more than any link has carried tracks.
pub const MAX_BLOCK_SSRCS: u32 = 65_536;
/// The top bits of an uplink SSRC name the shard.
pub const SHARD_SHIFT: u32 = 24;

/// What an SSRC of a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamRole {
    /// RTP, or RTCP for stream 0.
    Media,
    /// Retransmissions (RFC 4588).
    Rtx,
    /// Forward error correction.
    Fec,
}

/// The number of a stream within a block. Stream 0 is the control stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamIndex(pub u16);

impl StreamIndex {
    /// The stream that carries RTCP.
    pub const CONTROL: Self = Self(0);
}

/// An aligned run of SSRCs that one direction of a session uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawBlock", into = "RawBlock")]
pub struct SsrcBlock {
    base: u32,
    count: u32,
}

/// Why a block is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SSRC block of {count} from {base:#010x}: the count must be a power of two from 64 to 65536 and divide the base"
)]
pub struct InvalidBlock {
    base: u32,
    count: u32,
}

impl SsrcBlock {
    /// A block of `count` SSRCs from `base`.
    ///
    /// # Errors
    /// [`InvalidBlock`] if `count` is no power of two within limits, or `base` no multiple of it.
    pub const fn new(base: u32, count: u32) -> Result<Self, InvalidBlock> {
        let in_range = count >= MIN_BLOCK_SSRCS && count <= MAX_BLOCK_SSRCS && count.is_power_of_two();
        if !in_range || !base.is_multiple_of(count) {
            return Err(InvalidBlock { base, count });
        }
        Ok(Self { base, count })
    }

    /// The first SSRC.
    #[must_use]
    pub const fn base(self) -> u32 {
        self.base
    }

    /// How many SSRCs the block holds.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// How many streams the block holds, the control stream included.
    #[must_use]
    pub const fn streams(self) -> u16 {
        (self.count / SSRCS_PER_STREAM) as u16
    }

    /// The SSRC of the control stream.
    #[must_use]
    pub const fn control(self) -> u32 {
        self.base
    }

    /// The shard that the block's SSRCs steer to.
    #[must_use]
    pub const fn shard(self) -> u8 {
        (self.base >> SHARD_SHIFT) as u8
    }

    /// The SSRC of a stream in a role; `None` if the block has no such stream.
    #[must_use]
    pub const fn ssrc(self, stream: StreamIndex, role: StreamRole) -> Option<u32> {
        if stream.0 >= self.streams() {
            return None;
        }
        let offset = match role {
            StreamRole::Media => 0,
            StreamRole::Rtx => 1,
            StreamRole::Fec => 2,
        };
        Some(self.base + stream.0 as u32 * SSRCS_PER_STREAM + offset)
    }

    /// The stream and role of an SSRC; `None` if it is outside of the block or reserved.
    #[must_use]
    pub const fn locate(self, ssrc: u32) -> Option<(StreamIndex, StreamRole)> {
        let offset = ssrc.wrapping_sub(self.base);
        if offset >= self.count {
            return None;
        }
        let role = match offset % SSRCS_PER_STREAM {
            0 => StreamRole::Media,
            1 => StreamRole::Rtx,
            2 => StreamRole::Fec,
            _ => return None,
        };
        Some((StreamIndex((offset / SSRCS_PER_STREAM) as u16), role))
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct RawBlock {
    ssrc_base: u32,
    ssrc_count: u32,
}

impl TryFrom<RawBlock> for SsrcBlock {
    type Error = InvalidBlock;

    fn try_from(raw: RawBlock) -> Result<Self, InvalidBlock> {
        Self::new(raw.ssrc_base, raw.ssrc_count)
    }
}

impl From<SsrcBlock> for RawBlock {
    fn from(block: SsrcBlock) -> Self {
        Self { ssrc_base: block.base, ssrc_count: block.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_of_a_block() {
        let block = SsrcBlock::new(0x0300_0040, 64).unwrap();
        assert_eq!(block.shard(), 3);
        assert_eq!(block.streams(), 16);
        assert_eq!(block.control(), 0x0300_0040);
        assert_eq!(block.ssrc(StreamIndex(2), StreamRole::Fec), Some(0x0300_004A));
        assert_eq!(block.locate(0x0300_004A), Some((StreamIndex(2), StreamRole::Fec)));
    }

    #[test]
    fn what_is_outside_or_reserved_is_nothing() {
        let block = SsrcBlock::new(0x40, 64).unwrap();
        assert_eq!(block.locate(0x3F), None);
        assert_eq!(block.locate(0x80), None);
        assert_eq!(block.locate(0x43), None);
        assert_eq!(block.ssrc(StreamIndex(16), StreamRole::Media), None);
    }

    #[test]
    fn misaligned_or_odd_blocks_are_refused() {
        for (base, count) in [(1, 64), (64, 63), (64, 32), (32, 64), (0, 0), (0, 131_072)] {
            assert!(SsrcBlock::new(base, count).is_err(), "{base} {count}");
        }
    }
}
