//! The field of 2^8 elements, and what is done with whole packets in it.
//!
//! Addition is exclusive or. Multiplication is that of polynomials modulo x^8 + x^4 + x^3 + x^2 + 1, as in RFC 5510 section 8.1;
//! the powers of 2 are all elements but 0.

/// Bytes of a row: the longest packet, and a whole number of chunks.
pub(super) const ROW_BYTES: usize = 1_152;
/// What is worked on at a time: its eight doublings stay in the first-level cache, its sums in registers.
const CHUNK_BYTES: usize = 128;
/// The polynomial without its highest term.
const REDUCTION: u8 = 0x1D;
/// Elements other than 0.
const ORDER: usize = 255;

/// A packet, or a sum of packets, with zeros behind its end.
pub(super) type Row = [u8; ROW_BYTES];

const POWERS: [u8; ORDER] = powers();
const LOGARITHMS: [u8; 256] = logarithms();

const fn powers() -> [u8; ORDER] {
    let (mut powers, mut element, mut n) = ([0; ORDER], 1, 0);
    while n < ORDER {
        powers[n] = element;
        element = double(element);
        n += 1;
    }
    powers
}

const fn logarithms() -> [u8; 256] {
    let (mut logarithms, mut n) = ([0; 256], 0);
    while n < ORDER {
        logarithms[POWERS[n] as usize] = n as u8;
        n += 1;
    }
    logarithms
}

const fn double(element: u8) -> u8 {
    (element << 1) ^ (((element as i8) >> 7) as u8 & REDUCTION)
}

/// The `exponent`-th power of 2.
pub(super) const fn power(exponent: usize) -> u8 {
    POWERS[exponent % ORDER]
}

pub(super) const fn multiply(left: u8, right: u8) -> u8 {
    if left == 0 || right == 0 {
        return 0;
    }
    power(LOGARITHMS[left as usize] as usize + LOGARITHMS[right as usize] as usize)
}

/// What `element` is multiplied with to give 1; 0 for 0, which has none.
pub(super) const fn invert(element: u8) -> u8 {
    if element == 0 { 0 } else { power(ORDER - LOGARITHMS[element as usize] as usize) }
}

/// Bytes that are worked on for `len` bytes of a row; those behind `len` must be zeros.
pub(super) const fn worked_len(len: usize) -> usize {
    let len = len.next_multiple_of(CHUNK_BYTES);
    if len < ROW_BYTES { len } else { ROW_BYTES }
}

/// Adds the first `len` bytes of `source` to `row`.
pub(super) fn add(row: &mut Row, source: &Row, len: usize) {
    let len = worked_len(len);
    for (sum, byte) in row[..len].iter_mut().zip(&source[..len]) {
        *sum ^= byte;
    }
}

/// Doubles the first `len` bytes of `row` and adds those of `source`.
pub(super) fn double_and_add(row: &mut Row, source: &Row, len: usize) {
    let len = worked_len(len);
    for (sum, byte) in row[..len].iter_mut().zip(&source[..len]) {
        *sum = double(*sum) ^ byte;
    }
}

/// Adds the first `len` bytes of `source`, times a coefficient for each row, to the rows.
///
/// A chunk is doubled up to seven times, once for all rows; what a row wants of it is then a sum of some doublings.
pub(super) fn add_multiples(rows: &mut [Row], coefficients: &[u8], source: &Row, len: usize) {
    let highest = coefficients.iter().fold(0, |bits, coefficient| bits | coefficient);
    let wanted = 8 - highest.leading_zeros() as usize;
    let mut doublings = [[0; CHUNK_BYTES]; 8];
    let chunks = source[..worked_len(len)].as_chunks::<CHUNK_BYTES>().0;
    for (number, chunk) in chunks.iter().enumerate() {
        doublings[0] = *chunk;
        for n in 1..wanted {
            let mut next = doublings[n - 1];
            next.iter_mut().for_each(|byte| *byte = double(*byte));
            doublings[n] = next;
        }
        for (row, coefficient) in rows.iter_mut().zip(coefficients) {
            add_selected(&mut row.as_chunks_mut().0[number], *coefficient, &doublings);
        }
    }
}

/// Adds the doublings whose bits `coefficient` has.
fn add_selected(sum: &mut [u8; CHUNK_BYTES], coefficient: u8, doublings: &[[u8; CHUNK_BYTES]; 8]) {
    let mut bits = coefficient;
    while bits != 0 {
        let doubling = &doublings[bits.trailing_zeros() as usize];
        for (sum, byte) in sum.iter_mut().zip(doubling) {
            *sum ^= byte;
        }
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiplication of polynomials, bit by bit, as a second opinion.
    fn slow(mut left: u8, mut right: u8) -> u8 {
        let mut product = 0;
        while right != 0 {
            if right & 1 == 1 {
                product ^= left;
            }
            let carry = left & 0x80 != 0;
            left <<= 1;
            if carry {
                left ^= 0x1D;
            }
            right >>= 1;
        }
        product
    }

    #[test]
    fn products_and_inverses_of_all_elements() {
        for left in 0..=255 {
            for right in 0..=255 {
                assert_eq!(multiply(left, right), slow(left, right), "{left} {right}");
            }
            assert_eq!(multiply(left, invert(left)), u8::from(left != 0), "{left}");
        }
        // RFC 5510 section 8.1's polynomial: x^8 is x^4 + x^3 + x^2 + 1.
        assert_eq!((power(0), power(1), power(8), power(255)), (1, 2, 0x1D, 1));
    }

    #[test]
    fn rows_are_multiplied_byte_by_byte() {
        let source: Row = std::array::from_fn(|n| (n * 37 % 251) as u8);
        let coefficients: Vec<u8> = (0..=255).collect();
        for len in [1, 128, 129, 1_100, ROW_BYTES] {
            let mut rows = vec![[0x5A; ROW_BYTES]; 256];
            add_multiples(&mut rows, &coefficients, &source, len);
            for (row, coefficient) in rows.iter().zip(&coefficients) {
                let touched = worked_len(len);
                assert!(
                    (0..touched).all(|n| row[n] == 0x5A ^ slow(source[n], *coefficient)),
                    "{coefficient}"
                );
                assert!(row[touched..].iter().all(|byte| *byte == 0x5A));
            }
        }
        let (mut sum, mut doubled) = ([0x5A; ROW_BYTES], [0x5A; ROW_BYTES]);
        add(&mut sum, &source, 1_100);
        double_and_add(&mut doubled, &source, 1_100);
        assert!((0..1_100).all(|n| sum[n] == 0x5A ^ source[n] && doubled[n] == slow(0x5A, 2) ^ source[n]));
    }
}
