//! RTCP: states, answers, signs of life, reports.

use std::time::Duration;

use sluice_router::core::TransmitBatch;
use sluice_wire::control::{
    AckEntry, AckStatus, Encodings, Message, OutMessage, PageHeader, PublishedEncoding, PublishedTrack,
    StateKind, Want, WantedSlot, write_message,
};
use sluice_wire::payload_type::PayloadType;
use sluice_wire::rtcp::{App, CompoundWriter, Packet, ReportBlock, packets};
use sluice_wire::rtp::BufferTooSmall;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::state_sync::{Arrival, PageInbox, PageOutbox};
use sluice_wire::time::Time;
use sluice_wire::track::{TrackKind, TrackNumber};

use super::{CAMERA_STREAM, MICROPHONE_STREAM, Peer, Received};

/// A client that sent nothing for this long gives a sign of life, so that no gap exceeds 200 ms (spec 5.4).
const KEEPALIVE_AFTER: Duration = Duration::from_millis(150);
/// The round-trip time is sampled this often, as the reference client does.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of sender and receiver reports (spec 3.6).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The largest plaintext of an SRTCP datagram (spec 4.1).
const MAX_COMPOUND_BYTES: usize = 1_100;
const MAX_REPORT_BLOCKS: usize = 31;
const MAX_DATAGRAM_BYTES: usize = 1_200;

#[derive(Clone, Copy, Debug)]
enum Answer {
    Pong(u64),
    PathResponse([u8; 8]),
    Ack(AckEntry),
}

#[derive(Debug, Default)]
pub(super) struct Control {
    published: PageOutbox,
    wanted: PageOutbox,
    shown: PageInbox,
    demand: PageInbox,
    speakers: PageInbox,
    tracks: Vec<PublishedTrack>,
    answers: Vec<Answer>,
    pub(super) wants_key_frame: bool,
    pub(super) is_closed: bool,
    pub(super) last_sent: Option<Time>,
    next_report: Option<Time>,
    next_ping: Option<Time>,
}

impl Control {
    pub(super) fn is_settled(&self) -> bool {
        self.published.is_settled() && self.wanted.is_settled()
    }

    pub(super) fn renew_wanted(&mut self) {
        self.wanted.set_pages(1);
        self.wanted.touch(0);
    }

    pub(super) fn renew_published(&mut self, camera: bool, microphone: bool) {
        let microphone = microphone
            .then(|| track(TrackNumber::MICROPHONE, TrackKind::Microphone, PayloadType::Opus, VOICE));
        let camera = camera.then(|| track(TrackNumber::CAMERA, TrackKind::Camera, PayloadType::Vp8, PICTURE));
        self.tracks = microphone.into_iter().chain(camera).flatten().collect();
        self.published.set_pages(1);
        self.published.touch(0);
    }

    fn handle_app(&mut self, app: &App<'_>) {
        let Ok(message) = Message::parse(app) else { return };
        match message {
            Message::Ping(token) => self.answers.push(Answer::Pong(token)),
            Message::PathChallenge(data) => self.answers.push(Answer::PathResponse(data)),
            Message::Close(_) => self.is_closed = true,
            Message::Ack(acks) => acks.entries().for_each(|ack| match ack.kind {
                StateKind::Published => self.published.acknowledge(ack.page, ack.version),
                StateKind::Wanted => self.wanted.acknowledge(ack.page, ack.version),
                StateKind::Shown | StateKind::Demand | StateKind::Speakers => {}
            }),
            Message::Page(page) => {
                let header = PageHeader { version: page.version, page: page.page, pages: page.pages };
                self.acknowledge(page.kind, header);
            }
            _ => {}
        }
    }

    /// Has a page of one of the router's states, whose content is of no interest here, answered, so that it does not come again.
    fn acknowledge(&mut self, kind: StateKind, header: PageHeader) {
        let PageHeader { version, page, pages } = header;
        let inbox = match kind {
            StateKind::Shown => &mut self.shown,
            StateKind::Demand => &mut self.demand,
            StateKind::Speakers => &mut self.speakers,
            StateKind::Published | StateKind::Wanted => return,
        };
        let version = match inbox.judge(page, pages, version) {
            Arrival::Known(known) => known,
            Arrival::OutOfRange => return,
            Arrival::New => {
                inbox.accept(page, version);
                version
            }
        };
        self.answers.push(Answer::Ack(AckEntry { kind, page, status: AckStatus::Applied, version }));
    }
}

const PICTURE: PublishedEncoding = PublishedEncoding {
    stream: CAMERA_STREAM,
    temporal_layers: 1,
    spatial_layers: 1,
    fps: 30,
    width: 1_280,
    height: 720,
    max_bitrate_bps: 2_200_000,
};
const VOICE: PublishedEncoding = PublishedEncoding {
    stream: MICROPHONE_STREAM,
    temporal_layers: 0,
    spatial_layers: 0,
    fps: 0,
    width: 0,
    height: 0,
    max_bitrate_bps: 64_000,
};

fn track(
    number: TrackNumber,
    kind: TrackKind,
    payload_type: PayloadType,
    encoding: PublishedEncoding,
) -> Option<PublishedTrack> {
    let encodings = Encodings::from_slice(&[encoding])?;
    Some(PublishedTrack { number, kind, payload_type, muted: false, encodings })
}

