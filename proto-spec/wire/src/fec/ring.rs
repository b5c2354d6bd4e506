//! The last packets of a stream, for a receiver that has no other place for them.

use super::MAX_SOURCE_BYTES;
use super::decoder::Sources;

/// A packet and how much of its room it takes; 0 is none.
#[derive(Clone, Debug)]
struct Place {
    sequence: u16,
    len: u16,
    bytes: [u8; MAX_SOURCE_BYTES],
}

/// Keeps packets by sequence number, the newer one of two that share a place. Takes its memory when it is made.
#[derive(Clone, Debug)]
pub struct SourceRing {
    places: Box<[Place]>,
}

impl SourceRing {
    /// A ring of `packets` places (a power of two, 2 to 512; others are rounded up), 1,156 bytes each.
    #[must_use]
    pub fn new(packets: usize) -> Self {
        let packets = packets.clamp(2, usize::from(super::WINDOW)).next_power_of_two();
        let place = Place { sequence: 0, len: 0, bytes: [0; MAX_SOURCE_BYTES] };
        Self { places: vec![place; packets].into_boxed_slice() }
    }

    /// Keeps a packet in clear. One that is longer than [`MAX_SOURCE_BYTES`], which nothing protects, is not kept.
    pub fn insert(&mut self, sequence: u16, packet: &[u8]) {
        let index = usize::from(sequence) & (self.places.len() - 1);
        let place = &mut self.places[index];
        if let Some(room) = place.bytes.get_mut(..packet.len()) {
            room.copy_from_slice(packet);
            (place.sequence, place.len) = (sequence, packet.len() as u16);
        }
    }
}

impl Sources for SourceRing {
    fn packet(&self, sequence: u16) -> Option<&[u8]> {
        let place = &self.places[usize::from(sequence) & (self.places.len() - 1)];
        (place.len > 0 && place.sequence == sequence).then(|| &place.bytes[..usize::from(place.len)])
    }
}
