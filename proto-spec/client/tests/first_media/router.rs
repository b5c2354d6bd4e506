//! The recorded uplink into a fresh router gives the recorded downlink.

use crate::stage::{Flying, RouterStage};
use crate::vector::{Direction, Example};

#[test]
fn the_router_says_what_is_recorded() {
    let example = Example::load();
    let mut router = RouterStage::new(&example.router);
    let address = |number| example.participant(number).address;
    let mut sent: Vec<(u64, Flying)> = Vec::new();
    for ms in 0..=example.end_ms {
        let now = example.time(ms);
        for one in example.participants.iter().filter(|one| one.opens_at_ms == ms) {
            assert_eq!(Some(router.open(now, one.participant)), one.ticket);
        }
        let arrived: Vec<Flying> = example
            .sent(Direction::Uplink, None)
            .into_iter()
            .filter(|one| one.received_at_ms == ms)
            .map(|one| (address(one.participant), one.sealed.0.clone()))
            .collect();
        sent.extend(router.step(now, &arrived).into_iter().map(|datagram| (ms, datagram)));
    }
    let recorded: Vec<(u64, Flying)> = example
        .sent(Direction::Downlink, None)
        .into_iter()
        .map(|one| (one.sent_at_ms, (address(one.participant), one.sealed.0.clone())))
        .collect();
    assert_eq!(sent, recorded);
}
