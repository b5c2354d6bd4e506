//! Who sends what to whom.

use std::time::Duration;

use serde::Serialize;
use sluice_wire::track::{ParticipantId, TrackId, TrackNumber};

use crate::peer::{FrameShape, MAX_PAYLOAD_BYTES};

/// Interval of audio packets (spec 3.3).
pub const VOICE_INTERVAL: Duration = Duration::from_millis(20);
/// A camera sends a key frame this often, whoever asks.
pub const KEY_FRAME_INTERVAL: Duration = Duration::from_secs(10);
/// Sessions that one shard holds.
const MAX_SESSIONS: usize = sluice_router::core::limits::MAX_SESSIONS_PER_SHARD;

/// What a camera sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Camera {
    /// Frames per second.
    pub fps: u32,
    /// Packets of a frame.
    pub packets: usize,
    /// Packets of a key frame.
    pub key_packets: usize,
    /// Payload bytes of a packet.
    pub payload_bytes: usize,
}

impl Camera {
    /// A frame.
    #[must_use]
    pub const fn frame(&self, is_key: bool) -> FrameShape {
        let packets = if is_key { self.key_packets } else { self.packets };
        FrameShape { packets, payload_bytes: self.payload_bytes, is_key }
    }

    /// The time between frames.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps
    }

    /// Packets per second, key frames included.
    #[must_use]
    pub fn packets_per_second(&self) -> f64 {
        let extra = (self.key_packets - self.packets) as f64 / KEY_FRAME_INTERVAL.as_secs_f64();
        self.packets as f64 * f64::from(self.fps) + extra
    }
}

/// A room, and as many of it as a load has. Everybody gets all cameras and voices of the room but his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// The name on the command line.
    pub name: &'static str,
    /// People in a room.
    pub people: usize,
    /// How many of them show a camera.
    pub cameras: usize,
    /// How many of them talk.
    pub voices: usize,
    /// What a camera sends.
    pub camera: Camera,
    /// Payload bytes of an audio packet.
    pub voice_bytes: usize,
    /// How many rooms there are.
    pub rooms: Rooms,
}

/// How many rooms a scenario has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rooms {
    /// So many: one load.
    Exactly(usize),
    /// The most that are held, and no more than these.
    AtMost(usize),
}

/// HD at 30 fps: 8 datagrams of 1,136 bytes a frame and a key frame every 10 s are 2.2 Mbit/s.
const HD: Camera = Camera { fps: 30, packets: 8, key_packets: 40, payload_bytes: MAX_PAYLOAD_BYTES };
/// A thumbnail: 170 kbit/s.
const THUMBNAIL: Camera = Camera { fps: 10, packets: 2, key_packets: 8, payload_bytes: 1_000 };
/// 64 kbit/s.
const VOICE_BYTES: usize = 160;

impl Scenario {
    /// Meetings of ten: ten cameras, the three loudest voices.
    pub const MEETINGS: Self = Self {
        name: "meetings",
        people: 10,
        cameras: 10,
        voices: 3,
        camera: HD,
        voice_bytes: VOICE_BYTES,
        rooms: Rooms::AtMost(MAX_SESSIONS / 10),
    };
    /// One sender, 500 receivers.
    pub const BROADCAST_500: Self = Self {
        name: "broadcast-500",
        people: 501,
        cameras: 1,
        voices: 1,
        rooms: Rooms::Exactly(1),
        ..Self::MEETINGS
    };
    /// One sender, 2,000 receivers.
    pub const BROADCAST_2000: Self = Self { name: "broadcast-2000", people: 2_001, ..Self::BROADCAST_500 };
    /// Up to a thousand rooms of three people with thumbnails, one of whom talks.
    pub const ROOMS_OF_THREE: Self = Self {
        name: "rooms-of-three",
        people: 3,
        cameras: 3,
        voices: 1,
        camera: THUMBNAIL,
        rooms: Rooms::AtMost(1_000),
        ..Self::MEETINGS
    };
    /// 500 people, three of whom talk; datagrams of 100 bytes.
    pub const AUDIO_500: Self = Self {
        name: "audio-500",
        people: 500,
        cameras: 0,
        voices: 3,
        voice_bytes: 52,
        rooms: Rooms::Exactly(1),
        ..Self::MEETINGS
    };
    /// All.
    pub const ALL: [Self; 5] =
        [Self::MEETINGS, Self::BROADCAST_500, Self::BROADCAST_2000, Self::ROOMS_OF_THREE, Self::AUDIO_500];

    /// The tracks that the `person`-th of a room gets: cameras first.
    #[must_use]
    pub fn tracks_for(&self, person: usize) -> Vec<TrackId> {
        let tracks = |count: usize, number: TrackNumber| {
            (0..count)
                .filter(move |other| *other != person)
                .map(move |other| participant(other).track(number))
        };
        tracks(self.cameras, TrackNumber::CAMERA)
            .chain(tracks(self.voices, TrackNumber::MICROPHONE))
            .collect()
    }

    /// Subscriptions of a room.
    #[must_use]
    pub const fn subscriptions(&self) -> usize {
        (self.cameras + self.voices) * (self.people - 1)
    }

    /// Packets per second that a router forwards for a room.
    #[must_use]
    pub fn forwarded_per_second(&self) -> f64 {
        let cameras = self.cameras as f64 * self.camera.packets_per_second();
        let voices = self.voices as f64 / VOICE_INTERVAL.as_secs_f64();
        (cameras + voices) * (self.people - 1) as f64
    }
}

/// The `person`-th of a room, from 0.
#[must_use]
pub fn participant(person: usize) -> ParticipantId {
    // Rooms have fewer than 2^24 people.
    ParticipantId::new(person as u32 + 1).unwrap_or_else(|_| unreachable!("a room has less than 2^24 people"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_of_ten() {
        let meeting = Scenario::MEETINGS;
        assert_eq!(meeting.tracks_for(0).len(), 9 + 2);
        assert_eq!(meeting.tracks_for(9).len(), 9 + 3);
        let all: usize = (0..10).map(|person| meeting.tracks_for(person).len()).sum();
        assert_eq!(all, meeting.subscriptions());
        let bit_rate = meeting.camera.packets_per_second() * 1_136.0 * 8.0;
        assert!((2.15e6..2.25e6).contains(&bit_rate), "{bit_rate}");
    }

    #[test]
    fn nobody_gets_himself_and_all_fit_the_slots() {
        for scenario in Scenario::ALL {
            for person in 0..scenario.people {
                let tracks = scenario.tracks_for(person);
                assert!(tracks.iter().all(|track| track.participant() != participant(person)));
                assert!(tracks.len() < 64);
            }
            let (Rooms::Exactly(rooms) | Rooms::AtMost(rooms)) = scenario.rooms;
            assert!(rooms * scenario.people <= MAX_SESSIONS, "{}", scenario.name);
        }
    }
}
