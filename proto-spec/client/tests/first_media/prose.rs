//! `08-example.md` shows the file's bytes: its marked blocks are what the file gives.
//!
//! A block that begins with "```hex datagram 7 plaintext" (or `sealed`, or "```hex session keys of 1, uplink") lists all bytes
//! of that datagram: per line some digits, two spaces or more, a note. `... 40` stands for 40 bytes that are left out; `= 4` at
//! the end of a note is the value of the line's bytes. A block "```json ticket of 1" is that ticket.

use crate::vector::{Example, Hex, SessionKeys};

/// Where the prose is, from this crate.
pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/08-example.md");

#[test]
fn the_prose_shows_the_bytes_of_the_file() {
    let prose = std::fs::read_to_string(PATH).unwrap();
    assert!(prose.matches("```hex ").count() >= 10 && prose.contains("```json ticket"));
    let (shown, recorded) = (prose.lines(), refreshed(&Example::load(), &prose));
    for (shown, recorded) in shown.zip(recorded.lines()) {
        assert_eq!(shown, recorded);
    }
    assert_eq!(prose, recorded);
}

/// The prose with the bytes of `example` in its marked blocks.
pub(crate) fn refreshed(example: &Example, prose: &str) -> String {
    let mut output = String::new();
    let mut lines = prose.lines();
    while let Some(line) = lines.next() {
        output.push_str(line);
        output.push('\n');
        let Some(marked) = line.strip_prefix("```").filter(|info| info.contains(' ')) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match marked.split_once(' ') {
            Some(("hex", what)) => output.push_str(&hex_block(&bytes(example, what), &block, what)),
            Some(("json", what)) => output.push_str(&ticket(example, what)),
            _ => panic!("a block of {marked:?}"),
        }
        output.push_str("```\n");
    }
    output
}

/// What the head of a hex block names.
fn bytes(example: &Example, what: &str) -> Vec<u8> {
    if let Some(whose) = what.strip_prefix("session keys of ") {
        let (participant, direction) = whose.split_once(", ").expect("a participant and a direction");
        let keys = example.participant(participant.parse().expect("a participant")).session_keys.as_ref();
        let keys = keys.expect("keys");
        return key_bytes(if direction == "uplink" { &keys.uplink } else { &keys.downlink });
    }
    let mut words = what.split(' ').skip(1);
    let number: usize = words.next().expect("a number").parse().expect("a number");
    let datagram = &example.datagrams[number - 1];
    match words.next() {
        Some("plaintext") => datagram.plaintext.0.clone(),
        Some("sealed") => datagram.sealed.0.clone(),
        other => panic!("{other:?} of a datagram"),
    }
}

fn key_bytes(keys: &SessionKeys) -> Vec<u8> {
    [&keys.rtp_key, &keys.rtp_salt, &keys.rtcp_key, &keys.rtcp_salt]
        .map(|Hex(bytes)| bytes.as_slice())
        .concat()
}

fn hex_block(bytes: &[u8], lines: &[&str], what: &str) -> String {
    let mut rest = bytes;
    let mut output = String::new();
    for line in lines {
        let (digits, note) = line.split_once("  ").unwrap_or((line, ""));
        let shown = if let Some(count) = digits.strip_prefix("... ") {
            rest = rest.split_at(count.parse().expect("a count")).1;
            digits.to_owned()
        } else {
            let groups: Vec<&str> = digits.split(' ').collect();
            let (here, behind) = rest.split_at(groups.concat().len() / 2);
            rest = behind;
            let mut text = here.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let note = note_with_value(note, here);
            let digits: Vec<String> =
                groups.iter().map(|group| text.drain(..group.len()).collect()).collect();
            let gap = if note.is_empty() { "" } else { "  " };
            output.push_str(&format!("{}{gap}{note}\n", digits.join(" ")));
            continue;
        };
        output.push_str(&format!("{shown}  {note}\n"));
    }
    assert!(rest.is_empty(), "the block of {what} ends {} bytes early", rest.len());
    output
}

/// A note, its value being that of the bytes.
fn note_with_value(note: &str, bytes: &[u8]) -> String {
    match note.rsplit_once(" = ") {
        Some((name, value)) if value.parse::<u64>().is_ok() => {
            let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            format!("{name} = {value}")
        }
        _ => note.to_owned(),
    }
}

fn ticket(example: &Example, what: &str) -> String {
    let participant = what.strip_prefix("ticket of ").expect("a ticket").parse().expect("a participant");
    let json = serde_json::to_string_pretty(example.participant(participant).ticket()).expect("JSON");
    json + "\n"
}
