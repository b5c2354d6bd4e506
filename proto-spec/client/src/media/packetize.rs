//! Frames to RTP payloads: VP8 (RFC 7741), H.264 (RFC 6184 packetization-mode 1) and Opus (RFC 7587), in equal-sized packets
//! (`proto-spec/spec/03-media.md` section 3.3).

use std::iter::Peekable;
use std::slice::Chunks;

use super::Codec;
use super::annexb::{NalUnits, nal_units};
use super::h264::{self, AGGREGATED_SIZE_BYTES, FU_HEADER_BYTES, NAL_HEADER_BYTES, NalType};
use super::vp8::{self, Descriptor, Temporal};

/// The smallest payload budget, in bytes, that a frame can be split for: the longest prefix and as much of content.
pub const MIN_PAYLOAD_BYTES: usize = 16;

/// The longest prefix of a fragment, rounded up to a word.
const MAX_PREFIX_BYTES: usize = 8;

/// Why a frame cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketizeError {
    /// The frame has no bytes.
    #[error("the frame is empty")]
    Empty,
    /// The payload budget is below [`MIN_PAYLOAD_BYTES`].
    #[error("a payload of {0} bytes is too small to split frames for")]
    BudgetTooSmall(usize),
    /// An Opus packet is larger than the payload budget; RFC 7587 has no fragments.
    #[error("an Opus packet of {0} bytes does not fit one payload")]
    OpusTooLarge(usize),
    /// An access unit has no NAL unit that RTP can carry.
    #[error("the access unit holds no NAL unit behind a start code")]
    NoNalUnit,
}

/// Where a frame stands among its track's layers; also what frame marking says of it (RFC 9626).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameLayer {
    /// Temporal layer, 0 to 3.
    pub temporal_id: u8,
    /// The frame is of an upper layer and depends on base layer frames alone.
    pub base_sync: bool,
    /// No other frame depends on this one.
    pub discardable: bool,
}

/// Splits the frames of one RTP stream into payloads. Keeps the stream's running numbers (picture id and TL0PICIDX, both from
/// 0) and a small buffer, so that nothing is allocated per packet.
#[derive(Clone, Debug)]
pub struct Packetizer {
    codec: Codec,
    layered: bool,
    next_picture_id: u16,
    tl0_pic_idx: u8,
    aggregate: Vec<u8>,
}

impl Packetizer {
    /// A packetizer of a stream with this number of temporal layers.
    #[must_use]
    pub const fn new(codec: Codec, temporal_layers: u8) -> Self {
        // The first base layer frame counts on to 0.
        Self {
            codec,
            layered: temporal_layers > 1,
            next_picture_id: 0,
            tl0_pic_idx: u8::MAX,
            aggregate: Vec::new(),
        }
    }

    /// Splits a frame into payloads of at most `max_payload_bytes`, all of one size but the last.
    ///
    /// `frame` is a VP8 frame, an H.264 access unit with start codes, or an Opus packet. Of an access unit, what comes before
    /// the first slice (parameter sets, SEI) travels as one STAP-A, if it is more than one unit and fits; every other NAL unit
    /// travels whole if it fits, or as equal-sized FU-As. Units of types that RTP cannot carry (0 and 24 to 31) are left out.
    /// The receiver gets back the very bytes if start codes are of four bytes and nothing is left out, as
    /// [`super::annexb::access_units`] gives them.
    ///
    /// # Errors
    /// [`PacketizeError`]; the running numbers are then as before.
    pub fn packetize<'a>(
        &'a mut self,
        frame: &'a [u8],
        layer: FrameLayer,
        max_payload_bytes: usize,
    ) -> Result<Fragments<'a>, PacketizeError> {
        if frame.is_empty() {
            return Err(PacketizeError::Empty);
        }
        if max_payload_bytes < MIN_PAYLOAD_BYTES {
            return Err(PacketizeError::BudgetTooSmall(max_payload_bytes));
        }
        let base = layer.temporal_id == 0;
        let tl0_pic_idx = if base { self.tl0_pic_idx.wrapping_add(1) } else { self.tl0_pic_idx };
        let plan = match self.codec {
            Codec::Opus if frame.len() > max_payload_bytes => {
                return Err(PacketizeError::OpusTooLarge(frame.len()));
            }
            Codec::Opus => Plan::Whole(Some(frame)),
            Codec::Vp8 => {
                let descriptor = Descriptor {
                    non_reference: layer.discardable,
                    start_of_frame: true,
                    picture_id: Some(self.next_picture_id),
                    temporal: self.layered.then_some(Temporal {
                        tl0_pic_idx,
                        temporal_id: layer.temporal_id,
                        base_sync: layer.base_sync,
                    }),
                };
                let room = max_payload_bytes - descriptor.encode().1;
                Plan::Vp8 { descriptor, chunks: equal_chunks(frame, room) }
            }
            Codec::H264 => Plan::H264(H264Plan::new(frame, max_payload_bytes, &mut self.aggregate)?),
        };
        self.tl0_pic_idx = tl0_pic_idx;
        self.next_picture_id = (self.next_picture_id + 1) & vp8::PICTURE_ID_MASK;
        Ok(Fragments { plan, tl0_pic_idx, first: true })
    }
}

/// The fewest chunks of at most `max_bytes`, made as even as whole bytes allow: all equal, the last not longer.
fn equal_chunks(bytes: &[u8], max_bytes: usize) -> Chunks<'_, u8> {
    let count = bytes.len().div_ceil(max_bytes).max(1);
    bytes.chunks(bytes.len().div_ceil(count).max(1))
}

