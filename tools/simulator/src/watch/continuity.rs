//! Each slot is one continuous stream: sequence numbers without holes of the router's making, timestamps that never go back.

use std::collections::BTreeMap;

use sluice_wire::classify::{Class, classify};

use super::TicketNumber;

/// What the router sent on one slot.
#[derive(Debug)]
struct Slot {
    lowest: u64,
    highest: u64,
    count: u64,
    timestamp: u32,
}

#[derive(Debug, Default)]
pub(super) struct Continuity {
    slots: BTreeMap<(TicketNumber, u32), Slot>,
}

impl Continuity {
    pub(super) fn on_sent(&mut self, ticket: TicketNumber, datagram: &[u8]) -> Result<(), String> {
        let Class::Rtp { ssrc } = classify(datagram) else { return Ok(()) };
        let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
        let timestamp = u32::from_be_bytes([datagram[4], datagram[5], datagram[6], datagram[7]]);
        let Some(slot) = self.slots.get_mut(&(ticket, ssrc)) else {
            if sequence >= 1 << 15 {
                return Err(format!("SSRC {ssrc:#010x} begins at sequence number {sequence}"));
            }
            let index = u64::from(sequence);
            self.slots.insert((ticket, ssrc), Slot { lowest: index, highest: index, count: 1, timestamp });
            return Ok(());
        };
        let ahead = sequence.wrapping_sub(slot.highest as u16) as i16;
        let index = slot.highest.saturating_add_signed(ahead.into());
        slot.count += 1;
        slot.lowest = slot.lowest.min(index);
        if index > slot.highest {
            let elapsed = timestamp.wrapping_sub(slot.timestamp) as i32;
            if elapsed < 0 {
                return Err(format!("the timestamp of SSRC {ssrc:#010x} goes back by {}", -elapsed));
            }
            slot.highest = index;
            slot.timestamp = timestamp;
        }
        Ok(())
    }

    pub(super) fn gaps(&self) -> u64 {
        self.slots.values().map(|slot| (slot.highest - slot.lowest + 1).saturating_sub(slot.count)).sum()
    }
}
