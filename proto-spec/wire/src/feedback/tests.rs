use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::rtcp::{self, Packet};

const CONTROL_SSRC: u32 = 0x0300_0040;

fn write(base: u16, hold: Duration, packets: &[Option<Arrival>]) -> Result<Vec<u8>, BufferTooSmall> {
    let mut buffer = vec![0xEE; 2_000];
    let mut compound = CompoundWriter::new(&mut buffer);
    write_feedback(&mut compound, CONTROL_SSRC, base, hold, packets.iter().copied())?;
    let len = compound.finish();
    buffer.truncate(len);
    Ok(buffer)
}

fn parse(data: &[u8]) -> Result<Feedback<'_>, ControlError> {
    crate::fuzzing::feedback(data);
    Feedback::parse(&App { subtype: FEEDBACK_SUBTYPE, ssrc: 7, name: APP_NAME, data })
}

fn at(ticks: u32) -> Option<Arrival> {
    Some(Arrival { ticks, ecn: Ecn::NotEct })
}

/// A message about 4 packets of which the second and the third were lost, cut before its entries.
const HEAD: [u8; 12] = [0xFF, 0xFE, 0, 4, 0, 0, 1, 0, 0, 8, 1, 0];

fn message(entries: &[u8]) -> Vec<u8> {
    [&HEAD[..], entries].concat()
}

#[test]
fn a_message_in_bytes() {
    let data = message(&[0x00, 0xC1, 0xB0, 0x02, 0, 0, 0, 0]);
    let feedback = parse(&data[..16]).unwrap();
    assert_eq!((feedback.base(), feedback.packet_count()), (0xFFFE, 4));
    assert_eq!(feedback.hold(), Duration::from_millis(2));
    let expected = [
        (0xFFFE, Some(Arrival { ticks: 256, ecn: Ecn::Ect1 })),
        (0xFFFF, None),
        (0, None),
        (1, Some(Arrival { ticks: 258, ecn: Ecn::Ce })),
    ];
    assert_eq!(feedback.packets().collect::<Vec<_>>(), expected);
    assert_eq!(parse(&data), Err(ControlError::Malformed { subtype: FEEDBACK_SUBTYPE }), "more than padding");
}

#[test]
fn what_breaks_a_rule_is_malformed() {
    let malformed = Err(ControlError::Malformed { subtype: FEEDBACK_SUBTYPE });
    assert_eq!(parse(&HEAD[..11]), malformed, "cut short");
    assert_eq!(parse(&HEAD), malformed, "no entries");
    assert_eq!(parse(&message(&[0, 0, 0])), malformed, "three of four packets");
    assert_eq!(parse(&message(&[0, 0, 0, 0xC0])), malformed, "ends with a lost one");
    assert_eq!(parse(&message(&[0, 0, 0, 0x80])), malformed, "half an entry");
    assert_eq!(parse(&message(&[0, 0xC3, 0, 0])), malformed, "a run over the end");
    assert_eq!(parse(&message(&[0, 0xE1, 0, 0])), malformed, "a reserved entry");
    assert!(parse(&message(&[0, 0, 0, 0])).is_ok());
    let mut none = message(&[0, 0, 0, 0]);
    none[3] = 0;
    assert_eq!(parse(&none), malformed, "no packets");

    let mut many = message(&[0xDF; 32]);
    (many[2], many[3]) = (4, 1);
    many.push(0);
    assert_eq!(parse(&many), malformed, "1,025 packets");
    many[43] = 0xDE;
    many[3] = 0;
    assert!(parse(&many).is_ok(), "1,024 packets");
}

#[test]
fn other_messages_are_not_feedback() {
    let data = message(&[0, 0, 0, 0]);
    let app = App { subtype: 12, ssrc: 7, name: APP_NAME, data: &data };
    assert_eq!(Feedback::parse(&app), Err(ControlError::UnknownSubtype(12)));
    let app = App { subtype: FEEDBACK_SUBTYPE, ssrc: 7, name: *b"SLCD", data: &data };
    assert_eq!(Feedback::parse(&app), Err(ControlError::Name));
}

#[test]
fn what_cannot_be_said_is_not_written() {
    assert_eq!(write(1, TICK, &[]), Err(BufferTooSmall));
    assert_eq!(write(1, TICK, &[at(1), None]), Err(BufferTooSmall));
    assert_eq!(write(1, TICK, &vec![at(1); 1_025]), Err(BufferTooSmall));
    assert_eq!(write(1, TICK, &vec![at(1); 1_000]), Err(BufferTooSmall), "1,012 bytes");
    assert!(write(1, TICK, &vec![at(1); 988]).is_ok(), "1,000 bytes");
    assert_eq!(write(1, TICK, &[at(0), at(2_048)]), Err(BufferTooSmall));
    assert!(write(1, TICK, &[at(0), at(2_047)]).is_ok());
    assert_eq!(write(1, TICK, &[at(2_049), at(0)]), Err(BufferTooSmall));
    assert!(write(1, TICK, &[at(2_048), at(0)]).is_ok());
}

