//! Receiving: packets of a slot become frames.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::ext::MediaExtensions;
use sluice_wire::payload_type::PayloadType;
use sluice_wire::reception::Reception;
use sluice_wire::rtp::RtpPacket;
use sluice_wire::srtp::OpenError;
use sluice_wire::ssrc::StreamRole;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

use super::{ClientSession, Event, MAX_DATAGRAM_BYTES, ReceivedFrame, SessionStats};
use crate::media::Codec;
use crate::media::depacketize::{AssembledFrame, Depacketizer, FrameEdges, MediaPacket};

/// How long a gap may stay open before what is behind it is used: longer than reordering takes on real networks.
const GAP_TIMEOUT: Duration = Duration::from_millis(100);
/// Key frame requests of one slot are this far apart.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Frames whose capture time is remembered until they are whole.
const MAX_OPEN_FRAMES: usize = 128;

/// What is known of a frame from its packets' headers.
#[derive(Clone, Copy, Debug)]
struct FrameHead {
    timestamp: u32,
    captured_at: Option<Time>,
    received_at: Time,
}

/// What the slot shows now.
#[derive(Debug)]
struct Source {
    slot: u16,
    track: TrackId,
    codec: Codec,
    depacketizer: Depacketizer,
    heads: VecDeque<FrameHead>,
    /// A picture is needed that depends on nothing.
    needs_key_frame: bool,
    /// The index that is missing, and since when.
    gap: Option<(u64, Time)>,
}

/// The receiving end of a slot.
#[derive(Debug)]
pub(super) struct SlotReceiver {
    slot: u16,
    pub(super) reception: Reception,
    source: Option<Source>,
    last_key_frame_request: Option<Time>,
    /// Broken frames of sources that the slot showed before.
    past_broken_frames: u64,
}

impl SlotReceiver {
    fn new(slot: u16) -> Self {
        Self {
            slot,
            reception: Reception::default(),
            source: None,
            last_key_frame_request: None,
            past_broken_frames: 0,
        }
    }

    /// Takes in a packet; frames that it completes go to `frames`.
    fn on_packet(
        &mut self,
        now: Time,
        index: u64,
        rtp: &RtpPacket<'_>,
        extensions: &MediaExtensions,
        frames: &mut Vec<ReceivedFrame>,
    ) -> Result<(), OpenError> {
        let codec = PayloadType::from_u8(rtp.payload_type())
            .and_then(Codec::from_payload_type)
            .ok_or(OpenError::Malformed)?;
        let track = rtp.csrcs().next().and_then(TrackId::from_bits).ok_or(OpenError::Malformed)?;
        self.reception.on_packet(index, rtp.timestamp(), now, codec.clock_rate_hz());
        if self.source.as_ref().is_none_or(|source| (source.track, source.codec) != (track, codec)) {
            self.past_broken_frames += self.source.as_ref().map_or(0, Source::broken_frames);
            self.source = Some(Source::new(self.slot, track, codec));
        }
        if let Some(source) = self.source.as_mut() {
            source.push(now, index, rtp, extensions, frames);
        }
        Ok(())
    }

    /// Gives up gaps that are open for too long.
    pub(super) fn on_tick(&mut self, now: Time, frames: &mut Vec<ReceivedFrame>) {
        if let Some(source) = self.source.as_mut() {
            source.give_up_old_gaps(now, frames);
        }
    }

    /// Whether to ask for a key frame now. A `true` counts as asked.
    pub(super) fn take_key_frame_request(&mut self, now: Time) -> bool {
        let needs = self.source.as_ref().is_some_and(|source| source.needs_key_frame);
        let may =
            self.last_key_frame_request.is_none_or(|last| now.saturating_since(last) >= KEY_FRAME_INTERVAL);
        if needs && may {
            self.last_key_frame_request = Some(now);
        }
        needs && may
    }

    pub(super) fn add_to(&self, stats: &mut SessionStats) {
        stats.rtp_lost += self.reception.missing();
        stats.frames_broken +=
            self.past_broken_frames + self.source.as_ref().map_or(0, Source::broken_frames);
    }
}

impl Source {
    fn new(slot: u16, track: TrackId, codec: Codec) -> Self {
        Self {
            slot,
            track,
            codec,
            depacketizer: Depacketizer::new(codec),
            heads: VecDeque::new(),
            needs_key_frame: codec.is_video(),
            gap: None,
        }
    }

