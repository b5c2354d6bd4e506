//! Rare delays of their own kind: what a Wi-Fi scan or a busy cell does every few seconds.

/// Peaks that are remembered; more within the window say nothing more.
const REMEMBERED: usize = 8;
/// How long a peak is remembered.
const WINDOW_US: i64 = 10_000_000;
/// So many within the window are a habit: one or two are chance, and not worth the delay.
const HABIT: usize = 3;
/// What comes within this of a peak's begin is the same one: the burst that follows an outage.
const SAME_PEAK_US: i64 = 500_000;
/// How far above what is waited for anyway a delay is a peak.
const ABOVE_US: i64 = 40_000;

#[derive(Clone, Copy, Debug)]
struct Peak {
    at_us: i64,
    height_us: i64,
}

/// The last peaks.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks {
    peaks: [Option<Peak>; REMEMBERED],
    newest: usize,
}

impl Peaks {
    /// A packet came so late, while `expected_us` would have been waited for it.
    pub(super) fn on_delay(&mut self, now_us: i64, delay_us: i64, expected_us: i64) {
        if delay_us <= expected_us.saturating_add(ABOVE_US) {
            return;
        }
        if let Some(newest) = &mut self.peaks[self.newest]
            && now_us.saturating_sub(newest.at_us) < SAME_PEAK_US
        {
            newest.height_us = newest.height_us.max(delay_us);
            return;
        }
        self.newest = (self.newest + 1) % REMEMBERED;
        self.peaks[self.newest] = Some(Peak { at_us: now_us, height_us: delay_us });
    }

    /// The highest of the window, if peaks are a habit of this path.
    pub(super) fn height_us(&self, now_us: i64) -> Option<i64> {
        let is_recent = |peak: &&Peak| now_us.saturating_sub(peak.at_us) < WINDOW_US;
        let recent = || self.peaks.iter().flatten().filter(is_recent);
        if recent().count() < HABIT { None } else { recent().map(|peak| peak.height_us).max() }
    }

    /// Delays are so much longer than was thought.
    pub(super) fn shift(&mut self, by_us: i64) {
        for peak in self.peaks.iter_mut().flatten() {
            peak.height_us = peak.height_us.saturating_add(by_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_peaks_in_ten_seconds_are_a_habit() {
        let mut peaks = Peaks::default();
        for (second, height) in [(0, 90_000), (2, 120_000)] {
            peaks.on_delay(second * 1_000_000, height, 30_000);
            peaks.on_delay(second * 1_000_000 + 100_000, height - 20_000, 30_000);
            assert_eq!(peaks.height_us(second * 1_000_000), None);
        }
        peaks.on_delay(5_000_000, 70_000, 30_000);
        assert_eq!(peaks.height_us(5_000_000), None, "70 ms are not 40 above 30");
        peaks.on_delay(6_000_000, 100_000, 30_000);
        assert_eq!(peaks.height_us(6_000_000), Some(120_000));
        assert_eq!(peaks.height_us(10_000_000), None, "the first is forgotten");
    }
}
