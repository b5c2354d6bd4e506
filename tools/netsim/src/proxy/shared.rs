//! A link that packets to several clients go through.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{ConfigError, LinkConfig};
use crate::link::Link;

/// A link that several clients of a proxy are behind. Clones are the same link.
///
/// A lock, held for one packet's fate: the tasks of the clients take turns anyway, as packets on a wire do. What it duplicates or
/// corrupts arrives once and intact.
#[derive(Clone, Debug)]
pub struct SharedLink(Arc<Mutex<Link>>);

impl SharedLink {
    /// A link whose timeline starts with the proxy.
    ///
    /// # Errors
    /// When the configuration is invalid.
    pub fn new(config: &LinkConfig, seed: u64) -> Result<Self, ConfigError> {
        Link::new(config, seed).map(|link| Self(Arc::new(Mutex::new(link))))
    }

    /// The link, for traffic that is none of any client's. The times are of [`Proxy::clock`](super::Proxy::clock).
    pub fn lock(&self) -> MutexGuard<'_, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is the same link.
impl PartialEq for SharedLink {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
