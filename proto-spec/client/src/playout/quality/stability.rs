//! Whether a connection counts as unstable, with hysteresis.

use std::time::Duration;

use sluice_wire::time::Time;

use super::{QualityReport, share};

/// What is bad for so long is unstable: one bad second is forgiven.
pub(super) const BAD_FOR: Duration = Duration::from_secs(3);
/// What is good for so long is stable again. Longer, so that the mark does not blink.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(10);

/// Limits, all of which are kept by what is within them.
#[derive(Clone, Copy, Debug)]
struct Limits {
    score: f64,
    loss: f64,
    concealed: f64,
    frozen: f64,
    rtt: Duration,
}

/// Beyond any of these is bad: a score of 3 is "fair", and what users complain of is below it.
const BAD: Limits =
    Limits { score: 3.0, loss: 0.15, concealed: 0.05, frozen: 0.10, rtt: Duration::from_millis(600) };
/// Within all of these is good. What is neither changes nothing.
const GOOD: Limits =
    Limits { score: 3.5, loss: 0.08, concealed: 0.02, frozen: 0.03, rtt: Duration::from_millis(400) };

/// The mark changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The connection is unstable.
    BecameUnstable,
    /// It is stable again.
    BecameStable,
}

/// The "unstable connection" mark of one participant: stable in the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stability {
    is_unstable: bool,
    /// Since when reports speak against the mark as it is.
    against_since: Option<Time>,
}

impl Stability {
    /// Whether the connection counts as unstable.
    #[must_use]
    pub const fn is_unstable(&self) -> bool {
        self.is_unstable
    }

    /// Takes in a report on the time until `now`.
    pub fn on_report(&mut self, now: Time, report: &QualityReport) -> Option<Change> {
        let (is_against, patience) = match self.is_unstable {
            false => (!is_within(report, &BAD), BAD_FOR),
            true => (is_within(report, &GOOD), GOOD_FOR),
        };
        self.change_when(now, is_against, patience)
    }

    /// Nothing comes at all, which is as bad as can be: to be called at the times at which reports would be made.
    pub fn on_silence(&mut self, now: Time) -> Option<Change> {
        self.change_when(now, !self.is_unstable, BAD_FOR)
    }

    fn change_when(&mut self, now: Time, is_against: bool, patience: Duration) -> Option<Change> {
        if !is_against {
            self.against_since = None;
            return None;
        }
        let since = *self.against_since.get_or_insert(now);
        if now.saturating_since(since) < patience {
            return None;
        }
        self.against_since = None;
        self.is_unstable = !self.is_unstable;
        Some(if self.is_unstable { Change::BecameUnstable } else { Change::BecameStable })
    }
}

fn is_within(report: &QualityReport, limits: &Limits) -> bool {
    report.score().is_none_or(|score| score >= limits.score)
        && share(report.loss) <= limits.loss
        && report.audio.is_none_or(|audio| share(audio.concealed) <= limits.concealed)
        && report.video.is_none_or(|video| share(video.frozen) <= limits.frozen)
        && report.rtt <= limits.rtt
}
