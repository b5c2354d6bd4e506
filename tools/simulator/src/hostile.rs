//! A hostile host: it captures what passes the router's door and sends garbage, copies and forgeries from its own address.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// Captured datagrams that are kept for replay.
const MAX_CAPTURED: usize = 256;

/// The attacker.
#[derive(Debug)]
pub struct Hostile {
    rng: ChaCha8Rng,
    captured: Vec<Vec<u8>>,
}

impl Hostile {
    /// An attacker with luck of its own.
    #[must_use]
    pub const fn new(rng: ChaCha8Rng) -> Self {
        Self { rng, captured: Vec::new() }
    }

    /// Sees a datagram on its way to or from the router.
    pub fn capture(&mut self, datagram: &[u8]) {
        if self.captured.len() < MAX_CAPTURED {
            self.captured.push(datagram.to_vec());
        } else if self.rng.random_ratio(1, 16) {
            let place = self.rng.random_range(0..MAX_CAPTURED);
            self.captured[place] = datagram.to_vec();
        }
    }

    /// The next hostile datagram.
    pub fn attack(&mut self) -> Vec<u8> {
        let Some(mut datagram) = self.pick() else { return self.garbage() };
        match self.rng.random_range(0..6) {
            0 => return self.garbage(),
            1 => {}
            2 => datagram.truncate(self.rng.random_range(0..=datagram.len())),
            3 => flip(&mut datagram, &mut self.rng),
            // A head that finds the session, and a body that is not its sender's.
            4 => self.rng.fill_bytes(&mut datagram[12..]),
            _ => datagram.extend_from_slice(&[0; 7]),
        }
        datagram
    }

    fn pick(&mut self) -> Option<Vec<u8>> {
        let place = self.rng.random_range(0..self.captured.len().max(1));
        self.captured.get(place).filter(|datagram| datagram.len() > 12).cloned()
    }

    fn garbage(&mut self) -> Vec<u8> {
        let mut datagram = vec![0; self.rng.random_range(0..1_500)];
        self.rng.fill_bytes(&mut datagram);
        if self.rng.random()
            && let Some(first) = datagram.first_mut()
        {
            *first = (*first & 0x3F) | 0x80;
        }
        datagram
    }
}

fn flip(datagram: &mut [u8], rng: &mut ChaCha8Rng) {
    let place = rng.random_range(0..datagram.len());
    datagram[place] ^= 1 << rng.random_range(0..8);
}
