use super::*;

const PACKET: u64 = 1_250;

/// A path that loses the share `inherent`, and what is beyond `capacity`; every 50 ms there is feedback.
struct Path {
    bound: LossBound,
    now: Time,
    owed_lost: f64,
    owed_packets: f64,
}

impl Path {
    fn new() -> Self {
        Self { bound: LossBound::default(), now: Time::ZERO, owed_lost: 0.0, owed_packets: 0.0 }
    }

    /// Sends as much as the bound allows for so many seconds; gives the bound in the end.
    fn run(
        &mut self,
        seconds: u32,
        delay_based_bps: f64,
        inherent: f64,
        capacity: f64,
        queue_ms: u64,
    ) -> f64 {
        let mut rate = self.bound.bound_bps.unwrap_or(delay_based_bps).min(delay_based_bps);
        for _ in 0..seconds * 20 {
            self.now += Duration::from_millis(50);
            let loss = inherent + (1.0 - inherent) * excess(rate, capacity);
            self.owed_packets += rate * 0.05 / (PACKET as f64 * 8.0);
            while self.owed_packets >= 1.0 {
                self.owed_packets -= 1.0;
                self.owed_lost += loss;
                if self.owed_lost >= 1.0 {
                    self.owed_lost -= 1.0;
                    self.bound.on_lost(PACKET);
                } else {
                    self.bound.on_received(PACKET, false);
                }
            }
            let acknowledged_bps = Some(rate * (1.0 - loss));
            let queue_delay = Duration::from_millis(queue_ms);
            let input = LossInput { delay_based_bps, acknowledged_bps, queue_delay };
            rate = self.bound.update(self.now, &input);
        }
        rate
    }
}

#[test]
fn without_loss_there_is_no_bound() {
    assert_eq!(Path::new().run(5, 3e6, 0.0, 1e9, 0), 3e6);
}

#[test]
fn random_loss_starves_nobody() {
    for loss in [0.01, 0.02, 0.05, 0.10] {
        let rate = Path::new().run(30, 3e6, loss, 1e9, 0);
        assert_eq!(rate, 3e6, "{loss}");
    }
}

#[test]
fn heavy_loss_lowers_the_rate() {
    let rate = Path::new().run(30, 3e6, 0.3, 1e9, 0);
    assert!(rate < 1.5e6, "{rate}");
    assert!(rate > 1e5, "{rate}");
}

#[test]
fn a_queue_that_overflows_bounds_the_rate_by_its_capacity() {
    let rate = Path::new().run(10, 3e6, 0.0, 1.5e6, 100);
    assert!((1.2e6..1.7e6).contains(&rate), "{rate}");
    // Random loss besides changes little.
    let rate = Path::new().run(10, 3e6, 0.02, 1.5e6, 100);
    assert!((1.1e6..1.7e6).contains(&rate), "{rate}");
}

#[test]
fn the_bound_goes_with_its_reason() {
    let mut path = Path::new();
    assert!(path.run(10, 3e6, 0.0, 1e6, 100) < 1.2e6);
    assert_eq!(path.run(15, 3e6, 0.0, 1e9, 0), 3e6);
}

#[test]
fn a_packet_that_came_late_was_not_lost() {
    let mut bound = LossBound::default();
    let input = LossInput { delay_based_bps: 1e6, acknowledged_bps: None, queue_delay: Duration::ZERO };
    bound.update(Time::ZERO, &input);
    bound.on_lost(PACKET);
    bound.on_received(PACKET, true);
    bound.on_received(PACKET, false);
    let now = Time::ZERO + OBSERVATION;
    bound.update(now, &input);
    assert_eq!(bound.loss(), 0.0);
}
