//! A bulk transfer that behaves like TCP with CUBIC (RFC 9438) on a link of `sluice-netsim`.
//!
//! A model, not a stack: segments of one size, an acknowledgement for each, selective (a gap of three is a loss, RFC 6675), no
//! retransmissions of what is lost, since only the window matters to others. Slow start until the first loss, then CUBIC with fast
//! convergence and the Reno-friendly region; a time-out after a second without acknowledgements. Its packets take their share of
//! the link and go nowhere.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_netsim::link::{Fate, Link};
use sluice_wire::time::Time;

/// Bytes of a segment on the wire.
const SEGMENT_BYTES: usize = 1_500;
/// RFC 9438 section 4.1.2 and 4.6.
const C: f64 = 0.4;
const BETA: f64 = 0.7;
/// RFC 6928.
const INITIAL_WINDOW: f64 = 10.0;
const LEAST_WINDOW: f64 = 2.0;
/// Acknowledged segments behind a gap that make it a loss (RFC 6675 section 4).
const DUPLICATES: u64 = 3;
/// RFC 6298 section 2.4.
const TIMEOUT: Duration = Duration::from_secs(1);

/// One transfer.
#[derive(Debug)]
pub struct Cubic {
    /// Without any queue, both ways.
    rtt: Duration,
    /// What is still to be acknowledged, in bytes.
    left: u64,
    window: f64,
    threshold: f64,
    max_window: f64,
    epoch: Option<Time>,
    smoothed_rtt: Duration,
    next: u64,
    /// The first segment that is neither acknowledged nor lost.
    settled: u64,
    /// Acknowledged beyond that.
    beyond: BTreeSet<u64>,
    /// Losses before this segment are of the congestion that was answered.
    recover: u64,
    /// Acknowledgements on their way: when, of which segment, sent when. In order of time, as links keep the order.
    acks: BTreeSet<(Time, u64, Time)>,
    heard_at: Time,
    /// Bytes that arrived, acknowledged or not.
    received: u64,
}

impl Cubic {
    /// A transfer that begins at `now`, of so many bytes.
    #[must_use]
    pub fn new(now: Time, rtt: Duration, bytes: u64) -> Self {
        Self {
            rtt,
            left: bytes,
            window: INITIAL_WINDOW,
            threshold: f64::INFINITY,
            max_window: 0.0,
            epoch: None,
            smoothed_rtt: rtt,
            next: 0,
            settled: 0,
            beyond: BTreeSet::new(),
            recover: 0,
            acks: BTreeSet::new(),
            heard_at: now,
            received: 0,
        }
    }

    /// When [`Self::act`] has something to do.
    #[must_use]
    pub fn next_at(&self) -> Time {
        let timeout = self.heard_at + TIMEOUT;
        if self.in_flight() == 0 {
            return self.heard_at;
        }
        self.acks.first().map_or(timeout, |(at, ..)| (*at).min(timeout))
    }

    /// Hears what is due and sends what the window allows over `link`.
    pub fn act(&mut self, now: Time, link: &mut Link) {
        while let Some(ack) = self.acks.first().copied().filter(|(at, ..)| *at <= now) {
            self.acks.remove(&ack);
            self.acknowledged(ack.0, ack.1, ack.2);
        }
        if now.saturating_since(self.heard_at) >= TIMEOUT {
            self.time_out(now);
        }
        while (self.in_flight() as f64) < self.window.floor() && self.unsent() > 0 {
            if let Fate::Delivered(arrival) = link.send(now, SEGMENT_BYTES) {
                self.received += SEGMENT_BYTES as u64;
                self.acks.insert((arrival.at + self.rtt, self.next, now));
            }
            self.next += 1;
        }
    }

