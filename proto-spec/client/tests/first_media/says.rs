//! What a plaintext says, in words: the words of the spec.

use serde::{Deserialize, Serialize};
use sluice_wire::control::{
    AckStatus, Message, PublishedTrack, ShownSlot, SlotStatus, StateKind, StatePage, Want, WantedSlot,
};
use sluice_wire::ext::{self, MediaExtensions};
use sluice_wire::rtcp::{Packet, packets};
use sluice_wire::rtp::RtpPacket;
use sluice_wire::track::{TrackId, TrackKind};

use crate::vector::Hex;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Says {
    Rtp(Rtp),
    Rtcp(Vec<Rtcp>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rtp {
    payload_type: u8,
    marker: bool,
    sequence_number: u16,
    timestamp: u32,
    ssrc: Hex,
    csrcs: Vec<Hex>,
    /// Ids in the order of the packet.
    extension_ids: Vec<u8>,
    audio_level: Option<AudioLevel>,
    transport_sequence: Option<u16>,
    frame_marking: Option<FrameMarking>,
    capture_time: Option<Hex>,
    payload: Hex,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct AudioLevel {
    voice: bool,
    level: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FrameMarking {
    start: bool,
    end: bool,
    independent: bool,
    discardable: bool,
    base_layer_sync: bool,
    temporal_id: u8,
    layer_id: u8,
    tl0picidx: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "packet", rename_all = "snake_case")]
pub(crate) enum Rtcp {
    /// Without blocks: nothing was received yet.
    ReceiverReport {
        sender: Hex,
        blocks: u8,
    },
    PictureLoss {
        sender: Hex,
        media: Hex,
    },
    Ping {
        token: Hex,
    },
    Pong {
        token: Hex,
    },
    PathChallenge {
        data: Hex,
    },
    PathResponse {
        data: Hex,
    },
    Ack {
        entries: Vec<AckEntry>,
    },
    Published {
        version: u32,
        page: u8,
        pages: u8,
        tracks: Vec<Track>,
    },
    Wanted {
        version: u32,
        page: u8,
        pages: u8,
        slots: Vec<Slot>,
    },
    Shown {
        version: u32,
        page: u8,
        pages: u8,
        slots: Vec<Shown>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AckEntry {
    state: String,
    page: u8,
    status: String,
    version: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Track {
    track: u8,
    kind: String,
    payload_type: u8,
    muted: bool,
    encodings: Vec<Encoding>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Encoding {
    stream: u16,
    temporal_layers: u8,
    spatial_layers: u8,
    fps: u8,
    width: u16,
    height: u16,
    max_bitrate: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    slot: u16,
    mode: String,
    subject: Hex,
    paused: bool,
    max_height: u16,
    max_fps: u8,
    priority: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    slot: u16,
    status: String,
    payload_type: u8,
    track_id: Hex,
    width: u16,
    height: u16,
    fps: u8,
    encoding: u8,
    temporal_layers: u8,
}

impl Says {
    /// Reads an RTP packet.
    pub(crate) fn of_rtp(plain: &[u8]) -> Self {
        let packet = RtpPacket::parse(plain).expect("an RTP packet");
        assert_eq!(packet.extension_profile(), Some(ext::ONE_BYTE_PROFILE));
        let extensions = MediaExtensions::read(&packet);
        Self::Rtp(Rtp {
            payload_type: packet.payload_type(),
            marker: packet.marker(),
            sequence_number: packet.sequence_number(),
            timestamp: packet.timestamp(),
            ssrc: packet.ssrc().into(),
            csrcs: packet.csrcs().map(Hex::from).collect(),
            extension_ids: packet.extensions().map(|extension| extension.id).collect(),
            audio_level: extensions.audio_level.map(|one| AudioLevel { voice: one.voice, level: one.level }),
            transport_sequence: extensions.transport_sequence,
            frame_marking: extensions.frame_marking.map(|marking| FrameMarking {
                start: marking.start,
                end: marking.end,
                independent: marking.independent,
                discardable: marking.discardable,
                base_layer_sync: marking.base_sync,
                temporal_id: marking.temporal_id,
                layer_id: marking.layer_id,
                tl0picidx: marking.tl0_pic_idx,
            }),
            capture_time: extensions.capture_time.map(|time| time.0.into()),
            payload: Hex(packet.payload().to_vec()),
        })
    }

    /// Reads a compound.
    pub(crate) fn of_rtcp(plain: &[u8]) -> Self {
        Self::Rtcp(packets(plain).map(|packet| Rtcp::of(packet.expect("an RTCP packet"))).collect())
    }
}

impl Rtcp {
    fn of(packet: Packet<'_>) -> Self {
        match packet {
            Packet::ReceiverReport(report) => {
                Self::ReceiverReport { sender: report.ssrc().into(), blocks: report.reports().count() as u8 }
            }
            Packet::Pli(pli) => {
                Self::PictureLoss { sender: pli.sender_ssrc.into(), media: pli.media_ssrc.into() }
            }
            Packet::App(app) => Self::of_message(Message::parse(&app).expect("a control message")),
            other => panic!("the example has no {other:?}"),
        }
    }

    fn of_message(message: Message<'_>) -> Self {
        match message {
            Message::Ping(token) => Self::Ping { token: token.into() },
            Message::Pong(token) => Self::Pong { token: token.into() },
            Message::PathChallenge(data) => Self::PathChallenge { data: Hex(data.to_vec()) },
            Message::PathResponse(data) => Self::PathResponse { data: Hex(data.to_vec()) },
            Message::Ack(acks) => Self::Ack {
                entries: acks
                    .entries()
                    .map(|entry| AckEntry {
                        state: state(entry.kind).to_owned(),
                        page: entry.page,
                        status: ack_status(entry.status).to_owned(),
                        version: entry.version,
                    })
                    .collect(),
            },
            Message::Page(page) => Self::of_page(&page),
            other => panic!("the example has no {other:?}"),
        }
    }

    fn of_page(body: &StatePage<'_>) -> Self {
        let (version, page, pages) = (body.version, body.page, body.pages);
        match body.kind {
            StateKind::Published => {
                Self::Published { version, page, pages, tracks: body.published().map(Track::of).collect() }
            }
            StateKind::Wanted => {
                Self::Wanted { version, page, pages, slots: body.wanted().map(Slot::of).collect() }
            }
            StateKind::Shown => {
                Self::Shown { version, page, pages, slots: body.shown().map(Shown::of).collect() }
            }
            other => panic!("the example has no {other:?}"),
        }
    }
}

impl Track {
    fn of(track: PublishedTrack) -> Self {
        let kind = match track.kind {
            TrackKind::Microphone => "microphone",
            TrackKind::Camera => "camera",
            TrackKind::Screen => "screen",
            TrackKind::ScreenAudio => "screen audio",
        };
        Self {
            track: track.number.0,
            kind: kind.to_owned(),
            payload_type: track.payload_type as u8,
            muted: track.muted,
            encodings: track
                .encodings
                .as_slice()
                .iter()
                .map(|encoding| Encoding {
                    stream: encoding.stream.0,
                    temporal_layers: encoding.temporal_layers,
                    spatial_layers: encoding.spatial_layers,
                    fps: encoding.fps,
                    width: encoding.width,
                    height: encoding.height,
                    max_bitrate: encoding.max_bitrate_bps,
                })
                .collect(),
        }
    }
}

impl Slot {
    fn of(slot: WantedSlot) -> Self {
        let Want::Track(track) = slot.want else { panic!("the example wants tracks") };
        Self {
            slot: slot.slot,
            mode: "track".to_owned(),
            subject: track.to_bits().into(),
            paused: slot.paused,
            max_height: slot.max_height,
            max_fps: slot.max_fps,
            priority: slot.priority,
        }
    }
}

impl Shown {
    fn of(slot: ShownSlot) -> Self {
        let status = match slot.status {
            SlotStatus::Flowing => "flowing",
            SlotStatus::WaitingForKeyFrame => "waiting for a key frame",
            SlotStatus::NotPublished => "not published",
            other => panic!("the example shows no {other:?}"),
        };
        Self {
            slot: slot.slot,
            status: status.to_owned(),
            payload_type: slot.payload_type,
            track_id: slot.track.map_or(0, TrackId::to_bits).into(),
            width: slot.width,
            height: slot.height,
            fps: slot.fps,
            encoding: slot.encoding,
            temporal_layers: slot.temporal_layers,
        }
    }
}

const fn state(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Published => "published",
        StateKind::Wanted => "wanted",
        StateKind::Shown => "shown",
        StateKind::Demand => "demand",
        StateKind::Speakers => "speakers",
    }
}

const fn ack_status(status: AckStatus) -> &'static str {
    match status {
        AckStatus::Applied => "applied",
        AckStatus::Malformed => "malformed",
        AckStatus::LimitExceeded => "limit exceeded",
        AckStatus::NotAllowed => "not allowed",
    }
}
