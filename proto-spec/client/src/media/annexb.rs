//! H.264 byte streams (ITU-T H.264 Annex B): NAL units between start codes, and their grouping into access units.

use super::h264::{self, NalType};

/// What this module writes before every NAL unit: the long start code.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units of a byte stream, without start codes and without the zero bytes that may trail a unit.
///
/// Bytes before the first start code are skipped, and so are empty units. Total: any input gives a finite list.
#[must_use]
pub fn nal_units(stream: &[u8]) -> NalUnits<'_> {
    NalUnits { rest: find_start_code(stream).map_or(&[], |at| &stream[at + 3..]) }
}

/// Iterator of [`nal_units`].
#[derive(Clone, Debug)]
pub struct NalUnits<'a> {
    /// Begins right behind a start code, or is empty.
    rest: &'a [u8],
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (unit, rest) = match find_start_code(self.rest) {
                Some(at) => (&self.rest[..at], &self.rest[at + 3..]),
                None => (self.rest, &[][..]),
            };
            self.rest = rest;
            let unit = without_trailing_zeros(unit);
            if !unit.is_empty() {
                return Some(unit);
            }
        }
        None
    }
}

/// Where `00 00 01` begins. Three bytes a step wherever the third byte shows that none of them begins a start code.
fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(&[first, second, third]) = bytes.get(at..at + 3) {
        match (first, second, third) {
            (0, 0, 1) => return Some(at),
            (_, _, 1..) => at += 3,
            (_, 0, 0) => at += 1,
            (_, _, 0) => at += 2,
        }
    }
    None
}

/// A unit never ends in a zero byte (H.264 section 7.4.1), so those belong to the next start code or to padding.
fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let len = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &unit[..len]
}

/// One coded picture with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// The NAL units, each behind a start code of four bytes: the form in which frames are sent, compared and delivered.
    pub data: Vec<u8>,
    /// Whether it is an IDR picture, from which decoding can start.
    pub idr: bool,
}

/// Splits a byte stream into access units by the rules of H.264 section 7.4.1.2.3, as far as they can be applied without
/// parsing parameter sets: a delimiter, parameter set or SEI behind a slice begins a new access unit, and so does a slice of
/// macroblock 0. That is exact for streams without arbitrary slice order and redundant pictures, which are all that modern
/// encoders make. Units that RTP cannot carry (types 0 and 24 to 31) are left out.
///
/// The output is at most 4/3 of the input's size, plus 1 byte.
#[must_use]
pub fn access_units(stream: &[u8]) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    let mut open = AccessUnit { data: Vec::new(), idr: false };
    let mut has_slice = false;
    for unit in nal_units(stream) {
        let kind = NalType::of(unit[0]);
        if !kind.is_carried_by_rtp() {
            continue;
        }
        if has_slice && begins_access_unit(kind, unit) {
            units.push(std::mem::replace(&mut open, AccessUnit { data: Vec::new(), idr: false }));
            has_slice = false;
        }
        has_slice |= kind.is_slice();
        open.idr |= kind == h264::IDR_SLICE;
        open.data.extend_from_slice(&START_CODE);
        open.data.extend_from_slice(unit);
    }
    if has_slice {
        units.push(open);
    }
    units
}

/// Whether a NAL unit that comes after a slice begins the next access unit.
fn begins_access_unit(kind: NalType, unit: &[u8]) -> bool {
    if kind.is_first_slice_partition() {
        // first_mb_in_slice is the first field, in Exp-Golomb code: a leading 1 bit is the value 0.
        unit.get(1).is_some_and(|byte| byte & 0x80 != 0)
    } else {
        kind.announces_access_unit()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn start_codes_of_three_and_four_bytes_and_padding_are_understood() {
        let stream = [9, 9, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0x65, 0x80, 0, 0];
        let units: Vec<&[u8]> = nal_units(&stream).collect();
        assert_eq!(units, [&[0x67, 1][..], &[0x68], &[0x65, 0x80]]);
    }

    #[test]
    fn access_units_begin_where_the_standard_says() {
        let units: [&[u8]; 12] = [
            &[0x67, 0x42], // parameter sets belong to what follows
            &[0x68, 0xCE],
            &[0x65, 0x88], // IDR slice of macroblock 0
            &[0x65, 0x48], // another slice of the same picture
            &[0x41, 0x9A], // next picture
            &[0x06, 0x05], // SEI announces
            &[0x41, 0x9B],
            &[0x09, 0x30], // delimiter announces
            &[0x41, 0x9C],
            &[0x58, 0x9D], // type 24 is unspecified in a stream and an aggregate in RTP
            &[0x0A],       // end of sequence belongs to what precedes
            &[0x67, 0x42], // nothing decodable follows
        ];
        let stream: Vec<u8> = units.iter().flat_map(|unit| [&[0, 0, 1][..], unit].concat()).collect();
        let pictures = access_units(&stream);
        let lengths: Vec<usize> = pictures.iter().map(|picture| nal_units(&picture.data).count()).collect();
        assert_eq!(lengths, [4, 1, 2, 3]);
        assert_eq!(
            pictures.iter().map(|picture| picture.idr).collect::<Vec<_>>(),
            [true, false, false, false]
        );
        assert_eq!(pictures[1].data, [0, 0, 0, 1, 0x41, 0x9A]);
    }

    proptest! {
        #[test]
        fn splitting_is_total_and_finds_what_a_naive_search_finds(
            stream in proptest::collection::vec(prop_oneof![4 => Just(0_u8), 2 => Just(1), 1 => any::<u8>()], 0..200)
        ) {
            let naive = stream.windows(3).position(|bytes| bytes == [0, 0, 1]);
            prop_assert_eq!(find_start_code(&stream), naive);
            for unit in nal_units(&stream) {
                prop_assert!(!unit.is_empty() && unit.last() != Some(&0));
                prop_assert!(find_start_code(unit).is_none());
            }
            let total: usize = access_units(&stream).iter().map(|unit| unit.data.len()).sum();
            prop_assert!(total <= stream.len() * 4 / 3 + 1);
        }

        #[test]
        fn what_is_normal_stays_as_it_is(
            bodies in proptest::collection::vec(proptest::collection::vec(1_u8.., 1..40), 1..8)
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.extend_from_slice(&START_CODE);
                stream.push(0x65);
                stream.extend(body);
            }
            let again: Vec<u8> = access_units(&stream).into_iter().flat_map(|unit| unit.data).collect();
            prop_assert_eq!(again, stream);
        }
    }
}
