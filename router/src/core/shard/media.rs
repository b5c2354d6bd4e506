//! Media in: a packet is opened into the pool, accounted for, and waits on its encoding for the flush.

use sluice_wire::descriptor::{Descriptors, vp8};
use sluice_wire::ext::{FrameMarking, MediaExtensions, id};
use sluice_wire::payload_type::PayloadType;
use sluice_wire::repair::rtx;
use sluice_wire::rtp::RtpPacket;
use sluice_wire::srtp::OpenedRtp;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;
use sluice_wire::track::TrackKind;

use super::datagram::drop_reason;
use super::losses::note_arrival;
use super::{DatagramMeta, Shard};
use crate::core::counters::DropReason;
use crate::core::header::HeaderTemplate;
use crate::core::ids::{EncodingRef, SessionKey};
use crate::core::limits::MAX_PENDING_PACKETS;
use crate::core::pool::PoolSlot;
use crate::core::rewrite::{Incoming, PictureNumbers};
use crate::core::track::{Packet, PayloadRange};

/// What an audio packet is: a frame by itself, which needs no other.
const WHOLE_FRAME: FrameMarking = FrameMarking {
    start: true,
    end: true,
    independent: true,
    discardable: true,
    base_sync: false,
    temporal_id: 0,
    layer_id: 0,
    tl0_pic_idx: 0,
};

impl Shard {
    pub(super) fn handle_rtp(
        &mut self,
        now: Time,
        key: SessionKey,
        meta: DatagramMeta,
        datagram: &[u8],
    ) -> Result<(), DropReason> {
        let slot = self.take_slot(datagram.len()).ok_or(DropReason::PoolFull)?;
        match self.open_and_judge(now, key, meta, datagram, &slot) {
            Ok(Some((encoding, packet))) => self.hold_until_flush(encoding, &packet, slot),
            Ok(None) => {
                self.pool.give_back(slot);
                Ok(())
            }
            Err(reason) => {
                self.pool.give_back(slot);
                Err(reason)
            }
        }
    }

    /// A place for a packet, if need be that of the oldest that was forwarded.
    fn take_slot(&mut self, len: usize) -> Option<PoolSlot> {
        loop {
            let slot = self.pool.take(len);
            if slot.is_some() || !self.history.forget_oldest(&mut self.pool) {
                return slot;
            }
        }
    }

    /// Opens a packet; `None` if it was padding.
    fn open_and_judge(
        &mut self,
        now: Time,
        key: SessionKey,
        meta: DatagramMeta,
        datagram: &[u8],
        slot: &PoolSlot,
    ) -> Result<Option<(EncodingRef, Judged)>, DropReason> {
        let session = self.sessions.get_mut(key).ok_or(DropReason::UnknownSsrc)?;
        if session.is_closing() {
            return Err(DropReason::Closing);
        }
        let plain = self.pool.bytes_mut(slot);
        let opened = session.inbound.open_rtp(datagram, plain).map_err(drop_reason)?;
        self.counters.rtp_in += 1;
        let rtp = RtpPacket::parse(&plain[..opened.len]);
        let extensions = rtp.as_ref().map(MediaExtensions::read).unwrap_or_default();
        let newest =
            extensions.transport_sequence.is_some_and(|sequence| session.note_transport_sequence(sequence));
        let is_padding = opened.role == StreamRole::Rtx && opened.stream == StreamIndex::CONTROL;
        let target = match opened.role {
            StreamRole::Media | StreamRole::Rtx => session
                .streams
                .get(usize::from(opened.stream.0))
                .copied()
                .flatten()
                .ok_or(DropReason::UndeclaredStream),
            StreamRole::Fec => Err(DropReason::UnsupportedRole),
        };
        let judged =
            rtp.map_err(|_| DropReason::Malformed).map(|rtp| Judged::new(&rtp, opened, meta, extensions));
        self.on_authenticated(now, key, meta, datagram.len(), newest);
        if let Some(sequence) = extensions.transport_sequence {
            self.note_arrival(key, meta, sequence);
        }
        if is_padding {
            return Ok(None);
        }
        let (target, mut judged) = (target?, judged?);
        self.account(target, &mut judged, slot)?;
        Ok(Some((target, judged)))
    }

