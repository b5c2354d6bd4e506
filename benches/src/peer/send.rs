//! Media out: header, seal, nothing else.

use sluice_router::core::TransmitBatch;
use sluice_wire::ext::{AudioLevel, CaptureTime, FrameMarking, MediaExtensions};
use sluice_wire::payload_type::PayloadType;
use sluice_wire::rtcp::SenderInfo;
use sluice_wire::rtp::RtpHeader;
use sluice_wire::time::Time;

use super::Peer;

/// Bytes of the header of every media packet of a publisher: fixed part and extension block (spec 3.2).
pub const HEADER_BYTES: usize = 32;
/// The largest payload of a publisher's datagram of 1,136 bytes (spec 3.3) under a tag of 16.
pub const MAX_PAYLOAD_BYTES: usize = 1_136 - HEADER_BYTES - 16;
/// First indices stay below 2^15 (spec 2.4).
const FIRST_INDEX_MASK: u32 = 0x3FFF;

/// What every packet carries, as far as it is long: no zeros, and no period that a misplaced copy would hide behind.
pub(super) static PAYLOAD: [u8; MAX_PAYLOAD_BYTES] = pattern();

const fn pattern() -> [u8; MAX_PAYLOAD_BYTES] {
    let mut bytes = [0; MAX_PAYLOAD_BYTES];
    let (mut state, mut at) = (0x9E37_79B9_u32, 0);
    while at < bytes.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[at] = (state >> 24) as u8;
        at += 1;
    }
    bytes
}

/// A video frame: equal packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameShape {
    /// Packets.
    pub packets: usize,
    /// Payload bytes of each, at most [`MAX_PAYLOAD_BYTES`].
    pub payload_bytes: usize,
    /// A receiver may start here.
    pub is_key: bool,
}

/// A stream that is sent.
#[derive(Debug)]
pub(super) struct Uplink {
    ssrc: u32,
    payload_type: PayloadType,
    next_index: u64,
    packets: u32,
    octets: u32,
    /// When a packet was sent last.
    pub(super) last_sent: Option<Time>,
}

impl Uplink {
    pub(super) fn new(ssrc: u32, payload_type: PayloadType, seed: u32) -> Self {
        let next_index = u64::from(seed & FIRST_INDEX_MASK);
        Self { ssrc, payload_type, next_index, packets: 0, octets: 0, last_sent: None }
    }

    pub(super) fn report(&self, now: Time) -> (u32, SenderInfo) {
        let info = SenderInfo {
            ntp: now.to_ntp(),
            rtp_timestamp: now.to_rtp(self.payload_type.clock_rate_hz()),
            packet_count: self.packets,
            octet_count: self.octets,
        };
        (self.ssrc, info)
    }
}

#[derive(Clone, Copy)]
enum Source {
    Camera,
    Microphone,
}

impl Peer {
    /// Seals a video frame that is captured and sent `now`. What does not fit the batch is not sent.
    pub fn send_frame(&mut self, now: Time, frame: FrameShape, batch: &mut TransmitBatch) {
        for number in 0..frame.packets {
            let extensions = MediaExtensions {
                frame_marking: Some(FrameMarking {
                    start: number == 0,
                    end: number + 1 == frame.packets,
                    independent: frame.is_key,
                    ..FrameMarking::default()
                }),
                ..MediaExtensions::default()
            };
            let is_last = number + 1 == frame.packets;
            self.send(now, Source::Camera, is_last, extensions, frame.payload_bytes, batch);
        }
    }

    /// Seals an audio packet that is captured and sent `now`.
    pub fn send_voice(&mut self, now: Time, payload_bytes: usize, batch: &mut TransmitBatch) {
        let extensions = MediaExtensions {
            audio_level: Some(AudioLevel { voice: true, level: 30 }),
            ..MediaExtensions::default()
        };
        self.send(now, Source::Microphone, false, extensions, payload_bytes, batch);
    }

    fn send(
        &mut self,
        now: Time,
        source: Source,
        marker: bool,
        extensions: MediaExtensions,
        payload_bytes: usize,
        batch: &mut TransmitBatch,
    ) {
        let stream = match source {
            Source::Camera => &mut self.camera,
            Source::Microphone => &mut self.microphone,
        };
        let header = RtpHeader {
            marker,
            payload_type: stream.payload_type as u8,
            sequence_number: stream.next_index as u16,
            timestamp: now.to_rtp(stream.payload_type.clock_rate_hz()),
            ssrc: stream.ssrc,
            csrcs: &[],
            extensions: &MediaExtensions {
                transport_sequence: Some(self.next_transport),
                capture_time: Some(CaptureTime(now.to_ntp())),
                ..extensions
            },
        };
        let mut bytes = [0; HEADER_BYTES];
        let payload = &PAYLOAD[..payload_bytes.min(MAX_PAYLOAD_BYTES)];
        let sealed = header.write(&mut bytes).ok().and_then(|len| {
            self.outbound.seal_rtp(stream.next_index, &bytes[..len], payload, batch.spare()).ok()
        });
        let Some(len) = sealed else { return };
        stream.next_index += 1;
        stream.packets = stream.packets.wrapping_add(1);
        stream.octets = stream.octets.wrapping_add(payload.len() as u32);
        stream.last_sent = Some(now);
        self.next_transport = self.next_transport.wrapping_add(1);
        batch.commit(self.path, len);
        self.note_sent(now);
    }
}