#[test]
fn a_steady_stream_takes_a_byte_a_packet() {
    let packets: Vec<_> = (0..40).map(|number| at(u32::MAX.wrapping_add(number * 80))).collect();
    assert_eq!(write(9, TICK, &packets).unwrap().len(), 12 + 12 + 40);
}

/// The vectors of `proto-spec/vectors/feedback`: read, and written again byte for byte.
#[test]
fn the_vectors_hold() {
    let text = include_str!("../../../vectors/feedback/messages.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let messages = file["messages"].as_array().unwrap();
    assert!(messages.len() >= 4);
    for vector in messages {
        let hex = vector["packet"].as_str().unwrap();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        let Some(Ok(Packet::App(app))) = rtcp::packets(&bytes).next() else { panic!("{hex}") };
        let Some(expected) = vector["packets"].as_array() else {
            assert!(matches!(Feedback::parse(&app), Err(ControlError::Malformed { .. })), "{hex}");
            continue;
        };
        let feedback = Feedback::parse(&app).unwrap();
        assert_eq!(u64::from(feedback.base()), vector["base"].as_u64().unwrap());
        assert_eq!(feedback.hold().as_micros() as u64, vector["hold_us"].as_u64().unwrap());
        let expected: Vec<Option<Arrival>> = expected
            .iter()
            .map(|packet| {
                let [ticks, ecn] = [packet.get(0)?, packet.get(1)?].map(|value| value.as_u64().unwrap());
                Some(Arrival { ticks: ticks as u32, ecn: Ecn::from_bits(ecn as u8) })
            })
            .collect();
        assert_eq!(feedback.packets().map(|(_, arrival)| arrival).collect::<Vec<_>>(), expected, "{hex}");
        assert_eq!(write(feedback.base(), feedback.hold(), &expected).unwrap(), bytes);
    }
}

/// Packets in order, some lost, of which no two neighbours are too far apart and the last arrived.
fn any_packets() -> impl Strategy<Value = Vec<Option<Arrival>>> {
    let delta = prop_oneof![0..128i32, -2_048..=2_047i32];
    let packet = option::weighted(0.8, (delta, 0..4u8));
    (any::<u32>(), vec(packet, 0..400), 0..4u8).prop_map(|(mut ticks, steps, last)| {
        let mut is_first = true;
        let arrive = |(delta, ecn): (i32, u8)| {
            ticks = ticks.wrapping_add_signed(if is_first { 0 } else { delta });
            is_first = false;
            Arrival { ticks, ecn: Ecn::from_bits(ecn) }
        };
        let mut packets: Vec<_> = steps
            .into_iter()
            .map({
                let mut arrive = arrive;
                move |step| step.map(&mut arrive)
            })
            .collect();
        let ticks = packets.iter().rev().flatten().next().map_or(5, |arrival| arrival.ticks);
        packets.push(Some(Arrival { ticks, ecn: Ecn::from_bits(last) }));
        packets
    })
}

proptest! {
    #[test]
    fn messages_round_trip(base: u16, hold_ticks: u16, packets in any_packets()) {
        let hold = TICK * u32::from(hold_ticks);
        let bytes = write(base, hold, &packets).unwrap();
        let Some(Ok(Packet::App(app))) = rtcp::packets(&bytes).next() else { panic!() };
        prop_assert_eq!((app.ssrc, app.subtype), (CONTROL_SSRC, FEEDBACK_SUBTYPE));
        let feedback = Feedback::parse(&app).unwrap();
        prop_assert_eq!((feedback.base(), feedback.hold()), (base, hold));
        prop_assert_eq!(feedback.packets().len(), packets.len());
        let sequences = (0..).map(|offset: u16| base.wrapping_add(offset));
        prop_assert!(feedback.packets().eq(sequences.zip(packets)));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..80), count in 0..80u8) {
        let mut bytes = bytes;
        crate::fuzzing::feedback(&bytes);
        if let [_, _, high, low, ..] = &mut bytes[..] {
            (*high, *low) = (0, count);
            crate::fuzzing::feedback(&bytes);
        }
    }

    #[test]
    fn damaged_messages_are_messages_or_errors(
        packets in any_packets(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in 0..20usize,
    ) {
        let mut bytes = write(1, TICK, &packets).unwrap().split_off(12);
        for (index, byte) in damage {
            *index.get_mut(&mut bytes) = byte;
            crate::fuzzing::feedback(&bytes);
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        crate::fuzzing::feedback(&bytes);
    }
}
