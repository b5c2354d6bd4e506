//! Whatever is selected when: what is forwarded can be decoded, picture by picture, and what was asked for comes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Scalability modes (W3C webrtc-svc), and a temporal pattern whose upper layers refer to themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    L1T2,
    L1T3,
    L1T3SparseSync,
    L2T2,
    L3T3Key,
}

const PATTERNS: [Pattern; 5] =
    [Pattern::L1T2, Pattern::L1T3, Pattern::L1T3SparseSync, Pattern::L2T2, Pattern::L3T3Key];
/// The longest time between two pictures at which a temporal layer may begin, of all patterns.
const SYNC_PERIOD: u32 = 16;
/// From the request for a key frame to its arrival, pictures.
const KEY_FRAME_DELAY: u32 = 3;

/// A frame by picture and spatial layer.
type FrameId = (u32, u8);

#[derive(Debug)]
struct Frame {
    id: FrameId,
    needs: Vec<FrameId>,
    marking: FrameMarking,
    is_highest: bool,
}

impl Pattern {
    const fn spatial_layers(self) -> u8 {
        match self {
            Self::L1T2 | Self::L1T3 | Self::L1T3SparseSync => 1,
            Self::L2T2 => 2,
            Self::L3T3Key => 3,
        }
    }

    const fn temporal_layers(self) -> u8 {
        match self {
            Self::L1T2 | Self::L2T2 => 2,
            Self::L1T3 | Self::L1T3SparseSync | Self::L3T3Key => 3,
        }
    }

    const fn temporal_id(self, since_key: u32) -> u8 {
        match self.temporal_layers() {
            2 => [0, 1][since_key as usize % 2],
            _ => [0, 2, 1, 2][since_key as usize % 4],
        }
    }
}

/// An encoder: the frames that may be referred to, newest of each spatial and temporal layer.
struct Encoder {
    pattern: Pattern,
    since_key: u32,
    newest: [[Option<FrameId>; 3]; 3],
}

impl Encoder {
    const fn new(pattern: Pattern) -> Self {
        Self { pattern, since_key: 0, newest: [[None; 3]; 3] }
    }

    fn encode(&mut self, picture: u32, wants_key: bool) -> Vec<Frame> {
        if wants_key {
            self.since_key = 0;
            self.newest = [[None; 3]; 3];
        }
        let temporal_id = self.pattern.temporal_id(self.since_key);
        let layers = self.pattern.spatial_layers();
        let frames = (0..layers).map(|layer| self.frame(picture, layer, temporal_id)).collect();
        self.since_key += 1;
        frames
    }

    fn frame(&mut self, picture: u32, layer: u8, temporal_id: u8) -> Frame {
        let is_key = self.since_key == 0;
        let of_layer = self.newest[usize::from(layer)];
        let base_sync = temporal_id > 0 && self.is_base_sync(temporal_id);
        let highest = if base_sync { 0 } else { temporal_id };
        let mut needs: Vec<FrameId> = of_layer[..=usize::from(highest)].iter().copied().flatten().collect();
        if self.pattern != Pattern::L1T3SparseSync && temporal_id < 2 {
            // The patterns without sparse sync points do not refer to their own upper layers.
            needs = of_layer[0].into_iter().collect();
        }
        if layer > 0 && (is_key || self.pattern == Pattern::L2T2) {
            needs.push((picture, layer - 1));
        }
        self.newest[usize::from(layer)][usize::from(temporal_id)] = Some((picture, layer));
        Frame {
            id: (picture, layer),
            needs,
            marking: FrameMarking {
                independent: is_key,
                base_sync,
                temporal_id,
                layer_id: layer,
                ..FrameMarking::default()
            },
            is_highest: layer + 1 == self.pattern.spatial_layers(),
        }
    }

    fn is_base_sync(&self, temporal_id: u8) -> bool {
        match (self.pattern, temporal_id) {
            (Pattern::L1T3SparseSync, 1) => self.since_key % SYNC_PERIOD == 2,
            (Pattern::L1T3SparseSync, _) => self.since_key % SYNC_PERIOD == 1,
            (_, 1) => true,
            _ => self.since_key % 4 == 1,
        }
    }
}

