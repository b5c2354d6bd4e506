//! Malformed messages, one rule of the specification each.

use super::*;
use crate::rtcp::App;

const VERSION: u32 = 7;

fn parse(subtype: u8, data: &[u8]) -> Result<Message<'_>, ControlError> {
    crate::fuzzing::control(&[&[subtype], data].concat());
    Message::parse(&App { subtype, ssrc: 1, name: APP_NAME, data })
}

/// A page of version [`VERSION`], number 2 of 3, with this count and these entries.
fn page(count: u16, entries: &[u8]) -> Vec<u8> {
    [&VERSION.to_be_bytes()[..], &[2, 3], &count.to_be_bytes(), entries].concat()
}

#[track_caller]
fn accepted(kind: StateKind, count: u16, entries: &[u8]) {
    let data = page(count, entries);
    assert!(matches!(parse(kind as u8, &data), Ok(Message::Page(page)) if page.entry_count() == count));
}

/// The header is well-formed, so the page can be acknowledged as malformed.
#[track_caller]
fn refused(kind: StateKind, count: u16, entries: &[u8]) {
    let expected = ControlError::MalformedPage { kind, page: 2, version: VERSION };
    assert_eq!(parse(kind as u8, &page(count, entries)), Err(expected));
}

const MICROPHONE: [u8; 20] = [0, 0, 96, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0x7D, 0];
const CAMERA: [u8; 32] =
    [1, 1, 97, 0, 2, 0, 0, 0, 2, 1, 1, 30, 0, 160, 0, 90, 0, 1, 0, 0, 3, 1, 1, 30, 1, 64, 0, 180, 0, 2, 0, 0];
const WANTED: [u8; 12] = [0, 1, 1, 0, 0, 0, 7, 1, 0, 0, 0, 0];
const SHOWN: [u8; 16] = [0, 1, 0, 97, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0];

const DEMAND: [u8; 8] = [1, 2, 0, 3, 1, 0, 0, 0];
const SPEAKER: [u8; 8] = [0, 0, 7, 0, 40, 1, 0, 0];

/// The entry with a byte changed.
fn changed<const N: usize>(entry: [u8; N], at: usize, byte: u8) -> [u8; N] {
    let mut entry = entry;
    entry[at] = byte;
    entry
}

#[test]
fn the_samples_are_well_formed() {
    accepted(StateKind::Published, 0, &[]);
    accepted(StateKind::Published, 2, &[&MICROPHONE[..], &CAMERA].concat());
    accepted(StateKind::Wanted, 1, &WANTED);
    accepted(StateKind::Shown, 1, &SHOWN);
    accepted(StateKind::Demand, 1, &DEMAND);
    accepted(StateKind::Speakers, 1, &SPEAKER);
}

#[test]
fn other_names_are_not_ours() {
    let app = App { subtype: 0, ssrc: 1, name: *b"SLCD", data: &[0; 8] };
    assert_eq!(Message::parse(&app), Err(ControlError::Name));
}

#[test]
fn reserved_subtypes_are_unknown() {
    for subtype in [7, 14, 31] {
        assert_eq!(parse(subtype, &[]), Err(ControlError::UnknownSubtype(subtype)));
    }
}

#[test]
fn small_messages_have_one_length() {
    for (subtype, right) in [(0, 8), (1, 8), (2, 8), (3, 8), (4, 0), (5, 4)] {
        for len in (0..20).filter(|len| *len != right) {
            assert_eq!(parse(subtype, &vec![0; len]), Err(ControlError::Malformed { subtype }));
        }
    }
}

#[test]
fn fields_that_are_0_are_ignored() {
    assert_eq!(parse(5, &[0, 4, 9, 9]), Ok(Message::Close(CloseCode::Shutdown)));
    accepted(StateKind::Published, 1, &changed(MICROPHONE, 5, 9));
    accepted(StateKind::Published, 1, &changed(MICROPHONE, 3, 0xFE));
    accepted(StateKind::Wanted, 1, &changed(WANTED, 3, 0xFE));
    accepted(StateKind::Shown, 1, &changed(SHOWN, 15, 9));
    accepted(StateKind::Demand, 1, &changed(changed(DEMAND, 5, 9), 7, 9));
    accepted(StateKind::Speakers, 1, &changed(changed(SPEAKER, 5, 0xF8), 7, 9));
}

