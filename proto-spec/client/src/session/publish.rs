//! Publishing: tracks are declared, frames become packets.

use std::time::Duration;

use sluice_wire::control::{
    Demand, Encodings, MAX_ENCODINGS, MAX_TRACKS, PublishedEncoding, PublishedTrack, published_fitting,
};
use sluice_wire::ext::{AudioLevel, CaptureTime, FrameMarking, MediaExtensions};
use sluice_wire::rtp::RtpHeader;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;
use sluice_wire::track::{TrackKind, TrackNumber};

use super::gate::Gate;
use super::sent::SentPacket;
use super::{ClientSession, MAX_DATAGRAM_BYTES, Phase};
use crate::media::Codec;
use crate::media::packetize::{FrameLayer, PacketizeError, Packetizer};

/// What a publisher stays below the largest datagram, so that it still fits after what is added on the way (spec 3.3).
const HEADROOM_BYTES: usize = 64;
/// Room for a header with every media extension.
const MAX_HEADER_BYTES: usize = 64;
/// Fixed header and extension block of a publisher's packet (spec 3.2).
const HEADER_BYTES: usize = 32;
/// How often a muted microphone says how loud it is: often enough to notice a word.
const MUTED_LEVEL_INTERVAL: Duration = Duration::from_millis(100);
/// What is left of the first byte of an Opus packet when it says "one frame" (RFC 6716 section 3.1). A packet of such a byte alone
/// holds a frame of no bytes: silence.
const ONE_FRAME_MASK: u8 = 0xFC;

/// One RTP stream of a track to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingConfig {
    /// Width in pixels; 0 of audio.
    pub width: u16,
    /// Height in pixels; 0 of audio.
    pub height: u16,
    /// Frames per second; 0 of audio.
    pub fps: u8,
    /// Temporal layers, 1 to 4.
    pub temporal_layers: u8,
    /// The most that it sends, in bits per second.
    pub max_bitrate_bps: u32,
}

/// A track to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackConfig {
    /// Its number within the participant.
    pub number: TrackNumber,
    /// What it shows or sounds.
    pub kind: TrackKind,
    /// The codec of all encodings.
    pub codec: Codec,
    /// One encoding for sound, 1 to 4 for pictures, in order of growing height.
    pub encodings: Vec<EncodingConfig>,
}

/// Why a track cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The track's number is taken; unpublish it first.
    #[error("track {} is published already", .0.0)]
    NumberTaken(TrackNumber),
    /// There are as many tracks as may be, or no stream is left.
    #[error("the session has no room for another track")]
    TooMany,
    /// The codec is not of the track's kind, or the encodings are too few, too many, or not in order.
    #[error("the track's codec or encodings do not fit its kind")]
    Invalid,
}

/// Why a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No such track or encoding is published.
    #[error("no such track or encoding is published")]
    NotPublished,
    /// The track is muted. Of a microphone, the level of the frame may have been sent, without its sound.
    #[error("the track is muted")]
    Muted,
    /// Nobody wants the encoding or the temporal layer, or it was stopped for that reason and goes on with a later frame.
    #[error("nobody wants the frame now")]
    NotWanted,
    /// The session is over.
    #[error("the session is over")]
    Closed,
    /// The frame cannot be split into packets.
    #[error(transparent)]
    Packetize(#[from] PacketizeError),
    /// Too much waits to be polled, or the keys are used up.
    #[error("the frame could not be queued")]
    Queue,
}

/// A frame to send.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingFrame<'a> {
    /// A VP8 frame, an H.264 access unit with start codes, or an Opus packet.
    pub data: &'a [u8],
    /// Whether decoding can start here.
    pub key: bool,
    /// Its temporal layer.
    pub layer: FrameLayer,
    /// RFC 6464 level of audio, in -dBov.
    pub audio_level: Option<u8>,
    /// When it was captured, on this end's clock.
    pub captured_at: Time,
}

/// A published encoding at work.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) stream: StreamIndex,
    pub(super) gate: Gate,
    /// What the router last said of it.
    pub(super) demand: Option<Demand>,
    packetizer: Packetizer,
}

impl Publication {
    /// Whether anybody wants it, as far as the router has said.
    pub(super) fn is_wanted(&self) -> bool {
        self.demand.is_none_or(|demand| demand.temporal_layers > 0)
    }
}

/// A published track at work.
#[derive(Debug)]
pub(super) struct UplinkTrack {
    pub(super) declared: PublishedTrack,
    codec: Codec,
    pub(super) encodings: Vec<Publication>,
    /// When a muted microphone last said how loud it is.
    last_level: Option<Time>,
}

