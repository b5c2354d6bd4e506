//! What of an encoding leaves: no more than anybody wants (`proto-spec/spec/04-control.md` section 4.8).

use sluice_wire::control::MAX_LAYERS;

use crate::media::packetize::FrameLayer;

/// Stands before the packetizer of an encoding. Whatever is wanted, what leaves is decodable: an encoding that was stopped goes on
/// with a key frame, a temporal layer that was stopped with one of its sync frames, and not before the layers below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    /// How many temporal layers are wanted.
    wanted: u8,
    /// How many flow; never more than are wanted. Without any the encoding goes on with a key frame.
    flowing: u8,
}

impl Gate {
    /// Until the router says what is wanted everything leaves, so that media starts at once.
    pub(super) const OPEN: Self = Self { wanted: MAX_LAYERS, flowing: MAX_LAYERS };

    /// So many temporal layers are wanted, 0: the encoding is not. Returns whether it has to go on with a key frame.
    pub(super) fn want(&mut self, temporal_layers: u8) -> bool {
        let restarts = self.wanted == 0 && temporal_layers > 0;
        self.wanted = temporal_layers;
        self.flowing = self.flowing.min(temporal_layers);
        restarts
    }

    /// Whether a frame leaves. The next ones are judged as if it did.
    pub(super) fn admit(&mut self, key: bool, layer: FrameLayer) -> bool {
        let next = self.flowing;
        if key {
            self.flowing = self.wanted;
        } else if layer.base_sync && layer.temporal_id == next && (1..self.wanted).contains(&next) {
            self.flowing += 1;
        }
        layer.temporal_id < self.flowing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pattern of the shipped clips: T0, T2 (sync), T1 (sync), T2.
    fn layer(frame: usize) -> FrameLayer {
        let (temporal_id, base_sync) = [(0, false), (2, true), (1, true), (2, false)][frame % 4];
        FrameLayer { temporal_id, base_sync, discardable: temporal_id == 2 }
    }

    /// Which of the frames leave.
    fn admitted(gate: &mut Gate, frames: std::ops::Range<usize>) -> Vec<usize> {
        frames.filter(|frame| gate.admit(*frame == 0, layer(*frame))).collect()
    }

    #[test]
    fn everything_leaves_until_somebody_says_what_is_wanted() {
        let mut gate = Gate::OPEN;
        assert_eq!(admitted(&mut gate, 5..13), [5, 6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn what_nobody_wants_stops_at_once_and_goes_on_with_a_key_frame() {
        let mut gate = Gate::OPEN;
        assert!(!gate.want(0));
        assert_eq!(admitted(&mut gate, 0..8), [0_usize; 0]);
        assert!(gate.want(3), "a key frame is needed");
        assert!(!gate.want(3), "once");
        assert_eq!(admitted(&mut gate, 1..8), [0_usize; 0]);
        let odd = FrameLayer { base_sync: true, ..FrameLayer::default() };
        assert!(!gate.admit(false, odd), "a base layer frame is no sync frame, whatever it says");
        assert_eq!(admitted(&mut gate, 0..4), [0, 1, 2, 3]);
    }

    #[test]
    fn layers_stop_at_once_and_come_back_one_on_top_of_the_other() {
        let mut gate = Gate::OPEN;
        assert_eq!(admitted(&mut gate, 0..2), [0, 1]);
        gate.want(1);
        assert_eq!(admitted(&mut gate, 2..9), [4, 8]);
        gate.want(3);
        assert_eq!(admitted(&mut gate, 9..16), [10, 12, 13, 14, 15], "T1 first, then T2 at its sync frame");
        gate.want(2);
        assert_eq!(admitted(&mut gate, 16..20), [16, 18]);
    }

    #[test]
    fn a_key_frame_brings_all_wanted_layers_back() {
        let mut gate = Gate::OPEN;
        gate.want(1);
        gate.want(2);
        assert_eq!(admitted(&mut gate, 0..4), [0, 2]);
    }
}
