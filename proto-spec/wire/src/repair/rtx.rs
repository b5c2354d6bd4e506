//! The retransmission payload format: RFC 4588 section 4.
//!
//! An RTX packet has the header of the original but for SSRC, sequence number and payload type (and, here, the transport-wide
//! sequence number), and its payload is the original's sequence number (OSN) and payload.

use crate::payload_type::PayloadType;
use crate::rtp::{BufferTooSmall, Put, RtpPacket};

/// Bytes that an RTX payload has before the original's: its sequence number.
pub const OSN_BYTES: usize = 2;

/// Splits an RTX payload into the original's sequence number and payload. `None` if it is too short to have one: padding.
#[must_use]
pub fn split(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (osn, original) = payload.split_first_chunk::<OSN_BYTES>()?;
    Some((u16::from_be_bytes(*osn), original))
}

/// Writes the RTX payload of a packet into `out` and gives its length in bytes.
///
/// # Errors
/// [`BufferTooSmall`] if `out` is shorter than `payload` and [`OSN_BYTES`] together.
pub fn write(sequence_number: u16, payload: &[u8], out: &mut [u8]) -> Result<usize, BufferTooSmall> {
    let mut put = Put::new(out);
    put.u16(sequence_number)?;
    put.bytes(payload)?;
    Ok(put.len())
}

/// Turns an RTX packet in clear into the original, in place: the header moves up to the payload, and gets the original's SSRC,
/// payload type and sequence number. The transport-wide sequence number stays that of the RTX packet.
///
/// `None`, with the packet unchanged, if it is no RTP packet, of another payload type than RTX, or carries no original.
pub fn restore(packet: &mut [u8], ssrc: u32, payload_type: u8) -> Option<&[u8]> {
    let parsed = RtpPacket::parse(packet).ok()?;
    if parsed.payload_type() != PayloadType::Rtx as u8 {
        return None;
    }
    let (sequence_number, _) = split(parsed.payload())?;
    let header_len = parsed.header_len();
    packet.copy_within(..header_len, OSN_BYTES);
    let original = packet.get_mut(OSN_BYTES..)?;
    original[1] = (original[1] & 0x80) | (payload_type & 0x7F);
    original[2..4].copy_from_slice(&sequence_number.to_be_bytes());
    original[8..12].copy_from_slice(&ssrc.to_be_bytes());
    Some(original)
}

/// The 48-bit index that a sequence number stands for, next to the highest index of its stream so far. `None` if it would lie
/// before the first.
#[must_use]
pub fn index_near(highest: u64, sequence_number: u16) -> Option<u64> {
    let ahead = sequence_number.wrapping_sub(highest as u16) as i16;
    highest.checked_add_signed(ahead.into())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::ext::MediaExtensions;
    use crate::rtp::RtpHeader;
    use crate::rtp::tests::any_media_extensions;

    fn packet(header: &RtpHeader<'_>, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; header.len()];
        header.write(&mut bytes).unwrap();
        bytes.extend_from_slice(payload);
        bytes
    }

    proptest! {
        #[test]
        fn what_is_sent_again_is_what_was_sent(
            (marker, payload_type, sequence_number, timestamp) in (any::<bool>(), 96..102u8, any::<u16>(), any::<u32>()),
            (rtx_sequence, csrcs) in (any::<u16>(), vec(any::<u32>(), 0..3)),
            (extensions, payload) in (any_media_extensions(), vec(any::<u8>(), 0..64)),
        ) {
            let header = RtpHeader {
                marker, payload_type, sequence_number, timestamp, ssrc: 0x0300_0044, csrcs: &csrcs,
                extensions: &extensions,
            };
            let rtx_header =
                RtpHeader { payload_type: 110, sequence_number: rtx_sequence, ssrc: 0x0300_0045, ..header };
            let mut rtx_payload = [0; 66];
            let len = write(sequence_number, &payload, &mut rtx_payload).unwrap();
            let mut resent = packet(&rtx_header, &rtx_payload[..len]);
            let original = packet(&header, &payload);
            prop_assert_eq!(restore(&mut resent, 0x0300_0044, payload_type), Some(&original[..]));
        }

        #[test]
        fn any_bytes_are_restored_or_left_alone(
            bytes in vec(any::<u8>(), 0..64), first in 0x80..0xC0u8, second in prop_oneof![Just(110u8), any::<u8>()],
        ) {
            let mut bytes = bytes;
            bytes.splice(..bytes.len().min(2), [first, second]);
            let before = bytes.clone();
            match restore(&mut bytes, 7, 96).map(<[u8]>::len) {
                Some(len) => prop_assert_eq!(len + OSN_BYTES, before.len()),
                None => prop_assert_eq!(bytes, before),
            }
        }

        #[test]
        fn an_index_within_half_the_space_is_found(highest in 40_000..u64::from(u32::MAX), ahead in -32_768..32_768i64) {
            let index = highest.checked_add_signed(ahead).unwrap();
            prop_assert_eq!(index_near(highest, index as u16), Some(index));
        }
    }

    #[test]
    fn padding_carries_no_original_and_nothing_comes_before_the_first_index() {
        let header = RtpHeader {
            marker: false,
            payload_type: 110,
            sequence_number: 1,
            timestamp: 2,
            ssrc: 3,
            csrcs: &[],
            extensions: &MediaExtensions::default(),
        };
        assert_eq!(restore(&mut packet(&header, &[1]), 2, 96), None);
        assert_eq!(restore(&mut packet(&header, &[1, 2]), 2, 96).map(<[u8]>::len), Some(12));
        assert_eq!(restore(&mut packet(&RtpHeader { payload_type: 96, ..header }, &[1, 2]), 2, 96), None);
        assert_eq!(write(1, &[0; 10], &mut [0; 11]), Err(BufferTooSmall));
        assert_eq!(index_near(5, 0xFFFF), None);
    }
}
