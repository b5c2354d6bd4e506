//! Partitions between sets of hosts.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use sluice_wire::time::Time;

use super::{HostId, MAX_PARTITIONS, Network, NetworkError};

/// A time in which two sets of hosts do not reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Hosts of one side, each by any of its sockets.
    pub left: Vec<SocketAddr>,
    /// Hosts of the other side.
    pub right: Vec<SocketAddr>,
    /// Only packets from left to right are lost.
    pub one_way: bool,
    /// The first moment; what matters is when a packet crosses the core, between up and down link.
    pub from: Time,
    /// The first moment after it; [`Time::MAX`] for until healed.
    pub until: Time,
}

/// A partition by host, so that it holds for all sockets of a host.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    left: BTreeSet<HostId>,
    right: BTreeSet<HostId>,
    one_way: bool,
    from: Time,
    until: Time,
}

impl Cut {
    fn separates(&self, at: Time, sender: HostId, receiver: HostId) -> bool {
        let across = |left, right| self.left.contains(left) && self.right.contains(right);
        (self.from..self.until).contains(&at)
            && (across(&sender, &receiver) || (!self.one_way && across(&receiver, &sender)))
    }
}

impl<T> Network<T> {
    /// Adds a partition. Several may hold at a time.
    ///
    /// # Errors
    /// When a socket is unknown or [`MAX_PARTITIONS`] are there.
    pub fn partition(&mut self, partition: &Partition) -> Result<(), NetworkError> {
        if self.partitions.len() >= MAX_PARTITIONS {
            return Err(NetworkError::Full("partitions"));
        }
        let ids = |sockets: &[SocketAddr]| -> Result<BTreeSet<HostId>, NetworkError> {
            sockets.iter().map(|socket| self.id_of(*socket)).collect()
        };
        let Partition { one_way, from, until, .. } = *partition;
        let cut = Cut { left: ids(&partition.left)?, right: ids(&partition.right)?, one_way, from, until };
        self.partitions.push(cut);
        Ok(())
    }

    /// Ends all partitions, those to come included.
    pub fn heal(&mut self) {
        self.partitions.clear();
    }

    /// Is a packet that crosses the core lost? Forgets partitions that are over.
    pub(super) fn is_cut(&mut self, at: Time, sender: HostId, receiver: HostId) -> bool {
        self.partitions.retain(|cut| cut.until > at);
        self.partitions.iter().any(|cut| cut.separates(at, sender, receiver))
    }
}
