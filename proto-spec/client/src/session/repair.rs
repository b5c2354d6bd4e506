//! Repair: the router is asked for what is missing on slots, and gets again what it missed (spec 10).

use std::time::Duration;

use sluice_wire::payload_type::PayloadType;
use sluice_wire::repair::{DEFAULT_RTT, MAX_NACKED_PACKETS, Patience, rtx};
use sluice_wire::rtcp::Nack;
use sluice_wire::rtp::{RtpHeader, RtpPacket};
use sluice_wire::srtp::OpenError;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use super::{ClientSession, MAX_DATAGRAM_BYTES, Phase};
use crate::media::Codec;

/// The least time that video waits for what is missing: a key frame does not come sooner.
const MIN_VIDEO_PATIENCE: Duration = Duration::from_millis(200);
/// The most: a picture that stands for longer is a freeze, and a key frame ends it sooner.
const MAX_VIDEO_PATIENCE: Duration = Duration::from_millis(600);
/// Between these it waits for four attempts, in which the router may have to ask as well.
const VIDEO_PATIENCE_SLACK: Duration = Duration::from_millis(100);
/// Sound waits for two attempts.
const AUDIO_PATIENCE_SLACK: Duration = Duration::from_millis(40);
/// But no longer: what comes later would be heard as a delay of everything.
const MAX_AUDIO_PATIENCE: Duration = Duration::from_millis(150);
/// Bytes of NACKs in one datagram, so that they fit beside the compound's first packet.
const MAX_NACK_BYTES: usize = 1_000;
/// Bytes of a NACK without numbers, and of a PLI.
const FEEDBACK_BYTES: usize = 12;

/// How long a slot waits for what is missing.
pub(super) fn patience(codec: Codec, rtt: Duration) -> Patience {
    let useful_for = if codec.is_video() {
        (rtt * 4 + VIDEO_PATIENCE_SLACK).clamp(MIN_VIDEO_PATIENCE, MAX_VIDEO_PATIENCE)
    } else {
        (rtt * 9 / 4 + AUDIO_PATIENCE_SLACK).min(MAX_AUDIO_PATIENCE)
    };
    Patience { useful_for, fec_grace: Duration::ZERO }
}

/// What a slot asks for.
struct Request {
    ssrc: u32,
    lost: [u16; MAX_NACKED_PACKETS],
    count: usize,
    key_frame: bool,
}

impl Request {
    /// The most that it takes.
    const fn len(&self) -> usize {
        FEEDBACK_BYTES + 4 * self.count + if self.key_frame { FEEDBACK_BYTES } else { 0 }
    }
}

impl ClientSession {
    fn repair_rtt(&self) -> Duration {
        self.rtt.unwrap_or(DEFAULT_RTT)
    }

    /// Asks for what is due to be asked for, and gives up what does not come.
    pub(super) fn tend_repair(&mut self, now: Time) {
        if now < self.next_repair {
            return;
        }
        self.next_repair = Time::MAX;
        let rtt = self.repair_rtt();
        let mut requests = Vec::new();
        let mut frames = Vec::new();
        for (slot, receiver) in &mut self.receivers {
            if receiver.repair_at().is_some_and(|at| at <= now)
                && let Some(ssrc) = self.downlink.ssrc(StreamIndex(slot + 1), StreamRole::Media)
            {
                let mut lost = [0; MAX_NACKED_PACKETS];
                let due = receiver.repair(now, rtt, &mut lost, &mut frames);
                let key_frame =
                    (due.given_up > 0 || due.skip_to_key_frame) && receiver.take_key_frame_request(now);
                self.stats.packets_nacked += due.asked as u64;
                self.stats.rtp_given_up += due.given_up as u64;
                self.stats.key_frame_requests_sent += u64::from(key_frame);
                if due.asked > 0 || key_frame {
                    requests.push(Request { ssrc, lost, count: due.asked, key_frame });
                }
            }
            self.next_repair = self.next_repair.min(receiver.repair_at().unwrap_or(Time::MAX));
        }
        self.deliver(frames);
        self.send_requests(now, &requests);
    }

    fn send_requests(&mut self, now: Time, mut requests: &[Request]) {
        let remote = self.remote;
        while !requests.is_empty() {
            let mut len = 0;
            let fitting = requests.iter().take_while(|request| {
                len += request.len();
                len <= MAX_NACK_BYTES
            });
            let (these, rest) = requests.split_at(fitting.count());
            self.send_compound(now, remote, |compound, control| {
                these.iter().try_for_each(|request| {
                    compound.nack(control, request.ssrc, &request.lost[..request.count])?;
                    if request.key_frame { compound.pli(control, request.ssrc) } else { Ok(()) }
                })
            });
            self.stats.nacks_sent += these.iter().filter(|request| request.count > 0).count() as u64;
            requests = rest;
        }
    }