impl ClientSession {
    /// Publishes a track. Frames may be sent at once.
    ///
    /// # Errors
    /// [`PublishError`]; nothing has changed then.
    pub fn publish(&mut self, track: &TrackConfig) -> Result<(), PublishError> {
        if self.tracks.iter().any(|other| other.declared.number == track.number) {
            return Err(PublishError::NumberTaken(track.number));
        }
        check(track)?;
        let free = (1..self.uplink.streams()).map(StreamIndex).filter(|stream| !self.is_used(*stream));
        let streams: Vec<StreamIndex> = free.take(track.encodings.len()).collect();
        if streams.len() < track.encodings.len() || self.tracks.len() >= MAX_TRACKS {
            return Err(PublishError::TooMany);
        }
        let declared: Vec<PublishedEncoding> = track
            .encodings
            .iter()
            .zip(&streams)
            .map(|(encoding, stream)| declare(*encoding, *stream))
            .collect();
        self.tracks.push(UplinkTrack {
            declared: PublishedTrack {
                number: track.number,
                kind: track.kind,
                payload_type: track.codec.payload_type(),
                muted: false,
                encodings: Encodings::from_slice(&declared).ok_or(PublishError::Invalid)?,
            },
            codec: track.codec,
            encodings: declared
                .iter()
                .map(|encoding| Publication {
                    stream: encoding.stream,
                    gate: Gate::OPEN,
                    demand: None,
                    packetizer: Packetizer::new(track.codec, encoding.temporal_layers),
                })
                .collect(),
            last_level: None,
        });
        self.renew_published();
        Ok(())
    }

    /// Takes a track back. Nothing happens if there is none.
    pub fn unpublish(&mut self, number: TrackNumber) {
        let before = self.tracks.len();
        self.tracks.retain(|track| track.declared.number != number);
        if self.tracks.len() != before {
            self.renew_published();
        }
    }

    /// Mutes or unmutes a track: a muted one sends nothing, and receivers are told.
    pub fn set_muted(&mut self, number: TrackNumber, muted: bool) {
        let track = self.tracks.iter_mut().find(|track| track.declared.number == number);
        if let Some(track) = track.filter(|track| track.declared.muted != muted) {
            track.declared.muted = muted;
            self.renew_published();
        }
    }

    fn is_used(&self, stream: StreamIndex) -> bool {
        self.tracks.iter().any(|track| track.encodings.iter().any(|encoding| encoding.stream == stream))
    }

    /// Divides the published state into pages anew; each is sent again.
    pub(super) fn renew_published(&mut self) {
        let declared: Vec<PublishedTrack> = self.tracks.iter().map(|track| track.declared).collect();
        self.published_pages.clear();
        let mut start = 0;
        loop {
            let end = start + published_fitting(&declared[start..]);
            self.published_pages.push(start..end);
            start = end;
            if start >= declared.len() {
                break;
            }
        }
        let pages = self.published_pages.len() as u8;
        self.published.set_pages(pages);
        for page in 0..pages {
            self.published.touch(page);
        }
    }

