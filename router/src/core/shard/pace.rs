//! What waits for a receiver's pacer: it leaves in small bursts, as its path can take it.

use sluice_wire::ext::MediaExtensions;
use sluice_wire::payload_type::PayloadType;
use sluice_wire::rtp::RtpHeader;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;

use super::forward::{blocked, seal_media};
use super::{Drained, Shard};
use crate::core::batch::TransmitBatch;
use crate::core::counters::{Counters, DropReason};
use crate::core::downlink::Paced;
use crate::core::ids::SessionKey;
use crate::core::limits::{MAX_DATAGRAM_BYTES, PACER_INTERVAL, PACING_QUANTUM_PACKETS, PADDING_BYTES};
use crate::core::path::Target;
use crate::core::session::Session;

/// Room for what one receiver is sent at once, and its overdraft.
const MAX_BURST_BYTES: usize = 2 * PACING_QUANTUM_PACKETS * MAX_DATAGRAM_BYTES;
/// Room for a header with one extension.
const MAX_HEADER_BYTES: usize = 32;

impl Shard {
    /// Puts a session into the list of those for which something waits.
    pub(super) fn needs_pacing(&mut self, now: Time, key: SessionKey) {
        let Some(down) = self.sessions.get_mut(key).and_then(|session| session.down.as_deref_mut()) else {
            return;
        };
        if !std::mem::replace(&mut down.is_listed, true) {
            if self.pacing.is_empty() {
                self.next_pace = now + PACER_INTERVAL;
            }
            self.pacing.push_back(key);
        }
    }

    /// Sends what waits for pacers and may leave by now, as far as it fits.
    pub(super) fn flush_paced(&mut self, now: Time, batch: &mut TransmitBatch) -> Drained {
        if self.pacers_left == 0 && !self.pacing.is_empty() && self.next_pace <= now {
            self.pacers_left = self.pacing.len();
            self.next_pace = now + PACER_INTERVAL;
        }
        while self.pacers_left > 0 {
            if batch.remaining() < MAX_BURST_BYTES {
                return Drained::BatchFull;
            }
            self.pacers_left -= 1;
            let Some(key) = self.pacing.pop_front() else { break };
            if self.pace(now, key, batch) {
                self.pacing.push_back(key);
            }
        }
        Drained::Done
    }

    /// Sends what one receiver's credit covers; whether something still waits.
    fn pace(&mut self, now: Time, key: SessionKey, batch: &mut TransmitBatch) -> bool {
        let Some(down) = self.sessions.get_mut(key).and_then(|session| session.down.as_deref_mut()) else {
            return false;
        };
        down.refill(now);
        while let Some(paced) = self.next_paced(key) {
            if let Err(reason) = self.send_paced(now, key, &paced, batch) {
                self.counters.drop(reason);
            }
        }
        let Some(session) = self.sessions.get_mut(key) else { return false };
        while session.down.as_deref().is_some_and(|down| down.is_probing() && down.pacer.has_credit()) {
            if let Err(reason) = send_padding(now, session, batch, &mut self.counters) {
                self.counters.drop(reason);
                break;
            }
        }
        let Some(down) = session.down.as_deref_mut() else { return false };
        down.is_listed = down.has_paced();
        down.is_listed
    }

    fn next_paced(&mut self, key: SessionKey) -> Option<Paced> {
        self.sessions.get_mut(key)?.down.as_deref_mut()?.pacer.next()
    }

    fn send_paced(
        &mut self,
        now: Time,
        key: SessionKey,
        paced: &Paced,
        batch: &mut TransmitBatch,
    ) -> Result<(), DropReason> {
        let from = paced.from;
        let packet = self
            .tracks
            .get(from.track)
            .and_then(|track| track.encodings.get(usize::from(from.encoding)))
            .and_then(|encoding| self.history.find(from, &encoding.history, paced.uplink_index))
            .ok_or(DropReason::PacedTooLong)?;
        let session = self.sessions.get_mut(key).ok_or(DropReason::PacedTooLong)?;
        let (pool, counters) = (&self.pool, &mut self.counters);
        seal_media(now, packet, &paced.rewritten, paced.marker, paced.slot, session, pool, batch, counters)
    }
}

/// Sends a packet that says nothing but whether it arrived.
fn send_padding(
    now: Time,
    session: &mut Session,
    batch: &mut TransmitBatch,
    counters: &mut Counters,
) -> Result<(), DropReason> {
    let index = session.next_padding_index;
    let header = RtpHeader {
        marker: false,
        payload_type: PayloadType::Padding as u8,
        sequence_number: index as u16,
        timestamp: 0,
        ssrc: session.downlink.ssrc(StreamIndex(0), StreamRole::Rtx).ok_or(DropReason::NotContinuous)?,
        csrcs: &[],
        extensions: &MediaExtensions {
            transport_sequence: Some(session.next_transport_out),
            ..MediaExtensions::default()
        },
    };
    let mut header_bytes = [0; MAX_HEADER_BYTES];
    let header_len = header.write(&mut header_bytes).map_err(|_| DropReason::TooLarge)?;
    let payload = [0; PADDING_BYTES];
    let payload_len = PADDING_BYTES - header_len - session.outbound.rtp_overhead();
    let path = session.paths.charge(Target::Media, PADDING_BYTES).map_err(blocked)?;
    let len = session
        .outbound
        .seal_rtp(index, &header_bytes[..header_len], &payload[..payload_len], batch.spare())
        .map_err(|_| DropReason::NotContinuous)?;
    batch.commit(path, len);
    session.next_padding_index += 1;
    session.on_rtp_sent(now, len);
    counters.padding_out += 1;
    counters.bytes_out += len as u64;
    Ok(())
}
