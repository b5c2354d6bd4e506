//! Time as a value.
//!
//! Sans-IO code is given the time; it never reads a clock. A [`Time`] is anchored once to the Unix epoch by the shell that
//! made it and advances monotonically from there, so it gives both intervals and NTP timestamps.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Seconds between the NTP epoch (1900) and the Unix epoch (1970), RFC 5905 section 6.
const NTP_UNIX_OFFSET_SECONDS: u64 = 2_208_988_800;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A point in time: nanoseconds since the Unix epoch on a clock that never steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The Unix epoch; also a convenient start of virtual time.
    pub const ZERO: Self = Self(0);
    /// Later than any other time.
    pub const MAX: Self = Self(u64::MAX);

    /// A time from nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time that passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This time as a 64-bit NTP timestamp (UQ32.32, RFC 5905 section 6).
    #[must_use]
    pub const fn to_ntp(self) -> u64 {
        let seconds = self.0 / NANOS_PER_SECOND + NTP_UNIX_OFFSET_SECONDS;
        let fraction = ((self.0 % NANOS_PER_SECOND) << 32) / NANOS_PER_SECOND;
        (seconds << 32) | fraction
    }

    /// The time of a 64-bit NTP timestamp; `None` before 1970. Exact to a nanosecond.
    #[must_use]
    pub const fn from_ntp(ntp: u64) -> Option<Self> {
        let Some(seconds) = (ntp >> 32).checked_sub(NTP_UNIX_OFFSET_SECONDS) else { return None };
        let nanos = ((ntp & 0xFFFF_FFFF) * NANOS_PER_SECOND + (1 << 31)) >> 32;
        Some(Self(seconds * NANOS_PER_SECOND + nanos))
    }

    /// The middle 32 bits of the NTP timestamp, as LSR and DLSR use them (RFC 3550 section 4). Units of 1/65,536 s.
    #[must_use]
    pub const fn to_ntp_short(self) -> u32 {
        (self.to_ntp() >> 16) as u32
    }

    /// This time on an RTP clock of `rate_hz`, truncated to 32 bits.
    #[must_use]
    pub const fn to_rtp(self, rate_hz: u32) -> u32 {
        ((self.0 as u128 * rate_hz as u128) / NANOS_PER_SECOND as u128) as u32
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_unix_epoch_in_ntp() {
        assert_eq!(Time::ZERO.to_ntp(), NTP_UNIX_OFFSET_SECONDS << 32);
    }

    #[test]
    fn half_a_second_is_half_of_the_fraction() {
        assert_eq!(Time::from_nanos(500_000_000).to_ntp() & 0xFFFF_FFFF, 1 << 31);
        assert_eq!(Time::from_nanos(500_000_000).to_ntp_short() & 0xFFFF, 1 << 15);
    }

    proptest! {
        #[test]
        fn ntp_round_trips_to_the_nanosecond(nanos in 0..2_000_000_000_000_000_000u64) {
            let back = Time::from_ntp(Time::from_nanos(nanos).to_ntp()).unwrap().as_nanos();
            prop_assert!(back.abs_diff(nanos) <= 1);
        }
    }
}
