//! What is scheduled: steps and down times.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::time::Time;

use crate::config::LinkConfig;

use super::plan::{Plan, nanos};

#[derive(Clone, Debug)]
pub(super) struct Timeline {
    steps: VecDeque<(Time, Plan)>,
    down: VecDeque<(Time, Time)>,
    is_down: bool,
}

impl Timeline {
    pub(super) fn new(start: Time, config: &LinkConfig) -> Self {
        let at = |milliseconds| start + Duration::from_nanos(nanos(milliseconds));
        Self {
            steps: config.schedule.iter().map(|step| (at(step.at_ms), Plan::new(&step.link))).collect(),
            down: config.down.iter().map(|down| (at(down.from_ms), at(down.to_ms))).collect(),
            is_down: false,
        }
    }

    /// Moves on to `now`; gives the newest step that has become due since the last call.
    pub(super) fn advance(&mut self, now: Time) -> Option<Plan> {
        while self.down.pop_front_if(|(_, to)| *to <= now).is_some() {}
        self.is_down = self.down.front().is_some_and(|(from, _)| *from <= now);
        let mut due = None;
        while let Some((_, plan)) = self.steps.pop_front_if(|(at, _)| *at <= now) {
            due = Some(plan);
        }
        due
    }

    pub(super) const fn is_down(&self) -> bool {
        self.is_down
    }
}
