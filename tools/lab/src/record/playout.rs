//! When audio packets would have been played, and which were missing then: a model of a receiver's adaptive delay.
//!
//! Every packet is played at its capture time plus a delay. The delay covers all but 1 of 200 of the packets that came in the last
//! five seconds, and 5 ms; it stays within 20 and 200 ms above the shortest transit among them. It grows at once when it has to,
//! and shrinks by a millisecond a packet, as stretching and squeezing of sound allows.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::time::Time;

/// Packets that the delay is made from: five seconds of 20 ms.
const WINDOW_PACKETS: usize = 250;
/// One of so many packets may be later than the delay.
const ONE_MAY_BE_LATE_OF: usize = 200;
const MARGIN: Duration = Duration::from_millis(5);
/// The delay's bounds above the shortest transit.
const LEAST: Duration = Duration::from_millis(20);
const MOST: Duration = Duration::from_millis(200);
/// How fast the delay shrinks, per packet.
const SHRINK: Duration = Duration::from_millis(1);
/// The delay is adapted once in so many packets.
const ADAPTED_EVERY: usize = 5;

/// For packets in order of capture, with the times of their arrival: whether each was missing when it was to be played.
pub(super) fn concealed(packets: &[(Time, Option<Time>)]) -> Vec<bool> {
    let mut arrivals: Vec<(Time, Duration)> = packets
        .iter()
        .filter_map(|(captured, received)| received.map(|at| (at, at.saturating_since(*captured))))
        .collect();
    arrivals.sort_by_key(|(at, _)| *at);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut window: VecDeque<Duration> = VecDeque::with_capacity(WINDOW_PACKETS);
    let mut delay: Option<Duration> = None;
    let mut is_concealed = Vec::with_capacity(packets.len());
    for (number, (captured, received)) in packets.iter().enumerate() {
        let played_at = |delay: Option<Duration>| delay.map(|delay| *captured + delay);
        let first = received.unwrap_or(*captured);
        while let Some((_, transit)) = arrivals.next_if(|(at, _)| *at <= played_at(delay).unwrap_or(first)) {
            if window.len() >= WINDOW_PACKETS {
                window.pop_front();
            }
            window.push_back(transit);
        }
        if delay.is_none() || number % ADAPTED_EVERY == 0 {
            delay = adapt(delay, &window);
        }
        is_concealed.push(played_at(delay).is_none_or(|played| received.is_none_or(|at| at > played)));
    }
    is_concealed
}

fn adapt(delay: Option<Duration>, window: &VecDeque<Duration>) -> Option<Duration> {
    let shortest = *window.iter().min()?;
    let may_be_late = window.len() / ONE_MAY_BE_LATE_OF;
    let mut longest: Vec<Duration> = window.iter().copied().collect();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    let covered = longest.get(may_be_late).copied().unwrap_or(shortest) + MARGIN;
    let target = covered.clamp(shortest + LEAST, shortest + MOST);
    Some(match delay {
        Some(before) if before > target => (before - SHRINK * ADAPTED_EVERY as u32).max(target),
        _ => target,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets 20 ms apart with these transits, in ms; `None` is lost.
    fn run(transits: impl Iterator<Item = Option<u64>>) -> usize {
        let at = |ms: u64| Time::from_nanos(ms * 1_000_000);
        let packets = (0..).zip(transits);
        let packets: Vec<(Time, Option<Time>)> = packets
            .map(|(number, transit)| (at(number * 20), transit.map(|transit| at(number * 20 + transit))))
            .collect();
        concealed(&packets).into_iter().filter(|concealed| *concealed).count()
    }

    #[test]
    fn what_comes_evenly_is_played_and_what_is_lost_is_not() {
        assert_eq!(run((0..500).map(|_| Some(30))), 0);
        assert_eq!(run((0..500).map(|number| (number % 10 != 5).then_some(30))), 50);
    }

    #[test]
    fn jitter_within_20_ms_is_covered_from_the_start() {
        assert_eq!(run((0..500).map(|number| Some(30 + number % 5 * 4))), 0);
    }

    #[test]
    fn repairs_come_in_time_once_the_delay_has_grown() {
        // One of 20 comes 70 ms late. Few of the first are too late, and then none.
        let late = run((0..1_000).map(|number| Some(if number % 20 == 7 { 100 } else { 30 })));
        assert!((1..=3).contains(&late), "{late}");
        // More than 200 ms late is too late for ever.
        assert_eq!(run((0..1_000).map(|number| Some(if number % 20 == 7 { 300 } else { 30 }))), 50);
    }

    #[test]
    fn the_delay_shrinks_again() {
        let transits = (0..600).map(|number| Some(if (100..110).contains(&number) { 150 } else { 30 }));
        let then_one_late = transits.chain([Some(120)]).chain((0..100).map(|_| Some(30)));
        assert!(run(then_one_late) >= 2, "the delay is short again when the straggler comes");
    }
}
