//! What was published: every frame that left its encoder for somebody.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

/// Capture times cross the wire as NTP, which rounds.
const ROUNDING: Duration = Duration::from_nanos(2);

/// A frame that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedFrame {
    /// When it was captured; no other frame of its track was at this time.
    pub captured_at: Time,
    /// The encoding's position within the track.
    pub encoding: u8,
    /// The temporal layer.
    pub temporal_id: u8,
    /// Whether decoding can start here.
    pub key: bool,
}

/// All frames by track, in order of capture.
#[derive(Clone, Debug, Default)]
pub struct Published(BTreeMap<TrackId, Vec<PublishedFrame>>);

impl Published {
    /// Notes a frame that is sent.
    pub fn note(&mut self, track: TrackId, frame: PublishedFrame) {
        let frames = self.0.entry(track).or_default();
        // Encodings of a camera are noted one after the other; what is late by a few frames finds its place quickly.
        let place = frames
            .iter()
            .rposition(|other| other.captured_at <= frame.captured_at)
            .map_or(0, |last| last + 1);
        frames.insert(place, frame);
    }

    /// The frames of a track that were captured from `from` on and before `to`.
    #[must_use]
    pub fn between(&self, track: TrackId, from: Time, to: Time) -> &[PublishedFrame] {
        let frames = self.0.get(&track).map(Vec::as_slice).unwrap_or_default();
        let first = frames.partition_point(|frame| frame.captured_at < from);
        let last = frames.partition_point(|frame| frame.captured_at < to);
        frames.get(first..last).unwrap_or_default()
    }

    /// The frame of a track that was captured at this time, as the wire tells it.
    #[must_use]
    pub fn find(&self, track: TrackId, captured_at: Time) -> Option<&PublishedFrame> {
        let nanos = captured_at.as_nanos();
        let rounding = ROUNDING.as_nanos() as u64;
        let from = Time::from_nanos(nanos.saturating_sub(rounding));
        self.between(track, from, Time::from_nanos(nanos.saturating_add(rounding + 1))).first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_by_about_their_time() {
        let track = TrackId::from_bits(0x101).unwrap();
        let frame = |nanos: u64, encoding| PublishedFrame {
            captured_at: Time::from_nanos(nanos),
            encoding,
            temporal_id: 0,
            key: false,
        };
        let mut published = Published::default();
        [frame(1_000, 0), frame(5_000, 1), frame(3_000, 2)]
            .iter()
            .for_each(|frame| published.note(track, *frame));
        let find = |nanos| published.find(track, Time::from_nanos(nanos)).map(|frame| frame.encoding);
        assert_eq!([999, 1_002, 1_003, 3_000, 5_001].map(find), [Some(0), Some(0), None, Some(2), Some(1)]);
        let between = published.between(track, Time::from_nanos(1_001), Time::from_nanos(5_000));
        assert_eq!(between, [frame(3_000, 2)]);
    }
}
