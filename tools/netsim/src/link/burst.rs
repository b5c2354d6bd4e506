//! Burst loss: the Gilbert-Elliott model.

use crate::config::BurstLoss;
use crate::draws::{Chance, PacketDraws};

#[derive(Clone, Copy, Debug)]
pub(super) struct BurstPlan {
    enter: Chance,
    leave: Chance,
    loss_bad: Chance,
    loss_good: Chance,
}

impl BurstPlan {
    pub(super) fn new(config: &BurstLoss) -> Self {
        Self {
            enter: Chance::new(config.p),
            leave: Chance::new(config.r),
            loss_bad: Chance::new(config.loss_bad),
            loss_good: Chance::new(config.loss_good),
        }
    }
}

/// Which of the two states the link is in; good at first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BurstState {
    bad: bool,
}

impl BurstState {
    /// Moves on by one packet and says whether it is lost. Without burst loss the state falls back to good.
    pub(super) fn loses(&mut self, plan: Option<&BurstPlan>, draws: &PacketDraws) -> bool {
        let Some(plan) = plan else {
            self.bad = false;
            return false;
        };
        let turn = if self.bad { plan.leave } else { plan.enter };
        self.bad ^= turn.hits(draws.burst_turn);
        let loss = if self.bad { plan.loss_bad } else { plan.loss_good };
        loss.hits(draws.burst_loss)
    }
}
