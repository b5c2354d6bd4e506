//! Replay windows: RFC 3711 section 3.3.2, as a ring of bits.

const WORD_BITS: u64 = u64::BITS as u64;

/// Which of the last `64 * WORDS` indices were used. Exists only once one was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window<const WORDS: usize> {
    highest: u64,
    /// The bit of index `i` is number `i` modulo the window's size, so that nothing shifts when the window moves.
    used: [u64; WORDS],
}

/// How an index relates to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fresh,
    Used,
    TooOld,
}

impl<const WORDS: usize> Window<WORDS> {
    /// How many indices the window remembers.
    pub(super) const LEN: u64 = WORDS as u64 * WORD_BITS;

    /// The window after its first index.
    pub(super) fn starting_at(index: u64) -> Self {
        let mut window = Self { highest: index, used: [0; WORDS] };
        window.mark(index);
        window
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    pub(super) fn check(&self, index: u64) -> Verdict {
        if index > self.highest {
            return Verdict::Fresh;
        }
        if self.highest - index >= Self::LEN {
            return Verdict::TooOld;
        }
        let (word, bit) = Self::place(index);
        if self.used[word] >> bit & 1 == 1 { Verdict::Used } else { Verdict::Fresh }
    }

    /// Takes in an index that [`Self::check`] found fresh. True if it is the highest so far.
    pub(super) fn accept(&mut self, index: u64) -> bool {
        let newest = index > self.highest;
        if newest {
            self.forget(self.highest + 1, (index - self.highest).min(Self::LEN));
            self.highest = index;
        }
        self.mark(index);
        newest
    }

    fn place(index: u64) -> (usize, u64) {
        ((index / WORD_BITS) as usize % WORDS, index % WORD_BITS)
    }

    fn mark(&mut self, index: u64) {
        let (word, bit) = Self::place(index);
        self.used[word] |= 1 << bit;
    }

    /// Clears the bits that indices from `first` on take over from those that leave the window.
    fn forget(&mut self, mut first: u64, mut count: u64) {
        while count > 0 {
            let (word, bit) = Self::place(first);
            let run = count.min(WORD_BITS - bit);
            self.used[word] &= !(u64::MAX >> (WORD_BITS - run) << bit);
            first += run;
            count -= run;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_distance_is_told_apart() {
        let highest = 5_000;
        for distance in 0..3_000 {
            let mut window = Window::<16>::starting_at(highest);
            let index = highest - distance;
            let expected = match distance {
                0 => Verdict::Used,
                1..1_024 => Verdict::Fresh,
                _ => Verdict::TooOld,
            };
            assert_eq!(window.check(index), expected, "{distance}");
            if expected == Verdict::Fresh {
                assert!(!window.accept(index));
                assert_eq!(window.check(index), Verdict::Used, "{distance}");
            }
        }
    }

    #[test]
    fn it_is_as_small_as_promised() {
        assert_eq!(size_of::<Window<16>>(), 8 + 128);
        assert_eq!(Window::<16>::LEN, 1_024);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set(steps in prop::collection::vec((any::<bool>(), 0_u64..400), 1..400)) {
            let mut window = Window::<2>::starting_at(10_000);
            let (mut seen, mut highest) = (BTreeSet::from([10_000]), 10_000);
            for (ahead, distance) in steps {
                let index = if ahead { highest + distance / 4 } else { highest - distance };
                let expected = if highest >= index + Window::<2>::LEN {
                    Verdict::TooOld
                } else if seen.contains(&index) {
                    Verdict::Used
                } else {
                    Verdict::Fresh
                };
                prop_assert_eq!(window.check(index), expected);
                if expected == Verdict::Fresh {
                    prop_assert_eq!(window.accept(index), index > highest);
                    seen.insert(index);
                    highest = highest.max(index);
                    prop_assert_eq!(window.highest(), highest);
                }
            }
        }
    }
}