    /// Takes in an RTX packet in clear.
    pub(super) fn handle_rtx(&mut self, now: Time, slot: u16, packet: &mut [u8]) -> Result<(), OpenError> {
        let ssrc =
            self.downlink.ssrc(StreamIndex(slot + 1), StreamRole::Media).ok_or(OpenError::Malformed)?;
        let rtp = RtpPacket::parse(packet).map_err(|_| OpenError::Malformed)?;
        let track = rtp.csrcs().next().and_then(TrackId::from_bits).ok_or(OpenError::Malformed)?;
        let shown = self.shown(slot).filter(|shown| shown.track == Some(track));
        let of_shown = shown.and_then(|shown| PayloadType::from_u8(shown.payload_type));
        let Some(receiver) = self.receivers.get_mut(&slot) else {
            self.stats.rtx_useless += 1;
            return Ok(());
        };
        let of_source = receiver.codec_of(track).map(Codec::payload_type);
        let payload_type = of_source.or(of_shown).ok_or(OpenError::Malformed)?;
        let original = rtx::restore(packet, ssrc, payload_type as u8).ok_or(OpenError::Malformed)?;
        let rtp = RtpPacket::parse(original).map_err(|_| OpenError::Malformed)?;
        let mut frames = Vec::new();
        let taken = receiver.on_recovered(now, &rtp, &mut frames)?;
        if taken.is_some() {
            self.stats.rtp_recovered += 1;
        } else {
            self.stats.rtx_useless += 1;
        }
        self.note_repair(slot);
        self.announce_source(slot, taken.flatten());
        self.deliver(frames);
        Ok(())
    }

    /// Something may be due on a slot earlier than on all others.
    pub(super) fn note_repair(&mut self, slot: u16) {
        if let Some(at) = self.receivers.get(&slot).and_then(|receiver| receiver.repair_at()) {
            self.next_repair = self.next_repair.min(at);
        }
    }

    /// Sends again what the router misses of a stream.
    pub(super) fn handle_nack(&mut self, now: Time, nack: Nack<'_>) {
        let Some((stream, StreamRole::Media)) = self.uplink.locate(nack.media_ssrc) else { return };
        if self.phase != Phase::Open {
            return;
        }
        self.stats.nacks_received += 1;
        self.resends.earn(self.stats.bytes_sent as u32);
        for sequence_number in nack.lost() {
            if self.send_again(now, stream, sequence_number).is_none() {
                self.stats.resends_refused += 1;
            }
        }
    }

    /// Sends a packet again; `None` if it is not kept, or was sent often enough.
    fn send_again(&mut self, now: Time, stream: StreamIndex, sequence_number: u16) -> Option<()> {
        let rtt = self.repair_rtt();
        let ssrc = self.uplink.ssrc(stream, StreamRole::Rtx)?;
        let sending = self.streams.get_mut(usize::from(stream.0))?;
        let index = sending.index_near(sequence_number)?;
        let packet = sending.sent.find(index, now)?;
        self.resends.admit(now, rtt, stream.0, index, packet.payload.len()).ok()?;
        let rtx_index = sending.next_rtx;
        let mut extensions = packet.extensions;
        extensions.transport_sequence = Some(self.next_transport);
        let header = RtpHeader {
            marker: packet.marker,
            payload_type: PayloadType::Rtx as u8,
            sequence_number: rtx_index as u16,
            timestamp: packet.timestamp,
            ssrc,
            csrcs: &[],
            extensions: &extensions,
        };
        let (mut header_bytes, mut payload) = ([0; MAX_DATAGRAM_BYTES], [0; MAX_DATAGRAM_BYTES]);
        let header_len = header.write(&mut header_bytes).ok()?;
        let payload_len = rtx::write(sequence_number, &packet.payload, &mut payload).ok()?;
        let reserved = header_len + payload_len + self.outbound.rtp_overhead();
        let space = self.out.reserve(reserved)?;
        let (header, payload) = (&header_bytes[..header_len], &payload[..payload_len]);
        let sealed = self.outbound.seal_rtp(rtx_index, header, payload, space).unwrap_or(0);
        self.out.commit(self.remote, reserved, sealed);
        sending.next_rtx += 1;
        self.on_rtp_sent(now, sealed);
        self.liveness.on_sent(now);
        self.stats.rtx_sent += 1;
        Some(())
    }
}
