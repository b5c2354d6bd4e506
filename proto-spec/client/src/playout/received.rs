//! From a session to a buffer.

use super::audio::{AudioPacket, ends_talk_spurt};
use super::video::VideoFrame;
use crate::media::opus::packet_duration_ticks;
use crate::session::ReceivedFrame;

/// What the buffer of a slot takes.
#[derive(Clone, Debug)]
pub enum Playable {
    /// For an [`AudioPlayout`](super::audio::AudioPlayout) of 48,000 ticks per second.
    Audio(AudioPacket<Vec<u8>>),
    /// For a [`VideoPlayout`](super::video::VideoPlayout).
    Video(VideoFrame<Vec<u8>>),
}

/// A frame as what its slot's buffer takes; `None` if it cannot be decoded.
#[must_use]
pub fn playable(received: ReceivedFrame) -> Option<Playable> {
    if !received.is_decodable {
        return None;
    }
    let (source, captured_at, frame) = (received.track.to_bits(), received.captured_at, received.frame);
    if received.codec.is_video() {
        return Some(Playable::Video(VideoFrame {
            index: frame.first_index,
            timestamp: frame.timestamp,
            source,
            captured_at,
            bytes: frame.data.len(),
            frame: frame.data,
        }));
    }
    Some(Playable::Audio(AudioPacket {
        index: frame.first_index,
        timestamp: frame.timestamp,
        duration_ticks: packet_duration_ticks(&frame.data)?,
        source,
        ends_talk_spurt: ends_talk_spurt(&frame.data),
        captured_at,
        frame: frame.data,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Codec;
    use crate::media::depacketize::AssembledFrame;
    use sluice_wire::time::Time;
    use sluice_wire::track::TrackId;

    fn received(codec: Codec, is_decodable: bool, data: &[u8]) -> ReceivedFrame {
        ReceivedFrame {
            slot: 0,
            track: TrackId::from_bits(0x100).unwrap(),
            codec,
            frame: AssembledFrame {
                timestamp: 5,
                first_index: 9,
                data: data.to_vec(),
                key: true,
                follows_gap: false,
            },
            is_decodable,
            temporal_id: 0,
            captured_at: None,
            received_at: Time::ZERO,
        }
    }

    #[test]
    fn sound_and_pictures_find_their_buffers() {
        // Configuration 31 of RFC 6716: CELT, 20 ms; one frame.
        let Some(Playable::Audio(packet)) = playable(received(Codec::Opus, true, &[0xF8, 1, 2])) else {
            panic!("sound is for the sound buffer")
        };
        assert_eq!((packet.index, packet.duration_ticks, packet.source), (9, 960, 0x100));
        assert!(!packet.ends_talk_spurt);
        let Some(Playable::Audio(last)) = playable(received(Codec::Opus, true, &[0xF8])) else {
            panic!("so is its absence")
        };
        assert!(last.ends_talk_spurt);
        assert!(playable(received(Codec::Opus, true, &[])).is_none());
        let video = playable(received(Codec::Vp8, true, &[0; 7]));
        assert!(matches!(video, Some(Playable::Video(VideoFrame { bytes: 7, timestamp: 5, .. }))));
        assert!(playable(received(Codec::Vp8, false, &[0; 7])).is_none());
    }
}