    /// Checks the packet against its track and takes it into the encoding's statistics.
    fn account(
        &mut self,
        target: EncodingRef,
        packet: &mut Judged,
        slot: &PoolSlot,
    ) -> Result<(), DropReason> {
        let track = self.tracks.get_mut(target.track).ok_or(DropReason::UndeclaredStream)?;
        let is_rtx = packet.role == StreamRole::Rtx;
        let expected = if is_rtx { PayloadType::Rtx } else { track.payload_type };
        if packet.payload_type != expected as u8 {
            return Err(DropReason::WrongPayloadType);
        }
        let (payload_type, rate_hz) = (track.payload_type, track.payload_type.clock_rate_hz());
        let is_video = !track.kind.is_audio();
        let encoding =
            track.encodings.get_mut(usize::from(target.encoding)).ok_or(DropReason::UndeclaredStream)?;
        if is_rtx {
            packet.restore(track.payload_type, encoding.losses.highest(), self.pool.bytes(slot))?;
            if !encoding.losses.on_recovered(packet.index, packet.arrival) {
                return Err(DropReason::UselessResend);
            }
            self.counters.rtx_in += 1;
        }
        if is_video {
            let marking =
                packet.marking_of_video(payload_type, &mut encoding.descriptors, self.pool.bytes(slot));
            packet.marking = marking.ok_or(DropReason::MissingFrameMarking)?;
        }
        let due = if is_rtx {
            encoding.losses.poll_timeout()
        } else {
            self.counters.rtp_lost_in +=
                encoding.stats.on_packet(packet.index, packet.timestamp, packet.arrival, rate_hz);
            note_arrival(encoding, packet.index, packet.arrival)
        };
        encoding.last_sign = packet.arrival;
        encoding.rates.on_packet(packet.marking, usize::from(packet.payload.len), packet.arrival);
        if is_video && packet.marking.start && packet.marking.independent {
            encoding.key_frames.on_key_frame();
        }
        let is_full = encoding.pending.len() >= MAX_PENDING_PACKETS;
        if let Some(due) = due {
            self.watch_losses(target, due);
        }
        if is_full { Err(DropReason::PoolFull) } else { Ok(()) }
    }

    /// Keeps the packet for the next flush, if anybody wants it.
    fn hold_until_flush(
        &mut self,
        target: EncodingRef,
        packet: &Judged,
        slot: PoolSlot,
    ) -> Result<(), DropReason> {
        let wanted = self.tracks.get_mut(target.track).and_then(|track| {
            if let Some(level) = packet.extensions.audio_level.filter(|_| track.kind == TrackKind::Microphone)
            {
                track.level.note(level, packet.arrival);
            }
            // A muted microphone may go on for the sake of its level.
            if track.muted && track.kind.is_audio() {
                return None;
            }
            let encoding = track.encodings.get_mut(usize::from(target.encoding))?;
            (!encoding.subscribers.is_empty()).then_some((track.id, encoding))
        });
        let Some((track, encoding)) = wanted else {
            self.pool.give_back(slot);
            return Ok(());
        };
        let Some(header) = HeaderTemplate::new(packet.marker, packet.payload_type, track, &packet.extensions)
        else {
            self.pool.give_back(slot);
            return Err(DropReason::TooLarge);
        };
        if encoding.pending.is_empty() {
            self.dirty.push_back((packet.arrival, target));
        }
        encoding.pending.push(Packet {
            slot,
            payload: packet.payload,
            header,
            incoming: packet.incoming(),
            marking: packet.marking,
            vp8: packet.vp8,
        });
        self.is_full |= encoding.pending.len() >= MAX_PENDING_PACKETS / 2;
        Ok(())
    }
}

