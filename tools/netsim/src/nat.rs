//! A NAT: endpoint-independent mapping with address-dependent filtering (RFC 4787 sections 4.1 and 5), as most homes have.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluice_wire::time::Time;

/// Most mappings of one NAT: far fewer than ports, so that a free one is always near. When full, the one unused for longest goes.
pub const MAX_MAPPINGS: usize = 4_096;
/// Most remote addresses that one mapping lets in. When full, the one unused for longest goes.
pub const MAX_PERMITTED: usize = 256;
/// The first external port; those below are privileged.
const FIRST_PORT: u16 = 1_024;

/// How a NAT is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatConfig {
    /// The address that the outside sees.
    pub external_ip: IpAddr,
    /// A mapping, and the permission of a remote address, ends when nothing was sent outward for so long. RFC 4787 asks for two
    /// minutes at least (REQ-5); many devices wait thirty seconds.
    #[serde(default = "default_timeout_ms")]
    pub mapping_timeout_ms: u64,
}

impl NatConfig {
    /// The shortest time-out that is common in the field: the one that finds missing keep-alives.
    pub const DEFAULT_TIMEOUT_MS: u64 = 30_000;

    /// A NAT behind `external_ip` with the default time-out.
    #[must_use]
    pub const fn new(external_ip: IpAddr) -> Self {
        Self { external_ip, mapping_timeout_ms: Self::DEFAULT_TIMEOUT_MS }
    }
}

const fn default_timeout_ms() -> u64 {
    NatConfig::DEFAULT_TIMEOUT_MS
}

/// A NAT. It translates addresses; packets stay with the caller.
#[derive(Clone, Debug)]
pub struct Nat {
    external_ip: IpAddr,
    timeout: Duration,
    mappings: BTreeMap<SocketAddr, Mapping>,
    internal_by_port: BTreeMap<u16, SocketAddr>,
    next_port: u16,
}

#[derive(Clone, Debug)]
struct Mapping {
    port: u16,
    used_at: Time,
    permitted: BTreeMap<IpAddr, Time>,
}

impl Nat {
    /// A NAT without mappings.
    #[must_use]
    pub const fn new(config: &NatConfig) -> Self {
        Self {
            external_ip: config.external_ip,
            timeout: Duration::from_millis(config.mapping_timeout_ms),
            mappings: BTreeMap::new(),
            internal_by_port: BTreeMap::new(),
            next_port: FIRST_PORT,
        }
    }

    /// The address that the outside sees.
    #[must_use]
    pub const fn external_ip(&self) -> IpAddr {
        self.external_ip
    }

    /// Translates the source of an outbound packet; makes or refreshes its mapping and lets `destination`'s address answer.
    pub fn outbound(&mut self, now: Time, source: SocketAddr, destination: SocketAddr) -> SocketAddr {
        if self.mappings.get(&source).is_some_and(|mapping| self.expired(now, mapping.used_at)) {
            self.remove(source);
        }
        if !self.mappings.contains_key(&source) && self.mappings.len() >= MAX_MAPPINGS {
            let oldest =
                self.mappings.iter().min_by_key(|(_, mapping)| mapping.used_at).map(|(source, _)| *source);
            oldest.into_iter().for_each(|oldest| self.remove(oldest));
        }
        let port = match self.mappings.get(&source) {
            Some(mapping) => mapping.port,
            None => self.take_port(source),
        };
        let mapping = self.mappings.entry(source).or_insert_with(|| Mapping::new(port));
        mapping.used_at = now;
        mapping.permit(now, destination.ip());
        SocketAddr::new(self.external_ip, port)
    }

    /// Translates the destination of an inbound packet; `None` if no mapping is there or `source` may not use it.
    #[must_use]
    pub fn inbound(&self, now: Time, destination: SocketAddr, source: SocketAddr) -> Option<SocketAddr> {
        if destination.ip() != self.external_ip {
            return None;
        }
        let internal = *self.internal_by_port.get(&destination.port())?;
        let mapping = self.mappings.get(&internal)?;
        let permitted_at = *mapping.permitted.get(&source.ip())?;
        if self.expired(now, permitted_at) { None } else { Some(internal) }
    }

    /// Forgets all mappings, as a restart does: the next outbound packet gets a new external port.
    pub fn rebind(&mut self) {
        self.mappings.clear();
        self.internal_by_port.clear();
    }

    fn expired(&self, now: Time, used_at: Time) -> bool {
        now.saturating_since(used_at) >= self.timeout
    }

    fn remove(&mut self, internal: SocketAddr) {
        if let Some(mapping) = self.mappings.remove(&internal) {
            self.internal_by_port.remove(&mapping.port);
        }
    }

    /// The next free port. Ports go round, so that one is not soon used again.
    fn take_port(&mut self, internal: SocketAddr) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if let std::collections::btree_map::Entry::Vacant(free) = self.internal_by_port.entry(port) {
                free.insert(internal);
                return port;
            }
        }
    }
}

impl Mapping {
    const fn new(port: u16) -> Self {
        Self { port, used_at: Time::ZERO, permitted: BTreeMap::new() }
    }

    fn permit(&mut self, now: Time, remote: IpAddr) {
        if !self.permitted.contains_key(&remote) && self.permitted.len() >= MAX_PERMITTED {
            let oldest =
                self.permitted.iter().min_by_key(|(_, used_at)| **used_at).map(|(remote, _)| *remote);
            oldest.and_then(|oldest| self.permitted.remove(&oldest));
        }
        self.permitted.insert(remote, now);
    }
}
