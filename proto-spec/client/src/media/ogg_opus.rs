//! Opus in Ogg (RFC 7845): two header packets, then packets of sound.

use std::io::Cursor;

use ogg::PacketReader;

const HEAD_MAGIC: &[u8] = b"OpusHead";
const TAGS_MAGIC: &[u8] = b"OpusTags";
/// `OpusHead` with channel mapping family 0 (RFC 7845 section 5.1).
const HEAD_BYTES: usize = 19;
/// The upper half of the version is the incompatible part and must be 0.
const MAJOR_VERSION_MASK: u8 = 0xF0;

/// Why a file is not Opus in Ogg.
#[derive(Debug, thiserror::Error)]
pub enum OggOpusError {
    /// The container is broken.
    #[error("the Ogg container is broken: {0}")]
    Container(#[from] ogg::OggReadError),
    /// The first packet is not an `OpusHead` of a known version.
    #[error("the Ogg file does not begin with an OpusHead packet")]
    Head,
    /// The second packet is not `OpusTags`.
    #[error("the OpusTags packet is missing")]
    Tags,
    /// Packets of a second logical stream.
    #[error("the Ogg file holds more than one stream")]
    SecondStream,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OggOpus {
    /// Number of channels that the encoder was given.
    pub channels: u8,
    /// Ticks of 1/48,000 s at the beginning that a player leaves out.
    pub pre_skip_ticks: u16,
    /// The packets of sound, in order, as the encoder gave them.
    pub packets: Vec<Vec<u8>>,
}

/// Reads a file of one Opus stream. A file whose last page is cut short is an error. The packets together are never larger
/// than the file.
///
/// # Errors
/// [`OggOpusError`] if the container is broken, holds something else, or holds more than one stream.
pub fn read(file: &[u8]) -> Result<OggOpus, OggOpusError> {
    let mut reader = PacketReader::new(Cursor::new(file));
    let head = reader.read_packet()?.ok_or(OggOpusError::Head)?;
    let (channels, pre_skip_ticks) = parse_head(&head.data).ok_or(OggOpusError::Head)?;
    let tags = reader.read_packet()?.ok_or(OggOpusError::Tags)?;
    if !tags.data.starts_with(TAGS_MAGIC) {
        return Err(OggOpusError::Tags);
    }
    let mut packets = Vec::new();
    while let Some(packet) = reader.read_packet()? {
        if packet.stream_serial() != head.stream_serial() {
            return Err(OggOpusError::SecondStream);
        }
        packets.push(packet.data);
    }
    Ok(OggOpus { channels, pre_skip_ticks, packets })
}

fn parse_head(packet: &[u8]) -> Option<(u8, u16)> {
    let head = packet.first_chunk::<HEAD_BYTES>()?;
    let [version, channels, skip_low, skip_high, ..] = *head.strip_prefix(HEAD_MAGIC)? else { return None };
    (version & MAJOR_VERSION_MASK == 0 && channels > 0)
        .then_some((channels, u16::from_le_bytes([skip_low, skip_high])))
}

#[cfg(test)]
mod tests {
    use ogg::{PacketWriteEndInfo, PacketWriter};

    use super::*;

    const HEAD: &[u8; 19] = b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0";

    fn file(packets: &[(u32, &[u8])]) -> Vec<u8> {
        let mut writer = PacketWriter::new(Vec::new());
        for (position, (serial, data)) in packets.iter().enumerate() {
            let end = match position + 1 {
                last if last == packets.len() => PacketWriteEndInfo::EndStream,
                ..=2 => PacketWriteEndInfo::EndPage,
                _ => PacketWriteEndInfo::NormalPacket,
            };
            writer.write_packet(data.to_vec(), *serial, end, position as u64).unwrap();
        }
        writer.into_inner()
    }

    #[test]
    fn headers_are_read_and_packets_handed_on() {
        let long = vec![7; 70_000];
        let read =
            read(&file(&[(1, HEAD), (1, b"OpusTags"), (1, b"one"), (1, &long), (1, b"three")])).unwrap();
        assert_eq!((read.channels, read.pre_skip_ticks), (1, 312));
        assert_eq!(read.packets, [b"one".to_vec(), long, b"three".to_vec()]);
    }

    #[test]
    fn other_content_is_refused() {
        assert!(matches!(read(b""), Err(OggOpusError::Container(_) | OggOpusError::Head)));
        assert!(matches!(
            read(b"RIFF and so on, long enough to be a page header"),
            Err(OggOpusError::Container(_))
        ));
        assert!(matches!(read(&file(&[(1, b"\x01vorbis")])), Err(OggOpusError::Head)));
        let mut future = *HEAD;
        future[8] = 0x10;
        assert!(matches!(read(&file(&[(1, &future), (1, b"OpusTags")])), Err(OggOpusError::Head)));
        assert!(matches!(read(&file(&[(1, HEAD)])), Err(OggOpusError::Tags)));
        assert!(matches!(read(&file(&[(1, HEAD), (1, b"one")])), Err(OggOpusError::Tags)));
        let two = file(&[(1, HEAD), (1, b"OpusTags"), (2, b"one"), (2, b"two")]);
        assert!(matches!(read(&two), Err(OggOpusError::SecondStream)));
    }

    #[test]
    fn a_file_that_is_cut_short_is_an_error() {
        let mut file = file(&[(1, HEAD), (1, b"OpusTags"), (1, b"one"), (1, b"two")]);
        assert!(read(&file).is_ok());
        file.pop();
        assert!(matches!(read(&file), Err(OggOpusError::Container(_))));
    }

    #[test]
    fn cuts_and_flipped_bytes_never_panic() {
        let file = file(&[(1, HEAD), (1, b"OpusTags"), (1, b"one"), (1, b"two")]);
        for at in 0..file.len() {
            let _cut = read(&file[..at]);
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                let _changed = read(&changed);
            }
        }
    }
}