#[test]
fn close_codes_of_a_later_version_are_kept() {
    assert_eq!(parse(5, &[1, 2, 0, 0]), Ok(Message::Close(CloseCode::Other(0x0102))));
}

#[test]
fn acks() {
    let malformed = Err(ControlError::Malformed { subtype: 6 });
    for entry in [[7, 0, 0, 0], [13, 0, 0, 0], [8, MAX_PAGES, 0, 0], [8, 0, 4, 0]] {
        assert_eq!(parse(6, &[&entry[..], &[0, 0, 0, 1]].concat()), malformed);
    }
    assert_eq!(parse(6, &[8, 0, 0, 0, 0, 0, 0, 1, 8, 0, 0, 0]), malformed);
    assert!(parse(6, &[]).is_ok());
}

#[test]
fn page_headers() {
    for subtype in 8..=12 {
        let malformed = Err(ControlError::Malformed { subtype });
        for len in 0..8 {
            assert_eq!(parse(subtype, &page(0, &[])[..len]), malformed);
        }
        for [version, page, pages] in [[0, 0, 1], [1, 0, 0], [1, 1, 1], [1, 0, 17], [1, 255, 255]] {
            assert_eq!(parse(subtype, &[0, 0, 0, version, page, pages, 0, 0]), malformed);
        }
    }
}

#[test]
fn entry_counts_that_are_wrong() {
    for (kind, entry) in [
        (StateKind::Published, &MICROPHONE[..]),
        (StateKind::Wanted, &WANTED),
        (StateKind::Shown, &SHOWN),
        (StateKind::Demand, &DEMAND),
        (StateKind::Speakers, &SPEAKER),
    ] {
        refused(kind, 0, entry);
        refused(kind, 2, entry);
        refused(kind, u16::MAX, entry);
        refused(kind, 1, &entry[..entry.len() - 1]);
        refused(kind, 1, &[entry, &[0]].concat());
    }
}

#[test]
fn pages_that_are_too_long() {
    let entries: Vec<u8> = (0..83).flat_map(|slot| changed(WANTED, 1, slot)).collect();
    accepted(StateKind::Wanted, 82, &entries[..82 * 12]);
    refused(StateKind::Wanted, 83, &entries);
}

#[test]
fn tracks_one_by_one() {
    let refused = |track: &[u8]| refused(StateKind::Published, 1, track);
    refused(&changed(MICROPHONE, 0, MAX_TRACKS as u8));
    refused(&changed(MICROPHONE, 0, 255));
    refused(&changed(MICROPHONE, 1, 4));
    refused(&changed(MICROPHONE, 2, 95));
    refused(&changed(MICROPHONE, 2, 97));
    refused(&changed(MICROPHONE, 2, 110));
    refused(&changed(CAMERA, 2, 96));
    refused(&changed(CAMERA, 2, 110));
    refused(&changed(CAMERA, 4, 0));
    refused(&changed(CAMERA, 4, 1));
    refused(&changed(CAMERA, 4, 3));
    refused(&changed(CAMERA, 4, 255));
    refused(&changed(MICROPHONE, 4, 0)[..8]);
}