    /// Sends a frame of a track's encoding. Returns how many packets it took.
    ///
    /// Frames that nobody wants are refused with [`SendError::NotWanted`]: an encoder that cannot be told otherwise may go on
    /// handing in everything. What wants to save the encoding follows [`Event::Demand`](super::Event::Demand).
    ///
    /// # Errors
    /// [`SendError`]; if it is [`SendError::Queue`], a part of the frame may have been queued.
    pub fn send_frame(
        &mut self,
        now: Time,
        track: TrackNumber,
        encoding: u8,
        frame: &OutgoingFrame<'_>,
    ) -> Result<usize, SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        // The router drops media of a track that it has not heard of.
        self.send_states(now);
        let published = self
            .tracks
            .iter_mut()
            .find(|other| other.declared.number == track)
            .ok_or(SendError::NotPublished)?;
        if published.declared.muted {
            return Err(self.send_level_of_muted(now, track, frame).err().unwrap_or(SendError::Muted));
        }
        let is_microphone = published.declared.kind == TrackKind::Microphone;
        let publication =
            published.encodings.get_mut(usize::from(encoding)).ok_or(SendError::NotPublished)?;
        // Microphones go on: the router cannot tell who speaks without them.
        if !is_microphone && !publication.gate.admit(frame.key, frame.layer) {
            self.stats.frames_withheld += 1;
            self.stats.bytes_withheld += frame.data.len() as u64;
            return Err(SendError::NotWanted);
        }
        let packets = self.seal_frame(now, track, encoding, frame)?;
        self.stats.frames_sent += 1;
        Ok(packets)
    }

    /// Sends how loud it is at a muted microphone, every now and then, so that who talks while muted can be told. Not a bit of
    /// the sound leaves.
    fn send_level_of_muted(
        &mut self,
        now: Time,
        track: TrackNumber,
        frame: &OutgoingFrame<'_>,
    ) -> Result<(), SendError> {
        let Some(muted) = self.tracks.iter_mut().find(|other| other.declared.number == track) else {
            return Err(SendError::NotPublished);
        };
        let is_due = muted.last_level.is_none_or(|last| now.saturating_since(last) >= MUTED_LEVEL_INTERVAL);
        let silence = match frame.data.first() {
            Some(first) if muted.codec == Codec::Opus => first & ONE_FRAME_MASK,
            _ => return Ok(()),
        };
        if is_due && muted.declared.kind == TrackKind::Microphone {
            muted.last_level = Some(now);
            self.seal_frame(now, track, 0, &OutgoingFrame { data: &[silence], ..*frame })?;
            self.stats.levels_sent += 1;
        }
        Ok(())
    }

    fn seal_frame(
        &mut self,
        now: Time,
        track: TrackNumber,
        encoding: u8,
        frame: &OutgoingFrame<'_>,
    ) -> Result<usize, SendError> {
        let track = self
            .tracks
            .iter_mut()
            .find(|other| other.declared.number == track)
            .ok_or(SendError::NotPublished)?;
        let is_video = !track.declared.kind.is_audio();
        let publication = track.encodings.get_mut(usize::from(encoding)).ok_or(SendError::NotPublished)?;
        let stream =
            self.streams.get_mut(usize::from(publication.stream.0)).ok_or(SendError::NotPublished)?;
        let ssrc = self.uplink.ssrc(publication.stream, StreamRole::Media).ok_or(SendError::NotPublished)?;
        let overhead = self.outbound.rtp_overhead();
        let budget = MAX_DATAGRAM_BYTES - HEADROOM_BYTES - HEADER_BYTES - overhead;
        let timestamp = stream.timestamp(frame.captured_at, track.codec.clock_rate_hz());
        let fragments = publication.packetizer.packetize(frame.data, frame.layer, budget)?;
        let tl0_pic_idx = fragments.tl0_pic_idx();
        let level = frame.audio_level.unwrap_or(AudioLevel::SILENCE);
        let mut packets = 0;
        for fragment in fragments {
            let mut payload = stream.sent.buffer();
            fragment.append_to(&mut payload);
            let marking = is_video.then_some(FrameMarking {
                start: fragment.first,
                end: fragment.last,
                independent: frame.key,
                discardable: frame.layer.discardable,
                base_sync: frame.layer.base_sync,
                temporal_id: frame.layer.temporal_id,
                layer_id: 0,
                tl0_pic_idx,
            });
            let index = stream.take_index();
            let marker = is_video && fragment.last;
            let extensions = MediaExtensions {
                audio_level: (!is_video).then_some(AudioLevel { voice: level < AudioLevel::SILENCE, level }),
                transport_sequence: Some(self.next_transport),
                frame_marking: marking,
                capture_time: Some(CaptureTime(frame.captured_at.to_ntp())),
            };
            let header = RtpHeader {
                marker,
                payload_type: track.declared.payload_type as u8,
                sequence_number: index as u16,
                timestamp,
                ssrc,
                csrcs: &[],
                extensions: &extensions,
            };
            let mut header_bytes = [0; MAX_HEADER_BYTES];
            let header_len = header.write(&mut header_bytes).map_err(|_| SendError::Queue)?;
            let reserved = header_len + payload.len() + overhead;
            let space = self.out.reserve(reserved).ok_or(SendError::Queue)?;
            let sealed = self.outbound.seal_rtp(index, &header_bytes[..header_len], &payload, space);
            self.out.commit(self.remote, reserved, sealed.unwrap_or(0));
            let sealed = sealed.map_err(|_| SendError::Queue)?;
            stream.note_sent(now, payload.len(), track.codec.clock_rate_hz());
            self.congestion.on_sent(now, self.next_transport, sealed);
            self.next_transport = self.next_transport.wrapping_add(1);
            stream.sent.keep(SentPacket { index, at: now, marker, timestamp, extensions, payload });
            self.stats.rtp_sent += 1;
            self.stats.bytes_sent += sealed as u64;
            packets += 1;
        }
        self.liveness.on_sent(now);
        Ok(packets)
    }
}

fn check(track: &TrackConfig) -> Result<(), PublishError> {
    let fits_kind = track.codec.payload_type().is_audio_codec() == track.kind.is_audio();
    let most = if track.kind.is_audio() { 1 } else { MAX_ENCODINGS };
    let count_fits = (1..=most).contains(&track.encodings.len());
    let in_order = track.encodings.windows(2).all(|pair| pair[0].height <= pair[1].height);
    let number_fits = usize::from(track.number.0) < MAX_TRACKS;
    if fits_kind && count_fits && in_order && number_fits { Ok(()) } else { Err(PublishError::Invalid) }
}

const fn declare(encoding: EncodingConfig, stream: StreamIndex) -> PublishedEncoding {
    PublishedEncoding {
        stream,
        temporal_layers: encoding.temporal_layers,
        spatial_layers: 1,
        fps: encoding.fps,
        width: encoding.width,
        height: encoding.height,
        max_bitrate_bps: encoding.max_bitrate_bps,
    }
}
