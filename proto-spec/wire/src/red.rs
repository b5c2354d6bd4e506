//! Redundant audio, RFC 2198: an Opus packet with copies of the ones before it.
//!
//! Each copy has a header of 4 bytes (`1 PT(7) | offset (14) | length (10)`), the newest packet one of a byte (`0 PT(7)`); then come
//! the payloads in the same order, the oldest first and the newest last.

use crate::rtp::{BufferTooSmall, Put};

/// The most copies that are written, and read: two packets of 20 ms bridge the bursts that audio meets most.
pub const MAX_COPIES: usize = 2;
/// The greatest offset of a copy, in ticks: what 14 bits hold, 341 ms at 48 kHz.
pub const MAX_OFFSET_TICKS: u16 = (1 << 14) - 1;
/// The longest copy, in bytes: what 10 bits hold.
pub const MAX_COPY_BYTES: usize = (1 << 10) - 1;

const MORE_BIT: u8 = 0x80;
const COPY_HEADER_BYTES: usize = 4;
const LENGTH_BITS: u32 = 10;

/// A copy of an earlier packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redundant<'a> {
    /// The payload type; its lower 7 bits are written.
    pub payload_type: u8,
    /// How much earlier its timestamp is than the newest packet's, in ticks; at most [`MAX_OFFSET_TICKS`].
    pub offset_ticks: u16,
    /// The payload, at most [`MAX_COPY_BYTES`].
    pub payload: &'a [u8],
}

/// Why a payload is not RED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RedError {
    /// A header or a copy runs past the end.
    #[error("runs past the end")]
    TooShort,
    /// More than [`MAX_COPIES`] copies.
    #[error("more copies than are read")]
    TooMany,
}

/// A RED payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Red<'a> {
    copies: [Option<Redundant<'a>>; MAX_COPIES],
    /// The payload type of the newest packet, 7 bits.
    pub payload_type: u8,
    /// The payload of the newest packet.
    pub payload: &'a [u8],
}

impl<'a> Red<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`RedError`] says what is wrong with it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RedError> {
        let (mut copies, mut lens, mut count, mut rest) = ([None; MAX_COPIES], [0; MAX_COPIES], 0, bytes);
        let payload_type = loop {
            let (&first, behind) = rest.split_first().ok_or(RedError::TooShort)?;
            if first & MORE_BIT == 0 {
                rest = behind;
                break first;
            }
            if count == MAX_COPIES {
                return Err(RedError::TooMany);
            }
            let (head, behind) = rest.split_first_chunk::<COPY_HEADER_BYTES>().ok_or(RedError::TooShort)?;
            let fields = u32::from_be_bytes(*head);
            lens[count] = fields as usize & MAX_COPY_BYTES;
            let offset_ticks = (fields >> LENGTH_BITS) as u16 & MAX_OFFSET_TICKS;
            copies[count] = Some(Redundant { payload_type: first & !MORE_BIT, offset_ticks, payload: &[] });
            count += 1;
            rest = behind;
        };
        for (copy, len) in copies.iter_mut().flatten().zip(lens) {
            (copy.payload, rest) = rest.split_at_checked(len).ok_or(RedError::TooShort)?;
        }
        Ok(Self { copies, payload_type, payload: rest })
    }

    /// The copies, the oldest first if the sender keeps to the order of the RFC.
    pub fn copies(&self) -> impl Iterator<Item = Redundant<'a>> + Clone {
        self.copies.into_iter().flatten()
    }
}

