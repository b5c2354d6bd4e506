//! What a session asked to be sent again.

use std::collections::VecDeque;

use sluice_wire::repair::{Refusal, ResendBook};

use super::limits::{MAX_ASKED_PER_TICK, MAX_WAITING_RESENDS};
use super::rewrite::Origin;

/// Why a packet that was asked for is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum ResendRefusal {
    /// It is not in the history: too old, never sent, or it has not come itself.
    NotHeld,
    /// It was sent again within the last round trip.
    TooSoon,
    /// It was sent again as often as may be.
    TooOften,
    /// The receiver's share of bytes is used up.
    Budget,
    /// More is asked for than is looked up, remembered or may wait.
    Crowded,
}

impl ResendRefusal {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All reasons, in order of their numbers.
    pub const ALL: [Self; 5] = [Self::NotHeld, Self::TooSoon, Self::TooOften, Self::Budget, Self::Crowded];

    /// The reason's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotHeld => "not_held",
            Self::TooSoon => "too_soon",
            Self::TooOften => "too_often",
            Self::Budget => "budget",
            Self::Crowded => "crowded",
        }
    }
}

impl From<Refusal> for ResendRefusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooSoon => Self::TooSoon,
            Refusal::TooOften => Self::TooOften,
            Refusal::Budget => Self::Budget,
            Refusal::Crowded => Self::Crowded,
        }
    }
}

/// A packet to be sent again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resend {
    pub(crate) slot: u16,
    pub(crate) origin: Origin,
}

/// The requests of a session.
#[derive(Debug, Default)]
pub(crate) struct Resends {
    pub(crate) book: ResendBook,
    /// What is to be sent with the next flushes. The session is in the shard's list exactly while there is something.
    pub(crate) waiting: VecDeque<Resend>,
    /// Packets that were asked for since the last tick.
    asked: u16,
}

impl Resends {
    /// Whether another wish is heard before the next tick. It counts as heard.
    pub(crate) fn hear(&mut self) -> bool {
        let may = self.asked < MAX_ASKED_PER_TICK && self.waiting.len() < MAX_WAITING_RESENDS;
        self.asked += u16::from(may);
        may
    }

    /// A tick passed.
    pub(crate) const fn on_tick(&mut self) {
        self.asked = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_reasons_is_in_order_and_has_no_name_twice() {
        for (number, reason) in ResendRefusal::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
            assert_eq!(ResendRefusal::ALL.iter().filter(|other| other.name() == reason.name()).count(), 1);
        }
    }
}
