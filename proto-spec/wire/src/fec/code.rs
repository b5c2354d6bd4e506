//! The code: which multiple of each source is in each repair packet, and the way back.
//!
//! With a the powers of 2, row 0 is all ones, row 1 is a^(k-1-i), and row j from 2 on is 1 / (1 + a^(i+j-1)), i from 0. Times a^i
//! and a factor for each row that is a Cauchy matrix of the points a^-i against 0, infinity and a^(j-1), so each square part of
//! it can be inverted: any k packets give back k sources. Row 0 is a sum and row 1 a sum with doublings, both nearly free.

use super::field::{invert, multiply, power};
use super::{MAX_REPAIRS, MAX_SOURCES};

/// A square part of the code, or its inverse; only the first rows and columns are used.
pub(super) type Matrix = [[u8; MAX_REPAIRS]; MAX_REPAIRS];

// The points of the matrix must differ: exponents stay below the field's order.
const _: () = assert!(MAX_SOURCES + MAX_REPAIRS < 255);

/// What source `position` of `sources` is multiplied with in repair packet `row`.
pub(super) const fn coefficient(row: usize, position: usize, sources: usize) -> u8 {
    match row {
        0 => 1,
        1 => power(sources - 1 - position),
        _ => invert(1 ^ power(position + row - 1)),
    }
}

/// The inverse of the first `size` rows and columns, by Gauss and Jordan; `None` if there is none.
pub(super) fn inverse(mut matrix: Matrix, size: usize) -> Option<Matrix> {
    let mut inverse = [[0; MAX_REPAIRS]; MAX_REPAIRS];
    for (n, row) in inverse.iter_mut().enumerate() {
        row[n] = 1;
    }
    for column in 0..size {
        let pivot = (column..size).find(|row| matrix[*row][column] != 0)?;
        matrix.swap(pivot, column);
        inverse.swap(pivot, column);
        let factor = invert(matrix[column][column]);
        scale(&mut matrix[column], factor);
        scale(&mut inverse[column], factor);
        for row in (0..size).filter(|row| *row != column) {
            let factor = matrix[row][column];
            let (of_matrix, of_inverse) = (matrix[column], inverse[column]);
            add_multiple(&mut matrix[row], &of_matrix, factor);
            add_multiple(&mut inverse[row], &of_inverse, factor);
        }
    }
    Some(inverse)
}

fn scale(row: &mut [u8; MAX_REPAIRS], factor: u8) {
    row.iter_mut().for_each(|element| *element = multiply(*element, factor));
}

fn add_multiple(row: &mut [u8; MAX_REPAIRS], other: &[u8; MAX_REPAIRS], factor: u8) {
    for (element, other) in row.iter_mut().zip(other) {
        *element ^= multiply(*other, factor);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(rows: &[usize], positions: &[usize], sources: usize) -> Matrix {
        let mut matrix = [[0; MAX_REPAIRS]; MAX_REPAIRS];
        for (r, row) in rows.iter().enumerate() {
            for (c, position) in positions.iter().enumerate() {
                matrix[r][c] = coefficient(*row, *position, sources);
            }
        }
        matrix
    }

    #[test]
    fn every_small_part_of_the_code_has_an_inverse() {
        let mut parts = 0;
        for a in 0..MAX_REPAIRS {
            for b in a + 1..MAX_REPAIRS {
                for i in 0..MAX_SOURCES {
                    assert_ne!(coefficient(a, i, MAX_SOURCES), 0);
                    for j in i + 1..MAX_SOURCES {
                        assert!(inverse(part(&[a, b], &[i, j], MAX_SOURCES), 2).is_some(), "{a} {b} {i} {j}");
                        parts += 1;
                    }
                }
            }
        }
        assert_eq!(parts, 120 * 1_128);
        for (a, b, c) in [(0, 1, 2), (0, 1, 3), (1, 2, 3), (2, 3, 4), (0, 7, 15)] {
            for i in 0..MAX_SOURCES {
                for j in i + 1..MAX_SOURCES {
                    for l in j + 1..MAX_SOURCES {
                        let part = part(&[a, b, c], &[i, j, l], MAX_SOURCES);
                        assert!(inverse(part, 3).is_some(), "{a} {b} {c} {i} {j} {l}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_has_no_inverse_gives_none() {
        assert_eq!(inverse([[1; MAX_REPAIRS]; MAX_REPAIRS], 2), None);
        assert_eq!(inverse([[0; MAX_REPAIRS]; MAX_REPAIRS], 1), None);
    }

    proptest! {
        #[test]
        fn any_part_times_its_inverse_is_one(
            rows in proptest::sample::subsequence((0..MAX_REPAIRS).collect::<Vec<_>>(), 1..=MAX_REPAIRS),
            sources in MAX_REPAIRS..=MAX_SOURCES,
            seed in any::<u64>(),
        ) {
            let mut positions: Vec<usize> = (0..sources).collect();
            positions.sort_by_key(|n| (*n as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            positions.truncate(rows.len());
            let matrix = part(&rows, &positions, sources);
            let inverse = inverse(matrix, rows.len()).unwrap();
            for (r, row) in matrix[..rows.len()].iter().enumerate() {
                for column in 0..rows.len() {
                    let products = row.iter().zip(&inverse).take(rows.len()).map(|(a, b)| multiply(*a, b[column]));
                    prop_assert_eq!(products.fold(0, |sum, product| sum ^ product), u8::from(r == column));
                }
            }
        }
    }
}