#[test]
fn five_encodings() {
    let encoding = |stream| [stream, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let head = |count| [1, 1, 97, 0, count, 0, 0, 0];
    let encodings: Vec<u8> = (1..=5).flat_map(encoding).collect();
    accepted(StateKind::Published, 1, &[&head(4)[..], &encodings[..48]].concat());
    refused(StateKind::Published, 1, &[&head(5)[..], &encodings].concat());
}

#[test]
fn audio_with_two_encodings_or_a_picture() {
    let two = [&changed(MICROPHONE, 4, 2)[..], &changed(MICROPHONE, 8, 2)[8..]].concat();
    refused(StateKind::Published, 1, &two);
    for at in [11, 13, 15] {
        refused(StateKind::Published, 1, &changed(MICROPHONE, at, 1));
    }
}

#[test]
fn encodings_one_by_one() {
    let refused = |track: &[u8]| refused(StateKind::Published, 1, track);
    refused(&changed(CAMERA, 8, 0));
    refused(&changed(CAMERA, 20, 2));
    refused(&changed(CAMERA, 9, MAX_LAYERS + 1));
    refused(&changed(CAMERA, 10, MAX_LAYERS + 1));
    // The second encoding is lower than the first.
    refused(&changed(CAMERA, 27, 80));
    // A height of 0 is unknown.
    accepted(StateKind::Published, 1, &changed(CAMERA, 27, 0));
    accepted(StateKind::Published, 1, &changed(CAMERA, 15, 0));
}

#[test]
fn tracks_that_share_a_number_or_a_stream() {
    refused(StateKind::Published, 2, &[&MICROPHONE[..], &changed(MICROPHONE, 8, 9)].concat());
    refused(StateKind::Published, 2, &[&MICROPHONE[..], &changed(MICROPHONE, 0, 3)].concat());
    refused(StateKind::Published, 2, &[&MICROPHONE[..], &changed(CAMERA, 20, 1)].concat());
}

#[test]
fn wanted_slots_one_by_one() {
    refused(StateKind::Wanted, 1, &changed(WANTED, 2, 4));
    // A track of participant 0.
    refused(StateKind::Wanted, 1, &changed(WANTED, 6, 0));
    accepted(StateKind::Wanted, 1, &changed(changed(WANTED, 6, 0), 2, 2));
}

#[test]
fn shown_slots_one_by_one() {
    refused(StateKind::Shown, 1, &changed(SHOWN, 2, 10));
    // A track of participant 0, and none at all.
    refused(StateKind::Shown, 1, &changed(SHOWN, 6, 0));
    accepted(StateKind::Shown, 1, &changed(changed(SHOWN, 6, 0), 7, 0));
}

#[test]
fn demand_one_by_one() {
    let refused = |entry: &[u8]| refused(StateKind::Demand, 1, entry);
    refused(&changed(DEMAND, 0, MAX_TRACKS as u8));
    refused(&changed(DEMAND, 1, MAX_ENCODINGS as u8));
    refused(&changed(DEMAND, 2, 4));
    refused(&changed(DEMAND, 3, MAX_LAYERS + 1));
    refused(&changed(DEMAND, 4, MAX_LAYERS + 1));
    // Some layers of one kind and none of the other.
    refused(&changed(DEMAND, 3, 0));
    refused(&changed(DEMAND, 4, 0));
    accepted(StateKind::Demand, 1, &changed(changed(DEMAND, 3, 0), 4, 0));
}

#[test]
fn demand_that_names_an_encoding_twice() {
    refused(StateKind::Demand, 2, &[DEMAND, changed(DEMAND, 3, 1)].concat());
    refused(StateKind::Demand, 3, &[changed(DEMAND, 1, 3), DEMAND, changed(DEMAND, 1, 3)].concat());
    accepted(StateKind::Demand, 2, &[DEMAND, changed(DEMAND, 0, 0)].concat());
    accepted(StateKind::Demand, 2, &[DEMAND, changed(DEMAND, 1, 0)].concat());
}

#[test]
fn speakers_one_by_one() {
    let refused = |entry: &[u8]| refused(StateKind::Speakers, 1, entry);
    refused(&changed(SPEAKER, 4, 128));
    refused(&changed(SPEAKER, 2, 0));
    accepted(StateKind::Speakers, 1, &changed(SPEAKER, 4, 127));
}

#[test]
fn speakers_together() {
    let speakers = |count| (0..count).map(|track| changed(SPEAKER, 3, track)).collect::<Vec<_>>().concat();
    accepted(StateKind::Speakers, 16, &speakers(16));
    refused(StateKind::Speakers, 17, &speakers(17));
    refused(StateKind::Speakers, 2, &[SPEAKER, changed(SPEAKER, 4, 50)].concat());
    let dominant = changed(SPEAKER, 5, 2);
    accepted(StateKind::Speakers, 2, &[changed(SPEAKER, 3, 1), dominant].concat());
    refused(StateKind::Speakers, 2, &[changed(dominant, 3, 1), dominant].concat());
}

#[test]
fn slots_that_are_named_twice() {
    let slots = |slots: [u8; 3]| slots.map(|slot| changed(WANTED, 1, slot)).concat();
    for list in [[1, 1, 2], [1, 2, 1], [2, 1, 1], [2, 1, 2]] {
        refused(StateKind::Wanted, 3, &slots(list));
    }
    accepted(StateKind::Wanted, 3, &slots([3, 1, 2]));
    refused(StateKind::Shown, 2, &[SHOWN, SHOWN].concat());
}
