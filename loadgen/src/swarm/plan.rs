//! Who watches what.

use std::sync::{Arc, Mutex};

use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::track::{TrackId, TrackKind};

use crate::ledger::{Subscription, TrackLedger};

/// A track that a member of the room publishes.
#[derive(Clone, Debug)]
pub(super) struct RoomTrack {
    pub(super) id: TrackId,
    pub(super) kind: TrackKind,
    pub(super) ledger: Arc<Mutex<TrackLedger>>,
}

/// What comes first when there are more tracks than slots, and what the router is told about it: sound, then the screen, then
/// cameras.
const fn priority(kind: TrackKind) -> u8 {
    match kind {
        TrackKind::Microphone => 250,
        TrackKind::ScreenAudio => 240,
        TrackKind::Screen => 200,
        TrackKind::Camera => 100,
    }
}

/// The tracks that a member watches: those of the others, as many as it has slots. Of equal ones it begins at another one than
/// its neighbour, so that all are watched by about as many.
pub(super) fn choose(
    tracks: &[RoomTrack],
    is_own: impl Fn(TrackId) -> bool,
    slots: usize,
    member: usize,
) -> Vec<&RoomTrack> {
    let mut others: Vec<&RoomTrack> = tracks.iter().filter(|track| !is_own(track.id)).collect();
    let start = member.checked_rem(others.len()).unwrap_or(0);
    others.rotate_left(start);
    others.sort_by_key(|track| std::cmp::Reverse(priority(track.kind)));
    others.truncate(slots);
    others
}

/// The wanted state that shows these tracks, slot by slot.
pub(super) fn wanted(tracks: &[&RoomTrack]) -> Vec<WantedSlot> {
    let want = |(slot, track): (u16, &&RoomTrack)| WantedSlot {
        slot,
        want: Want::Track(track.id),
        paused: false,
        max_height: 0,
        max_fps: 0,
        priority: priority(track.kind),
    };
    (0..).zip(tracks).map(want).collect()
}

/// What is expected to come of them, slot by slot.
pub(super) fn subscriptions(tracks: &[&RoomTrack]) -> Vec<Subscription> {
    tracks.iter().map(|track| Subscription::new(track.id, Arc::clone(&track.ledger))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_wire::track::{ParticipantId, TrackNumber};

    fn tracks(publishers: u32) -> Vec<RoomTrack> {
        let kinds = [
            (TrackNumber::MICROPHONE, TrackKind::Microphone),
            (TrackNumber::CAMERA, TrackKind::Camera),
            (TrackNumber::SCREEN, TrackKind::Screen),
        ];
        let of = |publisher: u32| {
            let count = if publisher == 1 { 3 } else { 2 };
            kinds.into_iter().take(count).map(move |(number, kind)| RoomTrack {
                id: ParticipantId::new(publisher).unwrap().track(number),
                kind,
                ledger: Arc::default(),
            })
        };
        (1..=publishers).flat_map(of).collect()
    }

    #[test]
    fn everybody_watches_everything_of_the_others() {
        let tracks = tracks(5);
        let own = |id: TrackId| id.participant().get() == 2;
        let chosen = choose(&tracks, own, 63, 1);
        assert_eq!(chosen.len(), 9);
        assert!(chosen.iter().all(|track| !own(track.id)));
        let kinds: Vec<TrackKind> = chosen.iter().map(|track| track.kind).collect();
        assert!(kinds[..4].iter().all(|kind| *kind == TrackKind::Microphone));
        assert_eq!(kinds[4], TrackKind::Screen);
        let slots: Vec<u16> = wanted(&chosen).iter().map(|slot| slot.slot).collect();
        assert_eq!(slots, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn without_slots_for_all_sound_comes_first_and_cameras_are_shared_out() {
        let tracks = tracks(40);
        let mut watched = vec![0; 41];
        for member in 0..100 {
            let chosen = choose(&tracks, |_| false, 63, member);
            assert_eq!(chosen.len(), 63);
            let cameras = chosen.iter().filter(|track| track.kind == TrackKind::Camera);
            cameras.for_each(|track| watched[track.id.participant().get() as usize] += 1);
        }
        let (fewest, most) = (watched[1..].iter().min().unwrap(), watched[1..].iter().max().unwrap());
        assert!(*fewest >= 30 && *most <= 90, "{watched:?}");
    }

    #[test]
    fn an_empty_room_is_no_trouble() {
        assert!(choose(&[], |_| false, 63, 7).is_empty());
    }
}
