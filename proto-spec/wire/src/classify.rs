//! What a datagram is, from its first bytes: RFC 7983 as updated by RFC 9443, and RFC 5761 section 4.

/// The shortest SRTCP packet: header, index and an 80-bit tag would be 22; AEAD needs 28, and so does SRTP.
pub const MIN_DATAGRAM_BYTES: usize = 22;

/// The class of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// SRTP from this SSRC.
    Rtp {
        /// The SSRC at byte 8.
        ssrc: u32,
    },
    /// SRTCP from this SSRC.
    Rtcp {
        /// The SSRC at byte 4.
        ssrc: u32,
    },
    /// Too short to be either.
    Runt,
    /// Something else: STUN, DTLS, TURN, QUIC or noise.
    Other,
}

/// Classifies a datagram by its first bytes. Total; reads at most 12 bytes.
#[must_use]
pub const fn classify(datagram: &[u8]) -> Class {
    if datagram.len() < MIN_DATAGRAM_BYTES {
        return Class::Runt;
    }
    match datagram {
        [128..=191, 192..=223, _, _, a, b, c, d, ..] => {
            Class::Rtcp { ssrc: u32::from_be_bytes([*a, *b, *c, *d]) }
        }
        [128..=191, _, _, _, _, _, _, _, a, b, c, d, ..] => {
            Class::Rtp { ssrc: u32::from_be_bytes([*a, *b, *c, *d]) }
        }
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(first: u8, second: u8) -> [u8; 28] {
        let mut bytes: [u8; 28] = std::array::from_fn(|i| i as u8);
        bytes[0] = first;
        bytes[1] = second;
        bytes
    }

    #[test]
    fn every_first_byte_has_one_class() {
        for first in 0..=255u8 {
            let class = classify(&datagram(first, 96));
            assert_eq!(matches!(class, Class::Rtp { ssrc: 0x0809_0A0B }), (128..=191).contains(&first));
            assert_eq!(matches!(class, Class::Other), !(128..=191).contains(&first));
        }
    }

    #[test]
    fn the_second_byte_tells_rtcp() {
        for second in 0..=255u8 {
            let expected = if (192..=223).contains(&second) {
                Class::Rtcp { ssrc: 0x0405_0607 }
            } else {
                Class::Rtp { ssrc: 0x0809_0A0B }
            };
            assert_eq!(classify(&datagram(0x80, second)), expected);
        }
    }

    #[test]
    fn short_ones_are_runts() {
        let bytes = datagram(0x80, 96);
        for len in 0..MIN_DATAGRAM_BYTES {
            assert_eq!(classify(&bytes[..len]), Class::Runt);
        }
    }
}
