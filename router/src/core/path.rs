//! Addresses of a session: validation and migration (spec section 5, after RFC 9000 sections 8 and 9).

use std::net::SocketAddr;

use sluice_wire::time::Time;

use super::limits::{AMPLIFICATION_FACTOR, CANDIDATE_INTERVAL, CHALLENGE_TIMEOUT, MAX_DATAGRAM_BYTES, TICK};

/// A pair of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The router's address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

#[derive(Clone, Copy, Debug)]
struct Challenge {
    data: [u8; 8],
    started: Time,
    sent: Option<Time>,
}

impl Challenge {
    fn is_due(&self, now: Time) -> bool {
        self.sent.is_none_or(|sent| now.saturating_since(sent) >= TICK)
    }
}

/// An address that is not validated yet.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    path: Path,
    challenge: Challenge,
    received_bytes: u64,
    sent_bytes: u64,
    move_asked: bool,
}

impl Candidate {
    const fn allowance(&self) -> u64 {
        (AMPLIFICATION_FACTOR * self.received_bytes).saturating_sub(self.sent_bytes)
    }
}

/// What an answer to a challenge brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathChange {
    None,
    /// The session's first address is validated.
    Validated,
    /// The session moved to another address.
    Migrated,
}

/// The addresses of one session: at most one validated, at most one candidate.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    active: Option<Path>,
    /// Challenge to the active path while there is a candidate.
    active_challenge: Option<Challenge>,
    candidate: Option<Candidate>,
    last_candidate_at: Option<Time>,
}

/// Which of a session's addresses a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Where media goes: the active path, or the candidate while there is no active one.
    Media,
    /// The address under validation beside an active one.
    Candidate,
}

impl Paths {
    /// Notes an authenticated datagram of `len` bytes. `newest` tells that nothing newer of the session came before.
    /// `challenge` draws 8 random bytes when they are needed.
    pub(crate) fn on_authenticated(
        &mut self,
        now: Time,
        path: Path,
        len: usize,
        newest: bool,
        mut challenge: impl FnMut() -> [u8; 8],
    ) {
        if self.active == Some(path) {
            return;
        }
        if let Some(candidate) = self.candidate.as_mut().filter(|candidate| candidate.path == path) {
            candidate.received_bytes += len as u64;
            return;
        }
        let too_soon =
            self.last_candidate_at.is_some_and(|last| now.saturating_since(last) < CANDIDATE_INTERVAL);
        if !newest || too_soon {
            return;
        }
        self.last_candidate_at = Some(now);
        self.candidate = Some(Candidate {
            path,
            challenge: Challenge { data: challenge(), started: now, sent: None },
            received_bytes: len as u64,
            sent_bytes: 0,
            move_asked: false,
        });
        self.active_challenge =
            self.active.map(|_| Challenge { data: challenge(), started: now, sent: None });
    }

    /// Notes an authenticated `move` from `path`.
    pub(crate) fn on_move(&mut self, path: Path) {
        if let Some(candidate) = self.candidate.as_mut().filter(|candidate| candidate.path == path) {
            candidate.move_asked = true;
        }
    }

    /// Notes an authenticated path response from `path`.
    pub(crate) fn on_response(&mut self, path: Path, data: [u8; 8]) -> PathChange {
        let active_answered = self.active == Some(path)
            && self.active_challenge.is_some_and(|challenge| challenge.data == data);
        if active_answered {
            self.active_challenge = None;
            // The candidate keeps a chance only if its owner asked for it.
            self.candidate = self.candidate.filter(|candidate| candidate.move_asked);
            return PathChange::None;
        }
        let Some(candidate) = self.candidate.filter(|candidate| candidate.path == path) else {
            return PathChange::None;
        };
        if candidate.challenge.data != data {
            return PathChange::None;
        }
        let change = if self.active.is_some() { PathChange::Migrated } else { PathChange::Validated };
        self.active = Some(path);
        self.active_challenge = None;
        self.candidate = None;
        change
    }

