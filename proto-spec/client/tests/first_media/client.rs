//! The recorded downlink into fresh clients gives the recorded uplink, and the frames of the other one.

use sluice_client::session::{Event, ReceivedFrame};

use crate::stage::ClientStage;
use crate::vector::{Direction, Example};

/// What a client did: what it sent and when, what happened, and whether all its states are acknowledged.
struct Replay {
    sent: Vec<(u64, Vec<u8>)>,
    events: Vec<Event>,
    is_settled: bool,
}

fn replay(example: &Example, number: u32) -> Replay {
    let who = example.participant(number);
    let mut client = ClientStage::start(example.time(who.starts_at_ms), who, who.ticket());
    let (mut sent, mut events) = (Vec::new(), Vec::new());
    for ms in who.starts_at_ms..=example.end_ms {
        let arrived: Vec<Vec<u8>> = example
            .sent(Direction::Downlink, Some(number))
            .into_iter()
            .filter(|one| one.received_at_ms == ms)
            .map(|one| one.sealed.0.clone())
            .collect();
        sent.extend(client.step(example.time(ms), &arrived).into_iter().map(|datagram| (ms, datagram)));
        events.extend(client.events());
    }
    Replay { sent, events, is_settled: client.is_settled() }
}

#[test]
fn the_clients_say_what_is_recorded() {
    let example = Example::load();
    for who in &example.participants {
        let recorded: Vec<(u64, Vec<u8>)> = example
            .sent(Direction::Uplink, Some(who.participant))
            .into_iter()
            .map(|one| (one.sent_at_ms, one.sealed.0.clone()))
            .collect();
        let replay = replay(&example, who.participant);
        assert_eq!(replay.sent, recorded, "participant {}", who.participant);
        assert!(replay.is_settled);
        assert!(!replay.events.iter().any(|event| matches!(event, Event::Refused { .. })));
    }
}

#[test]
fn the_second_participant_gets_the_frames_of_the_first() {
    let example = Example::load();
    let frames: Vec<Box<ReceivedFrame>> = replay(&example, 2)
        .events
        .into_iter()
        .filter_map(|event| if let Event::Frame(frame) = event { Some(frame) } else { None })
        .collect();
    let publisher = example.participant(1);
    assert_eq!(frames.len(), publisher.frames.len());
    for (slot, (frame, original)) in frames.iter().zip(&publisher.frames).enumerate() {
        assert_eq!(usize::from(frame.slot), slot);
        assert_eq!(frame.track.to_bits(), 0x0000_0100 | u32::from(original.track));
        assert_eq!(frame.frame.data, original.data.0);
        assert_eq!(frame.captured_at, Some(example.time(publisher.starts_at_ms)));
        assert!(frame.is_decodable);
    }
}
