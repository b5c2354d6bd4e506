//! Somebody who looks on.

use std::fmt;
use std::sync::Arc;

/// Sees every datagram from upstream to a client before any link does anything to it. It is called in the client's task, and delays
/// the client's packets by what it takes.
#[derive(Clone)]
pub struct Tap(Arc<See>);

type See = dyn Fn(&[u8]) + Send + Sync;

impl Tap {
    /// Somebody who is called with each datagram.
    pub fn new(see: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    pub(super) fn see(&self, datagram: &[u8]) {
        (self.0)(datagram);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// Whether it is the same one.
impl PartialEq for Tap {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
