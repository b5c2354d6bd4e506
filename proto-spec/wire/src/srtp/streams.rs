//! The replay windows of a block's SSRCs, made when an SSRC is first used.

use crate::ssrc::{SsrcBlock, StreamIndex, StreamRole};

use super::replay::{Verdict, Window};

/// RTP windows hold 1,024 packets: `proto-spec/spec/02-session.md` section 2.4. At 2.2 Mbit/s that is four seconds, longer
/// than any retransmission is worth waiting for.
const WINDOW_WORDS: usize = 16;

/// Says that an SSRC has no window yet.
const UNUSED: u16 = 0;

/// A packet's place in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The SSRC's distance from the block's base.
    offset: usize,
    pub(super) stream: StreamIndex,
    pub(super) role: StreamRole,
}

impl Place {
    /// Where an SSRC is that carries RTP. `None` if it is outside of the block, reserved, or the control stream's that carries
    /// RTCP.
    pub(super) fn of(block: SsrcBlock, ssrc: u32) -> Option<Self> {
        let (stream, role) = block.locate(ssrc)?;
        let offset = (ssrc - block.base()) as usize;
        let is_control = stream == StreamIndex::CONTROL && role == StreamRole::Media;
        (!is_control).then_some(Self { offset, stream, role })
    }

    /// The SSRC's distance from the block's base.
    pub(super) const fn offset(self) -> usize {
        self.offset
    }
}

/// A window per SSRC that was used. Grows with the highest used SSRC of the block, which is at most 65,536.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// By offset in the block: 1 + the position in `windows`, or [`UNUSED`]. A block has at most 49,152 usable SSRCs.
    slots: Vec<u16>,
    windows: Vec<Window<WINDOW_WORDS>>,
}

impl Streams {
    /// The highest index of an SSRC so far.
    pub(super) fn highest(&self, place: Place) -> Option<u64> {
        self.window(place).map(Window::highest)
    }

    pub(super) fn check(&self, place: Place, index: u64) -> Verdict {
        self.window(place).map_or(Verdict::Fresh, |window| window.check(index))
    }

    /// Takes in an index that [`Self::check`] found fresh. True if it is the highest of its SSRC so far.
    pub(super) fn accept(&mut self, place: Place, index: u64) -> bool {
        if let Some(position) = self.position(place) {
            return self.windows[position].accept(index);
        }
        if self.slots.len() <= place.offset {
            self.slots.resize(place.offset + 1, UNUSED);
        }
        self.windows.push(Window::starting_at(index));
        self.slots[place.offset] = self.windows.len() as u16;
        true
    }

    fn window(&self, place: Place) -> Option<&Window<WINDOW_WORDS>> {
        self.position(place).map(|position| &self.windows[position])
    }

    fn position(&self, place: Place) -> Option<usize> {
        match self.slots.get(place.offset) {
            None | Some(&UNUSED) => None,
            Some(&slot) => Some(usize::from(slot) - 1),
        }
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u16>() + self.windows.capacity() * size_of::<Window<WINDOW_WORDS>>()
    }
}
