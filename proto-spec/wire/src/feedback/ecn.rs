//! The two bits of explicit congestion notification.

/// The ECN field of the IP header, RFC 3168 section 5 and RFC 9331 section 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// The sender does not speak ECN, or the system does not tell.
    #[default]
    NotEct = 0,
    /// The sender speaks ECN, with an L4S response.
    Ect1 = 1,
    /// The sender speaks classic ECN.
    Ect0 = 2,
    /// A queue on the way was congested.
    Ce = 3,
}

impl Ecn {
    /// The field of the two lowest bits; the others are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}
