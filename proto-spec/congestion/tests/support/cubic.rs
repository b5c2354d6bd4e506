//! A bulk transfer that behaves like TCP with CUBIC (RFC 9438), without retransmissions: every acknowledgement is of one packet.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::time::Time;

use super::{Link, Packet, at};

const SEGMENT: u64 = 1_500;
const C: f64 = 0.4;
const BETA: f64 = 0.7;
/// Packets behind a gap that make it a loss, RFC 5681.
const DUPLICATES: u64 = 3;
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Cubic {
    index: usize,
    one_way: Duration,
    window: f64,
    threshold: f64,
    max_window: f64,
    epoch: Option<Time>,
    next: u64,
    /// The first packet that is not settled.
    settled: u64,
    in_flight: u64,
    /// Losses before this packet are of the congestion that was answered.
    recover: u64,
    acks: VecDeque<(Time, u64)>,
    acked_at: Time,
    received: Vec<(Time, u64)>,
}

impl Cubic {
    pub(crate) fn new(index: usize, one_way: Duration) -> Self {
        Self {
            index,
            one_way,
            window: 10.0,
            threshold: f64::INFINITY,
            max_window: 0.0,
            epoch: None,
            next: 0,
            settled: 0,
            in_flight: 0,
            recover: 0,
            acks: VecDeque::new(),
            acked_at: Time::ZERO,
            received: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, now: Time, link: &mut Link) {
        while self.acks.front().is_some_and(|(arrives, _)| *arrives <= now) {
            let (_, sequence) = self.acks.pop_front().expect("it is there");
            self.acknowledged(now, sequence);
        }
        if now.saturating_since(self.acked_at) > TIMEOUT {
            (self.in_flight, self.settled, self.window) = (0, self.next, 2.0);
            self.acked_at = now;
        }
        // Two a step, as interrupts and ACK clocking would have it.
        for _ in 0..2 {
            if self.in_flight as f64 >= self.window {
                break;
            }
            link.push(self.index, self.next, SEGMENT, now);
            self.next += 1;
            self.in_flight += 1;
        }
    }

    pub(crate) fn deliver(&mut self, packet: &Packet) {
        let arrived_at = packet.served_at + self.one_way;
        self.received.push((arrived_at, packet.bytes));
        self.acks.push_back((arrived_at + self.one_way, packet.sequence));
    }

    fn acknowledged(&mut self, now: Time, sequence: u64) {
        self.acked_at = now;
        if sequence < self.settled {
            return;
        }
        // The queue keeps the order, so what is before is lost.
        let lost = sequence - self.settled;
        self.in_flight = self.in_flight.saturating_sub(lost + 1);
        if lost > 0 && sequence + DUPLICATES > self.settled && self.settled >= self.recover {
            self.reduce(now);
        }
        self.settled = sequence + 1;
        self.grow(now);
    }

    fn reduce(&mut self, now: Time) {
        // Fast convergence, RFC 9438 section 4.7.
        let had = self.window;
        self.max_window = if had < self.max_window { had * (1.0 + BETA) / 2.0 } else { had };
        self.window = (had * BETA).max(2.0);
        self.threshold = self.window;
        self.epoch = Some(now);
        self.recover = self.next;
    }

    fn grow(&mut self, now: Time) {
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let passed = now.saturating_since(*self.epoch.get_or_insert(now)).as_secs_f64();
        let k = (self.max_window * (1.0 - BETA) / C).cbrt();
        let rtt = 2.0 * self.one_way.as_secs_f64();
        let target = (C * (passed + rtt - k).powi(3) + self.max_window).clamp(self.window, 1.5 * self.window);
        // Where Reno would have a larger window, its: RFC 9438 section 4.3.
        let alpha = 3.0 * (1.0 - BETA) / (1.0 + BETA);
        let reno = self.max_window * BETA + alpha * passed / rtt;
        let step = ((target - self.window) / self.window).max(if reno > self.window {
            alpha / self.window
        } else {
            0.0
        });
        self.window += step;
    }

    /// What was received between two times in ms, in bit/s.
    pub(crate) fn received_bps(&self, from: u64, until: u64) -> f64 {
        let within = |time: &Time| (at(from)..at(until)).contains(time);
        let bytes: u64 = self.received.iter().filter(|(time, _)| within(time)).map(|(_, bytes)| bytes).sum();
        bytes as f64 * 8_000.0 / (until - from) as f64
    }
}
