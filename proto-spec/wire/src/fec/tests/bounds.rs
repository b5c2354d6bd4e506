//! What a decoder refuses, and how much it keeps.

use super::*;

fn block(base: u16, sources: u16) -> Vec<Vec<u8>> {
    (0..sources).map(|n| packet(base.wrapping_add(n), 100)).collect()
}

#[test]
fn malformed_payloads() {
    let good = repairs_of(&block(0, 3), 2).remove(1);
    assert!(Repair::parse(&good).is_some());
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut too_long = good.clone();
    too_long.resize(REPAIR_HEADER_BYTES + MAX_SOURCE_BYTES - 4, 0);
    assert!(Repair::parse(&too_long).is_some());
    too_long.push(0);
    for (bytes, why) in [
        (good[..REPAIR_HEADER_BYTES + 7].to_vec(), "parity shorter than any unit"),
        (good[..11].to_vec(), "cut short"),
        (too_long, "parity longer than any unit"),
        (with(2, 2), "a row that is not below their number"),
        (with(3, 17), "too many rows"),
        (with(4, 0x70), "the first packet is none"),
        ([&good[..4], &[0xFF; 6], &[0x80, 0], &good[12..]].concat(), "49 sources"),
    ] {
        assert_eq!(Repair::parse(&bytes), None, "{why}");
        assert_eq!(Receiver::new().repair(&bytes), Err(RepairError::Malformed), "{why}");
    }
    let most = [&good[..4], &[0xFF; 6], &[0, 0], &good[12..]].concat();
    assert_eq!(Repair::parse(&most).unwrap().block.sources(), MAX_SOURCES);
}

#[test]
fn what_does_not_belong_together_gives_nothing() {
    let packets = block(0, 4);
    let payloads = repairs_of(&packets, 3);
    for at in [REPAIR_HEADER_BYTES, REPAIR_HEADER_BYTES + 2, payloads[0].len() - 1] {
        let mut receiver = Receiver::new();
        // The last packet is shorter, so that a wrong byte behind it shows.
        let mut short = packets[..3].to_vec();
        short.push(packet(3, 50));
        let mut payload = repairs_of(&short, 3).remove(0);
        payload[at] ^= 0xC3;
        for sent in &short[..3] {
            receiver.source(sent).unwrap();
        }
        assert_eq!(receiver.repair(&payload), Err(RepairError::Inconsistent), "{at}");
        assert_eq!(receiver.repair(&payload), Ok(vec![]), "tried once");
        assert_eq!(receiver.repair(&repairs_of(&short, 3)[1]), Ok(vec![]), "done");
    }
    // A source that is longer than what was summed up, and one that is no packet.
    for (place, wrong) in [(1, packet(1, 101)), (1, vec![0; 20])] {
        let mut receiver = Receiver::new();
        for (n, sent) in packets[..3].iter().enumerate() {
            receiver.ring.insert(n as u16, if n == place { &wrong } else { sent });
        }
        assert_eq!(receiver.repair(&payloads[0]), Err(RepairError::Inconsistent));
    }
}

#[test]
fn lengths_of_a_block_are_one() {
    let packets = block(0, 4);
    let payloads = repairs_of(&packets, 2);
    let mut receiver = Receiver::new();
    receiver.source(&packets[0]).unwrap();
    receiver.source(&packets[1]).unwrap();
    receiver.repair(&payloads[0]).unwrap();
    assert_eq!(receiver.repair(&payloads[1][..payloads[1].len() - 1]), Err(RepairError::Malformed));
    assert_eq!(receiver.repair(&payloads[1]), Ok(packets[2..].to_vec()));
}

#[test]
fn blocks_out_of_the_window() {
    let window = |base: u16, newest: u16| {
        let mut receiver = Receiver::new();
        receiver.source(&packet(newest, 10)).unwrap();
        receiver.repair(&repairs_of(&block(base, 2), 1)[0])
    };
    let last = |distance: u16| 1_u16.wrapping_add(distance);
    assert_eq!(window(0, last(WINDOW)), Ok(vec![]));
    assert_eq!(window(0, last(WINDOW + 1)), Err(RepairError::OutOfWindow));
    assert_eq!(window(0, 0_u16.wrapping_sub(MAX_LEAD)), Ok(vec![]));
    assert_eq!(window(0, 0_u16.wrapping_sub(MAX_LEAD + 1)), Err(RepairError::OutOfWindow));
    assert_eq!(window(0, 1 << 15), Err(RepairError::OutOfWindow));
    assert_eq!(window(0, (1 << 15) + 1), Err(RepairError::OutOfWindow));
    assert_eq!(window(0, (1 << 15) + 2), Err(RepairError::OutOfWindow));
}

#[test]
fn the_oldest_block_gives_way() {
    let blocks: Vec<_> = (0..=MAX_OPEN_BLOCKS as u16).map(|n| block(n * 4, 4)).collect();
    let mut receiver = Receiver::new();
    for packets in &blocks {
        receiver.repair(&repairs_of(packets, 1)[0]).unwrap();
    }
    let mut back = Vec::new();
    for packets in &blocks {
        for sent in &packets[1..] {
            back.extend(receiver.source(sent).unwrap());
        }
    }
    let expected: Vec<_> = blocks[1..].iter().map(|packets| packets[0].clone()).collect();
    assert_eq!(back, expected);
}

#[test]
fn the_oldest_repairs_give_way() {
    let (old, new) = (block(0, 20), block(20, 20));
    let mut receiver = Receiver::new();
    for payload in repairs_of(&old, 16).iter().chain(&repairs_of(&new, 9)) {
        assert_eq!(receiver.repair(payload), Ok(vec![]));
    }
    let (mut back, mut from_old) = (Vec::new(), Vec::new());
    old[8..].iter().for_each(|sent| from_old.extend(receiver.source(sent).unwrap()));
    new[9..].iter().for_each(|sent| back.extend(receiver.source(sent).unwrap()));
    assert_eq!((from_old, back), (vec![], new[..9].to_vec()));
    // Nothing leaks: as many can be kept again.
    let next = block(40, 16);
    let mut back = Vec::new();
    repairs_of(&next, 16).iter().for_each(|payload| back.extend(receiver.repair(payload).unwrap()));
    assert_eq!(back, next);
}

#[test]
fn a_source_may_be_forgotten() {
    let packets = block(0, 4);
    let payloads = repairs_of(&packets, 2);
    let mut receiver = Receiver::new();
    receiver.source(&packets[0]).unwrap();
    receiver.source(&packets[1]).unwrap();
    receiver.repair(&payloads[0]).unwrap();
    // Another packet takes the place of the first one.
    receiver.source(&packet(512, 10)).unwrap();
    assert_eq!(receiver.source(&packets[2]), Ok(vec![]), "two are missing again");
    assert_eq!(receiver.repair(&payloads[1]), Ok(vec![packets[0].clone(), packets[3].clone()]));
}
