//! Whether a frame is played faster or slower.

/// Whether a frame is played in its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// In its own time.
    None,
    /// In less: the delay shrinks.
    Accelerate,
    /// In more: the delay grows.
    Expand,
}

/// A delay that is this much too long is shortened,
const EXCESS_US: i64 = 10_000;
/// and one that is this much too short made longer: being late is worse than waiting.
const LACK_US: i64 = -5_000;
/// One stretched frame in this time is not heard (NetEq has the same).
const SPACING_US: i64 = 100_000;
/// What is off by more than this is worth being heard: every frame is stretched.
const FAR_OFF_US: i64 = 60_000;
/// A frame is stretched by this part of its duration.
const PART: i64 = 4;

/// Decides, frame by frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stretcher {
    last_us: Option<i64>,
}

impl Stretcher {
    /// How a frame that is played now, with a delay so much above its target, is played, and how long that takes in microseconds.
    pub(super) fn decide(&mut self, at_us: i64, duration_us: i64, excess_us: i64) -> (Stretch, i64) {
        let is_soon = self.last_us.is_some_and(|last| at_us.saturating_sub(last) < SPACING_US);
        let is_near = excess_us.saturating_abs() < FAR_OFF_US;
        let part_us = (duration_us / PART).min(excess_us.saturating_abs());
        let decision = match excess_us {
            _ if is_soon && is_near => return (Stretch::None, duration_us),
            EXCESS_US.. => (Stretch::Accelerate, duration_us - part_us),
            ..=LACK_US => (Stretch::Expand, duration_us + part_us),
            _ => return (Stretch::None, duration_us),
        };
        self.last_us = Some(at_us);
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_errors_are_left_and_others_corrected_now_and_then() {
        let mut stretcher = Stretcher::default();
        assert_eq!(stretcher.decide(0, 20_000, 9_999), (Stretch::None, 20_000));
        assert_eq!(stretcher.decide(0, 20_000, -4_999), (Stretch::None, 20_000));
        assert_eq!(stretcher.decide(0, 20_000, 10_000), (Stretch::Accelerate, 15_000));
        assert_eq!(stretcher.decide(80_000, 20_000, -30_000), (Stretch::None, 20_000));
        assert_eq!(stretcher.decide(100_000, 60_000, -5_000), (Stretch::Expand, 65_000));
    }

    #[test]
    fn large_errors_are_corrected_with_every_frame() {
        let mut stretcher = Stretcher::default();
        for frame in 0..5 {
            assert_eq!(stretcher.decide(frame * 15_000, 20_000, 100_000), (Stretch::Accelerate, 15_000));
        }
    }
}
