//! What is protected of a packet, and the packet that it becomes again.
//!
//! A unit is `length (u16) | first two bytes of the header | timestamp | all from the CSRCs on`. `length` counts what follows it.
//! Sequence number and SSRC are not in it: the repair packet's header says both. A transport-wide sequence number belongs to
//! one transmission and not to the packet, so its bytes are zeros in the unit.

use super::field::{ROW_BYTES, Row, worked_len};
use crate::ext::{Extensions, id};
use crate::rtp::{FIXED_HEADER_BYTES, RtpPacket};

/// Bytes of the length, of the header's first two bytes, and of the timestamp.
const FRONT_BYTES: usize = 8;
const LENGTH_BYTES: usize = 2;
/// Bytes of a packet that are not counted by its unit's length: sequence number and SSRC.
const UNCOUNTED_BYTES: usize = 6;
/// The shortest unit: that of a packet of a fixed header alone.
pub(super) const MIN_UNIT_BYTES: usize = FRONT_BYTES;
/// The longest unit: that of a packet which fills a row.
pub(super) const MAX_UNIT_BYTES: usize = ROW_BYTES + LENGTH_BYTES - UNCOUNTED_BYTES;

/// Writes the unit of a packet, given as its header and what follows, to `unit`, and zeros behind it up to `padded`.
/// Gives its length; `None` if the packet cannot be protected: too long, malformed, or with padding.
pub(super) fn write(header: &[u8], payload: &[u8], unit: &mut Row, padded: usize) -> Option<usize> {
    let packet = RtpPacket::parse(header).ok()?;
    let len = header.len() + payload.len() + LENGTH_BYTES - UNCOUNTED_BYTES;
    if len > MAX_UNIT_BYTES || !packet.payload().is_empty() || packet.padding_len() > 0 {
        return None;
    }
    let counted = (len - LENGTH_BYTES) as u16;
    unit[..2].copy_from_slice(&counted.to_be_bytes());
    unit[2..4].copy_from_slice(&header[..2]);
    unit[4..8].copy_from_slice(&header[4..8]);
    let (behind, end) = (&header[FIXED_HEADER_BYTES..], FRONT_BYTES + header.len() - FIXED_HEADER_BYTES);
    unit[FRONT_BYTES..end].copy_from_slice(behind);
    unit[end..len].copy_from_slice(payload);
    unit[len..worked_len(padded.max(len))].fill(0);
    clear_transport_sequence(&packet, &mut unit[FRONT_BYTES..end]);
    Some(len)
}

/// Overwrites transport-wide sequence numbers with zeros. `behind` is the header without its fixed part.
fn clear_transport_sequence(packet: &RtpPacket<'_>, behind: &mut [u8]) {
    let mut extensions: Extensions<'_> = packet.extensions();
    while let Some(extension) = extensions.next() {
        if extension.id == id::TRANSPORT_SEQUENCE {
            // The block is the header's end, and so is what the iterator has left.
            let end = behind.len() - extensions.rest_len();
            behind[end - extension.data.len()..end].fill(0);
        }
    }
}

/// Writes the packet of a unit, with zeros behind it, to `packet`. Gives its length; `None` if it is no unit, or no RTP packet.
pub(super) fn read(unit: &[u8], sequence: u16, ssrc: u32, packet: &mut Row) -> Option<usize> {
    let (front, _) = unit.split_first_chunk::<FRONT_BYTES>()?;
    let end = LENGTH_BYTES + usize::from(u16::from_be_bytes([front[0], front[1]]));
    let (behind, zeros) = unit.get(FRONT_BYTES..)?.split_at_checked(end.checked_sub(FRONT_BYTES)?)?;
    let len = FIXED_HEADER_BYTES + behind.len();
    if len > ROW_BYTES || zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    packet[..2].copy_from_slice(&front[2..4]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&front[4..8]);
    packet[8..FIXED_HEADER_BYTES].copy_from_slice(&ssrc.to_be_bytes());
    packet[FIXED_HEADER_BYTES..len].copy_from_slice(behind);
    let parsed = RtpPacket::parse(&packet[..len]).ok()?;
    (parsed.padding_len() == 0).then_some(len)
}
