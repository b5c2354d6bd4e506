//! RTP timestamps that never wrap.

/// Extends timestamps of 32 bits: each is taken for the nearest to the newest so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unwrapper {
    /// The newest as it came, and extended.
    newest: Option<(u32, i64)>,
}

impl Unwrapper {
    /// The timestamp in ticks since some origin.
    pub(super) fn extend(&mut self, timestamp: u32) -> i64 {
        let Some((newest, extended)) = self.newest else {
            self.newest = Some((timestamp, i64::from(timestamp)));
            return i64::from(timestamp);
        };
        let difference = timestamp.wrapping_sub(newest).cast_signed();
        let this = extended.saturating_add(i64::from(difference));
        if difference > 0 {
            self.newest = Some((timestamp, this));
        }
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_go_on_over_the_wrap_and_stragglers_stay_behind() {
        let mut unwrapper = Unwrapper::default();
        let first = unwrapper.extend(u32::MAX - 959);
        assert_eq!(unwrapper.extend(0) - first, 960);
        assert_eq!(unwrapper.extend(u32::MAX - 1_919) - first, -960);
        assert_eq!(unwrapper.extend(960) - first, 1_920);
    }
}
