//! Which packet indices of a block's SSRCs were sealed, so that none is sealed twice.
//!
//! What is sent goes up with few gaps, so all that an SSRC needs is its next index; gaps are listed apart. A sealed packet touches
//! eight bytes of state, where a window of bits would cost several cache lines for each receiver of each packet.

use std::collections::VecDeque;

use super::streams::Place;

/// Gaps that a direction remembers: a second of a few streams under heavy loss. The oldest is forgotten first; its indices count
/// as used from then on, which is safe.
const MAX_GAPS: usize = 256;

/// A run of indices of one SSRC that were skipped.
#[derive(Clone, Copy, Debug)]
struct Gap {
    offset: u32,
    len: u32,
    first: u64,
}

impl Gap {
    fn holds(&self, offset: usize, index: u64) -> bool {
        self.offset as usize == offset
            && index.checked_sub(self.first).is_some_and(|at| at < u64::from(self.len))
    }
}

/// The indices that one direction has sealed. Grows with the highest used SSRC of the block.
#[derive(Debug, Default)]
pub(super) struct SealedIndices {
    /// By offset in the block: one above the highest index that was sealed; 0 if none was.
    next: Vec<u64>,
    /// In the order in which they arose.
    gaps: VecDeque<Gap>,
}

impl SealedIndices {
    /// Whether `index` was not sealed yet and may be.
    pub(super) fn is_fresh(&self, place: Place, index: u64) -> bool {
        index >= self.next(place) || self.gaps.iter().any(|gap| gap.holds(place.offset(), index))
    }

    /// Takes in an index that [`Self::is_fresh`] allowed.
    pub(super) fn accept(&mut self, place: Place, index: u64) {
        let next = self.next(place);
        if index < next {
            self.fill(place, index);
            return;
        }
        if self.next.len() <= place.offset() {
            self.next.resize(place.offset() + 1, 0);
        }
        self.next[place.offset()] = index + 1;
        if index > next && next > 0 {
            let len = u32::try_from(index - next).unwrap_or(u32::MAX);
            self.remember(Gap { offset: place.offset() as u32, len, first: index - u64::from(len) });
        }
    }

    /// One above the highest index of an SSRC; `None` if none near it was sealed yet.
    pub(super) fn next_of(&self, place: Place) -> Option<&u64> {
        self.next.get(place.offset())
    }

    fn next(&self, place: Place) -> u64 {
        self.next_of(place).copied().unwrap_or_default()
    }

    fn remember(&mut self, gap: Gap) {
        if self.gaps.len() == MAX_GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap);
    }

    /// Takes `index` out of the gap that holds it: what is left of the gap is one shorter, or two.
    fn fill(&mut self, place: Place, index: u64) {
        let Some(position) = self.gaps.iter().position(|gap| gap.holds(place.offset(), index)) else {
            return;
        };
        let Some(gap) = self.gaps.remove(position) else { return };
        let before = (index - gap.first) as u32;
        let parts = [Gap { len: before, ..gap }, Gap { len: gap.len - before - 1, first: index + 1, ..gap }];
        for part in parts.into_iter().filter(|part| part.len > 0) {
            self.remember(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::ssrc::SsrcBlock;

    fn place(offset: u32) -> Place {
        Place::of(SsrcBlock::new(0, 64).unwrap(), offset).unwrap()
    }

    #[test]
    fn a_late_index_is_sealed_once_and_a_forgotten_gap_never() {
        let mut sealed = SealedIndices::default();
        for index in (0..2 * MAX_GAPS as u64 + 4).step_by(2) {
            assert!(sealed.is_fresh(place(4), index));
            sealed.accept(place(4), index);
            assert!(!sealed.is_fresh(place(4), index));
        }
        assert!(!sealed.is_fresh(place(4), 1), "the oldest gap is forgotten");
        let late = 2 * MAX_GAPS as u64 + 1;
        assert!(sealed.is_fresh(place(4), late));
        sealed.accept(place(4), late);
        assert!(!sealed.is_fresh(place(4), late));
        assert!(sealed.is_fresh(place(8), late), "another SSRC has its own indices");
    }

    proptest! {
        #[test]
        fn it_never_allows_what_a_set_has(
            steps in prop::collection::vec((0_u32..3, any::<bool>(), 0_u64..40), 1..400),
        ) {
            let mut sealed = SealedIndices::default();
            let (mut used, mut highest) = (BTreeSet::new(), [1_000_u64; 3]);
            for (stream, ahead, distance) in steps {
                let highest = &mut highest[stream as usize];
                let index = if ahead { *highest + distance / 8 } else { *highest - distance };
                let place = place(4 * (stream + 1));
                let fresh = sealed.is_fresh(place, index);
                prop_assert!(!(fresh && used.contains(&(stream, index))));
                if index > *highest {
                    prop_assert!(fresh);
                }
                if fresh {
                    sealed.accept(place, index);
                    used.insert((stream, index));
                    *highest = (*highest).max(index);
                }
            }
        }
    }
}
