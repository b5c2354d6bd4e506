//! From a datagram to an authenticated packet of a session.

use sluice_wire::classify::{Class, classify};
use sluice_wire::srtp::OpenError;
use sluice_wire::time::Time;

use super::{DatagramMeta, Shard, draw_challenge};
use crate::core::counters::DropReason;
use crate::core::ids::SessionKey;
use crate::core::limits::MAX_DATAGRAM_BYTES;
use crate::core::session::Phase;

impl Shard {
    /// Takes in a datagram. Unauthenticated ones change nothing but a counter.
    pub fn handle_datagram(&mut self, now: Time, meta: DatagramMeta, datagram: &[u8]) {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        if let Err(reason) = self.dispatch(now, meta, datagram) {
            self.counters.drop(reason);
        }
    }

    fn dispatch(&mut self, now: Time, meta: DatagramMeta, datagram: &[u8]) -> Result<(), DropReason> {
        if datagram.len() > MAX_DATAGRAM_BYTES {
            return Err(DropReason::Oversize);
        }
        match classify(datagram) {
            Class::Rtp { ssrc } => {
                let key = self.find_session(ssrc)?;
                self.handle_rtp(now, key, meta, datagram)
            }
            Class::Rtcp { ssrc } => {
                let key = self.find_session(ssrc)?;
                self.handle_rtcp(now, key, meta, datagram)
            }
            Class::Runt => Err(DropReason::Runt),
            Class::Other => Err(DropReason::UnknownClass),
        }
    }

    fn find_session(&self, ssrc: u32) -> Result<SessionKey, DropReason> {
        if !self.ssrcs.is_of_this_shard(ssrc) {
            return Err(DropReason::WrongShard);
        }
        self.ssrcs.find(ssrc).ok_or(DropReason::UnknownSsrc)
    }

    /// Notes that a datagram of `key` authenticated: the session lives, and its address may be new.
    pub(super) fn on_authenticated(
        &mut self,
        now: Time,
        key: SessionKey,
        meta: DatagramMeta,
        len: usize,
        newest: bool,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.last_heard = now;
        if session.phase == Phase::Unclaimed {
            session.phase = Phase::Live;
        }
        let rng = &mut self.rng;
        session.paths.on_authenticated(now, meta.path(), len, newest, || draw_challenge(rng));
        if session.paths.challenge_due(now) {
            self.has_something_to_say(key);
        }
    }
}

/// The drop reason of a packet that did not open.
pub(super) const fn drop_reason(error: OpenError) -> DropReason {
    match error {
        OpenError::Malformed | OpenError::BufferTooSmall => DropReason::Malformed,
        OpenError::UnknownSsrc => DropReason::UnknownSsrc,
        OpenError::Replayed => DropReason::Replayed,
        OpenError::TooOld => DropReason::TooOld,
        OpenError::AuthenticationFailed => DropReason::AuthenticationFailed,
        OpenError::ExtensionInClear => DropReason::ExtensionInClear,
        OpenError::NotEncrypted => DropReason::NotEncrypted,
    }
}
