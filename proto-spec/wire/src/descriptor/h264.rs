//! NAL unit types of H.264 in RTP: RFC 6184 sections 5.2 to 5.8.

use crate::ext::FrameMarking;

const TYPE_MASK: u8 = 0x1F;
const REFERENCE_MASK: u8 = 0x60;
/// A slice whose first macroblock is number 0 begins with this bit (Exp-Golomb code of 0).
const FIRST_MACROBLOCK_BIT: u8 = 0x80;
const FRAGMENT_START_BIT: u8 = 0x80;

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEI: u8 = 6;
const SEQUENCE_PARAMETERS: u8 = 7;
const ACCESS_UNIT_DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// What the NAL unit types of a packet say. `None` if the packet is cut short.
pub(super) fn marking(payload: &[u8], marker: bool) -> Option<FrameMarking> {
    let (&header, rest) = payload.split_first()?;
    let end = FrameMarking { end: marker, ..FrameMarking::default() };
    match header & TYPE_MASK {
        STAP_A => aggregate(rest, end),
        FU_A => {
            let (&fragment, data) = rest.split_first()?;
            let unit = unit((header & REFERENCE_MASK) | (fragment & TYPE_MASK), data, end)?;
            Some(FrameMarking { start: unit.start && fragment & FRAGMENT_START_BIT != 0, ..unit })
        }
        _ => unit(header, rest, end),
    }
}

/// What one NAL unit says; its header is apart, since fragments carry it in two halves.
fn unit(header: u8, data: &[u8], end: FrameMarking) -> Option<FrameMarking> {
    let kind = header & TYPE_MASK;
    let is_slice = matches!(kind, SLICE | IDR_SLICE);
    Some(FrameMarking {
        start: (is_slice && data.first()? & FIRST_MACROBLOCK_BIT != 0)
            || (SEI..=ACCESS_UNIT_DELIMITER).contains(&kind),
        independent: matches!(kind, IDR_SLICE | SEQUENCE_PARAMETERS),
        discardable: is_slice && header & REFERENCE_MASK == 0,
        ..end
    })
}

/// What several NAL units in one packet say: the first begins the packet, any may be that of a key frame.
fn aggregate(units: &[u8], end: FrameMarking) -> Option<FrameMarking> {
    let mut rest = units;
    let mut all: Option<FrameMarking> = None;
    while let Some((&[high, low], behind)) = rest.split_first_chunk() {
        let (bytes, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        let (&header, data) = bytes.split_first()?;
        let unit = unit(header, data, end)?;
        all = Some(match all {
            None => unit,
            Some(before) => FrameMarking {
                independent: before.independent || unit.independent,
                discardable: before.discardable && unit.discardable,
                ..before
            },
        });
        rest = behind;
    }
    if rest.is_empty() { all } else { None }
}
