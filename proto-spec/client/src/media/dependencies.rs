//! Whether a frame can be decoded from what came before it: by frame marking (RFC 9626), as a receiver without a decoder can say.
//!
//! A frame is given once all of its packets are there. What it depends on follows from its headers:
//!
//! * an independent frame depends on nothing;
//! * a frame of the base layer depends on the base layer frame before it, whose TL0PICIDX is one less;
//! * a frame of an upper layer depends on the base layer frame with its TL0PICIDX; if it is marked as base layer sync, on nothing
//!   else. Otherwise it depends on lower layers too, and on its own layer unless all frames of that are discardable.
//!
//! Headers do not name the frames of upper layers, so those that are missing show in two ways: a gap in the sequence, behind which
//! no upper layer is trusted before it is synchronised; and a group (a base layer frame and what comes until the next one) without
//! any frame of a layer, since a layer that flows has at least one in every group. The verdict errs on the side of "no".

use sluice_wire::ext::FrameMarking;

/// Temporal ids are 3 bits.
const MAX_LAYERS: usize = 8;

/// What is known of a whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFacts {
    /// Whether decoding can start here, by the payload itself.
    pub key: bool,
    /// Whether a part of the stream is missing before it.
    pub follows_gap: bool,
    /// Frame marking of its packets, with the highest spatial layer of all; `None` if they have none.
    pub marking: Option<FrameMarking>,
}

/// An upper temporal layer.
#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    /// Every frame of it that another may need has come since it was synchronised.
    live: bool,
    /// A decodable frame of it came since the last base layer frame.
    in_group: bool,
    /// Not all of its frames are discardable.
    referenced: bool,
}

/// Follows a stream, frame by frame in order, and says of each whether it can be decoded.
#[derive(Clone, Debug, Default)]
pub struct Dependencies {
    /// A key frame has come, and every base layer frame since.
    base_is_whole: bool,
    tl0_pic_idx: u8,
    spatial_id: u8,
    /// By temporal id; the base layer's place is not used.
    layers: [Layer; MAX_LAYERS],
}

impl Dependencies {
    /// Whether nothing will be decodable before the next key frame.
    #[must_use]
    pub const fn needs_key_frame(&self) -> bool {
        !self.base_is_whole
    }

    /// Judges the next frame of the stream: whether it and all that it depends on have come.
    pub fn judge(&mut self, frame: &FrameFacts) -> bool {
        let Some(marking) = &frame.marking else { return self.judge_unmarked(frame) };
        if frame.follows_gap {
            self.layers.iter_mut().for_each(|layer| layer.live = false);
        }
        if frame.key != marking.independent || (frame.key && marking.temporal_id > 0) {
            // The header contradicts the payload: nothing that it says can be relied on.
            self.base_is_whole = false;
            return false;
        }
        if frame.key {
            self.restart(marking);
            return true;
        }
        let spatial_fits = marking.layer_id <= self.spatial_id || marking.base_sync;
        let is_decodable =
            spatial_fits && if marking.temporal_id == 0 { self.base(marking) } else { self.upper(marking) };
        self.spatial_id = marking.layer_id;
        is_decodable
    }

    fn judge_unmarked(&mut self, frame: &FrameFacts) -> bool {
        self.base_is_whole = frame.key || (self.base_is_whole && !frame.follows_gap);
        self.base_is_whole
    }

    fn restart(&mut self, marking: &FrameMarking) {
        *self = Self {
            base_is_whole: true,
            tl0_pic_idx: marking.tl0_pic_idx,
            spatial_id: marking.layer_id,
            layers: [Layer { live: true, ..Layer::default() }; MAX_LAYERS],
        };
    }

    fn base(&mut self, marking: &FrameMarking) -> bool {
        self.base_is_whole &= marking.tl0_pic_idx == self.tl0_pic_idx.wrapping_add(1);
        self.tl0_pic_idx = marking.tl0_pic_idx;
        for layer in &mut self.layers {
            layer.live &= layer.in_group;
            layer.in_group = false;
        }
        self.base_is_whole
    }

    fn upper(&mut self, marking: &FrameMarking) -> bool {
        // Its base layer frame is missing, and so will be that of the base layer frames to come.
        self.base_is_whole &= marking.tl0_pic_idx == self.tl0_pic_idx;
        let id = usize::from(marking.temporal_id).min(MAX_LAYERS - 1);
        let (lower, rest) = self.layers.split_at_mut(id);
        let (lower, Some(own)) = (lower.get(1..).unwrap_or_default(), rest.first_mut()) else { return false };
        let lower_came =
            lower.iter().all(|layer| layer.live) || lower.iter().any(|layer| layer.live && layer.in_group);
        // A layer of which nothing has come yet is like the frame at hand.
        let own_came = own.live || (marking.discardable && !own.referenced);
        let is_decodable = self.base_is_whole && (marking.base_sync || (lower_came && own_came));
        own.live = is_decodable;
        own.in_group |= is_decodable;
        own.referenced |= !marking.discardable;
        is_decodable
    }
}

#[cfg(test)]
mod tests;
