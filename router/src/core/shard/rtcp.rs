//! RTCP in: reports, key frame requests and control messages.

use std::time::Duration;

use sluice_wire::control::{AckEntry, AckStatus, CloseCode, ControlError, Message, StateKind};
use sluice_wire::rtcp::{App, Packet, ReportBlock, packets};
use sluice_wire::ssrc::StreamRole;
use sluice_wire::time::Time;

use super::datagram::drop_reason;
use super::{DatagramMeta, EndReason, Shard};
use crate::core::counters::DropReason;
use crate::core::ids::{EncodingRef, SessionKey};
use crate::core::limits::{MAX_DATAGRAM_BYTES, UNLIMITED_BPS};
use crate::core::path::PathChange;
use crate::core::session::{Echo, Phase};

impl Shard {
    pub(super) fn handle_rtcp(
        &mut self,
        now: Time,
        key: SessionKey,
        meta: DatagramMeta,
        datagram: &[u8],
    ) -> Result<(), DropReason> {
        let session = self.sessions.get_mut(key).ok_or(DropReason::UnknownSsrc)?;
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        let opened = session.inbound.open_rtcp(datagram, &mut plain).map_err(drop_reason)?;
        self.counters.rtcp_in += 1;
        if session.is_closing() {
            return self.handle_while_closing(key, &plain[..opened.len]);
        }
        self.on_authenticated(now, key, meta, datagram.len(), opened.newest);
        for packet in packets(&plain[..opened.len]) {
            let handled = packet
                .map_err(|_| DropReason::MalformedControl)
                .and_then(|packet| self.handle_packet(now, key, meta, packet));
            if let Err(reason) = handled {
                self.counters.drop(reason);
            }
        }
        self.settle(now);
        Ok(())
    }

    /// A receiver says what it can take.
    fn limit_bitrate(&mut self, now: Time, key: SessionKey, bitrate_bps: u64) {
        let stated_bps = if bitrate_bps >= UNLIMITED_BPS { u64::MAX } else { bitrate_bps };
        let start_bps = self.start_bps.unwrap_or(u64::MAX);
        if let Some(session) = self.sessions.get_mut(key)
            && std::mem::replace(&mut session.budget.stated_bps, stated_bps) != stated_bps
        {
            let path_bps = session.down.as_deref_mut().map_or(start_bps, |down| down.budget_bps(now));
            session.budget.limit_bps = stated_bps.min(path_bps);
            self.needs_share(key);
        }
    }

    fn handle_packet(
        &mut self,
        now: Time,
        key: SessionKey,
        meta: DatagramMeta,
        packet: Packet<'_>,
    ) -> Result<(), DropReason> {
        match packet {
            Packet::SenderReport(report) => {
                let of = self.uplink_encoding(key, report.ssrc())?;
                if let Some(encoding) = self.encoding_mut(of) {
                    encoding.stats.on_sender_report(report.info().ntp, meta.received_at);
                }
                report.reports().try_for_each(|block| self.handle_report(key, meta.received_at, &block))
            }
            Packet::ReceiverReport(report) => {
                report.reports().try_for_each(|block| self.handle_report(key, meta.received_at, &block))
            }
            Packet::Pli(pli) => self.handle_key_frame_request(now, key, pli.media_ssrc),
            Packet::Fir(fir) => {
                fir.entries().try_for_each(|entry| self.handle_key_frame_request(now, key, entry.ssrc))
            }
            Packet::Remb(remb) => {
                self.limit_bitrate(now, key, remb.bitrate_bps);
                Ok(())
            }
            Packet::Nack(nack) => self.handle_nack(now, key, nack),
            Packet::App(app) => self.handle_app(now, key, meta, app),
            // Descriptions, goodbyes (spec: close) and the feedback of later versions carry nothing for this one.
            Packet::Sdes(_) | Packet::Bye(_) | Packet::TransportCc(_) | Packet::Unknown { .. } => Ok(()),
        }
    }

    fn uplink_encoding(&self, key: SessionKey, ssrc: u32) -> Result<EncodingRef, DropReason> {
        let session = self.sessions.get(key).ok_or(DropReason::UnknownSsrc)?;
        match session.uplink.locate(ssrc) {
            Some((stream, StreamRole::Media)) => {
                session.streams.get(usize::from(stream.0)).copied().flatten().ok_or(DropReason::ForeignReport)
            }
            _ => Err(DropReason::ForeignReport),
        }
    }

    /// The slot whose media SSRC this is.
    pub(super) fn downlink_slot(&self, key: SessionKey, ssrc: u32) -> Result<u16, DropReason> {
        let session = self.sessions.get(key).ok_or(DropReason::UnknownSsrc)?;
        match session.downlink.locate(ssrc) {
            Some((stream, StreamRole::Media)) if stream.0 > 0 => Ok(stream.0 - 1),
            _ => Err(DropReason::ForeignReport),
        }
    }

