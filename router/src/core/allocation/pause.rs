//! How long a receiver is given no more after it was given less.

use std::time::Duration;

use sluice_wire::time::Time;

use super::RAISE_PAUSE;

/// Less that comes so soon after more means that the more was a mistake: the next pause is twice as long.
const REGRET: Duration = Duration::from_secs(10);
/// The longest pause: a receiver whose path recovered for good has its quality back within ten seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// When a receiver may be given more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RaisePause {
    not_before: Time,
    length: Duration,
    last_raise: Option<Time>,
}

impl RaisePause {
    /// Whether a slot may be given more.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.not_before <= now
    }

    /// A slot was given more.
    pub(crate) const fn on_raised(&mut self, now: Time) {
        self.last_raise = Some(now);
    }

    /// A slot was given less.
    pub(crate) fn on_lowered(&mut self, now: Time) {
        let was_mistake = self.last_raise.take().is_some_and(|raise| now.saturating_since(raise) < REGRET);
        self.length =
            if was_mistake { (self.length * 2).clamp(RAISE_PAUSE, LONGEST_PAUSE) } else { RAISE_PAUSE };
        self.not_before = now + self.length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_grow_while_each_raise_is_a_mistake() {
        let mut pause = RaisePause::default();
        assert!(pause.is_over(at(0)));
        let (mut now, mut pauses) = (10, Vec::new());
        for _ in 0..7 {
            pause.on_lowered(at(now));
            let length = (0..100).find(|seconds| pause.is_over(at(now + seconds))).unwrap();
            pauses.push(length);
            now += length;
            pause.on_raised(at(now));
            now += 2;
        }
        assert_eq!(pauses, [3, 6, 8, 8, 8, 8, 8]);
        pause.on_lowered(at(now + 10));
        assert!(!pause.is_over(at(now + 12)) && pause.is_over(at(now + 13)), "that raise was none");
    }
}
