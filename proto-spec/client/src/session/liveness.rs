//! Signs of life in both directions (spec 5.4), and the wish to move (spec 5.3).

use std::time::Duration;

use sluice_wire::time::Time;

/// How often the session looks after itself.
const TICK: Duration = Duration::from_millis(50);
/// A session that sent nothing for this long gives a sign of life at its next tick, so that no gap exceeds 200 ms.
const KEEPALIVE_AFTER: Duration = Duration::from_millis(150);
/// Silence after which the path is suspect.
const SUSPECT_AFTER: Duration = Duration::from_millis(500);
/// Silence after which the session is over.
const DEAD_AFTER: Duration = Duration::from_secs(10);
/// Pings on a suspect path, and moves, are this far apart.
const URGENT_INTERVAL: Duration = Duration::from_millis(100);
/// The round-trip time by pings is sampled this often even when other datagrams flow.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// What a tick found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Fine,
    BecameSuspect,
    Dead,
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// One that the router answers.
    Ping,
    /// An empty receiver report: the router is heard anyway, and a thousand listeners' pongs would cost it more than their media.
    Report,
}

#[derive(Debug)]
pub(super) struct Liveness {
    next_tick: Time,
    last_heard: Time,
    last_sent: Option<Time>,
    last_ping: Option<Time>,
    last_move: Option<Time>,
    pub(super) is_connected: bool,
    is_suspect: bool,
    wants_move: bool,
}

impl Liveness {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            next_tick: now,
            last_heard: now,
            last_sent: None,
            last_ping: None,
            last_move: None,
            is_connected: false,
            is_suspect: false,
            wants_move: false,
        }
    }

    pub(super) const fn next_tick(&self) -> Time {
        self.next_tick
    }

    pub(super) const fn on_sent(&mut self, now: Time) {
        self.last_sent = Some(now);
    }

    /// Notes an authenticated datagram; `true` if the path was suspect.
    pub(super) const fn on_heard(&mut self, now: Time) -> bool {
        self.last_heard = now;
        self.wants_move = false;
        std::mem::replace(&mut self.is_suspect, false)
    }

    pub(super) const fn ask_to_move(&mut self) {
        self.wants_move = true;
        self.last_move = None;
        self.next_tick = Time::ZERO;
    }

    /// Whether a tick is due; if so the next is set.
    pub(super) fn tick(&mut self, now: Time) -> bool {
        let is_due = self.next_tick <= now;
        if is_due {
            self.next_tick = now + TICK;
        }
        is_due
    }

    pub(super) fn find(&mut self, now: Time) -> Finding {
        let silence = now.saturating_since(self.last_heard);
        if silence >= DEAD_AFTER {
            return Finding::Dead;
        }
        if silence >= SUSPECT_AFTER && !std::mem::replace(&mut self.is_suspect, true) {
            return Finding::BecameSuspect;
        }
        Finding::Fine
    }

    /// The sign of life that is due; it counts as sent.
    pub(super) fn take_sign(&mut self, now: Time) -> Option<Sign> {
        let since = |last: Option<Time>| last.map_or(Duration::MAX, |last| now.saturating_since(last));
        let (since_ping, since_sent) = (since(self.last_ping), since(self.last_sent));
        let urgent = self.is_suspect || !self.is_connected;
        if since_ping >= PING_INTERVAL || (urgent && since_ping >= URGENT_INTERVAL) {
            self.last_ping = Some(now);
            return Some(Sign::Ping);
        }
        (since_sent >= KEEPALIVE_AFTER).then_some(Sign::Report)
    }

    /// Whether a move is due; if so it counts as sent.
    pub(super) fn take_move(&mut self, now: Time) -> bool {
        let since = self.last_move.map_or(Duration::MAX, |last| now.saturating_since(last));
        let is_due = self.wants_move && since >= URGENT_INTERVAL;
        if is_due {
            self.last_move = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_silent_sender_gives_a_sign_within_200_ms_and_pings_once_a_second() {
        let mut liveness = Liveness::new(at(0));
        liveness.is_connected = true;
        let (mut last, mut pings) = (0, 0);
        for millis in 0..3_000 {
            liveness.on_heard(at(millis));
            if !liveness.tick(at(millis)) {
                continue;
            }
            if let Some(sign) = liveness.take_sign(at(millis)) {
                assert!(millis - last <= 200, "{last} {millis}");
                last = millis;
                pings += u32::from(sign == Sign::Ping);
                liveness.on_sent(at(millis));
            }
        }
        assert!(last > 2_700);
        assert_eq!(pings, 3);
    }

    #[test]
    fn a_router_that_is_silent_is_pinged_every_100_ms() {
        let mut liveness = Liveness::new(at(0));
        liveness.is_connected = true;
        assert_eq!(liveness.find(at(500)), Finding::BecameSuspect);
        let signs = (500..1_000).filter(|millis| liveness.take_sign(at(*millis)) == Some(Sign::Ping));
        assert_eq!(signs.collect::<Vec<_>>(), [500, 600, 700, 800, 900]);
    }

    #[test]
    fn silence_is_suspect_once_and_then_deadly() {
        let mut liveness = Liveness::new(at(0));
        assert_eq!(liveness.find(at(499)), Finding::Fine);
        assert_eq!(liveness.find(at(500)), Finding::BecameSuspect);
        assert_eq!(liveness.find(at(600)), Finding::Fine);
        assert!(liveness.on_heard(at(700)));
        assert_eq!(liveness.find(at(10_699)), Finding::BecameSuspect);
        assert_eq!(liveness.find(at(10_700)), Finding::Dead);
    }

    #[test]
    fn a_move_is_repeated_until_something_comes() {
        let mut liveness = Liveness::new(at(0));
        liveness.ask_to_move();
        assert!(liveness.take_move(at(0)));
        assert!(!liveness.take_move(at(99)));
        assert!(liveness.take_move(at(100)));
        liveness.on_heard(at(150));
        assert!(!liveness.take_move(at(300)));
    }
}
