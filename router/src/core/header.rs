//! The header that every receiver of a packet gets, but for what is the receiver's own.

use sluice_wire::ext::{Extension, FrameMarking, MediaExtensions, id};
use sluice_wire::rtp::{RtpHeader, RtpPacket};
use sluice_wire::track::TrackId;

/// Room for a header with one CSRC and every media extension.
const MAX_HEADER_BYTES: usize = 64;

/// A byte of a template that belongs to no header: what a packet lacks is written there.
const UNUSED_AT: usize = MAX_HEADER_BYTES - 1;
const MARKER_BIT: u8 = 0x80;

/// A header written once per packet; per receiver a few fields are put into a copy.
#[derive(Clone, Debug)]
pub(crate) struct HeaderTemplate {
    bytes: [u8; MAX_HEADER_BYTES],
    len: usize,
    /// Where the transport-wide sequence number is.
    transport_at: usize,
    /// Where the frame marking's TL0PICIDX is.
    tl0_pic_idx_at: usize,
}

/// What of a header is the receiver's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiverFields {
    pub(crate) sequence_number: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) transport_sequence: u16,
    /// Sets the marker bit; a marker bit of the publisher's stays.
    pub(crate) marker: bool,
    pub(crate) tl0_pic_idx: u8,
}

impl HeaderTemplate {
    /// The header of a packet of `track`; `None` if it has no room.
    pub(crate) fn new(
        marker: bool,
        payload_type: u8,
        track: TrackId,
        extensions: &MediaExtensions,
    ) -> Option<Self> {
        let header = RtpHeader {
            marker,
            payload_type,
            sequence_number: 0,
            timestamp: 0,
            ssrc: 0,
            csrcs: &[track.to_bits()],
            extensions: &MediaExtensions { transport_sequence: Some(0), ..*extensions },
        };
        let mut bytes = [0; MAX_HEADER_BYTES];
        let len = header.write(&mut bytes).ok().filter(|len| *len <= UNUSED_AT)?;
        let written = RtpPacket::parse(bytes.get(..len)?).ok()?;
        let (mut transport_at, mut tl0_pic_idx_at) = (None, UNUSED_AT);
        for Extension { id, data } in written.extensions() {
            let at = data.as_ptr().addr() - bytes.as_ptr().addr();
            match id {
                id::TRANSPORT_SEQUENCE => transport_at = Some(at),
                id::FRAME_MARKING => tl0_pic_idx_at = at + FrameMarking::BYTES - 1,
                _ => {}
            }
        }
        Some(Self { bytes, len, transport_at: transport_at?, tl0_pic_idx_at })
    }

    /// Bytes of the header.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The header for a receiver, in the first [`Self::len`] bytes.
    pub(crate) fn fill(&self, fields: ReceiverFields) -> [u8; MAX_HEADER_BYTES] {
        let mut bytes = self.bytes;
        bytes[1] |= u8::from(fields.marker) * MARKER_BIT;
        bytes[2..4].copy_from_slice(&fields.sequence_number.to_be_bytes());
        bytes[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
        bytes[self.transport_at..self.transport_at + 2]
            .copy_from_slice(&fields.transport_sequence.to_be_bytes());
        bytes[self.tl0_pic_idx_at] = fields.tl0_pic_idx;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_wire::ext::{AudioLevel, CaptureTime};

    #[test]
    fn a_filled_template_is_the_header_written_anew() {
        let track = TrackId::from_bits(0x0102_0304).unwrap();
        let marking = FrameMarking::parse(&[0xA3, 1, 7]);
        let with_level = MediaExtensions {
            audio_level: AudioLevel::parse(&[0x85]),
            capture_time: Some(CaptureTime(0x1122_3344_5566_7788)),
            ..MediaExtensions::default()
        };
        let with_marking = MediaExtensions {
            frame_marking: marking,
            transport_sequence: Some(999),
            ..MediaExtensions::default()
        };
        for extensions in [MediaExtensions::default(), with_level, with_marking] {
            for (published, set) in [(false, false), (false, true), (true, false)] {
                let template = HeaderTemplate::new(published, 97, track, &extensions).unwrap();
                let fields = ReceiverFields {
                    sequence_number: 0xABCD,
                    timestamp: 0x5566_7788,
                    ssrc: 42,
                    transport_sequence: 0xBEEF,
                    marker: set,
                    tl0_pic_idx: 88,
                };
                let header = RtpHeader {
                    marker: published || set,
                    payload_type: 97,
                    sequence_number: fields.sequence_number,
                    timestamp: fields.timestamp,
                    ssrc: fields.ssrc,
                    csrcs: &[track.to_bits()],
                    extensions: &MediaExtensions {
                        transport_sequence: Some(fields.transport_sequence),
                        frame_marking: extensions
                            .frame_marking
                            .map(|marking| FrameMarking { tl0_pic_idx: 88, ..marking }),
                        ..extensions
                    },
                };
                let mut expected = [0; MAX_HEADER_BYTES];
                let len = header.write(&mut expected).unwrap();
                assert_eq!(template.len(), len);
                assert_eq!(template.fill(fields)[..len], expected[..len]);
            }
        }
    }
}
