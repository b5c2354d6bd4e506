//! What the proxy is doing, for whoever wants to look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_wire::time::Time;

use crate::counters::Counters;

/// A moment of a proxy. All but `active_clients` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxySnapshot {
    /// Clients at this moment.
    pub active_clients: u64,
    /// Clients so far; one that was forgotten and comes back counts again.
    pub clients: u64,
    /// All up links together.
    pub up: Counters,
    /// All down links together.
    pub down: Counters,
    /// Times that a client's upstream socket got a new port.
    pub rebinds: u64,
    /// Datagrams dropped because there were as many clients as there may be.
    pub refused_datagrams: u64,
    /// Datagrams dropped before the up link because the client's task did not keep up.
    pub mailbox_overflows: u64,
    /// Errors of sockets: nobody listens upstream, a send failed, no socket could be had.
    pub socket_errors: u64,
}

/// Clients whose own statistics are kept: the first ones. More belong to load tests, which look at the sum.
const MAX_CLIENTS: u64 = 256;

/// How it stands with one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientSnapshot {
    /// Its up link.
    pub up: Counters,
    /// Its down link; what a shared link before it dropped is not in it.
    pub down: Counters,
    /// When this was so, on the clock of the proxy.
    pub at: Time,
    /// How long a packet to the client would have waited in queues then, a shared link's included.
    pub queue_delay: Duration,
}

/// The shared statistics of a proxy. Clones show the same.
///
/// A lock rather than atomics, so that a snapshot is consistent; it is held for a few additions.
#[derive(Clone, Debug, Default)]
pub struct ProxyStats(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    sums: ProxySnapshot,
    clients: Vec<ClientSnapshot>,
}

impl ProxyStats {
    /// How things stand.
    #[must_use]
    pub fn snapshot(&self) -> ProxySnapshot {
        self.lock().sums
    }

    /// How it stands with the client that appeared as the n-th, counted from 0; `None` before it did something, and of clients
    /// beyond the first 256.
    #[must_use]
    pub fn client(&self, number: usize) -> Option<ClientSnapshot> {
        self.lock().clients.get(number).copied()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut ProxySnapshot)) {
        change(&mut self.lock().sums);
    }

    pub(super) fn set_client(&self, number: u64, client: ClientSnapshot) {
        if number >= MAX_CLIENTS {
            return;
        }
        let (number, mut inner) = (number as usize, self.lock());
        if inner.clients.len() <= number {
            inner.clients.resize(number + 1, ClientSnapshot::default());
        }
        inner.clients[number] = client;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
