//! A media ticket that no router has given out.

use sluice_wire::ssrc::SsrcBlock;
use sluice_wire::ticket::{Direction, MasterKey, Secret, Suite, Ticket};

/// The ticket of a session of this name.
pub(crate) fn ticket(session: &str) -> Ticket {
    let direction = |base| Direction {
        master: MasterKey { key: Secret::new(vec![1; 16]), salt: Secret::new(vec![2; 12]) },
        ssrcs: SsrcBlock::new(base, 64).unwrap(),
    };
    Ticket {
        protocol_version: 1,
        session: session.to_owned(),
        addresses: vec!["192.0.2.1:5004".parse().unwrap()],
        suite: Suite::default(),
        uplink: direction(64),
        downlink: direction(128),
        alternate: None,
    }
}
