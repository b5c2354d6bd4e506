//! Which packets of a stream are missing, and when to ask for them.

use std::time::Duration;

use super::DEFAULT_RTT;
use crate::time::Time;

/// A packet is missing once so many came behind it, as in RFC 5681 section 3.2.
pub const REORDER_PACKETS: u64 = 3;
/// Or after so long: frames are short, and the next may be far off.
pub const REORDER_TIME: Duration = Duration::from_millis(10);
/// The most that observed reordering raises [`REORDER_PACKETS`] to: a large frame's burst over two paths.
pub const MAX_REORDER_PACKETS: u64 = 32;
/// The most that observed reordering raises [`REORDER_TIME`] to: link-layer retransmission of radio networks.
pub const MAX_REORDER_TIME: Duration = Duration::from_millis(40);
/// Reordering is expected for so long after it was seen.
const REORDER_MEMORY: Duration = Duration::from_secs(10);
/// A packet is not asked for again within this, however short the round trip: who sends it may send once per frame or tick.
pub const MIN_RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// A packet is asked for at most so often: it is sent three times at most, and half of the requests may be lost.
pub const MAX_REQUESTS: u8 = 6;
/// A gap of more packets is not repaired but skipped: a key frame of 1080p has about 60, and brings more.
pub const MAX_GAP_PACKETS: u64 = 64;
/// Packets that may be missing at once; with more, the stream is skipped. Half a second of 20 % loss at 5 Mbit/s is 50.
pub const MAX_MISSING_PACKETS: usize = 128;

/// Before the first packet, no index is next.
const NOT_BEGUN: u64 = u64::MAX;

/// For how long repair is worth waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A packet that was missed for so long is of no use any more.
    pub useful_for: Duration,
    /// A packet that is missing alone is not asked for before this: it may come by FEC. Zero without FEC.
    pub fec_grace: Duration,
}

/// What a packet is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next one.
    Next,
    /// Ahead of it: so many are missing between, and are watched from now on.
    Ahead(u64),
    /// So far ahead that everything before it is given up. [`LossDetector::due`] says so once.
    Jumped,
    /// One that was missing.
    Late,
    /// One that came before, or was given up.
    Known,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// So many numbers were written, to be asked for.
    pub asked: usize,
    /// So many packets were given up.
    pub given_up: usize,
    /// The stream jumped: nothing before the newest packet will come, and only a key frame helps. Said once a jump.
    pub skip_to_key_frame: bool,
}

/// A packet that has not come.
#[derive(Clone, Copy, Debug)]
struct Missing {
    index: u64,
    /// The packet that showed it missing.
    shown_by: u64,
    shown_at: Time,
    /// Meaningless before the first request.
    asked_at: Time,
    requests: u8,
    /// Its neighbours came.
    is_alone: bool,
}

/// How much later than its successors a packet may come without being lost.
#[derive(Clone, Copy, Debug)]
struct Tolerance {
    packets: u64,
    time: Duration,
    /// When more than the least was seen last.
    seen_at: Time,
}

impl Tolerance {
    const LEAST: Self = Self { packets: REORDER_PACKETS, time: REORDER_TIME, seen_at: Time::ZERO };
}

/// Watches the packet indices of one stream.
///
/// A packet in order costs two comparisons. State is made with the first loss and holds [`MAX_MISSING_PACKETS`] at most.
#[derive(Debug)]
pub struct LossDetector {
    /// The index behind the highest that came.
    next: u64,
    /// When the packet of this index comes, one that is missing has had its share of packets behind it.
    watch: u64,
    /// When [`Self::due`] has something to do.
    next_at: Time,
    /// In order of index.
    missing: Vec<Missing>,
    tolerance: Tolerance,
    /// As the caller said last.
    rtt: Duration,
    has_jumped: bool,
}

