//! A fast hash of frames, so that a receiver can say that a frame arrived bit for bit.

/// Odd constants with half of their bits set, from the fraction of the golden ratio and of the square root of 2: any such do.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const MULTIPLIER: u64 = 0x6A09_E667_F3BC_C909;

/// A 64-bit hash of a frame's bytes. Not cryptographic: it finds accidents, not forgers. The same on every machine.
///
/// Eight bytes a step, each folded in with one multiplication of 64 by 64 bits.
#[must_use]
pub fn frame_hash(frame: &[u8]) -> u64 {
    let (words, tail) = frame.as_chunks::<8>();
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    let state =
        words.iter().fold(SEED ^ frame.len() as u64, |state, word| fold(state ^ u64::from_le_bytes(*word)));
    fold(fold(state ^ u64::from_le_bytes(last)) ^ SEED)
}

/// Both halves of the 128-bit product, added without carry.
const fn fold(value: u64) -> u64 {
    let product = value as u128 * MULTIPLIER as u128;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_changes_the_hash() {
        let frame: Vec<u8> = (0..203_u32).map(|i| (i * 37) as u8).collect();
        let mut seen = BTreeSet::from([frame_hash(&frame)]);
        for bit in 0..frame.len() * 8 {
            let mut changed = frame.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(frame_hash(&changed)), "bit {bit}");
        }
        for len in 0..frame.len() {
            assert!(seen.insert(frame_hash(&frame[..len])), "length {len}");
        }
    }

    #[test]
    fn runs_of_zeros_differ_by_their_length() {
        let hashes: BTreeSet<u64> = (0..100).map(|len| frame_hash(&vec![0; len])).collect();
        assert_eq!(hashes.len(), 100);
    }

    #[test]
    fn swapped_words_change_the_hash() {
        assert_ne!(frame_hash(b"aaaaaaaabbbbbbbb"), frame_hash(b"bbbbbbbbaaaaaaaa"));
    }
}
