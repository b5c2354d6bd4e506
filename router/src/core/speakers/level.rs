//! How loud a microphone is: what its packets say (RFC 6464), gathered between two ticks of its room.

use std::time::Duration;

use sluice_wire::ext::AudioLevel;
use sluice_wire::time::Time;

/// The quietest level of RFC 6464, -dBov.
pub(crate) const QUIETEST: u8 = 127;
/// Without packets the last loudness holds this long: the longest Opus packet is 60 ms, and some jitter.
const HOLD: Duration = Duration::from_millis(100);

/// The loudness of one microphone since its room's last tick. Loudness is dB above the quietest level: 0 is silence, 127 the
/// loudest that there is.
#[derive(Debug, Default)]
pub(crate) struct LevelMeter {
    /// The loudest packet since the last reading, if there was any.
    loudest: Option<u8>,
    last: u8,
    last_arrival: Time,
    /// The sender tells voice from noise: it did so once. Of one that does not, all counts as voice.
    tells_voice: bool,
}

impl LevelMeter {
    /// A packet came.
    pub(crate) fn note(&mut self, level: AudioLevel, arrival: Time) {
        self.tells_voice |= level.voice;
        let is_noise = self.tells_voice && !level.voice;
        let loudness = if is_noise { 0 } else { QUIETEST.saturating_sub(level.level) };
        self.loudest = Some(self.loudest.map_or(loudness, |loudest| loudest.max(loudness)));
        self.last_arrival = arrival;
    }

    /// The loudness since the last reading.
    pub(crate) fn read(&mut self, now: Time) -> u8 {
        if let Some(loudest) = self.loudest.take() {
            self.last = loudest;
        } else if now.saturating_since(self.last_arrival) >= HOLD {
            self.last = 0;
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn packet(level: u8, voice: bool) -> AudioLevel {
        AudioLevel { voice, level }
    }

    #[test]
    fn a_reading_is_the_loudest_packet_and_holds_through_jitter() {
        let mut meter = LevelMeter::default();
        meter.note(packet(30, true), at(0));
        meter.note(packet(20, true), at(20));
        meter.note(packet(40, true), at(30));
        assert_eq!(meter.read(at(40)), 107);
        assert_eq!(meter.read(at(80)), 107);
        assert_eq!(meter.read(at(129)), 107);
        assert_eq!(meter.read(at(130)), 0);
        meter.note(packet(127, true), at(140));
        assert_eq!(meter.read(at(160)), 0);
    }

    #[test]
    fn noise_counts_only_of_senders_that_never_tell() {
        let mut meter = LevelMeter::default();
        meter.note(packet(20, false), at(0));
        assert_eq!(meter.read(at(0)), 107);
        meter.note(packet(60, true), at(20));
        meter.note(packet(20, false), at(30));
        assert_eq!(meter.read(at(40)), 67);
    }
}