    fn broken_frames(&self) -> u64 {
        self.depacketizer.stats().broken_frames
    }

    fn push(
        &mut self,
        now: Time,
        index: u64,
        rtp: &RtpPacket<'_>,
        extensions: &MediaExtensions,
        frames: &mut Vec<ReceivedFrame>,
    ) {
        self.note_head(now, rtp.timestamp(), extensions);
        let packet = MediaPacket {
            index,
            timestamp: rtp.timestamp(),
            marker: rtp.marker(),
            edges: extensions
                .frame_marking
                .map(|marking| FrameEdges { start: marking.start, end: marking.end }),
            payload: rtp.payload(),
        };
        let mut assembled = Vec::new();
        self.depacketizer.push(packet, &mut |frame| assembled.push(frame));
        self.deliver(assembled, frames);
        self.watch_gap(now);
    }

    fn note_head(&mut self, now: Time, timestamp: u32, extensions: &MediaExtensions) {
        if let Some(head) = self.heads.iter_mut().rev().find(|head| head.timestamp == timestamp) {
            head.received_at = now;
            return;
        }
        if self.heads.len() >= MAX_OPEN_FRAMES {
            self.heads.pop_front();
        }
        let captured_at = extensions.capture_time.and_then(|time| Time::from_ntp(time.0));
        self.heads.push_back(FrameHead { timestamp, captured_at, received_at: now });
    }

    fn watch_gap(&mut self, now: Time) {
        self.gap = match (self.depacketizer.missing_since(), self.gap) {
            (Some(missing), Some((known, since))) if missing == known => Some((known, since)),
            (Some(missing), _) => Some((missing, now)),
            (None, _) => None,
        };
    }

    fn give_up_old_gaps(&mut self, now: Time, frames: &mut Vec<ReceivedFrame>) {
        let mut assembled = Vec::new();
        while let Some((missing, since)) = self.gap
            && now.saturating_since(since) >= GAP_TIMEOUT
        {
            self.depacketizer.give_up_before(missing + 1, &mut |frame| assembled.push(frame));
            // What is missing now went missing no later than the gap before it ended.
            self.gap = self.depacketizer.missing_since().map(|next| (next, since));
        }
        self.deliver(assembled, frames);
    }

    fn deliver(&mut self, assembled: Vec<AssembledFrame>, frames: &mut Vec<ReceivedFrame>) {
        for frame in assembled {
            let position = self.heads.iter().position(|head| head.timestamp == frame.timestamp);
            let head = position.and_then(|position| self.heads.remove(position)).unwrap_or(FrameHead {
                timestamp: frame.timestamp,
                captured_at: None,
                received_at: Time::ZERO,
            });
            if self.codec.is_video() {
                self.needs_key_frame = !frame.key && (self.needs_key_frame || frame.follows_gap);
            }
            frames.push(ReceivedFrame {
                slot: self.slot,
                track: self.track,
                codec: self.codec,
                frame,
                is_decodable: !self.needs_key_frame,
                captured_at: head.captured_at,
                received_at: head.received_at,
            });
        }
    }
}

impl ClientSession {
    pub(super) fn handle_rtp(&mut self, now: Time, datagram: &[u8]) -> Result<(), OpenError> {
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        let opened = self.inbound.open_rtp(datagram, &mut plain)?;
        self.stats.rtp_received += 1;
        if opened.role != StreamRole::Media || opened.stream.0 == 0 {
            return Err(OpenError::Malformed);
        }
        let rtp = RtpPacket::parse(&plain[..opened.len]).map_err(|_| OpenError::Malformed)?;
        let extensions = MediaExtensions::read(&rtp);
        let slot = opened.stream.0 - 1;
        let mut frames = Vec::new();
        let receiver = self.receivers.entry(slot).or_insert_with(|| SlotReceiver::new(slot));
        let handled = receiver.on_packet(now, opened.index, &rtp, &extensions, &mut frames);
        self.deliver(frames);
        handled
    }

    /// Gives up old gaps of all slots.
    pub(super) fn tend_receivers(&mut self, now: Time) {
        let mut frames = Vec::new();
        for receiver in self.receivers.values_mut() {
            receiver.on_tick(now, &mut frames);
        }
        self.deliver(frames);
    }

    fn deliver(&mut self, frames: Vec<ReceivedFrame>) {
        for frame in frames {
            self.stats.frames_received += 1;
            self.emit(Event::Frame(Box::new(frame)));
        }
    }
}