/// An opened packet, judged, but not yet tied to its pool slot.
struct Judged {
    role: StreamRole,
    payload: PayloadRange,
    payload_type: u8,
    index: u64,
    timestamp: u32,
    arrival: Time,
    marker: bool,
    marking: FrameMarking,
    extensions: MediaExtensions,
    /// AV1's dependency descriptor, of a packet without frame marking.
    dependency: Option<PayloadRange>,
    vp8: Option<vp8::Descriptor>,
}

impl Judged {
    fn new(rtp: &RtpPacket<'_>, opened: OpenedRtp, meta: DatagramMeta, extensions: MediaExtensions) -> Self {
        Self {
            role: opened.role,
            payload: PayloadRange { start: rtp.header_len() as u16, len: rtp.payload().len() as u16 },
            payload_type: rtp.payload_type(),
            index: opened.index,
            timestamp: rtp.timestamp(),
            arrival: meta.received_at,
            marker: rtp.marker(),
            marking: WHOLE_FRAME,
            extensions,
            dependency: extensions.frame_marking.is_none().then(|| dependency_of(rtp)).flatten(),
            vp8: None,
        }
    }

    /// Makes an RTX packet the original that it carries, given the highest index of the stream so far.
    fn restore(
        &mut self,
        payload_type: PayloadType,
        highest: Option<u64>,
        plain: &[u8],
    ) -> Result<(), DropReason> {
        let (sequence_number, _) = rtx::split(self.payload.of(plain)).ok_or(DropReason::UselessResend)?;
        let highest = highest.ok_or(DropReason::UselessResend)?;
        self.index = rtx::index_near(highest, sequence_number).ok_or(DropReason::UselessResend)?;
        self.payload.start += rtx::OSN_BYTES as u16;
        self.payload.len -= rtx::OSN_BYTES as u16;
        self.payload_type = payload_type as u8;
        Ok(())
    }

    /// Where a packet of video stands, by its frame marking or else by what its payload says.
    fn marking_of_video(
        &mut self,
        payload_type: PayloadType,
        descriptors: &mut Descriptors,
        plain: &[u8],
    ) -> Option<FrameMarking> {
        if payload_type == PayloadType::Vp8 {
            self.vp8 = vp8::Descriptor::parse(self.payload.of(plain));
        }
        self.extensions.frame_marking.or_else(|| match self.dependency {
            Some(dependency) => descriptors.marking_of_dependency(dependency.of(plain)),
            None => descriptors.marking(payload_type, self.payload.of(plain), self.marker),
        })
    }

    fn incoming(&self) -> Incoming {
        Incoming {
            index: self.index,
            timestamp: self.timestamp,
            arrival: self.arrival,
            capture: self.extensions.capture_time,
            start: self.marking.start,
            end: self.marking.end,
            tl0_pic_idx: self.marking.tl0_pic_idx,
            vp8: self.vp8.and_then(picture_numbers),
        }
    }
}

/// Where a packet's AV1 dependency descriptor is.
fn dependency_of(rtp: &RtpPacket<'_>) -> Option<PayloadRange> {
    let found = rtp.extensions().find(|extension| extension.id == id::DEPENDENCY_DESCRIPTOR)?;
    let start = found.data.as_ptr().addr().checked_sub(rtp.payload().as_ptr().addr() - rtp.header_len())?;
    Some(PayloadRange { start: start as u16, len: found.data.len() as u16 })
}

/// The running numbers of a VP8 payload; `None` if it has none.
fn picture_numbers(descriptor: vp8::Descriptor) -> Option<PictureNumbers> {
    let (picture_id, tl0_pic_idx) = (descriptor.picture_id, descriptor.tl0_pic_idx);
    (picture_id.is_some() || tl0_pic_idx.is_some()).then(|| PictureNumbers {
        picture_id: picture_id.map_or(0, |id| id.value),
        tl0_pic_idx: tl0_pic_idx.map_or(0, |index| index.value),
    })
}