/// Writes a RED payload to the start of `out` and gives its length: the copies, oldest first, and the newest packet.
///
/// # Errors
/// [`BufferTooSmall`] if `out` is too short, for more than [`MAX_COPIES`] copies, and for one whose offset or length has no
/// room in its header.
pub fn write(
    copies: &[Redundant<'_>],
    payload_type: u8,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, BufferTooSmall> {
    let fits =
        |copy: &Redundant<'_>| copy.offset_ticks <= MAX_OFFSET_TICKS && copy.payload.len() <= MAX_COPY_BYTES;
    if copies.len() > MAX_COPIES || !copies.iter().all(fits) {
        return Err(BufferTooSmall);
    }
    let mut put = Put::new(out);
    for copy in copies {
        let head = u32::from(copy.payload_type | MORE_BIT) << 24;
        put.u32(head | u32::from(copy.offset_ticks) << LENGTH_BITS | copy.payload.len() as u32)?;
    }
    put.u8(payload_type & !MORE_BIT)?;
    for copy in copies {
        put.bytes(copy.payload)?;
    }
    put.bytes(payload)?;
    Ok(put.len())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Two copies of 3 and 2 bytes, 40 and 20 ms old, before 4 bytes; the fields as in RFC 2198 section 3, by hand.
    const TWO: [u8; 18] = [
        0xE0, 0x1E, 0x00, 0x03, 0xE0, 0x0F, 0x00, 0x02, 0x60, 0xA1, 0xA2, 0xA3, 0xB1, 0xB2, 0xC1, 0xC2, 0xC3,
        0xC4,
    ];

    fn copy(offset_ticks: u16, payload: &[u8]) -> Redundant<'_> {
        Redundant { payload_type: 96, offset_ticks, payload }
    }

    #[test]
    fn two_copies_in_bytes() {
        let copies = [copy(1_920, &[0xA1, 0xA2, 0xA3]), copy(960, &[0xB1, 0xB2])];
        let newest = [0xC1, 0xC2, 0xC3, 0xC4];
        let mut out = [0; 18];
        assert_eq!(write(&copies, 96, &newest, &mut out), Ok(18));
        assert_eq!(out, TWO);
        let red = Red::parse(&TWO).unwrap();
        assert!(red.copies().eq(copies));
        assert_eq!((red.payload_type, red.payload), (96, &newest[..]));
        crate::fuzzing::red(&TWO);
    }

    /// The example of RFC 2198 section 7: DVI4 (PT 5) with LPC (PT 7) of the packet before, both 20 ms at 8 kHz.
    #[test]
    fn the_example_of_the_rfc() {
        let (lpc, dvi4) = ([0xAA; 14], [0xBB; 84]);
        let bytes = [&[0x87, 0x02, 0x80, 0x0E, 0x05][..], &lpc, &dvi4].concat();
        let red = Red::parse(&bytes).unwrap();
        assert!(red.copies().eq([Redundant { payload_type: 7, offset_ticks: 160, payload: &lpc }]));
        assert_eq!((red.payload_type, red.payload), (5, &dvi4[..]));
    }

    #[test]
    fn without_copies_it_costs_a_byte() {
        let mut out = [0; 3];
        assert_eq!(write(&[], 96, &[7, 8], &mut out), Ok(3));
        assert_eq!(out, [96, 7, 8]);
    }

    #[test]
    fn what_is_cut_short_or_too_much_is_refused() {
        for len in 0..14 {
            assert_eq!(Red::parse(&TWO[..len]), Err(RedError::TooShort), "{len}");
        }
        assert!(Red::parse(&TWO[..14]).is_ok(), "an empty newest packet");
        let three = [&TWO[..8], &TWO].concat();
        assert_eq!(Red::parse(&three), Err(RedError::TooMany));
    }

    #[test]
    fn what_cannot_be_said_is_not_written() {
        let (mut out, long) = ([0; 4_000], [0; 1_024]);
        assert_eq!(write(&[copy(1 << 14, &[])], 96, &[], &mut out), Err(BufferTooSmall));
        assert!(write(&[copy((1 << 14) - 1, &[])], 96, &[], &mut out).is_ok());
        assert_eq!(write(&[copy(1, &long)], 96, &[], &mut out), Err(BufferTooSmall));
        assert!(write(&[copy(1, &long[1..])], 96, &[], &mut out).is_ok());
        assert_eq!(write(&[copy(1, &[]); 3], 96, &[], &mut out), Err(BufferTooSmall));
        assert_eq!(write(&[copy(1, &[])], 96, &[], &mut out[..4]), Err(BufferTooSmall));
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(bytes in vec(any::<u8>(), 0..60)) {
            crate::fuzzing::red(&bytes);
        }

        #[test]
        fn nearly_red_is_read_or_refused(mut bytes in Just(TWO.to_vec()), at in 0..18_usize, byte: u8, len in 0..=18_usize) {
            bytes[at] = byte;
            crate::fuzzing::red(&bytes[..len]);
        }
    }
}