/// The few bytes that a payload format puts before a fragment's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    bytes: [u8; MAX_PREFIX_BYTES],
    len: usize,
}

impl Prefix {
    fn new(content: &[u8]) -> Self {
        let mut prefix = Self::default();
        for (to, from) in prefix.bytes.iter_mut().zip(content) {
            *to = *from;
            prefix.len += 1;
        }
        prefix
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One RTP payload: `prefix`, then `body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The payload format's header.
    pub prefix: Prefix,
    /// The content, most often a part of the frame.
    pub body: &'a [u8],
    /// First payload of its frame: frame marking S.
    pub first: bool,
    /// Last payload of its frame: frame marking E, and the marker bit of video.
    pub last: bool,
}

impl Fragment<'_> {
    /// The payload's size in bytes.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.prefix.len + self.body.len()
    }

    /// Writes the payload behind what is in `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix.as_slice());
        out.extend_from_slice(self.body);
    }
}

/// The payloads of one frame, in order: iterate.
#[derive(Clone, Debug)]
pub struct Fragments<'a> {
    plan: Plan<'a>,
    tl0_pic_idx: u8,
    first: bool,
}

impl Fragments<'_> {
    /// The frame's running index of base layer frames, for frame marking.
    #[must_use]
    pub const fn tl0_pic_idx(&self) -> u8 {
        self.tl0_pic_idx
    }
}

impl<'a> Iterator for Fragments<'a> {
    type Item = Fragment<'a>;

    fn next(&mut self) -> Option<Fragment<'a>> {
        let first = std::mem::take(&mut self.first);
        let (prefix, body, last) = match &mut self.plan {
            Plan::Whole(frame) => (Prefix::default(), frame.take()?, true),
            Plan::Vp8 { descriptor, chunks } => {
                let body = chunks.next()?;
                descriptor.start_of_frame = first;
                let (bytes, len) = descriptor.encode();
                (Prefix::new(&bytes[..len]), body, chunks.len() == 0)
            }
            Plan::H264(plan) => plan.next()?,
        };
        Some(Fragment { prefix, body, first, last })
    }
}

#[derive(Clone, Debug)]
enum Plan<'a> {
    Whole(Option<&'a [u8]>),
    Vp8 { descriptor: Descriptor, chunks: Chunks<'a, u8> },
    H264(H264Plan<'a>),
}

type CarriedUnits<'a> = std::iter::Filter<NalUnits<'a>, fn(&&'a [u8]) -> bool>;

#[derive(Clone, Debug)]
struct H264Plan<'a> {
    /// An STAP-A that goes first.
    aggregate: Option<&'a [u8]>,
    /// What of a fragmented unit is still to be sent: its header, its chunks, whether the next is the first.
    fragmented: Option<(u8, Chunks<'a, u8>, bool)>,
    units: Peekable<CarriedUnits<'a>>,
    max_payload_bytes: usize,
}

fn carried_units(access_unit: &[u8]) -> CarriedUnits<'_> {
    nal_units(access_unit).filter(|unit| NalType::of(unit[0]).is_carried_by_rtp())
}

impl<'a> H264Plan<'a> {
    fn new(
        access_unit: &'a [u8],
        max_payload_bytes: usize,
        aggregate: &'a mut Vec<u8>,
    ) -> Result<Self, PacketizeError> {
        let mut units = carried_units(access_unit).peekable();
        if units.peek().is_none() {
            return Err(PacketizeError::NoNalUnit);
        }
        let leading = || carried_units(access_unit).take_while(|unit| !NalType::of(unit[0]).is_slice());
        let count = leading().count();
        let size = leading().map(|unit| AGGREGATED_SIZE_BYTES + unit.len()).sum::<usize>() + NAL_HEADER_BYTES;
        aggregate.clear();
        // A size field of 16 bits holds whatever fits a payload of UDP; the second bound is for callers with other ideas.
        let aggregated = count > 1 && size <= max_payload_bytes.min(usize::from(u16::MAX));
        if aggregated {
            aggregate.push(h264::stap_a_header(leading()));
            for unit in leading() {
                aggregate.extend_from_slice(&(unit.len() as u16).to_be_bytes());
                aggregate.extend_from_slice(unit);
            }
            for _ in 0..count {
                units.next();
            }
        }
        let aggregate = aggregated.then_some(aggregate.as_slice());
        Ok(Self { aggregate, fragmented: None, units, max_payload_bytes })
    }

    fn next(&mut self) -> Option<(Prefix, &'a [u8], bool)> {
        if let Some(aggregate) = self.aggregate.take() {
            return Some((Prefix::default(), aggregate, self.units.peek().is_none()));
        }
        if self.fragmented.is_none() {
            let unit = self.units.next()?;
            if unit.len() <= self.max_payload_bytes {
                return Some((Prefix::default(), unit, self.units.peek().is_none()));
            }
            let (&header, body) = unit.split_first()?;
            self.fragmented =
                Some((header, equal_chunks(body, self.max_payload_bytes - FU_HEADER_BYTES), true));
        }
        let (header, chunks, first) = self.fragmented.as_mut()?;
        let body = chunks.next()?;
        let end = chunks.len() == 0;
        let prefix = Prefix::new(&h264::fu_a_header(*header, *first, end));
        *first = false;
        if end {
            self.fragmented = None;
        }
        Some((prefix, body, end && self.units.peek().is_none()))
    }
}

#[cfg(test)]
mod tests;
