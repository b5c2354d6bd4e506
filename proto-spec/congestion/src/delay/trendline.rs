//! The slope of the queueing delay.

/// Groups over which the line is laid.
pub const TRENDLINE_WINDOW: usize = 20;
/// What of the smoothed delay stays with each group.
const SMOOTHING: f64 = 0.9;

/// Least squares over the smoothed delay of the last [`TRENDLINE_WINDOW`] groups, libwebrtc's `TrendlineEstimator`.
///
/// Time runs by the distances of the groups and not by the receiver's clock, so that a clock that steps bends nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trendline {
    /// Time of arrival and smoothed delay in ms; a ring.
    points: [(f64, f64); TRENDLINE_WINDOW],
    /// Groups so far.
    count: u64,
    now_ms: f64,
    delay_ms: f64,
    smoothed_ms: f64,
    slope: f64,
}

impl Trendline {
    /// Takes the distance between two groups as sent and as arrived, in ms. Gives the slope in ms per ms: 0 while the queue
    /// neither grows nor shrinks, and until the window is full.
    pub fn update(&mut self, send_ms: f64, arrival_ms: f64) -> f64 {
        self.now_ms += arrival_ms;
        self.delay_ms += arrival_ms - send_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.delay_ms;
        self.points[(self.count % TRENDLINE_WINDOW as u64) as usize] = (self.now_ms, self.smoothed_ms);
        self.count += 1;
        if self.count >= TRENDLINE_WINDOW as u64 {
            self.slope = self.fit().unwrap_or(self.slope);
        }
        self.slope
    }

    /// Groups so far.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The slope of the line; `None` if all points have one time.
    fn fit(&self) -> Option<f64> {
        let n = TRENDLINE_WINDOW as f64;
        let (sum_x, sum_y) = self.points.iter().fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x, sy + y));
        let (mean_x, mean_y) = (sum_x / n, sum_y / n);
        let (numerator, denominator) = self.points.iter().fold((0.0, 0.0), |(num, den), (x, y)| {
            (num + (x - mean_x) * (y - mean_y), den + (x - mean_x) * (x - mean_x))
        });
        (denominator > 0.0).then(|| numerator / denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &mut Trendline, groups: usize, send_ms: f64, arrival_ms: f64) -> f64 {
        (0..groups).fold(0.0, |_, _| line.update(send_ms, arrival_ms))
    }

    #[test]
    fn a_steady_queue_has_no_slope() {
        assert_eq!(run(&mut Trendline::default(), 60, 10.0, 10.0), 0.0);
    }

    #[test]
    fn the_slope_is_the_growth_of_the_delay() {
        let mut line = Trendline::default();
        assert_eq!(run(&mut line, TRENDLINE_WINDOW - 1, 10.0, 11.0), 0.0, "not before the window is full");
        // 1 ms of delay for 11 ms that pass.
        assert!((run(&mut line, 100, 10.0, 11.0) - 1.0 / 11.0).abs() < 1e-3);
        assert!((run(&mut line, 100, 10.0, 9.0) + 1.0 / 9.0).abs() < 1e-3);
    }

    #[test]
    fn groups_that_arrive_at_once_change_nothing() {
        let mut line = Trendline::default();
        assert_eq!(run(&mut line, 60, 0.0, 0.0), 0.0);
    }
}
