//! What a dead, moving or hostile client does to a meeting: nothing but to itself, and the counters say what was dropped.

mod lab;

use lab::{Lab, SHARD, stranger};
use sluice_router::core::{DropReason, EndReason, Event, ShardGauges};
use sluice_wire::srtp::{Cryptex, OutboundSrtp};
use sluice_wire::ticket::{MasterKey, Secret};
use sluice_wire::track::TrackNumber;

#[test]
fn a_meeting_without_trouble_loses_and_drops_nothing() {
    let mut lab = Lab::meeting(4);
    let drops: Vec<_> = DropReason::ALL.into_iter().filter(|reason| lab.dropped(*reason) > 0).collect();
    // In the first round trip, media may come before the receivers' addresses are validated.
    assert!(drops.is_empty() || drops == [DropReason::UnvalidatedBudget], "{drops:?}");
    let before = lab.all_drops();
    lab.assert_meeting_goes_on(&[1, 2, 3, 4]);
    assert_eq!(lab.all_drops(), before);
    assert_eq!(lab.shard.counters().rtp_lost_in, 0);
    assert_eq!(lab.astray.len(), 0);
}

#[test]
fn a_killed_client_is_noticed_after_ten_seconds_and_missed_by_nobody() {
    let mut lab = Lab::meeting(3);
    lab.client(3).is_dead = true;
    lab.assert_meeting_goes_on(&[1, 2]);
    lab.run(8_800);
    assert!(!lab.events.iter().any(|event| matches!(event, Event::Ended { .. })), "not before 10 s");
    lab.run(400);
    let ended = lab.events.iter().any(|event| {
        matches!(event, Event::Ended { participant, reason: EndReason::Idle, .. } if participant.get() == 3)
    });
    assert!(ended);
    lab.assert_meeting_goes_on(&[1, 2]);
    assert_eq!(lab.shard.gauges().tracks, 4);
}

#[test]
fn a_client_that_changes_its_port_in_mid_call_is_found_again() {
    let mut lab = Lab::meeting(3);
    lab.client(2).address = ([10, 0, 0, 2], 4_999).into();
    lab.run(500);
    assert_eq!(lab.shard.counters().migrations, 1);
    lab.assert_meeting_goes_on(&[1, 2, 3]);
    // What was under way to the old port before the first word from the new one, and a challenge to it, is all that it got.
    assert!(lab.astray.values().sum::<usize>() < 20_000, "{:?}", lab.astray);
}

#[test]
fn captured_packets_from_another_address_move_nobody() {
    let mut lab = Lab::meeting(3);
    let captured = lab.captured.clone();
    let (rtp_in, before) = (lab.shard.counters().rtp_in, lab.dropped(DropReason::Replayed));
    for (_, datagram) in &captured {
        lab.inject(stranger(), datagram);
    }
    lab.settle();
    let refused = lab.dropped(DropReason::Replayed) + lab.dropped(DropReason::TooOld) - before;
    assert_eq!(refused, captured.len() as u64);
    assert_eq!(lab.shard.counters().rtp_in, rtp_in);
    assert_eq!(lab.astray.get(&stranger()), None, "the router speaks to no address for a replay");
    lab.assert_meeting_goes_on(&[1, 2, 3]);
    assert_eq!(lab.shard.counters().migrations, 0);
}

/// A packet that was held back and is sent from elsewhere, first: it is authentic and newest, so the address is challenged, but
/// the session stays where it is, since the client itself answers.
#[test]
fn a_stolen_fresh_packet_does_not_carry_the_session_away() {
    let mut lab = Lab::meeting(2);
    let stolen = lab.hold_back_a_picture(1);
    lab.inject(stranger(), &stolen);
    lab.settle();
    assert!((1..=3 * stolen.len()).contains(&lab.astray[&stranger()]));
    lab.run(4_000);
    assert!(lab.astray[&stranger()] <= 3 * stolen.len());
    assert_eq!(lab.shard.counters().migrations, 0);
    lab.assert_meeting_goes_on(&[1, 2]);
}

#[test]
fn garbage_changes_nothing_but_counters() {
    let mut lab = Lab::meeting(3);
    let held = |lab: &Lab| ShardGauges { history_packets: 0, ..lab.shard.gauges() };
    let (gauges, before) = (held(&lab), *lab.shard.counters());
    let in_shard = [0x80, 96, 0, 1, 0, 0, 0, 0, SHARD, 0xFF, 0xFF, 0xFF];
    let elsewhere = [0x80, 96, 0, 1, 0, 0, 0, 0, SHARD + 1, 0, 0, 0];
    for _ in 0..1_000 {
        lab.inject(stranger(), &[]);
        lab.inject(stranger(), &[0x80; 21]);
        lab.inject(stranger(), &[0x16; 200]);
        lab.inject(stranger(), &[&in_shard[..], &[0; 100]].concat());
        lab.inject(stranger(), &[&elsewhere[..], &[0; 100]].concat());
        lab.inject(stranger(), &[0x80; 1_201]);
    }
    lab.settle();
    let reasons = [
        (DropReason::Runt, 2_000),
        (DropReason::UnknownClass, 1_000),
        (DropReason::UnknownSsrc, 1_000),
        (DropReason::WrongShard, 1_000),
        (DropReason::Oversize, 1_000),
    ];
    for (reason, count) in reasons {
        assert_eq!(lab.dropped(reason) - before.dropped(reason), count, "{reason:?}");
    }
    assert_eq!(held(&lab), gauges);
    assert_eq!(lab.astray.len(), 0);
    lab.assert_meeting_goes_on(&[1, 2, 3]);
}

