//! The fastest packet of the last seconds.

/// How many spans the window has: it forgets in steps of a span.
const SPANS: usize = 8;
/// The window is 4 s: at 100 ppm clocks drift apart by 0.4 ms in it, and some packet of it found no queue.
const SPAN_US: i64 = 500_000;

/// The least transit time (arrival minus media time, on clocks that have nothing to do with each other) of a sliding window.
///
/// At most one span is forgotten per packet, so that after a silence the window still knows what was before it.
#[derive(Clone, Debug, Default)]
pub(super) struct BaseTransit {
    least: [Option<i64>; SPANS],
    current: usize,
    since_us: i64,
}

impl BaseTransit {
    /// The least of the window; `None` before the first packet.
    pub(super) fn get(&self) -> Option<i64> {
        self.least.iter().flatten().min().copied()
    }

    /// Takes in a packet.
    pub(super) fn on_packet(&mut self, now_us: i64, transit_us: i64) {
        if self.get().is_none() {
            self.since_us = now_us;
        } else if now_us.saturating_sub(self.since_us) >= SPAN_US {
            self.current = (self.current + 1) % SPANS;
            self.least[self.current] = None;
            self.since_us = now_us;
        }
        let least = &mut self.least[self.current];
        *least = Some(least.map_or(transit_us, |least| least.min(transit_us)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_known_for_four_seconds() {
        let mut base = BaseTransit::default();
        assert_eq!(base.get(), None);
        base.on_packet(0, -50);
        (1..200).for_each(|packet| base.on_packet(packet * 20_000, 7));
        assert_eq!(base.get(), Some(-50));
        (200..240).for_each(|packet| base.on_packet(packet * 20_000, 7));
        assert_eq!(base.get(), Some(7));
    }

    #[test]
    fn a_silence_does_not_make_it_forget() {
        let mut base = BaseTransit::default();
        base.on_packet(0, 3);
        base.on_packet(60_000_000, 90);
        assert_eq!(base.get(), Some(3));
    }
}
