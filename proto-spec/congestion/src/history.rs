//! What was sent and has not been forgotten: a ring by transport-wide sequence number.

#[cfg(test)]
mod tests;

use sluice_wire::time::Time;

use crate::probe::ProbeId;

/// The fewest packets that a history holds.
pub const MIN_HISTORY_PACKETS: usize = 64;
/// The most: half of the space of sequence numbers, so that a number ahead of the newest is never taken for an old one.
pub const MAX_HISTORY_PACKETS: usize = 32_768;

/// A packet as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketSent {
    /// Its transport-wide sequence number, one more than that of the packet before.
    pub sequence: u16,
    /// When it was handed to the network.
    pub at: Time,
    /// Its size in bytes: the UDP payload.
    pub size_bytes: u16,
    /// The cluster of probes that it was sent for, if any.
    pub probe: Option<ProbeId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Empty,
    InFlight,
    Lost,
    Acknowledged,
}

/// 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    at: Time,
    /// The lowest 32 bits of the extended number, which tell a packet from those that had its slot before.
    number: u32,
    size_bytes: u16,
    /// 0 if it was no probe.
    probe: u8,
    state: State,
}

/// What an acknowledgement says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// That it arrived, for the first time.
    First {
        /// The packet.
        packet: PacketSent,
        /// Whether it had been reported lost before.
        was_lost: bool,
    },
    /// Nothing new.
    Again,
    /// Nothing: it was never sent, or was forgotten.
    Unknown,
}

/// The ring of packets that were sent.
#[derive(Clone, Debug)]
pub struct SentHistory {
    slots: Box<[Slot]>,
    /// The extended number of the newest packet.
    newest: Option<u64>,
    in_flight_bytes: u64,
}

impl SentHistory {
    /// An empty history of `packets`, rounded up to a power of two from [`MIN_HISTORY_PACKETS`] to [`MAX_HISTORY_PACKETS`]; 16
    /// bytes each. It should hold what is sent in a round trip and the feedback's interval; what it lost sight of is neither
    /// acknowledged nor lost.
    #[must_use]
    pub fn new(packets: usize) -> Self {
        let packets = packets.clamp(MIN_HISTORY_PACKETS, MAX_HISTORY_PACKETS).next_power_of_two();
        Self { slots: vec![Slot::default(); packets].into_boxed_slice(), newest: None, in_flight_bytes: 0 }
    }

    /// How many packets it holds.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Bytes that were sent and neither acknowledged, nor reported lost, nor forgotten.
    #[must_use]
    pub const fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }

    /// Notes a packet. A number that is not ahead of the newest is that of a packet already sent, and is ignored.
    pub fn insert(&mut self, packet: &PacketSent) {
        let number = match self.newest {
            None => u64::from(packet.sequence) + (1 << 16),
            Some(newest) => {
                let step = packet.sequence.wrapping_sub(newest as u16);
                if step == 0 || step > i16::MAX as u16 {
                    return;
                }
                newest + u64::from(step)
            }
        };
        self.newest = Some(number);
        let at = self.index(number);
        self.land(at);
        self.slots[at] = Slot {
            at: packet.at,
            number: number as u32,
            size_bytes: packet.size_bytes,
            probe: packet.probe.map_or(0, ProbeId::get),
            state: State::InFlight,
        };
        self.in_flight_bytes += u64::from(packet.size_bytes);
    }

    /// Takes an acknowledgement.
    pub fn acknowledge(&mut self, sequence: u16) -> Acknowledged {
        let Some(at) = self.find(sequence) else { return Acknowledged::Unknown };
        let was_lost = match self.slots[at].state {
            State::Empty => return Acknowledged::Unknown,
            State::Acknowledged => return Acknowledged::Again,
            State::Lost => true,
            State::InFlight => false,
        };
        self.land(at);
        self.slots[at].state = State::Acknowledged;
        Acknowledged::First { packet: self.packet(at, sequence), was_lost }
    }

    /// Takes a report of loss; the packet if that is news.
    pub fn lose(&mut self, sequence: u16) -> Option<PacketSent> {
        let at = self.find(sequence).filter(|at| self.slots[*at].state == State::InFlight)?;
        self.land(at);
        self.slots[at].state = State::Lost;
        Some(self.packet(at, sequence))
    }

    /// Forgets everything but the numbering: what was sent on another path says nothing of this one.
    pub fn forget(&mut self) {
        self.slots.fill(Slot::default());
        self.in_flight_bytes = 0;
    }

    fn packet(&self, at: usize, sequence: u16) -> PacketSent {
        let slot = self.slots[at];
        PacketSent { sequence, at: slot.at, size_bytes: slot.size_bytes, probe: ProbeId::from_u8(slot.probe) }
    }

    /// Takes a packet off what is in flight.
    fn land(&mut self, at: usize) {
        if self.slots[at].state == State::InFlight {
            self.in_flight_bytes -= u64::from(self.slots[at].size_bytes);
        }
    }

    fn find(&self, sequence: u16) -> Option<usize> {
        let newest = self.newest?;
        // A number ahead of the newest is a great distance behind it.
        let number = newest.checked_sub(u64::from((newest as u16).wrapping_sub(sequence)))?;
        let at = self.index(number);
        (newest - number < self.slots.len() as u64 && self.slots[at].number == number as u32).then_some(at)
    }

    const fn index(&self, number: u64) -> usize {
        number as usize & (self.slots.len() - 1)
    }
}
