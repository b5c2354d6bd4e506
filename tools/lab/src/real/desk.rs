//! Where the notes on a person are taken, by several tasks.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sluice_client::clock::Clock;
use sluice_netsim::proxy;
use sluice_wire::srtp::KeyError;
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;

use super::lock;
use crate::record::{Receiver, Sort, samples};
use crate::scenario::{Person, Scenario};
use crate::tap::Tap;

/// The notes on one person, and the reader of what the router sends to him.
pub(super) struct Desk {
    start: Time,
    receiver: Mutex<Receiver>,
    tap: Mutex<Option<Tap>>,
}

impl Desk {
    pub(super) fn new(scenario: &Scenario, person: &Person, start: Time) -> Self {
        let joins_at = start + Duration::from_secs_f64(person.joins_s);
        let receiver = Receiver::new(start, samples(scenario), joins_at, &[]);
        Self { start, receiver: Mutex::new(receiver), tap: Mutex::default() }
    }

    /// The person has a ticket: what follows can be read. A later ticket, behind a loss of the session, is not heard of, and what
    /// belongs to it counts as sent and no more.
    pub(super) fn open(&self, ticket: &Ticket) -> Result<(), KeyError> {
        *lock(&self.tap) = Some(Tap::new(ticket)?);
        Ok(())
    }

    /// Looks on at the proxy.
    pub(super) fn tap(self: Arc<Self>, clock: Clock) -> proxy::Tap {
        proxy::Tap::new(move |datagram| {
            let now = clock.now();
            match &mut *lock(&self.tap) {
                Some(tap) => tap.see(now, datagram, &mut self.receiver()),
                None => self.receiver().on_sent(now, datagram.len(), Sort::Control),
            }
        })
    }

    pub(super) fn receiver(&self) -> MutexGuard<'_, Receiver> {
        lock(&self.receiver)
    }

    /// Takes the notes away.
    pub(super) fn close(&self) -> Receiver {
        let nothing = Receiver::new(self.start, 0, self.start, &[]);
        std::mem::replace(&mut *self.receiver(), nothing)
    }
}
