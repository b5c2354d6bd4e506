//! Close codes, `proto-spec/spec/07-limits.md` section 7.2.

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The participant left.
    Normal,
    /// Signaling removed it.
    Removed,
    /// A new ticket replaced it.
    Replaced,
    /// Nothing authenticated came for too long.
    IdleTimeout,
    /// The router shuts down.
    Shutdown,
    /// The peer broke the protocol.
    ProtocolViolation,
    /// The peer exceeded a limit.
    LimitExceeded,
    /// A code of a later version. One made by hand with a known code is not the same as the known code.
    Other(u16),
}

impl CloseCode {
    /// The code of 16 bits from the wire.
    #[must_use]
    pub const fn from_u16(code: u16) -> Self {
        match code {
            0 => Self::Normal,
            1 => Self::Removed,
            2 => Self::Replaced,
            3 => Self::IdleTimeout,
            4 => Self::Shutdown,
            5 => Self::ProtocolViolation,
            6 => Self::LimitExceeded,
            other => Self::Other(other),
        }
    }

    /// The 16 bits on the wire.
    #[must_use]
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::Normal => 0,
            Self::Removed => 1,
            Self::Replaced => 2,
            Self::IdleTimeout => 3,
            Self::Shutdown => 4,
            Self::ProtocolViolation => 5,
            Self::LimitExceeded => 6,
            Self::Other(code) => code,
        }
    }
}