    /// Gives up what was not answered in time.
    pub(crate) fn on_tick(&mut self, now: Time) {
        let expired = |challenge: Challenge| now.saturating_since(challenge.started) >= CHALLENGE_TIMEOUT;
        if self.candidate.is_some_and(|candidate| expired(candidate.challenge)) {
            self.candidate = None;
            self.active_challenge = None;
        }
    }

    /// The challenge that is due on `target` now; it counts as sent.
    pub(crate) fn take_challenge(&mut self, now: Time, target: Target) -> Option<[u8; 8]> {
        let challenge = match (target, self.active) {
            (Target::Media, Some(_)) => self.active_challenge.as_mut()?,
            (Target::Media, None) | (Target::Candidate, _) => &mut self.candidate.as_mut()?.challenge,
        };
        if !challenge.is_due(now) {
            return None;
        }
        challenge.sent = Some(now);
        Some(challenge.data)
    }

    /// Whether a challenge waits to be sent on either path.
    pub(crate) fn challenge_due(&self, now: Time) -> bool {
        self.active_challenge.is_some_and(|challenge| challenge.is_due(now))
            || self.candidate.is_some_and(|candidate| candidate.challenge.is_due(now))
    }

    /// The path for `bytes` to `target`, charged to its budget. `Err` if there is no path, or the budget does not allow it.
    pub(crate) fn charge(&mut self, target: Target, bytes: usize) -> Result<Path, Blocked> {
        if let (Target::Media, Some(path)) = (target, self.active) {
            return Ok(path);
        }
        let candidate = self.candidate.as_mut().ok_or(Blocked::NoPath)?;
        if candidate.allowance() < bytes as u64 {
            return Err(Blocked::Budget);
        }
        candidate.sent_bytes += bytes as u64;
        Ok(candidate.path)
    }

    /// Bytes that may go to `target` now.
    pub(crate) fn allowance(&self, target: Target) -> usize {
        match (target, self.active, &self.candidate) {
            (Target::Media, Some(_), _) => MAX_DATAGRAM_BYTES,
            (_, _, Some(candidate)) => MAX_DATAGRAM_BYTES.min(candidate.allowance() as usize),
            (_, _, None) => 0,
        }
    }

    /// Why nothing may be sent, when nothing may.
    pub(crate) const fn why_blocked(&self) -> Blocked {
        if self.active.is_none() && self.candidate.is_none() { Blocked::NoPath } else { Blocked::Budget }
    }

    /// The target by which `path` is reached, if it is one of the session's.
    pub(crate) fn target_of(&self, path: Path) -> Option<Target> {
        if self.active == Some(path) {
            return Some(Target::Media);
        }
        let is_candidate = self.candidate.is_some_and(|candidate| candidate.path == path);
        is_candidate.then_some(if self.active.is_some() { Target::Candidate } else { Target::Media })
    }

    /// Whether an address beside the active one is under validation.
    pub(crate) const fn has_candidate_beside(&self) -> bool {
        self.active.is_some() && self.candidate.is_some()
    }

    /// The validated path.
    #[cfg(test)]
    pub(crate) const fn active(&self) -> Option<Path> {
        self.active
    }
}

