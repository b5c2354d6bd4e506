use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::feedback::Feedback;
use crate::rtcp::{self, Packet};

fn ms(millis: u64) -> Time {
    Time::from_nanos(1_700_000_000_000_000_000) + Duration::from_millis(millis)
}

/// What one message says: its base, its hold, and per packet whether and when it arrived.
struct Said {
    base: u16,
    hold: Duration,
    packets: Vec<Option<Arrival>>,
}

impl Said {
    fn pattern(&self) -> String {
        self.packets.iter().map(|packet| if packet.is_some() { '#' } else { '.' }).collect()
    }
}

fn write(recorder: &mut FeedbackRecorder, now: Time, room: usize) -> Result<Option<Said>, BufferTooSmall> {
    let mut buffer = vec![0; room];
    let mut compound = CompoundWriter::new(&mut buffer);
    if !recorder.write(now, &mut compound, 7)? {
        return Ok(None);
    }
    let len = compound.finish();
    let Some(Ok(Packet::App(app))) = rtcp::packets(&buffer[..len]).next() else { panic!() };
    let Ok(feedback) = Feedback::parse(&app) else { panic!("malformed") };
    let packets = feedback.packets().map(|(_, arrival)| arrival).collect();
    Ok(Some(Said { base: feedback.base(), hold: feedback.hold(), packets }))
}

fn next(recorder: &mut FeedbackRecorder, now: Time) -> Said {
    write(recorder, now, 1_100).unwrap().expect("there is something to say")
}

fn recorder_of(packets: impl IntoIterator<Item = (u16, u64)>) -> FeedbackRecorder {
    let mut recorder = FeedbackRecorder::new();
    for (sequence, at) in packets {
        recorder.on_packet(sequence, ms(at), Ecn::NotEct);
    }
    recorder
}

#[test]
fn arrivals_are_said_once_with_what_is_missing_between() {
    let mut recorder = recorder_of([(65_534, 0), (65_535, 5), (2, 20)]);
    assert_eq!(recorder.next_at(), Some(ms(0) + FEEDBACK_INTERVAL));
    let said = next(&mut recorder, ms(50));
    assert_eq!((said.base, said.pattern().as_str()), (65_534, "##..#"));
    assert_eq!(said.hold, Duration::from_millis(30));
    let first = said.packets[0].unwrap().ticks;
    assert_eq!(said.packets[4].unwrap().ticks - first, 80);
    assert_eq!(recorder.next_at(), None);
    assert!(write(&mut recorder, ms(60), 1_100).unwrap().is_none());

    recorder.on_packet(4, ms(70), Ecn::Ce);
    let said = next(&mut recorder, ms(120));
    assert_eq!((said.base, said.pattern().as_str()), (3, ".#"));
    assert_eq!(said.packets[1].unwrap().ecn, Ecn::Ce);
}

#[test]
fn a_late_packet_is_reported_again_and_a_double_one_is_not() {
    let mut recorder = recorder_of([(1, 0), (2, 1), (4, 2)]);
    assert_eq!(next(&mut recorder, ms(50)).pattern(), "##.#");
    recorder.on_packet(4, ms(51), Ecn::NotEct);
    assert_eq!((recorder.next_at(), recorder.stats().duplicates), (None, 1));
    recorder.on_packet(3, ms(52), Ecn::NotEct);
    let said = next(&mut recorder, ms(100));
    assert_eq!((said.base, said.pattern().as_str()), (3, "##"));
    // It came 50 ms after the one behind it.
    assert_eq!(said.packets[0].unwrap().ticks - said.packets[1].unwrap().ticks, 200);
}

#[test]
fn a_silence_splits_the_report() {
    let mut recorder = recorder_of([(1, 0), (2, 600), (3, 610)]);
    assert_eq!(next(&mut recorder, ms(620)).pattern(), "#");
    assert_eq!(recorder.next_at(), Some(ms(620)));
    let said = next(&mut recorder, ms(620));
    assert_eq!((said.base, said.pattern().as_str()), (2, "##"));
}

#[test]
fn a_burst_is_reported_early_and_in_parts_that_fit() {
    let mut recorder = recorder_of((0..EARLY_PACKETS as u16).map(|number| (number, 3)));
    assert_eq!(recorder.next_at(), Some(ms(3)));
    assert_eq!(write(&mut recorder, ms(3), 24).err(), Some(BufferTooSmall));
    assert_eq!(write(&mut recorder, ms(3), 28).unwrap().unwrap().pattern(), "####");
    assert_eq!(next(&mut recorder, ms(3)).packets.len(), EARLY_PACKETS as usize - 4);
}

#[test]
fn what_falls_out_of_the_ring_is_counted() {
    let mut recorder = recorder_of([(10, 0), (11, 0), (11 + RECORDED_PACKETS as u16, 1)]);
    assert_eq!(recorder.stats().unreported, 2);
    let said = next(&mut recorder, ms(50));
    assert_eq!((said.base, said.packets.len()), (12, RECORDED_PACKETS));
    assert_eq!(said.pattern().matches('#').count(), 1);
    recorder.on_packet(11, ms(51), Ecn::NotEct);
    assert_eq!((recorder.stats().too_late, recorder.next_at()), (1, None));
    // A jump over the whole ring leaves nothing of what was before.
    recorder.on_packet(12_000, ms(52), Ecn::NotEct);
    assert_eq!(next(&mut recorder, ms(90)).pattern().matches('#').count(), 1);
}

#[test]
fn a_clock_that_steps_back_makes_no_hold() {
    let mut recorder = recorder_of([(1, 100)]);
    assert_eq!(next(&mut recorder, ms(60)).hold, Duration::ZERO);
}

proptest! {
    /// All that arrives within reach is said in the end, at the time at which it came first.
    #[test]
    fn everything_is_said(steps in vec((-6..20i16, 0..40u64, 0..4u8, any::<bool>()), 1..300), room in 28..1_100usize) {
        let mut recorder = FeedbackRecorder::new();
        let (mut sequence, mut now) = (65_500u16, 0);
        let (mut arrived, mut said) = (BTreeMap::new(), BTreeMap::new());
        for (step, pause, ecn, is_report) in steps {
            sequence = sequence.wrapping_add_signed(step);
            now += pause;
            recorder.on_packet(sequence, ms(now), Ecn::from_bits(ecn));
            arrived.entry(sequence).or_insert(Arrival { ticks: ticks(ms(now)), ecn: Ecn::from_bits(ecn) });
            while is_report && let Some(report) = write(&mut recorder, ms(now), room).unwrap() {
                note(&report, &mut said);
            }
        }
        while let Some(report) = write(&mut recorder, ms(now), room).unwrap() {
            note(&report, &mut said);
        }
        prop_assert_eq!(recorder.stats().unreported, 0);
        prop_assert_eq!(said, arrived);
    }
}

fn note(report: &Said, said: &mut BTreeMap<u16, Arrival>) {
    for (offset, packet) in report.packets.iter().enumerate() {
        if let Some(arrival) = packet {
            let before = said.insert(report.base.wrapping_add(offset as u16), *arrival);
            assert!(before.is_none_or(|before| before == *arrival));
        }
    }
}
