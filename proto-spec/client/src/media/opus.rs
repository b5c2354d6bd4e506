//! Opus packets: how long they sound (RFC 6716 section 3.1), and a guess at how loud.

/// The RTP clock of Opus, whatever it encodes (RFC 7587 section 4.1).
const TICKS_PER_MS: u32 = 48;
/// No packet sounds longer than 120 ms (RFC 6716 section 3.2.5).
const MAX_DURATION_TICKS: u32 = 120 * TICKS_PER_MS;

/// Frame sizes of the SILK modes, in ticks: 10, 20, 40, 60 ms.
const SILK_TICKS: [u32; 4] = [480, 960, 1_920, 2_880];
/// Frame sizes of the CELT modes, in ticks: 2.5, 5, 10, 20 ms.
const CELT_TICKS: [u32; 4] = [120, 240, 480, 960];

/// How long a packet sounds, in ticks of 1/48,000 s. `None` if it is empty, lacks its frame count, or claims to hold no frame
/// or more than 120 ms.
#[must_use]
pub fn packet_duration_ticks(packet: &[u8]) -> Option<u32> {
    let &toc = packet.first()?;
    let config = toc >> 3;
    let size = usize::from(config & 3);
    let frame_ticks = match config {
        0..=11 => SILK_TICKS[size],
        // Hybrid modes have 10 and 20 ms only.
        12..=15 => SILK_TICKS[size & 1],
        _ => CELT_TICKS[size],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3F),
    };
    let ticks = frames * frame_ticks;
    (1..=MAX_DURATION_TICKS).contains(&ticks).then_some(ticks)
}

/// The audio level that stands for silence (RFC 6464 section 3: 127 is digital silence).
pub const SILENT_LEVEL: u8 = 127;
/// A level, in -dBov, at which speech of a close microphone typically peaks.
const LOUD_LEVEL: u32 = 20;
/// A level at which speech fades into the room.
const QUIET_LEVEL: u32 = 60;
/// Below this share of the mean packet size a variable-rate encoder of speech has nothing to encode.
const SILENT_PERCENT: u32 = 50;
/// From this share on, packets are taken as loudest.
const LOUD_PERCENT: u32 = 130;

/// **A guess, not a measurement**, of a packet's RFC 6464 audio level (in -dBov: 0 is loudest, 127 silence) for clips.
///
/// A client with a microphone measures the level on the samples before it encodes. A clip is encoded already and this crate
/// has no decoder, but a variable-rate encoder spends few bytes on pauses and many on speech, so the size of a packet relative
/// to the clip's mean says when somebody speaks. Sizes from 50 % to 130 % of the mean map evenly to 60 to 20 -dBov, less is
/// silence. Good enough to drive speaker selection in tests; useless for anything that is heard.
#[must_use]
pub fn level_guessed_from_size(packet_bytes: usize, mean_packet_bytes: usize) -> u8 {
    let percent = packet_bytes.saturating_mul(100) / mean_packet_bytes.max(1);
    let percent = u32::try_from(percent).unwrap_or(u32::MAX).min(LOUD_PERCENT);
    if percent < SILENT_PERCENT {
        return SILENT_LEVEL;
    }
    let above = percent - SILENT_PERCENT;
    (QUIET_LEVEL - (QUIET_LEVEL - LOUD_LEVEL) * above / (LOUD_PERCENT - SILENT_PERCENT)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_the_table_of_the_rfc() {
        let ms = |packet: &[u8]| packet_duration_ticks(packet).map(|ticks| f64::from(ticks) / 48.0);
        let one_frame = |config: u8| ms(&[config << 3]).unwrap();
        let expected = [
            [10.0, 20.0, 40.0, 60.0],
            [10.0, 20.0, 40.0, 60.0],
            [10.0, 20.0, 40.0, 60.0],
            [10.0, 20.0, 10.0, 20.0],
            [2.5, 5.0, 10.0, 20.0],
            [2.5, 5.0, 10.0, 20.0],
            [2.5, 5.0, 10.0, 20.0],
            [2.5, 5.0, 10.0, 20.0],
        ];
        let table: Vec<f64> = (0..32).map(one_frame).collect();
        assert_eq!(table, expected.concat());
        assert_eq!(ms(&[(1 << 3) | 1]), Some(40.0));
        assert_eq!(ms(&[(1 << 3) | 2]), Some(40.0));
        assert_eq!(ms(&[(1 << 3) | 3, 0xC3]), Some(60.0), "flags beside the count do not count");
    }

    #[test]
    fn impossible_packets_have_no_duration() {
        assert_eq!(packet_duration_ticks(&[]), None);
        assert_eq!(packet_duration_ticks(&[3]), None, "the count is missing");
        assert_eq!(packet_duration_ticks(&[3, 0]), None, "no frame");
        assert_eq!(packet_duration_ticks(&[(1 << 3) | 3, 7]), None, "140 ms");
    }

    #[test]
    fn larger_packets_are_louder_and_small_ones_are_silence() {
        assert_eq!(level_guessed_from_size(32, 80), SILENT_LEVEL);
        assert_eq!(level_guessed_from_size(40, 80), 60);
        assert_eq!(level_guessed_from_size(80, 80), 35);
        assert_eq!(level_guessed_from_size(104, 80), 20);
        assert_eq!(level_guessed_from_size(usize::MAX, 0), 20);
    }
}