    fn handle_report(
        &mut self,
        key: SessionKey,
        received_at: Time,
        block: &ReportBlock,
    ) -> Result<(), DropReason> {
        self.downlink_slot(key, block.ssrc)?;
        if block.last_sr != 0
            && let Some(session) = self.sessions.get_mut(key)
        {
            let elapsed = received_at.to_ntp_short().wrapping_sub(block.last_sr);
            let round_trip = elapsed.wrapping_sub(block.delay_since_last_sr);
            // A report that claims more delay than time has passed is nonsense, or the clock of a hostile peer.
            if block.delay_since_last_sr <= elapsed && round_trip < 60 << 16 {
                session.note_rtt(Duration::from_nanos(u64::from(round_trip) * 1_000_000_000 / 65_536));
            }
        }
        Ok(())
    }

    fn handle_key_frame_request(&mut self, now: Time, key: SessionKey, ssrc: u32) -> Result<(), DropReason> {
        let slot = self.downlink_slot(key, ssrc)?;
        self.counters.key_frame_requests_in += 1;
        let selection = self.sessions.get(key).and_then(|session| session.slot(slot)?.selection);
        if let Some(selection) = selection
            && self.tracks.get(selection.track).is_some_and(|track| !track.kind.is_audio())
        {
            let encoding = selection.target().encoding;
            self.request_key_frame(now, EncodingRef { track: selection.track, encoding });
        }
        Ok(())
    }

    fn handle_app(
        &mut self,
        now: Time,
        key: SessionKey,
        meta: DatagramMeta,
        app: App<'_>,
    ) -> Result<(), DropReason> {
        match Message::parse(&app) {
            Ok(message) => self.handle_message(now, key, meta, message),
            Err(ControlError::MalformedPage { kind, .. }) if !kind.is_from_client() => {
                Err(DropReason::Misdirected)
            }
            Err(ControlError::MalformedPage { kind, page, version }) => {
                self.acknowledge(key, AckEntry { kind, page, status: AckStatus::Malformed, version })?;
                Err(DropReason::MalformedControl)
            }
            Err(_) => Err(DropReason::MalformedControl),
        }
    }

    fn handle_message(
        &mut self,
        now: Time,
        key: SessionKey,
        meta: DatagramMeta,
        message: Message<'_>,
    ) -> Result<(), DropReason> {
        let session = self.sessions.get_mut(key).ok_or(DropReason::UnknownSsrc)?;
        match message {
            Message::Ping(token) => self.echo(key, meta, Echo::Pong(token)),
            Message::PathChallenge(data) => self.echo(key, meta, Echo::PathResponse(data)),
            Message::Pong(_) => Ok(()),
            Message::PathResponse(data) => {
                let change = session.paths.on_response(meta.path(), data);
                if change == PathChange::Migrated {
                    session.rtt = None;
                    if let Some(down) = session.down.as_deref_mut() {
                        down.on_new_path();
                    }
                    self.counters.migrations += 1;
                }
                if change != PathChange::None {
                    self.counters.paths_validated += 1;
                    // What waited for the address to be validated need not wait for the next tick.
                    self.has_something_to_say(key);
                }
                Ok(())
            }
            Message::Move => {
                session.paths.on_move(meta.path());
                Ok(())
            }
            Message::Close(_) => {
                self.end_session(now, key, CloseCode::Normal, EndReason::ClosedByClient);
                Ok(())
            }
            Message::Ack(acks) => {
                for ack in acks.entries() {
                    // A refused page is settled too: repeating it would change nothing.
                    match ack.kind {
                        StateKind::Shown => session.shown.acknowledge(ack.page, ack.version),
                        StateKind::Demand => session.demand.acknowledge(ack.page, ack.version),
                        StateKind::Speakers => session.speakers.acknowledge(ack.page, ack.version),
                        StateKind::Published | StateKind::Wanted => {}
                    }
                }
                Ok(())
            }
            Message::Page(page) => self.handle_page(now, key, &page),
            Message::Feedback(feedback) => {
                self.handle_feedback(now, key, meta, &feedback);
                Ok(())
            }
        }
    }

    fn echo(&mut self, key: SessionKey, meta: DatagramMeta, echo: Echo) -> Result<(), DropReason> {
        let session = self.sessions.get_mut(key).ok_or(DropReason::UnknownSsrc)?;
        let fits = session.duties.echo(meta.path(), echo);
        self.has_something_to_say(key);
        if fits { Ok(()) } else { Err(DropReason::ControlFlood) }
    }

    /// A closing session only waits for its peer's close.
    fn handle_while_closing(&mut self, key: SessionKey, plain: &[u8]) -> Result<(), DropReason> {
        let answered = packets(plain).any(|packet| {
            matches!(packet, Ok(Packet::App(app)) if matches!(Message::parse(&app), Ok(Message::Close(_))))
        });
        match self.sessions.get_mut(key) {
            Some(session) if answered => {
                session.phase = Phase::Closing { repeats: 0 };
                Ok(())
            }
            _ => Err(DropReason::Closing),
        }
    }
}
