//! Paths with seeded delays, and a listener who counts what he hears.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_wire::time::Time;

use super::audio::{AudioOutput, AudioPacket, AudioPlayout};
use super::{duration_us, micros, time_of};

/// When the first packet is sent, by the receiver's clock.
pub(super) const START_US: i64 = 1_700_000_000_000_000;
/// The sender's clock is this much ahead.
pub(super) const CLOCK_OFFSET_US: i64 = 3_600_000_000;
/// A packet of sound.
pub(super) const PACKET_US: i64 = 20_000;
/// Its ticks of 1/48,000 s.
pub(super) const PACKET_TICKS: u32 = 960;
/// Timestamps wrap within the first seconds of every test.
pub(super) const FIRST_TIMESTAMP: u32 = u32::MAX - 100_000;

/// Chance.
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// From 0 to 1.
    pub(super) fn uniform(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / f64::from(u32::MAX)
    }

    /// Nearly normal (Irwin-Hall of twelve), so that no transcendental function makes machines differ.
    pub(super) fn gaussian_us(&mut self, sigma_ms: f64) -> i64 {
        let sum: f64 = (0..12).map(|_| self.uniform()).sum();
        ((sum - 6.0) * sigma_ms * 1_000.0) as i64
    }
}

/// A stream of numbered packets, and when each arrives. What never does is not in it. In order of arrival.
pub(super) struct Arrivals(pub(super) Vec<(i64, u64)>);

impl Arrivals {
    /// `count` packets, every `interval_us` by a clock that is fast by `drift_ppm`; `path` says how long each takes, in
    /// microseconds, if it arrives.
    pub(super) fn of(
        count: u64,
        (interval_us, drift_ppm): (i64, i64),
        mut path: impl FnMut(u64) -> Option<i64>,
    ) -> Self {
        let mut arrivals = Vec::new();
        for number in 0..count {
            let sent_us = number as i64 * interval_us;
            let sent_us = sent_us - sent_us * drift_ppm / 1_000_000;
            if let Some(delay_us) = path(number) {
                arrivals.push((START_US + sent_us + delay_us, number));
            }
        }
        arrivals.sort();
        Self(arrivals)
    }

    /// As a session gives frames out: none before an earlier one.
    pub(super) fn in_order(mut self) -> Self {
        self.0.sort_unstable_by_key(|arrival| arrival.1);
        let mut latest_us = 0;
        for (at_us, _) in &mut self.0 {
            latest_us = latest_us.max(*at_us);
            *at_us = latest_us;
        }
        self
    }

    /// The least constant delay with which so many of the packets are in time, in microseconds above the fastest; clocks without drift.
    pub(super) fn best_delay_us(&self, share: f64, interval_us: i64) -> i64 {
        let transit = |&(at, number): &(i64, u64)| at - number as i64 * interval_us;
        let mut transits: Vec<i64> = self.0.iter().map(transit).collect();
        transits.sort_unstable();
        let last = transits.len() - 1;
        transits[(share * last as f64) as usize] - transits[0]
    }
}

/// One that takes 50 ms, plus jitter that never makes it faster than 10.
pub(super) fn jittery(seed: u64, sigma_ms: f64) -> impl FnMut(u64) -> Option<i64> {
    let mut draws = Draws::new(seed);
    move |_| Some((50_000 + draws.gaussian_us(sigma_ms)).max(10_000))
}

/// Nothing passes for `length_us` in every `period_us`, from half of the period on; then all comes at once.
pub(super) fn stalling(interval_us: i64, period_us: i64, length_us: i64) -> impl FnMut(u64) -> Option<i64> {
    move |number| {
        let phase_us = (number as i64 * interval_us + period_us / 2) % period_us;
        Some(50_000 + (length_us - phase_us).max(0) * i64::from(number as i64 * interval_us >= period_us / 2))
    }
}

/// A packet of the simulated voice.
pub(super) fn voice(number: u64) -> AudioPacket<u64> {
    AudioPacket {
        index: 1_000 + number,
        timestamp: FIRST_TIMESTAMP.wrapping_add((number as u32).wrapping_mul(PACKET_TICKS)),
        duration_ticks: PACKET_TICKS,
        source: 7,
        ends_talk_spurt: false,
        captured_at: Some(time_of(START_US + CLOCK_OFFSET_US + number as i64 * PACKET_US)),
        frame: number,
    }
}

/// What a listener heard.
#[derive(Default)]
pub(super) struct Listener {
    /// Numbers of frames, and when each began, in microseconds since the first was sent.
    pub(super) heard: Vec<(u64, i64)>,
    pub(super) conceal_us: i64,
    pub(super) silence_us: i64,
}

impl Listener {
    /// Listens until `until`, and holds the outputs against what is promised of any.
    pub(super) fn listen(&mut self, playout: &mut AudioPlayout<u64>, until: Time) {
        while let Some(at) = playout.next_at().filter(|at| *at <= until) {
            let output = playout.poll(at).expect("what is due is given");
            let length = output.duration();
            assert!(!length.is_zero());
            assert!(playout.next_at().is_none_or(|next| next == at + length), "outputs follow each other");
            match output {
                AudioOutput::Frame { frame, .. } => {
                    assert!(self.heard.last().is_none_or(|last| last.0 < frame), "in order and once");
                    self.heard.push((frame, micros(at) - START_US));
                }
                AudioOutput::Conceal { .. } => self.conceal_us += duration_us(length),
                AudioOutput::Silence { .. } => self.silence_us += duration_us(length),
            }
        }
    }

    /// From sending to hearing, of frames of these numbers.
    pub(super) fn delays_us(&self, numbers: std::ops::Range<u64>) -> Vec<i64> {
        let heard = self.heard.iter().filter(|(number, _)| numbers.contains(number));
        heard.map(|(number, at)| at - *number as i64 * PACKET_US).collect()
    }
}

/// Plays all that arrives.
pub(super) fn play(
    arrivals: &Arrivals,
    packet: impl Fn(u64) -> AudioPacket<u64>,
) -> (AudioPlayout<u64>, Listener) {
    let mut playout = AudioPlayout::new(48_000);
    let mut listener = Listener::default();
    for (at_us, number) in &arrivals.0 {
        let now = time_of(*at_us);
        listener.listen(&mut playout, now);
        playout.push(now, packet(*number));
    }
    listener.listen(&mut playout, Time::MAX);
    (playout, listener)
}