impl Default for LossDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl LossDetector {
    /// A detector of a stream of which nothing came.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: NOT_BEGUN,
            watch: u64::MAX,
            next_at: Time::MAX,
            missing: Vec::new(),
            tolerance: Tolerance::LEAST,
            rtt: DEFAULT_RTT,
            has_jumped: false,
        }
    }

    /// Takes in a packet of the stream that came by itself.
    pub fn on_packet(&mut self, index: u64, now: Time) -> Arrival {
        if index != self.next {
            return self.on_out_of_order(index, now);
        }
        self.move_to(index, now);
        Arrival::Next
    }

    /// Takes in a packet that came by repair. Whether it was missing: one that was not is of no use.
    ///
    /// A packet that is newer than all that came by themselves counts as if it had.
    pub fn on_recovered(&mut self, index: u64, now: Time) -> bool {
        if self.next == NOT_BEGUN {
            return false;
        }
        if index >= self.next {
            let is_near = index - self.next <= MAX_GAP_PACKETS;
            return is_near && self.on_packet(index, now) != Arrival::Jumped;
        }
        self.take(index).is_some()
    }

    /// Begins anew behind `index`: nothing before is missed. For a stream that nobody wanted until then.
    pub fn pass_over(&mut self, index: u64) {
        self.next = if self.next == NOT_BEGUN { index + 1 } else { self.next.max(index + 1) };
        self.forget();
    }

    /// Misses nothing any more of what has not come so far.
    pub fn forget(&mut self) {
        if self.next_at == Time::MAX {
            return;
        }
        self.missing.clear();
        self.watch = u64::MAX;
        self.next_at = Time::MAX;
        self.has_jumped = false;
    }

    /// When [`Self::due`] has something to do; `None` while nothing is missing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        (self.next_at < Time::MAX).then_some(self.next_at)
    }

    /// The highest index that came.
    #[must_use]
    pub const fn highest(&self) -> Option<u64> {
        if self.next == NOT_BEGUN { None } else { Some(self.next - 1) }
    }

    /// Whether a packet may still come: it is missing and not given up, or ahead of all that came.
    #[must_use]
    pub fn waits_for(&self, index: u64) -> bool {
        index >= self.next || self.missing.binary_search_by_key(&index, |missing| missing.index).is_ok()
    }

    /// Packets that are missing and not given up.
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.missing.len()
    }

    /// Says what to ask for now: writes sequence numbers to `lost`, as many as it holds, which count as asked for. If it holds
    /// fewer than are due, [`Self::poll_timeout`] is over at once. `rtt` is the round trip to who can send them again.
    pub fn due(&mut self, now: Time, rtt: Duration, patience: Patience, lost: &mut [u16]) -> Due {
        self.rtt = rtt;
        let mut due = Due { skip_to_key_frame: std::mem::take(&mut self.has_jumped), ..Due::default() };
        if now < self.next_at {
            return due;
        }
        let (next, tolerance) = (self.next, self.tolerance);
        let (mut next_at, mut watch) = (Time::MAX, u64::MAX);
        self.missing.retain_mut(|missing| {
            let plan = missing.plan(now, next, rtt, patience, tolerance);
            match plan {
                Plan::GiveUp => {
                    due.given_up += 1;
                    return false;
                }
                Plan::Ask if due.asked < lost.len() => {
                    lost[due.asked] = missing.index as u16;
                    due.asked += 1;
                    missing.requests += 1;
                    missing.asked_at = now;
                    if let Plan::Wait(until) = missing.plan(now, next, rtt, patience, tolerance) {
                        next_at = next_at.min(until);
                    }
                }
                Plan::Ask => next_at = now,
                Plan::Wait(until) => {
                    next_at = next_at.min(until);
                    if missing.requests == 0 && !(missing.is_alone && patience.fec_grace > Duration::ZERO) {
                        watch = watch.min(missing.shown_by + tolerance.packets - 1);
                    }
                }
            }
            true
        });
        (self.next_at, self.watch) = (next_at, watch);
        due
    }

    /// The highest index is `index` from now on.
    fn move_to(&mut self, index: u64, now: Time) {
        self.next = index + 1;
        if index >= self.watch {
            self.watch = u64::MAX;
            self.next_at = self.next_at.min(now);
        }
    }

    #[cold]
    fn on_out_of_order(&mut self, index: u64, now: Time) -> Arrival {
        if self.next == NOT_BEGUN {
            self.next = index + 1;
            return Arrival::Next;
        }
        if index < self.next {
            return match self.take(index) {
                Some(missing) => {
                    self.note_reordering(&missing, now);
                    Arrival::Late
                }
                None => Arrival::Known,
            };
        }
        let gap = index - self.next;
        if gap > MAX_GAP_PACKETS || self.missing.len() + gap as usize > MAX_MISSING_PACKETS {
            self.pass_over(index);
            self.has_jumped = true;
            self.next_at = now;
            return Arrival::Jumped;
        }
        self.miss(self.next..index, now);
        self.move_to(index, now);
        Arrival::Ahead(gap)
    }

    fn miss(&mut self, indices: std::ops::Range<u64>, now: Time) {
        if self.missing.capacity() == 0 {
            self.missing.reserve_exact(MAX_MISSING_PACKETS);
        }
        if now.saturating_since(self.tolerance.seen_at) > REORDER_MEMORY {
            self.tolerance = Tolerance::LEAST;
        }
        let (shown_by, is_alone) = (indices.end, indices.end - indices.start == 1);
        self.missing.extend(indices.map(|index| Missing {
            index,
            shown_by,
            shown_at: now,
            asked_at: now,
            requests: 0,
            is_alone,
        }));
        self.next_at = self.next_at.min(now + self.tolerance.time);
        self.watch = self.watch.min(shown_by + self.tolerance.packets - 1);
    }

    /// Takes a packet off those that are missing.
    fn take(&mut self, index: u64) -> Option<Missing> {
        let position = self.missing.binary_search_by_key(&index, |missing| missing.index).ok()?;
        let missing = self.missing.remove(position);
        if self.missing.is_empty() && !self.has_jumped {
            (self.next_at, self.watch) = (Time::MAX, u64::MAX);
        }
        Some(missing)
    }

    /// A packet came by itself after it was missed. One that is half a round trip late may have been sent again further up, which
    /// says nothing of the way here: to wait for it would only delay requests for what was lost on this one.
    fn note_reordering(&mut self, missing: &Missing, now: Time) {
        let lateness = now.saturating_since(missing.shown_at);
        if lateness >= self.rtt / 2 {
            return;
        }
        let behind = (self.next - missing.shown_by + 1).min(MAX_REORDER_PACKETS);
        let time = (lateness * 5 / 4).min(MAX_REORDER_TIME);
        self.tolerance.packets = self.tolerance.packets.max(behind);
        self.tolerance.time = self.tolerance.time.max(time);
        self.tolerance.seen_at = now;
    }
}

