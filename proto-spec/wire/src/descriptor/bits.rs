//! Bits from the most significant one on: the AV1 RTP specification, section A.8.1.

/// What is left of a bit string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits that were read.
    position: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next bit, `f(1)`.
    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.position / 8)?;
        let bit = (byte >> (7 - self.position % 8)) & 1;
        self.position += 1;
        Some(bit == 1)
    }

    /// The next `count` bits, at most 32, as a number: `f(count)`.
    pub(super) fn number(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |number, _| Some((number << 1) | u32::from(self.bit()?)))
    }

    /// A number below `limit`, which is at least 1, in as few bits as that takes: `ns(limit)`.
    pub(super) fn below(&mut self, limit: u32) -> Option<u32> {
        let width = u32::BITS - limit.leading_zeros();
        let short = (1 << width) - limit;
        let number = self.number(width - 1)?;
        if number < short { Some(number) } else { Some((number << 1) - short + u32::from(self.bit()?)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_from_the_most_significant_bit_on() {
        let mut bits = Bits::new(&[0b1010_0110, 0b1100_0000]);
        assert_eq!((bits.bit(), bits.number(0), bits.number(9)), (Some(true), Some(0), Some(0b0_1001_1011)));
        assert_eq!((bits.number(7), bits.bit()), (None, None));
    }

    #[test]
    fn numbers_below_a_limit_take_no_more_bits_than_needed() {
        // Of five numbers, three take two bits and two take three.
        let mut bits = Bits::new(&[0b0001_1011, 0b0111_0000]);
        let numbers = [0; 5].map(|_| bits.below(5));
        assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!((bits.below(1), bits.position), (Some(0), 12));
    }
}