/// Why a datagram may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    NoPath,
    Budget,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOME: u16 = 1_000;
    const AWAY: u16 = 2_000;

    fn path(port: u16) -> Path {
        Path { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], port).into() }
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn receive(paths: &mut Paths, millis: u64, port: u16, len: usize) {
        let mut next = port as u8;
        paths.on_authenticated(at(millis), path(port), len, true, || {
            next = next.wrapping_add(1);
            [next; 8]
        });
    }

    /// A session at `HOME`, validated, that was then heard from `AWAY`.
    fn moved_once() -> (Paths, [u8; 8], [u8; 8]) {
        let mut paths = Paths::default();
        receive(&mut paths, 0, HOME, 100);
        let challenge = paths.take_challenge(at(0), Target::Media).unwrap();
        assert_eq!(paths.on_response(path(HOME), challenge), PathChange::Validated);
        receive(&mut paths, 1_000, AWAY, 100);
        let home = paths.take_challenge(at(1_000), Target::Media).unwrap();
        let away = paths.take_challenge(at(1_000), Target::Candidate).unwrap();
        (paths, home, away)
    }

    #[test]
    fn before_validation_three_times_what_came_in_goes_out() {
        let mut paths = Paths::default();
        assert_eq!(paths.charge(Target::Media, 1), Err(Blocked::NoPath));
        receive(&mut paths, 0, HOME, 100);
        assert_eq!(paths.charge(Target::Media, 300), Ok(path(HOME)));
        assert_eq!(paths.charge(Target::Media, 1), Err(Blocked::Budget));
        receive(&mut paths, 1, HOME, 1);
        assert_eq!(paths.charge(Target::Media, 3), Ok(path(HOME)));
    }

    #[test]
    fn only_the_right_answer_from_the_right_address_validates() {
        let mut paths = Paths::default();
        receive(&mut paths, 0, HOME, 100);
        let challenge = paths.take_challenge(at(0), Target::Media).unwrap();
        assert_eq!(paths.on_response(path(HOME), [0xFF; 8]), PathChange::None);
        assert_eq!(paths.on_response(path(AWAY), challenge), PathChange::None);
        assert_eq!(paths.active(), None);
        assert_eq!(paths.on_response(path(HOME), challenge), PathChange::Validated);
        assert_eq!(paths.active(), Some(path(HOME)));
    }

    #[test]
    fn media_stays_until_the_new_address_answers() {
        let (mut paths, _, away) = moved_once();
        assert_eq!(paths.charge(Target::Media, 1_200), Ok(path(HOME)));
        assert_eq!(paths.on_response(path(AWAY), away), PathChange::Migrated);
        assert_eq!(paths.charge(Target::Media, 1_200), Ok(path(AWAY)));
    }

    #[test]
    fn the_old_address_wins_if_it_answers_first() {
        let (mut paths, home, away) = moved_once();
        assert_eq!(paths.on_response(path(HOME), home), PathChange::None);
        assert_eq!(paths.on_response(path(AWAY), away), PathChange::None);
        assert_eq!(paths.active(), Some(path(HOME)));
    }

    #[test]
    fn unless_the_client_asked_to_move() {
        let (mut paths, home, away) = moved_once();
        paths.on_move(path(AWAY));
        assert_eq!(paths.on_response(path(HOME), home), PathChange::None);
        assert_eq!(paths.on_response(path(AWAY), away), PathChange::Migrated);
    }

    #[test]
    fn old_packets_and_quick_changes_make_no_candidate() {
        let mut paths = Paths::default();
        receive(&mut paths, 0, HOME, 100);
        receive(&mut paths, 499, AWAY, 100);
        assert_eq!(paths.target_of(path(AWAY)), None);
        paths.on_authenticated(at(600), path(AWAY), 100, false, || [0; 8]);
        assert_eq!(paths.target_of(path(AWAY)), None);
        receive(&mut paths, 601, AWAY, 100);
        assert_eq!(paths.target_of(path(AWAY)), Some(Target::Media));
    }

    #[test]
    fn challenges_repeat_and_expire() {
        let (mut paths, _, _) = moved_once();
        assert_eq!(paths.take_challenge(at(1_099), Target::Candidate), None);
        assert!(paths.challenge_due(at(1_100)));
        assert!(paths.take_challenge(at(1_100), Target::Candidate).is_some());
        paths.on_tick(at(3_999));
        assert!(paths.has_candidate_beside());
        paths.on_tick(at(4_000));
        assert!(!paths.has_candidate_beside());
        assert_eq!(paths.active(), Some(path(HOME)));
    }
}
