//! Names of participants and tracks: `proto-spec/spec/03-media.md` section 3.5.

use serde::{Deserialize, Serialize};

/// A participant's number within a meeting: 24 bits, from 1, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct ParticipantId(u32);

/// The largest participant number.
pub const MAX_PARTICIPANT_ID: u32 = (1 << 24) - 1;

/// A participant number outside of 1 to 2^24 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("participant id {0} is not within 1 to 16777215")]
pub struct InvalidParticipantId(u32);

impl ParticipantId {
    /// A participant id.
    ///
    /// # Errors
    /// [`InvalidParticipantId`] for 0 and for numbers of more than 24 bits.
    pub const fn new(id: u32) -> Result<Self, InvalidParticipantId> {
        if id == 0 || id > MAX_PARTICIPANT_ID { Err(InvalidParticipantId(id)) } else { Ok(Self(id)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The id of this participant's track `number`.
    #[must_use]
    pub const fn track(self, number: TrackNumber) -> TrackId {
        TrackId((self.0 << 8) | number.0 as u32)
    }
}

impl TryFrom<u32> for ParticipantId {
    type Error = InvalidParticipantId;

    fn try_from(id: u32) -> Result<Self, InvalidParticipantId> {
        Self::new(id)
    }
}

impl From<ParticipantId> for u32 {
    fn from(id: ParticipantId) -> Self {
        id.0
    }
}

/// A track's number within its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackNumber(pub u8);

impl TrackNumber {
    /// The microphone.
    pub const MICROPHONE: Self = Self(0);
    /// The camera.
    pub const CAMERA: Self = Self(1);
    /// The shared screen.
    pub const SCREEN: Self = Self(2);
    /// The sound of the shared screen.
    pub const SCREEN_AUDIO: Self = Self(3);
}

/// A track's name within a meeting: participant and track number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(u32);

impl TrackId {
    /// The track id of 32 bits from the wire; `None` if its participant is 0.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits >> 8 == 0 { None } else { Some(Self(bits)) }
    }

    /// The 32 bits on the wire.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// Who publishes the track.
    #[must_use]
    pub const fn participant(self) -> ParticipantId {
        ParticipantId(self.0 >> 8)
    }

    /// The track's number within its participant.
    #[must_use]
    pub const fn number(self) -> TrackNumber {
        TrackNumber(self.0 as u8)
    }
}

/// What a track shows or sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum TrackKind {
    /// A person's voice.
    Microphone = 0,
    /// A person's picture.
    Camera = 1,
    /// A shared screen.
    Screen = 2,
    /// The sound of a shared screen.
    ScreenAudio = 3,
}

impl TrackKind {
    /// The kind of a byte from the wire.
    #[must_use]
    pub const fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Microphone),
            1 => Some(Self::Camera),
            2 => Some(Self::Screen),
            3 => Some(Self::ScreenAudio),
            _ => None,
        }
    }

    /// Whether the track is sound.
    #[must_use]
    pub const fn is_audio(self) -> bool {
        matches!(self, Self::Microphone | Self::ScreenAudio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_id_is_participant_and_number() {
        let track = ParticipantId::new(0x0A_0B0C).unwrap().track(TrackNumber::SCREEN);
        assert_eq!(track.to_bits(), 0x0A0B_0C02);
        assert_eq!(TrackId::from_bits(0x0A0B_0C02), Some(track));
        assert_eq!(track.participant().get(), 0x0A_0B0C);
        assert_eq!(track.number(), TrackNumber::SCREEN);
    }

    #[test]
    fn nobody_has_number_zero() {
        assert!(ParticipantId::new(0).is_err());
        assert!(ParticipantId::new(1 << 24).is_err());
        assert_eq!(TrackId::from_bits(0xFF), None);
    }
}
