//! Which video frames a receiver should have had: those of the layers that were selected for it.
//!
//! The router alone knows what it selects; what it forwards tells it. Of two frames that follow each other on a slot and are of one
//! encoding, what was published between them should have come too, if it is of a layer that was flowing: of one that the four
//! forwarded frames before have as well as the four behind. So what is lost on the way to the router counts as missing, and what
//! the router leaves out on purpose does not.

use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use super::published::{Published, PublishedFrame};

/// Forwarded frames that say which layers flow: a group of three layers.
const GROUP_FRAMES: usize = 4;

/// The frames of a track that should have come, given those that were forwarded, in order of capture.
pub(super) fn expected(published: &Published, track: TrackId, forwarded: &[Time]) -> Vec<PublishedFrame> {
    let mut frames: Vec<PublishedFrame> =
        forwarded.iter().filter_map(|captured_at| published.find(track, *captured_at)).copied().collect();
    frames.sort_by_key(|frame| frame.captured_at);
    frames.dedup_by_key(|frame| frame.captured_at);
    let highest = |frames: &[PublishedFrame]| frames.iter().map(|frame| frame.temporal_id).max().unwrap_or(0);
    let mut expected = Vec::with_capacity(frames.len());
    for (place, frame) in frames.iter().enumerate() {
        expected.push(*frame);
        let Some(next) = frames.get(place + 1).filter(|next| next.encoding == frame.encoding && !next.key)
        else {
            continue;
        };
        let before = highest(&frames[(place + 1).saturating_sub(GROUP_FRAMES)..=place]);
        let behind = highest(&frames[place + 1..(place + 1 + GROUP_FRAMES).min(frames.len())]);
        let flows = before.min(behind);
        let between = published.between(track, frame.captured_at, next.captured_at).iter().skip(1);
        expected.extend(
            between.filter(|missing| missing.encoding == frame.encoding && missing.temporal_id <= flows),
        );
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Publishes frames a millisecond apart, by encoding and layer, forwards those in `forwarded`, and gives what was expected.
    fn run(frames: &[(u8, u8)], forwarded: &[u64]) -> Vec<u64> {
        let track = TrackId::from_bits(0x101).unwrap();
        let at = |number: u64| Time::from_nanos((number + 1) * 1_000_000);
        let mut published = Published::default();
        for (number, (encoding, temporal_id)) in (0..).zip(frames) {
            let frame = PublishedFrame {
                captured_at: at(number),
                encoding: *encoding,
                temporal_id: *temporal_id,
                key: number == 0,
            };
            published.note(track, frame);
        }
        let forwarded: Vec<Time> = forwarded.iter().map(|number| at(*number)).collect();
        let expected = expected(&published, track, &forwarded);
        expected.iter().map(|frame| frame.captured_at.as_nanos() / 1_000_000 - 1).collect()
    }

    const GROUPS: [(u8, u8); 12] =
        [(0, 0), (0, 2), (0, 1), (0, 2), (0, 0), (0, 2), (0, 1), (0, 2), (0, 0), (0, 2), (0, 1), (0, 2)];

    #[test]
    fn what_is_missing_of_a_layer_that_flows_was_expected() {
        let all: Vec<u64> = (0..12).collect();
        assert_eq!(run(&GROUPS, &all), all);
        assert_eq!(run(&GROUPS, &[0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]), all);
    }

    #[test]
    fn what_the_router_leaves_out_was_not() {
        assert_eq!(run(&GROUPS, &[0, 2, 4, 6, 8, 10]), [0, 2, 4, 6, 8, 10]);
        // From all layers to the base alone.
        assert_eq!(run(&GROUPS, &[0, 1, 2, 3, 4, 8]), [0, 1, 2, 3, 4, 8]);
    }

    #[test]
    fn frames_of_another_encoding_were_not() {
        let both: Vec<(u8, u8)> = (0..12).map(|number| (u8::from(number % 2 == 1), 0)).collect();
        assert_eq!(run(&both, &[0, 2, 6]), [0, 2, 4, 6]);
        assert_eq!(run(&both, &[0, 2, 7, 9]), [0, 2, 7, 9]);
    }
}