    /// Whether all of it has been acknowledged.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Bytes that got over the link so far.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    fn in_flight(&self) -> u64 {
        (self.next - self.settled).saturating_sub(self.beyond.len() as u64)
    }

    /// Segments that may still be sent. What is lost is sent again as another.
    const fn unsent(&self) -> u64 {
        let in_flight = (self.next - self.settled) * SEGMENT_BYTES as u64;
        self.left.saturating_sub(in_flight).div_ceil(SEGMENT_BYTES as u64)
    }

    fn acknowledged(&mut self, now: Time, segment: u64, sent_at: Time) {
        self.heard_at = now;
        self.smoothed_rtt = (self.smoothed_rtt * 7 + now.saturating_since(sent_at)) / 8;
        self.left = self.left.saturating_sub(SEGMENT_BYTES as u64);
        if segment < self.settled {
            return;
        }
        self.beyond.insert(segment);
        let mut is_loss = false;
        loop {
            if self.beyond.remove(&self.settled) {
                self.settled += 1;
            } else if self.beyond.range(self.settled..).count() as u64 >= DUPLICATES {
                is_loss |= self.settled >= self.recover;
                self.settled += 1;
            } else {
                break;
            }
        }
        if is_loss { self.reduce(now) } else { self.grow(now) }
    }

    fn reduce(&mut self, now: Time) {
        // Fast convergence, RFC 9438 section 4.7.
        let had = self.window;
        self.max_window = if had < self.max_window { had * (1.0 + BETA) / 2.0 } else { had };
        self.window = (had * BETA).max(LEAST_WINDOW);
        self.threshold = self.window;
        self.epoch = Some(now);
        self.recover = self.next;
    }

    fn grow(&mut self, now: Time) {
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let rtt = self.smoothed_rtt.as_secs_f64();
        let passed = now.saturating_since(*self.epoch.get_or_insert(now)).as_secs_f64();
        let k = (self.max_window * (1.0 - BETA) / C).cbrt();
        let target = (C * (passed + rtt - k).powi(3) + self.max_window).clamp(self.window, 1.5 * self.window);
        // Where Reno would have a larger window, its: RFC 9438 section 4.3.
        let alpha = 3.0 * (1.0 - BETA) / (1.0 + BETA);
        let reno = self.max_window * BETA + alpha * passed / rtt.max(0.001);
        let cubic_step = (target - self.window) / self.window;
        let reno_step = if reno > self.window { alpha / self.window } else { 0.0 };
        self.window += cubic_step.max(reno_step);
    }

    fn time_out(&mut self, now: Time) {
        self.threshold = (self.window * BETA).max(LEAST_WINDOW);
        self.window = LEAST_WINDOW;
        self.max_window = self.threshold;
        self.epoch = None;
        (self.settled, self.recover) = (self.next, self.next);
        self.beyond.clear();
        self.heard_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of transfers over one link within so many seconds; the first 5 s do not count.
    fn run(link: &str, rtts_ms: &[u64], seconds: u64) -> Vec<f64> {
        let mut link = Link::new(&link.parse().unwrap(), 1).unwrap();
        let begin = |rtt: &u64| Cubic::new(Time::ZERO, Duration::from_millis(*rtt), u64::MAX);
        let mut transfers: Vec<Cubic> = rtts_ms.iter().map(begin).collect();
        let mut at_five = vec![0; transfers.len()];
        loop {
            let now = transfers.iter().map(Cubic::next_at).min().unwrap();
            if now >= Time::ZERO + Duration::from_secs(seconds) {
                break;
            }
            if now < Time::ZERO + Duration::from_secs(5) {
                at_five = transfers.iter().map(Cubic::received).collect();
            }
            for transfer in transfers.iter_mut().filter(|transfer| transfer.next_at() <= now) {
                transfer.act(now, &mut link);
            }
        }
        let bits = |(transfer, before): (&Cubic, &u64)| (transfer.received() - before) as f64 * 8.0;
        transfers.iter().zip(&at_five).map(bits).map(|bits| bits / (seconds - 5) as f64).collect()
    }

    #[test]
    fn one_alone_fills_the_link() {
        let rates = run("rate=4mbit,queue=100ms,delay=10ms", &[40], 65);
        assert!(rates[0] > 3.7e6 && rates[0] <= 4.05e6, "{rates:?}");
    }

    #[test]
    fn two_alike_share_it() {
        let rates = run("rate=4mbit,queue=100ms,delay=10ms", &[40, 40], 125);
        let share = rates[0] / (rates[0] + rates[1]);
        assert!((0.35..0.65).contains(&share) && rates[0] + rates[1] > 3.7e6, "{rates:?}");
    }

    #[test]
    fn random_loss_slows_it_down() {
        let (clean, lossy) =
            (run("rate=20mbit,queue=100ms", &[100], 35), run("rate=20mbit,loss=2%", &[100], 35));
        assert!(lossy[0] < clean[0] / 4.0 && lossy[0] > 200_000.0, "{clean:?} {lossy:?}");
    }

    #[test]
    fn an_end_comes_when_all_has_arrived() {
        let mut link = Link::new(&"rate=1mbit,queue=50ms".parse().unwrap(), 1).unwrap();
        let mut transfer = Cubic::new(Time::ZERO, Duration::from_millis(20), 300_000);
        let mut now = Time::ZERO;
        while !transfer.is_done() {
            now = transfer.next_at();
            assert!(now < Time::ZERO + Duration::from_secs(10), "{transfer:?}");
            transfer.act(now, &mut link);
        }
        assert!(now >= Time::ZERO + Duration::from_millis(2_400));
    }
}
