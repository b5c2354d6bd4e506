use std::net::UdpSocket;
use std::time::Duration;

#[cfg(target_os = "linux")]
use socket2::SockRef;

use super::portable::{BatchSender as PlainSender, ReceiveBatch as PlainBatch};
use super::*;
use crate::clock::Clock;
use crate::core::{Path, TransmitBatch};

const LOOPBACK: Listen =
    Listen { ipv4: Some(std::net::Ipv4Addr::LOCALHOST), ipv6: Some(std::net::Ipv6Addr::LOCALHOST), port: 0 };

/// Both families, or IPv4 alone where the machine has no IPv6.
fn listen() -> Listen {
    if UdpSocket::bind("[::1]:0").is_ok() {
        LOOPBACK
    } else {
        eprintln!("SKIPPED: this machine has no ::1, only IPv4 is tested");
        Listen { ipv6: None, ..LOOPBACK }
    }
}

fn group(shards: usize) -> SocketGroup {
    SocketGroup::bind(listen(), shards).unwrap()
}

fn families(group: &SocketGroup) -> Vec<(Family, std::net::SocketAddr)> {
    group.addresses.iter().map(|address| (Family::of(*address), *address)).collect()
}

/// A client's socket on loopback, which waits for what comes.
fn client(family: Family) -> UdpSocket {
    let socket = UdpSocket::bind(match family {
        Family::V4 => "127.0.0.1:0",
        Family::V6 => "[::1]:0",
    });
    let socket = socket.unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

#[cfg(target_os = "linux")]
type Received = Vec<(crate::core::DatagramMeta, Vec<u8>)>;

/// Receives until `expected` datagrams came. Loopback delivers within the sender's call, but a busy machine may defer it.
#[cfg(target_os = "linux")]
fn receive(
    batch: &mut ReceiveBatch,
    sockets: &ShardSockets,
    family: Family,
    expected: usize,
    counters: &mut IoCounters,
) -> Received {
    let mut received = Received::new();
    for _ in 0..1_000 {
        let _queue = batch.receive(sockets.get(family).unwrap(), &Clock::new(), counters);
        received.extend(batch.datagrams().map(|(meta, bytes)| (meta, bytes.to_vec())));
        if received.len() >= expected {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    received
}

fn transmits(sends: &[(Path, usize, u8)]) -> TransmitBatch {
    let mut batch = TransmitBatch::new();
    for (path, len, byte) in sends {
        batch.spare()[..*len].fill(*byte);
        batch.commit(*path, *len);
    }
    batch
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_steers_by_ssrc() {
    let group = group(4);
    for (family, address) in families(&group) {
        let client = client(family);
        let mut batch = ReceiveBatch::new();
        for shard in 0..4u8 {
            for (second, offset) in [(96, 8), (200, 4)] {
                let mut datagram = [0xEE; 40];
                (datagram[0], datagram[1], datagram[offset]) = (0x80, second, shard);
                client.send_to(&datagram, address).unwrap();
                let sockets = &group.shards[usize::from(shard)];
                let received = receive(&mut batch, sockets, family, 1, &mut IoCounters::default());
                assert_eq!(received.len(), 1, "shard {shard} over {family:?}, second byte {second}");
                assert_eq!(received[0].1, datagram);
                assert_eq!(received[0].0.remote, client.local_addr().unwrap());
                assert_eq!(received[0].0.local, address);
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn garbage_arrives_somewhere_and_all_of_one_sender_at_the_same_shard() {
    let group = group(4);
    let (family, address) = families(&group)[0];
    let client = client(family);
    for datagram in
        [&[0x80; 21][..], &[0; 40], &[0x80, 96, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    {
        for _ in 0..4 {
            client.send_to(datagram, address).unwrap();
        }
    }
    std::thread::sleep(Duration::from_millis(20));
    let mut batch = ReceiveBatch::new();
    let counts = group.shards.iter().map(|sockets| {
        let _queue = batch.receive(sockets.get(family).unwrap(), &Clock::new(), &mut IoCounters::default());
        batch.datagrams().count()
    });
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, 12]);
}

#[test]
fn a_second_router_cannot_join_the_port() {
    let first = group(1);
    let again = Listen { port: first.addresses[0].port(), ..listen() };
    let error = SocketGroup::bind(again, 1).unwrap_err();
    if cfg!(target_os = "linux") {
        assert!(matches!(error, BindError::Locked(port) if port == again.port), "{error}");
    }
    drop(first);
    SocketGroup::bind(again, 1).unwrap();
}

#[test]
fn both_families_have_one_port() {
    let group = group(1);
    assert!(group.addresses.iter().all(|address| address.port() == group.addresses[0].port()));
    assert!(group.buffer_sizes.receive > 0 && group.buffer_sizes.send > 0);
}

#[test]
fn nothing_to_bind_is_an_error() {
    let nowhere = Listen { ipv4: None, ipv6: None, port: 0 };
    assert!(matches!(SocketGroup::bind(nowhere, 1), Err(BindError::NoAddress)));
    assert!(matches!(SocketGroup::bind(LOOPBACK, 0), Err(BindError::Shards(0))));
    assert!(matches!(SocketGroup::bind(LOOPBACK, 257), Err(BindError::Shards(257))));
}

/// Sends 20 datagrams of 1,000 bytes and a shorter one to each of two clients, and checks that all arrive from `address`.
fn check_sending(sender: &mut BatchSender, group: &SocketGroup, counters: &mut IoCounters) {
    for (family, local) in families(group) {
        let clients = [client(family), client(family)];
        let mut sends = Vec::new();
        for client in &clients {
            let path = Path { local, remote: client.local_addr().unwrap() };
            sends.extend((0..20).map(|number| (path, 1_000, number)));
            sends.push((path, 300, 20));
        }
        sender.send(&group.shards[0], &transmits(&sends), counters);
        for client in &clients {
            for number in 0..21u8 {
                let mut buffer = [0; 2_000];
                let (len, from) = client.recv_from(&mut buffer).unwrap();
                assert_eq!(from, local);
                assert_eq!(buffer[..len], vec![number; if number == 20 { 300 } else { 1_000 }]);
            }
        }
    }
    for reason in SendDrop::ALL {
        assert_eq!(counters.dropped_out(reason), 0, "{}", reason.name());
    }
}

#[test]
fn segmented_sends_arrive_as_datagrams() {
    let (group, mut counters) = (group(1), IoCounters::default());
    let families = group.addresses.len() as u64;
    let mut sender = BatchSender::new(Segmentation::IfSupported);
    check_sending(&mut sender, &group, &mut counters);
    assert_eq!(counters.datagrams_out, families * 42);
    if sender.segments() {
        assert_eq!((counters.send_calls, counters.messages_out), (families, families * 2));
    }
}

#[test]
fn without_segmentation_each_datagram_is_a_message() {
    let (group, mut counters) = (group(1), IoCounters::default());
    let families = group.addresses.len() as u64;
    let mut sender = BatchSender::new(Segmentation::Never);
    check_sending(&mut sender, &group, &mut counters);
    assert_eq!((counters.messages_out, counters.datagrams_out), (families * 42, families * 42));
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_cannot_segment_is_noticed_and_nothing_is_lost() {
    let group = SocketGroup::bind(Listen { ipv6: None, ..LOOPBACK }, 1).unwrap();
    linux::forbid_checksums(&group.shards[0].get(Family::V4).unwrap().socket).unwrap();
    let (mut sender, mut counters) = (BatchSender::new(Segmentation::IfSupported), IoCounters::default());
    check_sending(&mut sender, &group, &mut counters);
    assert!(!sender.segments());
    assert_eq!((counters.segmentation_refused, counters.datagrams_out), (2, 42));
}

#[cfg(target_os = "linux")]
#[test]
fn one_impossible_destination_harms_nobody_else() {
    let group = SocketGroup::bind(Listen { ipv6: None, ..LOOPBACK }, 1).unwrap();
    let (mut sender, mut counters) = (BatchSender::new(Segmentation::IfSupported), IoCounters::default());
    let (local, client) = (group.addresses[0], client(Family::V4));
    let good = Path { local, remote: client.local_addr().unwrap() };
    let no_port = Path { local, remote: "127.0.0.1:0".parse().unwrap() };
    let not_ours = Path { local: "192.0.2.1:9".parse().unwrap(), ..good };
    let no_family = Path { local: "[::1]:9".parse().unwrap(), remote: "[::1]:9".parse().unwrap() };
    let sends = [(good, 100, 1), (no_port, 100, 2), (no_port, 100, 2), (not_ours, 100, 3), (good, 100, 4)];
    sender.send(&group.shards[0], &transmits(&sends), &mut counters);
    sender.send(&group.shards[0], &transmits(&[(no_family, 100, 5)]), &mut counters);
    let mut buffer = [0; 200];
    for expected in [1, 4] {
        assert_eq!((client.recv(&mut buffer).unwrap(), buffer[0]), (100, expected));
    }
    assert!(sender.segments());
    assert_eq!(counters.dropped_out(SendDrop::InvalidAddress), 2);
    assert_eq!(counters.dropped_out(SendDrop::Unreachable), 1);
    assert_eq!(counters.dropped_out(SendDrop::NoSocket), 1);
    assert_eq!(counters.datagrams_out, 2);
}

#[cfg(target_os = "linux")]
#[test]
fn coalesced_datagrams_are_taken_apart() {
    let (from, to) = (group(1), group(1));
    for (family, remote) in families(&to) {
        let local = from.addresses[family as usize];
        let path = Path { local, remote };
        let mut sends: Vec<_> = (0..30).map(|number| (path, 900, number)).collect();
        sends.push((path, 50, 30));
        let mut counters = IoCounters::default();
        BatchSender::new(Segmentation::IfSupported).send(&from.shards[0], &transmits(&sends), &mut counters);
        let received = receive(&mut ReceiveBatch::new(), &to.shards[0], family, 31, &mut counters);
        let expected: Vec<_> = sends.iter().map(|(_, len, byte)| vec![*byte; *len]).collect();
        assert_eq!(received.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), expected);
        assert!(received.iter().all(|(meta, _)| meta.path() == Path { local: remote, remote: local }));
        assert_eq!(counters.datagrams_in, 31);
        assert!(counters.messages_in < 31, "the kernel coalesces on loopback");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn each_datagram_tells_its_addresses_and_marks() {
    let listen = Listen { ipv4: Some(std::net::Ipv4Addr::UNSPECIFIED), ipv6: None, port: 0 };
    let group = SocketGroup::bind(listen, 1).unwrap();
    let (client, mut counters) = (client(Family::V4), IoCounters::default());
    SockRef::from(&client).set_tos_v4(0b0000_0001).unwrap();
    let router = std::net::SocketAddr::from(([127, 0, 0, 2], group.addresses[0].port()));
    client.send_to(b"x", router).unwrap();
    client.send_to(b"", router).unwrap();
    let received = receive(&mut ReceiveBatch::new(), &group.shards[0], Family::V4, 2, &mut counters);
    assert_eq!(received.iter().map(|(_, bytes)| &bytes[..]).collect::<Vec<_>>(), [&b"x"[..], b""]);
    let meta = received[0].0;
    assert_eq!((meta.local, meta.ecn), (router, 1));

    let answer = transmits(&[(meta.path(), 10, 1)]);
    BatchSender::new(Segmentation::IfSupported).send(&group.shards[0], &answer, &mut counters);
    let (_, from) = client.recv_from(&mut [0; 20]).unwrap();
    assert_eq!(from, router);
}

#[cfg(target_os = "linux")]
#[test]
fn the_time_of_arrival_is_the_kernels() {
    const FETCHED_AFTER: Duration = Duration::from_millis(20);
    let (group, clock) = (group(1), Clock::new());
    let (family, address) = families(&group)[0];
    let client = client(family);
    // The kernel begins to stamp some time after it was asked to; until then a stamp is the time of fetching.
    let was_stamped = (0..50).any(|_| {
        client.send_to(b"x", address).unwrap();
        std::thread::sleep(FETCHED_AFTER);
        let counters = &mut IoCounters::default();
        let received = receive(&mut ReceiveBatch::new(), &group.shards[0], family, 1, counters);
        clock.now().saturating_since(received[0].0.received_at) >= FETCHED_AFTER / 2
    });
    assert!(was_stamped);
}

#[cfg(target_os = "linux")]
#[test]
fn marks_are_read_from_ipv6_too() {
    if listen().ipv6.is_none() {
        return;
    }
    let (group, client) = (group(1), client(Family::V6));
    SockRef::from(&client).set_tclass_v6(0b0000_0011).unwrap();
    client.send_to(b"x", group.addresses[1]).unwrap();
    let received =
        receive(&mut ReceiveBatch::new(), &group.shards[0], Family::V6, 1, &mut IoCounters::default());
    assert_eq!(received[0].0.ecn, 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_batch_says_that_there_may_be_more() {
    let group = group(1);
    let (family, address) = families(&group)[0];
    let client = client(family);
    for len in 1..=40 {
        client.send_to(&vec![0; len], address).unwrap();
    }
    let (mut batch, mut counters) = (ReceiveBatch::new(), IoCounters::default());
    let socket = group.shards[0].get(family).unwrap();
    assert_eq!(batch.receive(socket, &Clock::new(), &mut counters), Queue::MayHaveMore);
    let first = batch.datagrams().count();
    assert_eq!(batch.receive(socket, &Clock::new(), &mut counters), Queue::Drained);
    assert_eq!(first + batch.datagrams().count(), 40);
}

#[test]
fn the_portable_sockets_do_the_same() {
    let group = group(1);
    let (family, address) = families(&group)[0];
    let (client, mut counters) = (client(family), IoCounters::default());
    client.send_to(b"ping", address).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let mut batch = PlainBatch::new();
    let socket = group.shards[0].get(family).unwrap();
    assert_eq!(batch.receive(socket, &Clock::new(), &mut counters), Queue::Drained);
    let (meta, bytes) = batch.datagrams().next().unwrap();
    assert_eq!((meta.remote, bytes), (client.local_addr().unwrap(), &b"ping"[..]));
    let answer = transmits(&[(meta.path(), 10, 1), (meta.path(), 10, 2)]);
    let mut sender = PlainSender::new(Segmentation::Never);
    sender.send(&group.shards[0], &answer, &mut counters);
    for expected in [1, 2] {
        let mut buffer = [0; 20];
        assert_eq!((client.recv(&mut buffer).unwrap(), buffer[0]), (10, expected));
    }
    assert_eq!((counters.datagrams_in, counters.datagrams_out), (1, 2));
}