/// What to do about a packet that is missing.
enum Plan {
    Ask,
    Wait(Time),
    GiveUp,
}

impl Missing {
    fn plan(&self, now: Time, next: u64, rtt: Duration, patience: Patience, tolerance: Tolerance) -> Plan {
        let deadline = self.shown_at + patience.useful_for;
        let ask_at = self.ask_at(next, rtt, patience, tolerance);
        // What would come after the deadline is not asked for; what was asked for before may still come.
        let is_worth_it = ask_at.max(now) + rtt <= deadline;
        match (self.requests < MAX_REQUESTS, is_worth_it) {
            _ if deadline <= now => Plan::GiveUp,
            (true, true) if ask_at <= now => Plan::Ask,
            (true, true) => Plan::Wait(ask_at),
            (true, false) => Plan::Wait(deadline),
            (false, _) if ask_at <= now => Plan::GiveUp,
            (false, _) => Plan::Wait(ask_at.min(deadline)),
        }
    }

    /// When to ask, or to ask again.
    fn ask_at(&self, next: u64, rtt: Duration, patience: Patience, tolerance: Tolerance) -> Time {
        if self.requests > 0 {
            // A quarter more than the round trip: the answer may have had to wait for its turn.
            return self.asked_at + (rtt * 5 / 4).max(MIN_RETRY_INTERVAL);
        }
        if self.is_alone && patience.fec_grace > Duration::ZERO {
            return self.shown_at + tolerance.time.max(patience.fec_grace);
        }
        let is_overtaken = next - self.shown_by >= tolerance.packets;
        if is_overtaken { self.shown_at } else { self.shown_at + tolerance.time }
    }
}

#[cfg(test)]
mod tests;