impl Peer {
    pub(super) fn receive_rtcp(&mut self, _now: Time, datagram: &[u8]) -> Received {
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        let Ok(opened) = self.inbound.open_rtcp(datagram, &mut plain) else { return Received::Wrong };
        for packet in packets(&plain[..opened.len]).flatten() {
            match packet {
                Packet::Pli(pli) => {
                    self.control.wants_key_frame |= self.uplink.locate(pli.media_ssrc).is_some()
                }
                Packet::App(app) => self.control.handle_app(&app),
                _ => {}
            }
        }
        Received::Control
    }

    /// Whether the router waits for an answer.
    #[must_use]
    pub const fn has_answers(&self) -> bool {
        !self.control.answers.is_empty()
    }

    /// Seals the answers that the router waits for.
    pub fn answer(&mut self, now: Time, batch: &mut TransmitBatch) {
        let mut answers = std::mem::take(&mut self.control.answers);
        for answer in answers.drain(..) {
            self.send_compound(now, batch, |compound, control| match answer {
                Answer::Pong(token) => write_message(compound, control, &OutMessage::Pong(token)),
                Answer::PathResponse(data) => {
                    write_message(compound, control, &OutMessage::PathResponse(data))
                }
                Answer::Ack(ack) => write_message(compound, control, &OutMessage::Ack(&[ack])),
            });
        }
        self.control.answers = answers;
    }

    /// Seals what is due: states, signs of life, reports. To be called every
    /// [`TEND_INTERVAL`](super::TEND_INTERVAL).
    pub fn tend(&mut self, now: Time, batch: &mut TransmitBatch) {
        self.answer(now, batch);
        self.send_states(now, batch);
        let next_report = *self.control.next_report.get_or_insert(now + REPORT_INTERVAL);
        if next_report <= now {
            self.control.next_report = Some(now + REPORT_INTERVAL);
            self.send_reports(now, batch);
        }
        let is_silent = |last| now.saturating_since(last) >= KEEPALIVE_AFTER;
        if *self.control.next_ping.get_or_insert(now) <= now {
            self.control.next_ping = Some(now + PING_INTERVAL);
            let token = now.as_nanos();
            self.send_compound(now, batch, |compound, control| {
                write_message(compound, control, &OutMessage::Ping(token))
            });
        } else if self.control.last_sent.is_none_or(is_silent) {
            self.send_compound(now, batch, |_, _| Ok(()));
        }
    }

    fn send_states(&mut self, now: Time, batch: &mut TransmitBatch) {
        while let Some((page, version)) = self.control.published.due(now) {
            let header = PageHeader { version, page, pages: self.control.published.pages() };
            let tracks = std::mem::take(&mut self.control.tracks);
            self.send_compound(now, batch, |compound, control| {
                write_message(compound, control, &OutMessage::Published(header, &tracks))
            });
            self.control.tracks = tracks;
            self.control.published.on_sent(page, now);
        }
        while let Some((page, version)) = self.control.wanted.due(now) {
            let header = PageHeader { version, page, pages: self.control.wanted.pages() };
            let slots: Vec<WantedSlot> =
                (0u16..).zip(&self.slots).map(|(number, slot)| wanted(number, slot.track)).collect();
            self.send_compound(now, batch, |compound, control| {
                write_message(compound, control, &OutMessage::Wanted(header, &slots))
            });
            self.control.wanted.on_sent(page, now);
        }
    }

    fn send_reports(&mut self, now: Time, batch: &mut TransmitBatch) {
        let downlink = self.downlink;
        let blocks: Vec<ReportBlock> = (1u16..)
            .zip(&mut self.slots)
            .filter_map(|(stream, slot)| slot.report(downlink.ssrc(StreamIndex(stream), StreamRole::Media)?))
            .collect();
        for blocks in blocks.chunks(MAX_REPORT_BLOCKS) {
            self.send_compound(now, batch, |compound, control| compound.receiver_report(control, blocks));
        }
        let is_recent = |last| now.saturating_since(last) < 2 * REPORT_INTERVAL;
        let streams = [&self.camera, &self.microphone];
        let reports =
            streams.map(|stream| stream.last_sent.is_some_and(is_recent).then(|| stream.report(now)));
        if reports.iter().any(Option::is_some) {
            self.send_compound(now, batch, |compound, _| {
                reports.iter().flatten().try_for_each(|(ssrc, info)| compound.sender_report(*ssrc, info, &[]))
            });
        }
    }

    /// Seals one compound: an empty RR of the control SSRC, then what `write` adds.
    fn send_compound(
        &mut self,
        now: Time,
        batch: &mut TransmitBatch,
        write: impl FnOnce(&mut CompoundWriter<'_>, u32) -> Result<(), BufferTooSmall>,
    ) {
        let control = self.uplink.control();
        let mut plain = [0; MAX_COMPOUND_BYTES];
        let mut compound = CompoundWriter::new(&mut plain);
        let written = compound.receiver_report(control, &[]).and_then(|()| write(&mut compound, control));
        debug_assert!(written.is_ok(), "what goes into a compound is cut to fit by its callers");
        let len = compound.finish();
        if let Ok(sealed) = self.outbound.seal_rtcp(&plain[..len], batch.spare()) {
            batch.commit(self.path, sealed);
            self.note_sent(now);
        }
    }
}

const fn wanted(slot: u16, track: sluice_wire::track::TrackId) -> WantedSlot {
    WantedSlot { slot, want: Want::Track(track), paused: false, max_height: 0, max_fps: 0, priority: 0 }
}
