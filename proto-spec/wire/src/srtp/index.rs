//! Packet indices: RFC 3711 section 3.3.1.

/// The last index of an SSRC under one key: a 32-bit ROC and a 16-bit sequence number.
pub(super) const MAX_RTP_INDEX: u64 = (1 << 48) - 1;
/// The last SRTCP index under one key.
pub(super) const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

/// Half of the sequence number space: RFC 3711 appendix A.
const HALF: u64 = 1 << 15;

/// The index of a packet with this sequence number, given the highest index of its SSRC so far, if any.
///
/// `None` if it would lie before the first or past the last index.
pub(super) fn guess(highest: Option<u64>, sequence_number: u16) -> Option<u64> {
    let sequence_number = u64::from(sequence_number);
    let Some(highest) = highest else {
        return Some(sequence_number);
    };
    let (roc, last) = (highest >> 16, highest & 0xFFFF);
    let roc = if last < HALF && sequence_number > last + HALF {
        roc.checked_sub(1)?
    } else if last >= HALF && sequence_number < last - HALF {
        roc + 1
    } else {
        roc
    };
    let index = roc << 16 | sequence_number;
    (index <= MAX_RTP_INDEX).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_has_roc_0() {
        assert_eq!(guess(None, 0), Some(0));
        assert_eq!(guess(None, 0xFFFF), Some(0xFFFF));
    }

    #[test]
    fn the_roc_follows_the_nearer_side() {
        for (highest, sequence_number, expected) in [
            (0x0_FFFF, 0x0000, Some(0x1_0000)),
            (0x1_0000, 0xFFFF, Some(0x0_FFFF)),
            (0x3_7FFF, 0xFFFF, Some(0x3_FFFF)),
            (0x3_7FFE, 0xFFFF, Some(0x2_FFFF)),
            (0x3_8000, 0x0000, Some(0x3_0000)),
            (0x3_8001, 0x0000, Some(0x4_0000)),
            (0x0_0005, 0xFFFF, None),
            (MAX_RTP_INDEX, 0xFFFE, Some(MAX_RTP_INDEX - 1)),
            (MAX_RTP_INDEX, 0x0000, None),
        ] {
            assert_eq!(guess(Some(highest), sequence_number), expected, "{highest:#x} {sequence_number:#x}");
        }
    }

    #[test]
    fn any_index_within_half_the_space_is_found() {
        let highest = 0x5_4321_u64;
        for distance in -32_767..=32_767_i64 {
            let index = highest.checked_add_signed(distance).unwrap();
            assert_eq!(guess(Some(highest), index as u16), Some(index));
        }
    }
}
