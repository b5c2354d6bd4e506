use super::*;
use crate::counters::DropReason;

fn ms(milliseconds: u64) -> Time {
    Time::from_nanos(milliseconds * 1_000_000)
}

fn pipe(text: &str) -> Pipe<Vec<u8>> {
    Pipe::new(Link::new(&text.parse().unwrap(), 1).unwrap())
}

fn push(pipe: &mut Pipe<Vec<u8>>, now: Time, item: &[u8]) -> Fate {
    pipe.push(now, item.len(), item.to_vec())
}

#[test]
fn packets_come_when_they_are_due() {
    let mut pipe = pipe("delay=10ms");
    assert_eq!(pipe.next_at(), None);
    push(&mut pipe, ms(0), b"a");
    push(&mut pipe, ms(5), b"b");
    assert_eq!((pipe.next_at(), pipe.in_flight()), (Some(ms(10)), 2));
    assert_eq!(pipe.poll(ms(9)), None);
    assert_eq!(pipe.poll(ms(10)).as_deref(), Some(b"a".as_slice()));
    assert_eq!((pipe.poll(ms(10)), pipe.next_at()), (None, Some(ms(15))));
    assert_eq!(pipe.poll(ms(99)).as_deref(), Some(b"b".as_slice()));
    assert_eq!((pipe.next_at(), pipe.in_flight()), (None, 0));
}

#[test]
fn packets_of_one_time_keep_their_order() {
    let mut pipe = pipe("delay=10ms");
    (0..100).for_each(|i| assert!(matches!(push(&mut pipe, ms(0), &[i]), Fate::Delivered(_))));
    for i in 0..100 {
        assert_eq!(pipe.poll(ms(10)), Some(vec![i]));
    }
}

#[test]
fn a_packet_that_was_held_back_comes_after_its_follower() {
    let mut pipe = pipe("reorder=100%,reorder_extra=10ms;at=1ms");
    push(&mut pipe, ms(0), b"held");
    push(&mut pipe, ms(1), b"next");
    assert_eq!(pipe.poll(ms(20)).as_deref(), Some(b"next".as_slice()));
    assert_eq!(pipe.poll(ms(20)).as_deref(), Some(b"held".as_slice()));
    assert_eq!(pipe.counters().reordered, 1);
}

#[test]
fn a_duplicate_comes_too_and_is_intact() {
    let mut pipe = pipe("duplicate=100%,corrupt=100%");
    push(&mut pipe, ms(0), &[0; 32]);
    let ones = |item: Vec<u8>| item.iter().map(|byte| byte.count_ones()).sum::<u32>();
    assert_eq!(pipe.poll(ms(0)).map(ones), Some(1));
    assert_eq!(pipe.poll(ms(0)).map(ones), Some(0));
    assert_eq!(pipe.poll(ms(0)), None);
}

#[test]
fn what_is_lost_does_not_come() {
    let mut pipe = pipe("loss=100%");
    assert_eq!(push(&mut pipe, ms(0), b"a"), Fate::Dropped(DropReason::Random));
    assert_eq!(pipe.poll(Time::MAX), None);
}

#[test]
fn a_full_pipe_drops_and_counts() {
    let overflow = Fate::Dropped(DropReason::Overflow);
    let link = Link::new(&"delay=10ms".parse().unwrap(), 1).unwrap();
    let mut by_packets = Pipe::with_capacity(link.clone(), 3, 1_000);
    let mut by_bytes = Pipe::with_capacity(link, 1_000, 30);
    for pipe in [&mut by_packets, &mut by_bytes] {
        let dropped: Vec<bool> = (0..4).map(|_| push(pipe, ms(0), &[0; 10]) == overflow).collect();
        assert_eq!(dropped, [false, false, true, true]);
        let counters = *pipe.counters();
        assert_eq!((counters.sent, counters.delivered, counters.lost_overflow), (4, 2, 2));
        assert!(pipe.poll(ms(10)).is_some());
        assert!(matches!(push(pipe, ms(10), &[0; 10]), Fate::Delivered(_)));
    }
}

#[test]
fn flipping_out_of_range_does_nothing() {
    let mut item = vec![0u8; 2];
    item.flip_bit(16);
    assert_eq!(item, [0, 0]);
    item.flip_bit(9);
    assert_eq!(item, [0, 2]);
    let shared: Arc<[u8]> = Arc::from([0u8; 2]);
    let mut flipped = Arc::clone(&shared);
    flipped.flip_bit(0);
    assert_eq!((&shared[..], &flipped[..]), ([0, 0].as_slice(), [1, 0].as_slice()));
}
