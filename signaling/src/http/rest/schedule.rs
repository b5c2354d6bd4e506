//! Times as people say them, and as the store keeps them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sluice_wire::time::Time;
use utoipa::ToSchema;

use super::input::bad;
use crate::http::error::Failure;
use crate::store::Schedule;

/// The longest name of a time zone that is looked up, in bytes. The longest there is has 32.
const MAX_ZONE_BYTES: usize = 64;
/// `2026-11-20T09:00`, digits for digits.
const PATTERN: &[u8] = b"dddd-dd-ddTdd:dd";
/// The same with `:00`.
const PATTERN_WITH_SECONDS: &[u8] = b"dddd-dd-ddTdd:dd:dd";

/// When a meeting is to start.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(super) struct ScheduleBody {
    /// Date and time on the wall in that zone. One that the clocks skip is taken an hour later, one that they show twice is
    /// the first.
    #[schema(pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$", example = "2026-11-20T09:00:00")]
    pub(super) starts_local: String,
    /// An IANA name.
    #[schema(min_length = 1, max_length = 64, example = "Europe/Berlin")]
    pub(super) time_zone: String,
    /// The instant that this is. Given, never taken.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    #[schema(read_only, format = DateTime)]
    pub(super) starts_at: Option<String>,
}

impl ScheduleBody {
    /// What the store keeps of it.
    pub(super) fn resolve(&self) -> Result<Schedule, Failure> {
        let fits = |pattern: &[u8]| {
            self.starts_local.len() == pattern.len()
                && self.starts_local.bytes().zip(pattern).all(|(byte, &expected)| match expected {
                    b'd' => byte.is_ascii_digit(),
                    _ => byte == expected,
                })
        };
        if !fits(PATTERN) && !fits(PATTERN_WITH_SECONDS) {
            return Err(bad("starts_local is a date and time without a zone, such as 2026-11-20T09:00:00"));
        }
        let local: DateTime =
            self.starts_local.parse().map_err(|_| bad("starts_local is no date and time that there is"))?;
        if self.time_zone.len() > MAX_ZONE_BYTES {
            return Err(bad("time_zone is an IANA name"));
        }
        let zone = TimeZone::get(&self.time_zone).map_err(|_| bad("time_zone is an IANA name"))?;
        let zoned =
            zone.to_ambiguous_zoned(local).compatible().map_err(|_| bad("starts_local is out of range"))?;
        let nanos = u64::try_from(zoned.timestamp().as_nanosecond())
            .map_err(|_| bad("starts_local is out of range"))?;
        Ok(Schedule {
            starts_local: local.to_string(),
            time_zone: self.time_zone.clone(),
            starts_at: Time::from_nanos(nanos),
        })
    }
}

impl From<&Schedule> for ScheduleBody {
    fn from(schedule: &Schedule) -> Self {
        Self {
            starts_local: schedule.starts_local.clone(),
            time_zone: schedule.time_zone.clone(),
            starts_at: Some(rfc3339(schedule.starts_at)),
        }
    }
}

/// A time as RFC 3339 has it, in UTC.
pub(super) fn rfc3339(time: Time) -> String {
    // Nanoseconds in 64 bits end in 2554, long before the library's range does.
    Timestamp::from_nanosecond(i128::from(time.as_nanos())).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(local: &str, zone: &str) -> Option<String> {
        let body =
            ScheduleBody { starts_local: local.to_owned(), time_zone: zone.to_owned(), starts_at: None };
        body.resolve().ok().map(|schedule| rfc3339(schedule.starts_at))
    }

    #[test]
    fn the_same_time_on_the_wall_is_another_instant_in_summer() {
        assert_eq!(start("2026-11-20T09:00:00", "Europe/Berlin").unwrap(), "2026-11-20T08:00:00Z");
        assert_eq!(start("2027-06-20T09:00", "Europe/Berlin").unwrap(), "2027-06-20T07:00:00Z");
        assert_eq!(start("2026-11-20T09:00", "Asia/Kathmandu").unwrap(), "2026-11-20T03:15:00Z");
    }

    #[test]
    fn clocks_that_skip_and_repeat() {
        assert_eq!(start("2027-03-28T02:30:00", "Europe/Berlin").unwrap(), "2027-03-28T01:30:00Z");
        assert_eq!(start("2027-10-31T02:30:00", "Europe/Berlin").unwrap(), "2027-10-31T00:30:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (local, zone) in [
            ("2026-02-30T09:00:00", "Europe/Berlin"),
            ("2026-11-20T09:00:00Z", "Europe/Berlin"),
            ("2026-11-20T09:00-05", "Europe/Berlin"),
            ("2026-11-20 09:00:00", "Europe/Berlin"),
            ("2026-11-20T24:00:00", "Europe/Berlin"),
            ("2026-11-20", "Europe/Berlin"),
            ("1969-11-20T09:00:00", "Europe/Berlin"),
            ("9999-11-20T09:00:00", "Europe/Berlin"),
            ("2026-11-20T09:00:00", "Mars/Olympus"),
            ("2026-11-20T09:00:00", "../../etc/passwd"),
            ("2026-11-20T09:00:00", ""),
        ] {
            assert_eq!(start(local, zone), None, "{local} {zone}");
        }
    }
}
