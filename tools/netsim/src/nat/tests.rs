use super::*;

const EXTERNAL: &str = "203.0.113.1";

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn seconds(seconds: u64) -> Time {
    Time::from_nanos(seconds * 1_000_000_000)
}

fn nat() -> Nat {
    Nat::new(&NatConfig::new(EXTERNAL.parse().unwrap()))
}

#[test]
fn a_mapping_does_not_depend_on_the_remote() {
    let (mut nat, inside) = (nat(), socket("10.0.0.2:5000"));
    let first = nat.outbound(seconds(0), inside, socket("198.51.100.1:443"));
    let second = nat.outbound(seconds(1), inside, socket("198.51.100.2:443"));
    assert_eq!(first, second);
    assert_eq!(first.ip(), nat.external_ip());
    assert_ne!(first, nat.outbound(seconds(1), socket("10.0.0.2:5001"), socket("198.51.100.1:443")));
}

#[test]
fn only_addresses_that_were_sent_to_may_answer() {
    let (mut nat, inside) = (nat(), socket("10.0.0.2:5000"));
    let outside = nat.outbound(seconds(0), inside, socket("198.51.100.1:443"));
    assert_eq!(nat.inbound(seconds(1), outside, socket("198.51.100.1:443")), Some(inside));
    assert_eq!(nat.inbound(seconds(1), outside, socket("198.51.100.1:444")), Some(inside)); // address-dependent, not port
    assert_eq!(nat.inbound(seconds(1), outside, socket("198.51.100.2:443")), None);
}

#[test]
fn unknown_destinations_lead_nowhere() {
    let (mut nat, remote) = (nat(), socket("198.51.100.1:443"));
    let outside = nat.outbound(seconds(0), socket("10.0.0.2:5000"), remote);
    assert_eq!(nat.inbound(seconds(0), SocketAddr::new(outside.ip(), outside.port() + 1), remote), None);
    assert_eq!(nat.inbound(seconds(0), SocketAddr::new(remote.ip(), outside.port()), remote), None);
}

#[test]
fn rebinding_gives_a_new_port_and_closes_the_old_one() {
    let (mut nat, inside, remote) = (nat(), socket("10.0.0.2:5000"), socket("198.51.100.1:443"));
    let old = nat.outbound(seconds(0), inside, remote);
    nat.rebind();
    assert_eq!(nat.inbound(seconds(0), old, remote), None);
    let new = nat.outbound(seconds(0), inside, remote);
    assert_ne!(old.port(), new.port());
    assert_eq!(nat.inbound(seconds(0), old, remote), None);
    assert_eq!(nat.inbound(seconds(0), new, remote), Some(inside));
}

#[test]
fn only_outbound_packets_keep_a_mapping_alive() {
    let (mut nat, inside, remote) = (nat(), socket("10.0.0.2:5000"), socket("198.51.100.1:443"));
    let first = nat.outbound(seconds(0), inside, remote);
    assert_eq!(nat.outbound(seconds(29), inside, remote), first);
    assert_eq!(nat.outbound(seconds(58), inside, remote), first);
    assert_eq!(nat.inbound(seconds(87), first, remote), Some(inside));
    assert_eq!(nat.inbound(seconds(88), first, remote), None);
    assert_ne!(nat.outbound(seconds(88), inside, remote), first);
}

#[test]
fn a_permission_ends_even_if_the_mapping_lives_on() {
    let (mut nat, inside) = (nat(), socket("10.0.0.2:5000"));
    let (once, often) = (socket("198.51.100.1:443"), socket("198.51.100.2:443"));
    let outside = nat.outbound(seconds(0), inside, once);
    nat.outbound(seconds(20), inside, often);
    assert_eq!(nat.inbound(seconds(40), outside, once), None);
    assert_eq!(nat.inbound(seconds(40), outside, often), Some(inside));
}

#[test]
fn a_full_table_forgets_what_was_unused_for_longest() {
    let (mut nat, remote) = (nat(), socket("198.51.100.1:443"));
    let inside = |i: usize| SocketAddr::new("10.0.0.2".parse().unwrap(), u16::try_from(i + 1).unwrap());
    let first: Vec<SocketAddr> =
        (0..MAX_MAPPINGS).map(|i| nat.outbound(Time::from_nanos(i as u64), inside(i), remote)).collect();
    let now = Time::from_nanos(MAX_MAPPINGS as u64);
    nat.outbound(now, inside(MAX_MAPPINGS), remote);
    assert_eq!(nat.inbound(now, first[0], remote), None);
    assert_eq!(nat.inbound(now, first[1], remote), Some(inside(1)));
    assert_eq!((nat.mappings.len(), nat.internal_by_port.len()), (MAX_MAPPINGS, MAX_MAPPINGS));
}

#[test]
fn a_full_list_of_permissions_forgets_what_was_unused_for_longest() {
    let (mut nat, inside) = (nat(), socket("10.0.0.2:5000"));
    let remote = |i: u32| SocketAddr::new(std::net::Ipv4Addr::from_bits(0xC633_0000 + i).into(), 443);
    let mut outside = None;
    for i in 0..=MAX_PERMITTED as u32 {
        outside = Some(nat.outbound(Time::from_nanos(u64::from(i)), inside, remote(i)));
    }
    let outside = outside.unwrap();
    assert_eq!(nat.inbound(seconds(1), outside, remote(0)), None);
    assert_eq!(nat.inbound(seconds(1), outside, remote(1)), Some(inside));
}

#[test]
fn ports_go_round_and_skip_those_in_use() {
    let (mut nat, remote) = (nat(), socket("198.51.100.1:443"));
    let lasting = socket("10.0.0.2:1");
    let held = nat.outbound(seconds(0), lasting, remote);
    for _ in 0..70_000 {
        nat.outbound(seconds(0), socket("10.0.0.2:2"), remote);
        nat.remove(socket("10.0.0.2:2"));
    }
    assert_eq!(nat.outbound(seconds(0), lasting, remote), held);
    assert_eq!(nat.inbound(seconds(0), held, remote), Some(lasting));
}
