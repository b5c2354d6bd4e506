//! What the proxy is doing, for whoever wants to look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// The shared statistics of a proxy. Clones show the same.
///
/// A lock rather than atomics, so that a snapshot is consistent; it is held for a few additions.
#[derive(Clone, Debug, Default)]
pub struct ProxyStats(Arc<Mutex<ProxySnapshot>>);

impl ProxyStats {
    /// How things stand.
    #[must_use]
    pub fn snapshot(&self) -> ProxySnapshot {
        *self.lock()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut ProxySnapshot)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, ProxySnapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
