//! RTCP in: the router's reports, key frame requests and control messages.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_wire::control::{AckEntry, AckStatus, CloseCode, ControlError, Message, StateKind};
use sluice_wire::rtcp::{App, Packet, ReportBlock, packets};
use sluice_wire::srtp::OpenError;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;

use super::{ClientSession, Echo, Event, MAX_DATAGRAM_BYTES, Phase};

/// Answers that wait at once; more than any honest router asks for.
const MAX_ECHOES: usize = 8;

impl ClientSession {
    pub(super) fn handle_rtcp(
        &mut self,
        now: Time,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), OpenError> {
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        let opened = self.inbound.open_rtcp(datagram, &mut plain)?;
        self.stats.rtcp_received += 1;
        for packet in packets(&plain[..opened.len]) {
            match packet {
                Ok(packet) => self.handle_packet(now, from, packet),
                Err(_) => self.stats.malformed += 1,
            }
        }
        Ok(())
    }

    fn handle_packet(&mut self, now: Time, from: SocketAddr, packet: Packet<'_>) {
        match packet {
            Packet::SenderReport(report) => {
                if let Some((stream, StreamRole::Media)) = self.downlink.locate(report.ssrc())
                    && let Some(receiver) =
                        stream.0.checked_sub(1).and_then(|slot| self.receivers.get_mut(&slot))
                {
                    receiver.reception.on_sender_report(report.info().ntp, now);
                }
                report.reports().for_each(|block| self.handle_report(now, &block));
            }
            Packet::ReceiverReport(report) => {
                report.reports().for_each(|block| self.handle_report(now, &block));
            }
            Packet::Pli(pli) => self.handle_key_frame_request(pli.media_ssrc),
            Packet::Fir(fir) => fir.entries().for_each(|entry| self.handle_key_frame_request(entry.ssrc)),
            Packet::Nack(nack) => self.handle_nack(now, nack),
            Packet::App(app) => self.handle_app(now, from, app),
            Packet::Sdes(_)
            | Packet::Bye(_)
            | Packet::TransportCc(_)
            | Packet::Remb(_)
            | Packet::Unknown { .. } => {}
        }
    }

    fn handle_report(&mut self, now: Time, block: &ReportBlock) {
        if self.uplink.locate(block.ssrc).is_none() || block.last_sr == 0 {
            return;
        }
        let elapsed = now.to_ntp_short().wrapping_sub(block.last_sr);
        let round_trip = elapsed.wrapping_sub(block.delay_since_last_sr);
        // More delay than time has passed is nonsense.
        if block.delay_since_last_sr <= elapsed && round_trip < 60 << 16 {
            let sample = Duration::from_nanos(u64::from(round_trip) * 1_000_000_000 / 65_536);
            self.note_rtt(sample);
        }
    }

    fn note_rtt(&mut self, sample: Duration) {
        self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
    }

    fn handle_pong(&mut self, now: Time, token: u64) {
        if let Some((_, sent_at)) = self.ping.take_if(|(sent, _)| *sent == token) {
            self.note_rtt(now.saturating_since(sent_at));
        }
    }

    fn handle_key_frame_request(&mut self, ssrc: u32) {
        let Some((stream, StreamRole::Media)) = self.uplink.locate(ssrc) else { return };
        if let Some((track, encoding)) = self.encoding_of(stream) {
            self.stats.key_frame_requests_received += 1;
            self.emit(Event::KeyFrameRequested { track, encoding });
        }
    }

    fn encoding_of(&self, stream: StreamIndex) -> Option<(TrackNumber, u8)> {
        self.tracks.iter().find_map(|track| {
            let position = track.encodings.iter().position(|encoding| encoding.stream == stream)?;
            Some((track.declared.number, position as u8))
        })
    }

    fn handle_app(&mut self, now: Time, from: SocketAddr, app: App<'_>) {
        match Message::parse(&app) {
            Ok(message) => self.handle_message(now, from, message),
            Err(ControlError::MalformedPage { kind, page, version }) => {
                self.stats.malformed += 1;
                self.refuse_page(kind, page, version);
            }
            Err(_) => self.stats.malformed += 1,
        }
    }

    fn handle_message(&mut self, now: Time, from: SocketAddr, message: Message<'_>) {
        match message {
            Message::Ping(token) => self.echo(from, Echo::Pong(token)),
            Message::PathChallenge(data) => self.echo(from, Echo::PathResponse(data)),
            Message::Pong(token) => self.handle_pong(now, token),
            // Only routers ask who is there; only clients move.
            Message::PathResponse(_) | Message::Move => {}
            Message::Close(code) => self.handle_close(now, code),
            Message::Ack(acks) => acks.entries().for_each(|ack| self.handle_ack(ack)),
            Message::Page(page) => self.handle_page(&page),
            Message::Feedback(feedback) => self.handle_feedback(now, &feedback),
        }
    }

    fn echo(&mut self, to: SocketAddr, echo: Echo) {
        if self.echoes.len() < MAX_ECHOES {
            self.echoes.push((to, echo));
        }
    }

    fn handle_close(&mut self, now: Time, code: CloseCode) {
        match self.phase {
            Phase::Closed => {}
            // The answer to this end's close.
            Phase::Closing { .. } => self.finish(CloseCode::Normal),
            Phase::Open => {
                self.send_close(now);
                self.finish(code);
            }
        }
    }

    fn handle_ack(&mut self, ack: AckEntry) {
        let outbox = match ack.kind {
            StateKind::Published => &mut self.published,
            StateKind::Wanted => &mut self.wanted,
            StateKind::Shown | StateKind::Demand | StateKind::Speakers => return,
        };
        // A refused page is settled too: repeating it would change nothing.
        outbox.acknowledge(ack.page, ack.version);
        if ack.status != AckStatus::Applied {
            self.emit(Event::Refused { state: ack.kind, status: ack.status });
        }
    }
}