/// What a receiver has got, and whether that can be decoded.
#[derive(Default)]
struct Receiver {
    decodable: BTreeSet<(u8, FrameId)>,
    /// The picture under way, and whether its marker came.
    picture: Option<((u8, u32), bool)>,
}

impl Receiver {
    fn get(&mut self, encoding: u8, frame: &Frame, packet: (u8, u8), is_marked: bool) {
        let picture = (encoding, frame.id.0);
        if self.picture.is_none_or(|(under_way, _)| under_way != picture) {
            assert!(self.picture.is_none_or(|(_, ended)| ended), "{:?} has no end", self.picture);
            self.picture = Some((picture, false));
        }
        let (_, ended) = self.picture.as_mut().expect("set above");
        assert!(!*ended, "{frame:?} goes on behind the marker");
        *ended = is_marked;
        if packet.0 + 1 == packet.1 {
            for needed in &frame.needs {
                assert!(self.decodable.contains(&(encoding, *needed)), "{frame:?} lacks {needed:?}");
            }
            self.decodable.insert((encoding, frame.id));
        }
    }
}

#[derive(Clone, Debug)]
struct Wish {
    pictures: u32,
    target: Layers,
    sheds: bool,
}

fn wish() -> impl Strategy<Value = Wish> {
    (1..60_u32, 0..2_u8, 0..3_u8, 0..3_u8, any::<bool>()).prop_map(
        |(pictures, encoding, spatial, temporal, sheds)| Wish {
            pictures,
            target: Layers { encoding, spatial, temporal },
            sheds,
        },
    )
}

fn live(patterns: [Pattern; 2], wishes: &[Wish], packets: u8) {
    let mut encoders = patterns.map(Encoder::new);
    let mut selection: Option<Selection> = None;
    let mut receiver = Receiver::default();
    let (mut picture, mut key_due) = (0, [Some(0), Some(0)]);
    for wish in wishes {
        let pattern = patterns[usize::from(wish.target.encoding)];
        let target = Layers {
            spatial: wish.target.spatial.min(pattern.spatial_layers() - 1),
            temporal: wish.target.temporal.min(pattern.temporal_layers() - 1),
            ..wish.target
        };
        let selection = selection.get_or_insert_with(|| Selection::new(TrackKey::default(), target));
        selection.retarget(target, wish.sheds);
        for waited in 0..wish.pictures {
            if selection.is_waiting() {
                key_due[usize::from(target.encoding)].get_or_insert(picture + KEY_FRAME_DELAY);
            }
            for (encoding, encoder) in (0..).zip(&mut encoders) {
                let due = &mut key_due[usize::from(encoding)];
                let wants_key = due.take_if(|due| *due <= picture).is_some();
                for frame in encoder.encode(picture, wants_key) {
                    forward(selection, &mut receiver, encoding, &frame, packets);
                }
            }
            picture += 1;
            // One key frame, or a sync point for each temporal layer, one after the other.
            if waited > KEY_FRAME_DELAY + 2 * SYNC_PERIOD {
                assert_eq!(selection.current(), Some(target), "after {waited} pictures");
            }
        }
    }
}

/// A frame's packets through the selection: all of them or none.
fn forward(selection: &mut Selection, receiver: &mut Receiver, encoding: u8, frame: &Frame, packets: u8) {
    let mut forwarded = 0;
    for packet in 0..packets {
        let (start, end) = (packet == 0, packet + 1 == packets);
        let marking = FrameMarking { start, end, ..frame.marking };
        match selection.admit(encoding, marking, frame.id.0.wrapping_mul(PICTURE_TICKS)) {
            Admission::Forward { ends_picture } | Admission::Switch { ends_picture, .. } => {
                forwarded += 1;
                let is_marked = ends_picture || (end && frame.is_highest);
                receiver.get(encoding, frame, (packet, packets), is_marked);
            }
            Admission::Skip | Admission::Ignore => {}
        }
    }
    assert!(forwarded == 0 || forwarded == packets, "{frame:?} is cut");
}

proptest! {
    #[test]
    fn whatever_is_forwarded_can_be_decoded_and_what_was_asked_for_comes(
        patterns in [prop::sample::select(&PATTERNS[..]), prop::sample::select(&PATTERNS[..])],
        wishes in prop::collection::vec(wish(), 1..40),
        packets in 1..4_u8,
    ) {
        live(patterns, &wishes, packets);
    }
}