#[test]
fn truncated_and_changed_packets_do_not_open() {
    let mut lab = Lab::meeting(2);
    let fresh = lab.hold_back_a_picture(1);
    let before = *lab.shard.counters();
    for len in 0..fresh.len() {
        lab.inject(stranger(), &fresh[..len]);
    }
    for bit in 0..fresh.len() * 8 {
        let mut changed = fresh.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        lab.inject(stranger(), &changed);
    }
    let tampered = 9 * fresh.len() as u64;
    assert_eq!(lab.shard.counters().datagrams_in - before.datagrams_in, tampered);
    assert_eq!(lab.shard.counters().rtp_in + lab.shard.counters().rtcp_in, before.rtp_in + before.rtcp_in);
    // The others found no session or no RTP in what was left of the head.
    let unauthentic =
        lab.dropped(DropReason::AuthenticationFailed) - before.dropped(DropReason::AuthenticationFailed);
    assert!(unauthentic > tampered * 9 / 10, "{unauthentic} of {tampered}");
    lab.inject(([10, 0, 0, 1], 4_000).into(), &fresh);
    assert_eq!(lab.shard.counters().rtp_in, before.rtp_in + 1, "the packet itself opens after all that");
    lab.settle();
    assert_eq!(lab.astray.len(), 0);
    lab.assert_meeting_goes_on(&[1, 2]);
}

#[test]
fn a_wrong_key_opens_nothing() {
    let mut lab = Lab::meeting(3);
    let uplink = lab.client(1).ticket.uplink.clone();
    let wrong = MasterKey { key: Secret::new(vec![0; 16]), salt: uplink.master.salt.clone() };
    let suite = lab.client(1).ticket.suite;
    let mut forger = OutboundSrtp::new(suite, &wrong, uplink.ssrcs, Cryptex::Required).unwrap();
    let mut compound = vec![0x80, 201, 0, 1];
    compound.extend_from_slice(&uplink.ssrcs.control().to_be_bytes());
    let mut out = [0; 200];
    for _ in 0..200 {
        let len = forger.seal_rtcp(&compound, &mut out).unwrap();
        lab.inject(stranger(), &out[..len]);
    }
    // A forgery under an index that was used is refused even sooner.
    assert_eq!(lab.dropped(DropReason::AuthenticationFailed) + lab.dropped(DropReason::Replayed), 200);
    assert!(lab.dropped(DropReason::AuthenticationFailed) > 80);
    assert_eq!(lab.shard.counters().migrations, 0);
    lab.assert_meeting_goes_on(&[1, 2, 3]);
}

#[test]
fn the_hand_of_one_participant_does_not_reach_into_the_session_of_another() {
    let mut lab = Lab::meeting(2);
    let before = *lab.shard.counters();
    // Participant 1's own packet with participant 2's SSRC in its head: found, and refused by 2's key.
    let own = lab
        .captured
        .iter()
        .rev()
        .find(|(from, d)| *from == ([10, 0, 0, 1], 4_000).into() && d[1] & 0x7F == 97);
    let mut forged = own.cloned().unwrap().1;
    let other = lab.client(2).ticket.uplink.ssrcs.base() + 4;
    forged[8..12].copy_from_slice(&other.to_be_bytes());
    lab.inject(([10, 0, 0, 1], 4_000).into(), &forged);
    assert_eq!(
        lab.dropped(DropReason::AuthenticationFailed),
        before.dropped(DropReason::AuthenticationFailed) + 1
    );
    lab.assert_meeting_goes_on(&[1, 2]);
}

#[test]
fn the_first_address_gets_three_times_what_it_sent_until_it_answers() {
    let mut lab = Lab::meeting(2);
    lab.join(3);
    let newcomer = lab.client(3);
    newcomer.is_dead = true;
    newcomer
        .session
        .want(&[lab::want(0, sluice_wire::control::Want::Track(lab::person(1).track(TrackNumber::CAMERA)))]);
    let address = ([10, 0, 0, 3], 4_000).into();
    let mut sent = 0;
    let now = lab.now;
    lab.client(3).session.handle_timeout(now);
    let first: Vec<Vec<u8>> =
        std::iter::from_fn(|| lab.client(3).session.poll_transmit().map(|t| t.payload.to_vec())).collect();
    for datagram in first {
        sent += datagram.len();
        lab.inject(address, &datagram);
    }
    lab.run(5_000);
    assert!(lab.astray[&address] > 0, "it is challenged");
    assert!(lab.astray[&address] <= 3 * sent, "{} for {sent}", lab.astray[&address]);
    assert_ne!(lab.dropped(DropReason::UnvalidatedBudget), 0);
}
