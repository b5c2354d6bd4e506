//! The simulated network of a scenario, and what it is like for each person.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_netsim::counters::Counters;
use sluice_netsim::link::Link;
use sluice_netsim::network::{Delivery, Direction, HostConfig, Network, SharedLink};
use sluice_wire::time::Time;

use crate::layout::Layout;

/// The network with what it was made from.
#[derive(Debug)]
pub(super) struct Net {
    layout: Layout,
    network: Network<Vec<u8>>,
    shared: Vec<SharedLink>,
    /// Counters of the down link of each person, and of each shared link, when loss was last asked for.
    people_before: Vec<Counters>,
    shared_before: Vec<Counters>,
}

impl Net {
    pub(super) fn new(layout: &Layout, start: Time, seed: u64) -> Result<Self, String> {
        let mut network = Network::new(start, seed);
        network.add_host(router_address(), &HostConfig::default()).map_err(text)?;
        let shared = layout.shared.iter().map(|link| network.add_shared_link(link).map_err(text));
        let shared = shared.collect::<Result<Vec<_>, _>>()?;
        for (number, place) in layout.people.iter().enumerate() {
            let config = HostConfig { up: place.up.clone(), down: place.down.clone(), nat: None };
            network.add_host(socket(number), &config).map_err(text)?;
            if let Some(link) = place.behind {
                network.put_behind(socket(number), shared[link]).map_err(text)?;
            }
        }
        Ok(Self {
            people_before: vec![Counters::default(); layout.people.len()],
            shared_before: vec![Counters::default(); layout.shared.len()],
            layout: layout.clone(),
            network,
            shared,
        })
    }

    pub(super) fn next_at(&self) -> Option<Time> {
        self.network.next_at()
    }

    pub(super) fn poll(&mut self, now: Time) -> Option<Delivery<Vec<u8>>> {
        self.network.poll(now)
    }

    pub(super) fn send(
        &mut self,
        now: Time,
        from: SocketAddr,
        to: SocketAddr,
        datagram: Vec<u8>,
    ) -> Result<(), String> {
        self.network.send(now, from, to, datagram).map_err(text)
    }

    pub(super) fn shared_link(&mut self, number: usize) -> Option<&mut Link> {
        let link = *self.shared.get(number)?;
        self.network.shared_link_mut(link)
    }

    pub(super) fn queue_delay(&self, now: Time, person: usize) -> Duration {
        self.network.queue_delay(now, socket(person), Direction::Down).unwrap_or_default()
    }

    /// Share of packets that were lost on the way to each person since this was last asked.
    pub(super) fn losses(&mut self) -> Vec<f64> {
        let of_shared: Vec<f64> = (0..self.shared.len())
            .map(|number| {
                let link = self.network.shared_link(self.shared[number]);
                let now = link.map(|link| *link.counters()).unwrap_or_default();
                lost_share(now - std::mem::replace(&mut self.shared_before[number], now))
            })
            .collect();
        (0..self.people_before.len())
            .map(|person| {
                let now = self.network.link_counters(socket(person), Direction::Down).unwrap_or_default();
                let own = lost_share(now - std::mem::replace(&mut self.people_before[person], now));
                let shared = self.layout.people[person].behind.map_or(0.0, |link| of_shared[link]);
                1.0 - (1.0 - own) * (1.0 - shared)
            })
            .collect()
    }
}

fn lost_share(counted: Counters) -> f64 {
    counted.lost() as f64 / counted.sent.max(1) as f64
}

pub(super) const fn router_address() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)), 5_004)
}

/// The socket of a person.
pub(super) fn socket(person: usize) -> SocketAddr {
    ([10, 0, person as u8 + 1, 2], 40_000).into()
}

/// The person whose socket this is.
pub(super) fn person_at(socket: SocketAddr) -> Option<usize> {
    match socket.ip() {
        std::net::IpAddr::V4(ip) => usize::from(ip.octets()[2]).checked_sub(1),
        std::net::IpAddr::V6(_) => None,
    }
}

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
