//! What is lost on the way from publishers: it is asked for again, once for all receivers.

use slotmap::SlotMap;
use sluice_wire::repair::{DEFAULT_RTT, MAX_NACKED_PACKETS, Patience};
use sluice_wire::rtcp::CompoundWriter;
use sluice_wire::rtp::BufferTooSmall;
use sluice_wire::ssrc::StreamIndex;
use sluice_wire::time::Time;
use std::time::Duration;

use super::Shard;
use crate::core::counters::Counters;
use crate::core::ids::{EncodingRef, TrackKey};
use crate::core::limits::{AUDIO_REPAIR_TIME, LOSS_INTERVAL, VIDEO_REPAIR_TIME};
use crate::core::session::Session;
use crate::core::track::{Encoding, Track};

/// The longest NACK: two words of header and SSRCs each, and a word per packet where no two are near each other.
const MAX_NACK_BYTES: usize = 12 + 4 * MAX_NACKED_PACKETS;

impl Shard {
    /// Watches an encoding of which something is missing.
    pub(super) fn watch_losses(&mut self, of: EncodingRef, until: Time) {
        self.next_loss = self.next_loss.min(until);
        if let Some(encoding) = self.encoding_mut(of)
            && !std::mem::replace(&mut encoding.is_lossy, true)
        {
            self.lossy.push(of);
        }
    }

    /// Has publishers told what is due to be asked for.
    pub(super) fn tend_losses(&mut self, now: Time) {
        if now < self.next_loss {
            return;
        }
        let mut next = Time::MAX;
        let mut position = 0;
        while let Some(of) = self.lossy.get(position).copied() {
            match self.tend_losses_of(now, of) {
                Some(at) => {
                    next = next.min(at);
                    position += 1;
                }
                None => drop(self.lossy.swap_remove(position)),
            }
        }
        // When what is due now is due again will be known once it was asked for.
        self.next_loss = if next < Time::MAX { next.max(now + LOSS_INTERVAL) } else { next };
    }

    /// Looks at one encoding; gives when something of it is due. `None` if nothing is missing any more.
    fn tend_losses_of(&mut self, now: Time, of: EncodingRef) -> Option<Time> {
        let owner = self.tracks.get(of.track)?.owner;
        let encoding = self.encoding_mut(of)?;
        let stream = encoding.published.stream;
        let due = encoding.losses.poll_timeout();
        encoding.is_lossy = due.is_some();
        if due.is_some_and(|due| due <= now)
            && let Some(session) = self.sessions.get_mut(owner)
        {
            session.duties.nack_streams |= 1 << stream.0;
            self.has_something_to_say(owner);
        }
        due
    }
}

/// Takes in a packet that came by itself; gives when something is due to be asked for.
pub(super) fn note_arrival(encoding: &mut Encoding, index: u64, now: Time) -> Option<Time> {
    if encoding.subscribers.is_empty() {
        encoding.losses.pass_over(index);
    } else {
        encoding.losses.on_packet(index, now);
    }
    encoding.losses.poll_timeout()
}

/// Writes what a session's publisher is to send again.
pub(super) fn ask_again(
    now: Time,
    session: &mut Session,
    tracks: &mut SlotMap<TrackKey, Track>,
    counters: &mut Counters,
    compound: &mut CompoundWriter<'_>,
) -> Result<(), BufferTooSmall> {
    let control = session.downlink.control();
    let rtt = session.rtt.unwrap_or(DEFAULT_RTT);
    while session.duties.nack_streams != 0 {
        if compound.remaining() < MAX_NACK_BYTES {
            return Err(BufferTooSmall);
        }
        let stream = StreamIndex(session.duties.nack_streams.trailing_zeros() as u16);
        session.duties.nack_streams &= session.duties.nack_streams - 1;
        let carries = session.streams.get(usize::from(stream.0)).copied().flatten();
        let Some(track) = carries.and_then(|of| tracks.get_mut(of.track)) else { continue };
        let is_audio = track.kind.is_audio();
        let Some(encoding) = carries.and_then(|of| track.encodings.get_mut(usize::from(of.encoding))) else {
            continue;
        };
        let useful_for = if is_audio { AUDIO_REPAIR_TIME } else { VIDEO_REPAIR_TIME };
        let patience = Patience { useful_for, fec_grace: Duration::ZERO };
        let mut lost = [0; MAX_NACKED_PACKETS];
        let due = encoding.losses.due(now, rtt, patience, &mut lost);
        let lost = &lost[..due.asked];
        if !lost.is_empty() {
            compound.nack(control, encoding.ssrc, lost)?;
            counters.nacks_out += 1;
            counters.packets_asked_out += lost.len() as u64;
        }
        counters.packets_given_up += due.given_up as u64;
        if due.skip_to_key_frame {
            counters.losses_skipped += 1;
            // It is asked for at the next tick, as by a receiver.
            if !is_audio {
                encoding.key_frames.want();
            }
        }
    }
    Ok(())
}
