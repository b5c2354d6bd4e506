//! NAL units of H.264 and the headers of RFC 6184 around them.

/// Type of a unit that carries a slice of an IDR picture (H.264 table 7-1).
pub const IDR_SLICE: NalType = NalType(5);
/// Type of a single-time aggregation packet (RFC 6184 section 5.7.1).
pub const STAP_A: NalType = NalType(24);
/// Type of a fragmentation unit (RFC 6184 section 5.8).
pub const FU_A: NalType = NalType(28);

/// The header of a NAL unit, and of an aggregate: one byte of F, NRI (2) and type (5).
pub const NAL_HEADER_BYTES: usize = 1;
/// The size field before each unit of an aggregate.
pub const AGGREGATED_SIZE_BYTES: usize = 2;
/// FU indicator and FU header.
pub const FU_HEADER_BYTES: usize = 2;

const TYPE_MASK: u8 = 0x1F;
const FORBIDDEN_AND_NRI_MASK: u8 = 0xE0;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

/// The type of a NAL unit or of an RTP payload structure, 0 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalType(u8);

impl NalType {
    /// The type in a NAL unit's first byte.
    #[must_use]
    pub const fn of(header: u8) -> Self {
        Self(header & TYPE_MASK)
    }

    /// Whether the unit holds coded macroblocks: a slice or a partition of one.
    #[must_use]
    pub const fn is_slice(self) -> bool {
        matches!(self.0, 1..=5)
    }

    /// Whether the unit begins with a slice header: slices and partition A, not partitions B and C.
    #[must_use]
    pub const fn is_first_slice_partition(self) -> bool {
        matches!(self.0, 1 | 2 | 5)
    }

    /// Whether the unit, coming after a slice, begins a new access unit (H.264 section 7.4.1.2.3).
    #[must_use]
    pub const fn announces_access_unit(self) -> bool {
        matches!(self.0, 6..=9 | 14..=18)
    }

    /// Whether a unit of this type can be carried; the other types mean something else in RTP or nothing (RFC 6184 table 1).
    #[must_use]
    pub const fn is_carried_by_rtp(self) -> bool {
        matches!(self.0, 1..=23)
    }
}

/// The header of an aggregate of `units`: F if any has it, the highest NRI, the type (RFC 6184 section 5.7).
pub(super) fn stap_a_header<'a>(units: impl Iterator<Item = &'a [u8]>) -> u8 {
    let (forbidden, nri) = units
        .filter_map(|unit| unit.first())
        .fold((0, 0), |(forbidden, nri), header| (forbidden | (header & 0x80), nri.max(header & 0x60)));
    forbidden | nri | STAP_A.0
}

/// FU indicator and FU header of a fragment of the unit with this NAL header.
pub(super) const fn fu_a_header(nal_header: u8, first: bool, last: bool) -> [u8; FU_HEADER_BYTES] {
    let start = if first { FU_START } else { 0 };
    let end = if last { FU_END } else { 0 };
    [(nal_header & FORBIDDEN_AND_NRI_MASK) | FU_A.0, start | end | (nal_header & TYPE_MASK)]
}

/// A fragment of a NAL unit, as found in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    /// The header of the unit that is fragmented, put together again.
    pub(super) nal_header: u8,
    pub(super) start: bool,
    pub(super) end: bool,
    pub(super) body: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads an FU-A payload. `None` if it is cut short, empty, both first and last (section 5.8 forbids it), or of a type
    /// that is no NAL unit.
    pub(super) fn parse(payload: &'a [u8]) -> Option<Self> {
        let (&[indicator, header], body) = payload.split_first_chunk::<FU_HEADER_BYTES>()?;
        let (start, end) = (header & FU_START != 0, header & FU_END != 0);
        if body.is_empty() || (start && end) || !NalType::of(header).is_carried_by_rtp() {
            return None;
        }
        Some(Self {
            nal_header: (indicator & FORBIDDEN_AND_NRI_MASK) | (header & TYPE_MASK),
            start,
            end,
            body,
        })
    }
}

/// The units of an STAP-A, each behind its size of 16 bits. An item of `None` is the end of a malformed payload.
pub(super) fn aggregated_units(payload: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = payload.get(NAL_HEADER_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let split = rest
            .split_first_chunk::<AGGREGATED_SIZE_BYTES>()
            .and_then(|(size, behind)| behind.split_at_checked(usize::from(u16::from_be_bytes(*size))));
        let (unit, behind) = split.map_or((None, &[][..]), |(unit, behind)| (Some(unit), behind));
        rest = behind;
        Some(unit.filter(|unit| unit.first().is_some_and(|&header| NalType::of(header).is_carried_by_rtp())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_restores_the_header_of_its_unit() {
        let [indicator, header] = fu_a_header(0x65, true, false);
        assert_eq!((indicator, header), (0x7C, 0x85));
        let payload = [indicator, header, 1, 2];
        let fragment = Fragment::parse(&payload).unwrap();
        assert_eq!(fragment, Fragment { nal_header: 0x65, start: true, end: false, body: &[1, 2] });
        assert_eq!(fu_a_header(0x41, false, true), [0x5C, 0x41]);
    }

    #[test]
    fn impossible_fragments_are_refused() {
        for payload in [&[][..], &[0x7C], &[0x7C, 0x85], &[0x7C, 0xC5, 1], &[0x7C, 0x80, 1], &[0x7C, 0x9C, 1]]
        {
            assert_eq!(Fragment::parse(payload), None, "{payload:x?}");
        }
    }

    #[test]
    fn an_aggregate_gives_its_units_until_it_is_malformed() {
        let units: Vec<_> = aggregated_units(&[0x78, 0, 2, 0x67, 1, 0, 1, 0x68]).collect();
        assert_eq!(units, [Some(&[0x67, 1][..]), Some(&[0x68])]);
        for bad in [&[0x78, 0][..], &[0x78, 0, 0], &[0x78, 0, 2, 0x67], &[0x78, 0, 1, 0x78]] {
            assert_eq!(aggregated_units(bad).collect::<Vec<_>>(), [None], "{bad:x?}");
        }
        assert_eq!(stap_a_header([&[0x67][..], &[0x28], &[0x06]].into_iter()), 0x78);
    }
}
