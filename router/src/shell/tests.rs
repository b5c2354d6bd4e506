use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::time::Duration;

use crate::core::DropReason;
use crate::{OpenError, RouterConfig, RouterHandle, StartError, start};
use sluice_wire::control::CloseCode;
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::track::ParticipantId;

fn config(shards: usize) -> RouterConfig {
    RouterConfig { shards: NonZero::new(shards), ..RouterConfig::loopback() }
}

fn participant(number: u32) -> ParticipantId {
    ParticipantId::new(number).unwrap()
}

async fn open(router: &RouterHandle, room: &str, number: u32) -> Ticket {
    router.open_session(room, participant(number), Suite::AeadAes128Gcm).await.unwrap()
}

const fn shard_of(ticket: &Ticket) -> u32 {
    ticket.uplink.ssrcs.base() >> 24
}

/// Waits until `condition` holds for the router; panics with its last snapshot if it does not come to that.
async fn wait_for(router: &RouterHandle, condition: impl Fn(&crate::RouterSnapshot) -> bool) {
    for _ in 0..500 {
        if condition(&router.snapshot()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("this did not come: {:?}", router.snapshot());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn tickets_name_the_router_and_rooms_stay_together() {
    let router = start(config(3)).await.unwrap();
    let first = open(&router, "a", 1).await;
    assert_eq!(first.addresses, router.public_addresses());
    assert_ne!(first.addresses[0].port(), 0);
    let rooms = ["a", "b", "c", "a", "b", "c"];
    let mut shards = Vec::new();
    for (number, room) in (2..).zip(rooms) {
        let ticket = open(&router, room, number).await;
        assert_eq!(ticket.downlink.ssrcs.base() >> 24, shard_of(&ticket));
        shards.push(shard_of(&ticket));
    }
    assert_eq!(shards[0], shard_of(&first));
    assert_eq!(shards[..3], shards[3..]);
    let mut different = shards[..3].to_vec();
    different.sort_unstable();
    assert_eq!(different, [0, 1, 2]);

    wait_for(&router, |now| now.sum(|shard| shard.gauges.sessions as u64) == 7).await;
    router.close_room("a", CloseCode::Removed).unwrap();
    router.close_session("b", participant(3), None, CloseCode::Removed).unwrap();
    wait_for(&router, |now| now.sum(|shard| shard.counters.sessions_ended) == 4).await;
    let last = router.shutdown().await;
    assert_eq!(last.sum(|shard| shard.counters.sessions_ended), 7);
    assert_eq!(last.sum(|shard| shard.gauges.sessions as u64), 0);
}

#[tokio::test]
async fn an_impossible_room_is_refused() {
    let router = start(config(1)).await.unwrap();
    let refused = router.open_session("", participant(1), Suite::AeadAes128Gcm).await;
    assert_eq!(refused.unwrap_err(), OpenError::Refused(crate::core::OpenRefused::RoomName));
    router.shutdown().await;
}

#[tokio::test]
async fn the_port_is_free_again_after_the_shutdown_and_after_a_drop() {
    let router = start(config(1)).await.unwrap();
    let mut again = config(1);
    again.udp.port = router.udp_addresses()[0].port();
    assert!(matches!(start(again.clone()).await, Err(StartError::Bind(_))));
    router.shutdown().await;
    let router = start(again.clone()).await.unwrap();
    open(&router, "a", 1).await;
    drop(router);
    for _ in 0..500 {
        match start(again.clone()).await {
            Ok(router) => {
                router.shutdown().await;
                return;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("the dropped router holds its port");
}

#[tokio::test]
async fn a_wrong_configuration_starts_nothing() {
    let mut nowhere = config(1);
    nowhere.udp.listen.clear();
    assert!(matches!(start(nowhere).await, Err(StartError::Config(_))));
}

#[tokio::test]
async fn one_seed_gives_the_same_keys_and_another_gives_others() {
    let mut tickets = Vec::new();
    for seed in [1, 1, 2] {
        let seeded = RouterConfig { seed: Some([seed; 32]), ..config(1) };
        let router = start(seeded).await.unwrap();
        tickets.push(open(&router, "a", 1).await.uplink);
        router.shutdown().await;
    }
    assert_eq!(tickets[0], tickets[1]);
    assert_ne!(tickets[0], tickets[2]);
}

/// Every kind of datagram that a stranger can send, at sessions that exist and at ones that do not.
fn garbage(ticket: &Ticket) -> Vec<(Vec<u8>, DropReason)> {
    let (ours, theirs) = (ticket.uplink.ssrcs.base(), ticket.uplink.ssrcs.base() ^ 0x00FF_0000);
    let rtp = |ssrc: u32| [&[0x80, 96, 0, 1, 0, 0, 0, 0][..], &ssrc.to_be_bytes(), &[7; 100]].concat();
    let rtcp = |ssrc: u32| [&[0x80, 204, 0, 6][..], &ssrc.to_be_bytes(), &[7; 40], &[0x80, 0, 0, 1]].concat();
    vec![
        (Vec::new(), DropReason::Runt),
        (vec![0x80; 21], DropReason::Runt),
        (vec![0; 100], DropReason::UnknownClass),
        (vec![0x80; 1_300], DropReason::Oversize),
        (rtp(theirs), DropReason::UnknownSsrc),
        (rtcp(theirs), DropReason::UnknownSsrc),
        (rtp(ours + 4), DropReason::AuthenticationFailed),
        (rtcp(ours), DropReason::AuthenticationFailed),
    ]
}

#[tokio::test]
async fn a_flood_of_garbage_moves_nothing_but_counters() {
    const ROUNDS: u64 = 100;
    let router = start(config(1)).await.unwrap();
    let ticket = open(&router, "a", 1).await;
    let before = {
        wait_for(&router, |now| now.shards[0].gauges.sessions == 1).await;
        router.snapshot().shards[0]
    };
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let garbage = garbage(&ticket);
    for round in 1..=ROUNDS {
        for (datagram, _) in &garbage {
            stranger.send_to(datagram, ticket.addresses[0]).unwrap();
        }
        // Not faster than it is taken in, or the kernel drops some and the sums are off.
        if round % 10 == 0 {
            let expected = before.counters.datagrams_in + round * garbage.len() as u64;
            wait_for(&router, |now| now.shards[0].counters.datagrams_in == expected).await;
        }
    }
    let after = router.snapshot().shards[0];
    for reason in DropReason::ALL {
        let kinds = garbage.iter().filter(|(_, expected)| *expected == reason).count() as u64;
        assert_eq!(after.counters.dropped(reason), kinds * ROUNDS, "{}", reason.name());
    }
    assert_eq!(after.gauges, before.gauges);
    assert_eq!(after.io.datagrams_out, 0, "nothing is ever sent to a stranger");
    assert_eq!(after.counters.bytes_out, 0);
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.recv(&mut [0; 2_000]).is_err());
    open(&router, "a", 2).await;
    router.shutdown().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_family_and_shard_is_reached() {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no ::1");
        return;
    }
    let mut both = config(2);
    both.udp.listen = vec![IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()];
    let router = start(both).await.unwrap();
    let addresses: Vec<SocketAddr> = router.udp_addresses().to_vec();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        let client =
            UdpSocket::bind(SocketAddr::new(router.udp_addresses()[usize::from(address.is_ipv6())].ip(), 0));
        let client = client.unwrap();
        for shard in 0..2u8 {
            let mut datagram = [0x80; 60];
            (datagram[1], datagram[8]) = (96, shard);
            client.send_to(&datagram, address).unwrap();
        }
    }
    wait_for(&router, |now| now.shards.iter().all(|shard| shard.counters.datagrams_in == 2)).await;
    let now = router.snapshot();
    assert_eq!(now.sum(|shard| shard.counters.dropped(DropReason::UnknownSsrc)), 4);
    assert_eq!(now.sum(|shard| shard.counters.dropped(DropReason::WrongShard)), 0);
    router.shutdown().await;
}
