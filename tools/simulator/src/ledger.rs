//! What was sent, held against what arrives: a frame that was never sent like this is a violation.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sluice_client::media::hash::frame_hash;
use sluice_client::session::ReceivedFrame;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use crate::source::SourceFrame;

/// Frames that a decoder keeps for others to refer to: more than any source reaches back.
const KEPT_FRAMES: usize = 64;

/// The first byte of an Opus packet says "one frame" when its last bits are 0 (RFC 6716 section 3.1).
const ONE_FRAME_MASK: u8 = 0xFC;

/// A frame that was sent.
#[derive(Debug)]
pub struct SentFrame {
    /// The encoding's position within its track.
    pub encoding: u8,
    /// It says how loud it is at a muted microphone. It is not heard, unless the word of the muting was lost on the way.
    pub is_level: bool,
    key: bool,
    number: u64,
    references: Vec<u64>,
    hash: u64,
}

/// All frames by track and capture time.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: BTreeMap<(TrackId, Time), Vec<Rc<SentFrame>>>,
    /// Frames found in the ledger.
    pub intact: u64,
    /// Of these, frames that lack something they refer to.
    pub undecodable: u64,
    /// Times that a slot went over to another encoding of its track.
    pub switches: u64,
}

impl Ledger {
    /// Notes a frame that is sent.
    pub fn on_sent(&mut self, track: TrackId, encoding: u8, captured_at: Time, frame: SourceFrame) {
        let SourceFrame { key, number, references, .. } = frame;
        let hash = frame_hash(&frame.data);
        let sent = SentFrame { encoding, is_level: false, key, number, references, hash };
        self.sent.entry((track, captured_at)).or_default().push(Rc::new(sent));
    }

    /// Notes the empty packet that a muted microphone may send in place of a frame.
    pub fn on_level_sent(&mut self, track: TrackId, captured_at: Time, frame: SourceFrame) {
        let empty = frame.data.first().map(|toc| toc & ONE_FRAME_MASK);
        let SourceFrame { key, number, references, .. } = frame;
        let hash = frame_hash(empty.as_slice());
        let sent = SentFrame { encoding: 0, is_level: true, key, number, references, hash };
        self.sent.entry((track, captured_at)).or_default().push(Rc::new(sent));
    }

    /// Finds a frame that arrived.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn on_received(&mut self, received: &ReceivedFrame) -> Result<Rc<SentFrame>, String> {
        let Some(captured_at) = received.captured_at else {
            return Err(format!("a frame of {:?} has no capture time", received.track));
        };
        // The capture time crosses the wire as NTP, which may round by a nanosecond.
        let around = (received.track, Time::from_nanos(captured_at.as_nanos().saturating_sub(1)))
            ..=(received.track, Time::from_nanos(captured_at.as_nanos() + 1));
        let hash = frame_hash(&received.frame.data);
        let mut candidates = self.sent.range(around).flat_map(|(_, frames)| frames);
        if let Some(sent) = candidates.find(|sent| sent.hash == hash) {
            self.intact += 1;
            return Ok(Rc::clone(sent));
        }
        Err(format!(
            "slot {} shows a frame of {:?}, captured at {captured_at:?}, that was never sent",
            received.slot, received.track
        ))
    }
}

/// A decoder that knows what each frame really refers to, whatever its headers say.
#[derive(Debug, Default)]
pub struct Decoder {
    encoding: Option<u8>,
    decoded: BTreeSet<u64>,
}

impl Decoder {
    /// Whether the frame can be decoded after those that came before it.
    pub fn decode(&mut self, frame: &SentFrame) -> bool {
        if frame.key {
            self.decoded.clear();
            self.encoding = Some(frame.encoding);
        }
        let is_decodable = self.encoding == Some(frame.encoding)
            && frame.references.iter().all(|number| self.decoded.contains(number));
        if is_decodable {
            self.decoded.insert(frame.number);
            if self.decoded.len() > KEPT_FRAMES {
                self.decoded.pop_first();
            }
        }
        is_decodable
    }

    /// The encoding that is decoded now.
    #[must_use]
    pub const fn encoding(&self) -> Option<u8> {
        self.encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(encoding: u8, number: u64, references: &[u64]) -> SentFrame {
        SentFrame {
            encoding,
            is_level: false,
            key: references.is_empty(),
            number,
            references: references.to_vec(),
            hash: 0,
        }
    }

    #[test]
    fn a_frame_needs_all_that_it_refers_to() {
        let mut decoder = Decoder::default();
        assert!(!decoder.decode(&frame(0, 1, &[0])));
        assert!(decoder.decode(&frame(0, 2, &[])));
        assert!(decoder.decode(&frame(0, 4, &[2])));
        assert!(!decoder.decode(&frame(0, 5, &[2, 3])));
        assert!(!decoder.decode(&frame(0, 6, &[5])));
        assert!(!decoder.decode(&frame(1, 6, &[4])), "another encoding begins with a key frame");
        assert!(decoder.decode(&frame(1, 7, &[])));
        assert!(!decoder.decode(&frame(0, 8, &[4])));
    }
}
